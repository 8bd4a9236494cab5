"""The vocabulary in which `chapters/papers.json` and `chapters/claims.json` state their calculations.

A calculation is a Python expression over the names of `NAMES`, and nothing else: no imports, no underscores, no
expression without a call. `evaluate` computes it; what it may say is checked first, so that no entry of the two
files can hold by being written down.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sympy
import torch
from sklearn.datasets import load_digits

from dsconv_lib import cost, loops, ops
from dsconv_lib import spec as specs
from dsconv_lib.models import Layer, mobilenet_v1_layers, total
from dsconv_lib.models.alexnet import alexnet_layers
from dsconv_lib.models.googlenet import googlenet_layers
from dsconv_lib.models.inception_v3 import inception_v3_layers
from dsconv_lib.models.squeezenet import squeezenet_layers
from dsconv_lib.models.vgg import vgg16_layers
from dsconv_lib.models.xception import xception_layers
from dsconv_lib.spec import Array, ConvSpec

Network = list[Layer]


# ---- Counts of a network --------------------------------------------------------------------------


def mobilenet(
    alpha: float = 1.0,
    resolution: int = 224,
    classes: int = 1000,
    *,
    separable: bool = True,
    shallow: bool = False,
) -> Network:
    """List the layers of MobileNetV1 as the papers name it: width, side of the image, number of classes."""
    return mobilenet_v1_layers(
        alpha, resolution, num_classes=classes, separable=separable, shallow=shallow
    )


def macs(network: Iterable[Layer]) -> int:
    """MACs by the course's convention."""
    return total(network).macs


def flops(network: Iterable[Layer]) -> int:
    """Multiplications and additions counted apart: two for each MAC."""
    return total(network).flops


def weights(network: Iterable[Layer]) -> int:
    """Weights alone: the course's parameters."""
    return total(network).params


def with_biases(network: Network, numbers_per_normalised_channel: int = 0) -> int:
    """Weights and biases, and so many numbers for each channel that batch normalisation follows."""
    extra = (
        layer.spec.out_channels * (layer.bias + numbers_per_normalised_channel * layer.norm)
        for layer in network
    )
    return weights(network) + sum(extra)


def trainable(network: Iterable[Layer]) -> int:
    """Weights, biases, and the scale and the shift of batch normalisation."""
    return sum(layer.trainable for layer in network)


def convolutions(network: Iterable[Layer]) -> Network:
    """Return the network without its linear layers."""
    return [layer for layer in network if layer.kind != "linear"]


def after_stem(network: Network) -> Network:
    """Return the network without its first layer."""
    return network[1:]


def part(network: Iterable[Layer], kind: str) -> Network:
    """Return the layers of one kind: standard, depthwise, pointwise or linear."""
    return [layer for layer in network if layer.kind == kind]


def averaged(network: Network) -> int:
    """Count what an average over all pixels at the end adds up; 0 where the network has no such average."""
    features, after = convolutions(network)[-1].spec, network[-1].spec
    if network[-1].kind == "linear" and after.in_channels != features.out_channels:
        return 0
    return features.out_channels * specs.positions(features.out_size)


def inside(network: Iterable[Layer]) -> int:
    """MACs with the taps left out that fall on zeros of the padding."""
    return sum(macs_inside(layer.spec) for layer in network)


def macs_inside(spec: ConvSpec) -> int:
    """MACs of one convolution with the taps left out that fall on zeros of the padding."""
    taps = 1
    for side, kernel, step, (before, _), gap, out in zip(
        spec.in_size,
        spec.kernel_size,
        spec.stride,
        spec.pads,
        spec.dilation,
        spec.out_size,
        strict=True,
    ):
        starts = [i * step - before for i in range(out)]
        taps *= sum(0 <= start + u * gap < side for start in starts for u in range(kernel))
    return taps * spec.weight_shape[0] * spec.weight_shape[1]


def percent(part: float, whole: float) -> float:
    """Return the part in per cent of the whole."""
    return 100 * part / whole


def quotient(first: float, second: float) -> float:
    """Return how many times the second goes into the first."""
    return first / second


def points(first: float, second: float) -> float:
    """Difference of two percentages that a paper prints."""
    return first - second


def stride_between(before: int, after: int, *, kernel: int, padding: int) -> int:
    """Return the only stride that takes a side of `before` pixels to `after` pixels."""
    fitting = [
        stride
        for stride in range(1, before + 1)
        if specs.depthwise(1, before, kernel, stride=stride, padding=padding).out_size[0] == after
    ]
    (stride,) = fitting
    return stride


# ---- Cases for statements about one layer ----------------------------------------------------------


class Case(NamedTuple):
    """One small layer: M, N, D_F, D_K, padding and stride."""

    M: int
    N: int
    DF: int
    DK: int
    p: int
    s: int

    @property
    def DG(self) -> int:
        """Side of the output."""
        return (self.DF + 2 * self.p - self.DK) // self.s + 1


def _draw_cases() -> list[Case]:
    rng = np.random.default_rng(0)
    drawn = (rng.integers((1, 1, 4, 1, 0, 1), (5, 6, 8, 5, 3, 4)) for _ in range(16))
    return [Case(*map(int, sizes)) for sizes in drawn]


CASES = _draw_cases()


def for_all(holds: Callable[[Case], bool]) -> bool:
    """Say whether something holds for each of sixteen drawn layers."""
    return all(bool(holds(case)) for case in CASES)


def for_some(holds: Callable[[Case], bool]) -> bool:
    """Say whether something holds for at least one of the drawn layers."""
    return any(bool(holds(case)) for case in CASES)


def one_position(case: Case) -> Case:
    """Return the layer with one filter that fits its input at one position."""
    return case._replace(N=1, DF=case.DK, p=0, s=1)


def random(*shape: int) -> Array:
    """Draw an array from a normal distribution, the same one for the same shape."""
    return np.random.default_rng(list(shape)).normal(size=shape)


@cache
def _run(kind: str, case: Case) -> tuple[tuple[int, ...], int]:
    """Run the loops: the shape (channels, rows, columns) of the output, and the MACs made."""
    x = random(1, case.M, case.DF, case.DF)
    if kind == "standard":
        w = random(case.N, case.M, case.DK, case.DK)
        y, made = loops.standard(x, w, stride=case.s, padding=case.p)
    else:
        w = random(case.M, 1, case.DK, case.DK)
        y, made = loops.depthwise(x, w, stride=case.s, padding=case.p)
    if kind in ("pointwise", "separable"):
        first = made if kind == "separable" else 0
        y, made = loops.pointwise(y, random(case.N, case.M, 1, 1))
        made += first
    return y.shape[1:], made


def loop_standard(case: Case) -> int:
    """Count the multiplications that the loops of a standard convolution make."""
    return _run("standard", case)[1]


def loop_depthwise(case: Case) -> int:
    """Count the multiplications that the loops of a depthwise convolution make."""
    return _run("depthwise", case)[1]


def loop_pointwise(case: Case) -> int:
    """Count the multiplications of a pointwise convolution on the depthwise one's output."""
    return _run("pointwise", case)[1]


def loop_separable(case: Case) -> int:
    """Count the multiplications that both loops of a separable convolution make."""
    return _run("separable", case)[1]


def out_standard(case: Case) -> tuple[int, ...]:
    """Shape of a standard convolution's output: channels, rows, columns."""
    return _run("standard", case)[0]


def out_depthwise(case: Case) -> tuple[int, ...]:
    """Shape of a depthwise convolution's output: channels, rows, columns."""
    return _run("depthwise", case)[0]


def out_pointwise(case: Case) -> tuple[int, ...]:
    """Shape of the output of a pointwise convolution on the depthwise one's output."""
    return _run("pointwise", case)[0]


def same(first: str, second: str) -> bool:
    """Say whether two formulas are equal for all values of their letters; n and N are two letters."""

    def read(formula: str) -> Any:
        letters = set(re.findall(r"[A-Za-z]\w*", formula))
        return sympy.sympify(formula, locals={letter: sympy.Symbol(letter) for letter in letters})

    return bool(sympy.simplify(read(first) - read(second)) == 0)


# ---- Values, ranks, reach --------------------------------------------------------------------------


def difference(first: Array, second: Array) -> float:
    """Largest difference of two arrays of one shape, relative to the largest entry of the second."""
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape}")
    return float(abs(first - second).max() / abs(second).max())


def embed(depthwise_weight: Array) -> Array:
    """Write a depthwise weight (M, 1, K, K) as a standard one (M, M, K, K): zero for all other channels."""
    channels = len(depthwise_weight)
    return np.eye(channels)[:, :, None, None] * depthwise_weight[:, 0]


def compose(depthwise_weight: Array, pointwise_weight: Array) -> Array:
    """Multiply the two weights of a separable convolution into one standard weight (N, M, K, K)."""
    product: Array = pointwise_weight * depthwise_weight[:, 0]
    return product


def mix(x: Array, pointwise_weight: Array) -> Array:
    """Add up the channels at each pixel, weighted: once for each output channel."""
    mixed: Array = np.einsum("bmij,nm->bnij", x, pointwise_weight[:, :, 0, 0])
    return mixed


def one_by_one(x: Array, depthwise_weight: Array) -> Array:
    """Convolve each channel alone with its filter, and stack the results."""
    parts = [ops.standard(x[:, m : m + 1], depthwise_weight[m : m + 1]) for m in range(x.shape[1])]
    return np.concatenate(parts, axis=1)


def slices(weight: Array) -> Array:
    """Cut a standard weight (N, M, K, K) into one matrix (N, K * K) for each input channel."""
    return weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], weight.shape[0], -1)


def rank(weight: Array) -> int:
    """Largest rank of the slices: how many separable terms the weight needs."""
    return int(np.linalg.matrix_rank(slices(weight)).max())


def energy(weight: Array) -> float:
    """Share of the squared weights that the best single separable term holds, averaged over the slices."""
    squares = np.linalg.svd(slices(weight), compute_uv=False) ** 2
    return float((squares[:, 0] / squares.sum(axis=1)).mean())


def best_term(weight: Array, *, centred: bool = False) -> Array:
    """Closest single separable term, as slices; `centred` subtracts the mean filter first, as PCA does."""
    cut = slices(weight)
    mean = cut.mean(axis=1, keepdims=True) if centred else np.zeros_like(cut)
    u, values, vt = np.linalg.svd(cut - mean, full_matrices=False)
    term: Array = u[:, :, :1] * values[:, None, :1] @ vt[:, :1]
    return term


def distance(weight: Array, term: Array) -> float:
    """Frobenius distance of a weight from a term given as slices."""
    return float(np.linalg.norm(slices(weight) - term))


def _forward(kind: str, x: Array) -> Array:
    if kind == "standard":
        return ops.standard(x, random(5, 4, 3, 3))
    if kind == "depthwise":
        return ops.depthwise(x, random(4, 1, 3, 3))
    return ops.pointwise(x, random(5, 4, 1, 1))


def _changes(kind: str) -> Array:
    """Say which entries of a (4, 7, 7) input change the middle of the first output channel."""
    x = random(1, 4, 7, 7)
    before = _forward(kind, x)
    i = before.shape[2] // 2
    changes = np.zeros(x.shape[1:], bool)
    for place in np.ndindex(*changes.shape):
        y = x.copy()
        y[0][place] += 1
        changes[place] = _forward(kind, y)[0, 0, i, i] != before[0, 0, i, i]
    return changes


def channels_read(kind: str) -> int:
    """Count the channels, of four, that one output of the first channel depends on."""
    return int(_changes(kind).any(axis=(1, 2)).sum())


def pixels_read(kind: str) -> int:
    """Count the pixels that one output depends on."""
    return int(_changes(kind).any(axis=0).sum())


def channels_learnt_from(channels: int = 4) -> int:
    """Count the input channels that change the gradient of the first depthwise filter of a separable layer."""
    dw = torch.tensor(random(channels, 1, 3, 3), requires_grad=True)
    pw = torch.tensor(random(5, channels, 1, 1))

    def gradient(x: Array) -> torch.Tensor:
        y = torch.conv2d(torch.conv2d(torch.tensor(x), dw, groups=channels), pw)
        (found,) = torch.autograd.grad((y**2).sum(), dw)
        return found[0]

    x = random(1, channels, 6, 6)
    before = gradient(x)
    moved = 0
    for m in range(channels):
        other = x.copy()
        other[:, m] += 1
        moved += not torch.equal(gradient(other), before)
    return moved


def pixels_seen(layers: Sequence[tuple[int, int]]) -> int:
    """Trace which pixels of a row one output sees through layers of (kernel, stride), last to first."""
    seen = {0}
    for kernel, stride in reversed(layers):
        seen = {place * stride + tap for place in seen for tap in range(kernel)}
    return len(range(min(seen), max(seen) + 1))


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Receptive field by the formula: 1 + the sum of (K - 1) times all strides before."""
    return 1 + sum(
        (kernel - 1) * prod(stride for _, stride in layers[:place])
        for place, (kernel, _) in enumerate(layers)
    )


def digits() -> Array:
    """Return the handwritten digits that the course trains on, as images."""
    images: Array = load_digits().images
    return images


def refused(kernel: int) -> bool:
    """Say whether the library refuses a kernel of this side."""
    try:
        specs.standard(3, 4, 8, kernel)
    except specs.SpecError:
        return True
    return False


def in_glossary(term: str) -> bool:
    """Say whether the book's glossary has this term."""
    page = Path(__file__).resolve().parents[1] / "chapters" / "glossary.md"
    return term in page.read_text(encoding="utf-8").lower()


# ---- Evaluation -----------------------------------------------------------------------------------

NAMES: dict[str, Any] = {
    "alexnet": alexnet_layers,
    "convolve": ops.standard,
    "convolve_depthwise": ops.depthwise,
    "convolve_pointwise": ops.pointwise,
    "convolve_separable": ops.separable,
    "depthwise": cost.depthwise,
    "googlenet": googlenet_layers,
    "inception_v3": inception_v3_layers,
    "pointwise": cost.pointwise,
    "ratio": cost.ratio,
    "separable": cost.separable,
    "squeezenet": squeezenet_layers,
    "standard": cost.standard,
    "vgg16": vgg16_layers,
    "xception": xception_layers,
} | {
    function.__name__: function
    for function in (
        *(abs, any, float, len, max, prod, range, round, sum),
        *(mobilenet, macs, flops, weights, with_biases, trainable, convolutions, after_stem),
        *(part, averaged, inside, macs_inside, percent, quotient, points, stride_between),
        *(for_all, for_some, one_position, random, same),
        *(loop_standard, loop_depthwise, loop_pointwise, loop_separable),
        *(out_standard, out_depthwise, out_pointwise),
        *(difference, embed, compose, mix, one_by_one, rank, energy, best_term, distance),
        *(channels_read, pixels_read, channels_learnt_from, pixels_seen, receptive_field),
        *(digits, refused, in_glossary),
    )
}
ALLOWED = (
    ast.Expression | ast.Call | ast.keyword | ast.Name | ast.Load | ast.Store | ast.Constant
    | ast.Attribute | ast.BinOp | ast.operator | ast.UnaryOp | ast.unaryop | ast.BoolOp | ast.boolop
    | ast.Compare | ast.cmpop | ast.Tuple | ast.List | ast.Subscript | ast.Slice | ast.Lambda
    | ast.arguments | ast.arg | ast.GeneratorExp | ast.ListComp | ast.comprehension
)  # fmt: skip


class CalculationError(ValueError):
    """A calculation that says too little, or more than it may."""


def parse(expression: str) -> ast.Expression:
    """Parse a calculation.

    Raises:
        CalculationError: if it uses anything but expressions over `NAMES`, calls none of them, or compares a
            thing with itself.
    """
    tree = ast.parse(expression.strip(), mode="eval")
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    called = False
    for node in ast.walk(tree):
        if not isinstance(node, ALLOWED):
            raise CalculationError(f"{expression}: {type(node).__name__} has no place here")
        if isinstance(node, ast.Name) and node.id not in bound and node.id not in NAMES:
            raise CalculationError(f"{expression}: {node.id} is not one of the names")
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise CalculationError(f"{expression}: {node.attr} is private")
        if isinstance(node, ast.Call):
            name = node.func
            called |= isinstance(name, ast.Name) and name.id in NAMES
        if isinstance(node, ast.Compare):
            sides = [ast.dump(side) for side in (node.left, *node.comparators)]
            if len(set(sides)) < len(sides):
                raise CalculationError(f"{expression}: compares a thing with itself")
    if not called:
        raise CalculationError(f"{expression}: calculates nothing, it calls no function")
    return tree


def evaluate(expression: str) -> Any:
    """Compute a calculation; the errors are those of `parse`."""
    return eval(compile(parse(expression), "<calculation>", "eval"), {"__builtins__": {}, **NAMES})
