"""The vocabulary in which `chapters/papers.json` and `chapters/claims.json` state their calculations.

A calculation is a Python expression over the names of `NAMES`, and nothing else: no imports, no underscores, no
expression without a call. `evaluate` computes it; what it may say is checked first, so that no entry of the two
files can hold by being written down.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from dsconv_lib import cost
from dsconv_lib import spec as specs
from dsconv_lib.models import Layer, mobilenet_v1_layers, total
from dsconv_lib.models.alexnet import alexnet_layers
from dsconv_lib.models.googlenet import googlenet_layers
from dsconv_lib.models.inception_v3 import inception_v3_layers
from dsconv_lib.models.squeezenet import squeezenet_layers
from dsconv_lib.models.vgg import vgg16_layers
from dsconv_lib.models.xception import xception_layers
from dsconv_lib.spec import ConvSpec

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


# ---- Evaluation -----------------------------------------------------------------------------------

NAMES: dict[str, Any] = {
    "abs": abs,
    "after_stem": after_stem,
    "alexnet": alexnet_layers,
    "averaged": averaged,
    "convolutions": convolutions,
    "flops": flops,
    "googlenet": googlenet_layers,
    "inception_v3": inception_v3_layers,
    "inside": inside,
    "len": len,
    "macs": macs,
    "mobilenet": mobilenet,
    "part": part,
    "percent": percent,
    "points": points,
    "quotient": quotient,
    "ratio": cost.ratio,
    "separable": cost.separable,
    "squeezenet": squeezenet_layers,
    "standard": cost.standard,
    "depthwise": cost.depthwise,
    "pointwise": cost.pointwise,
    "stride_between": stride_between,
    "sum": sum,
    "float": float,
    "trainable": trainable,
    "vgg16": vgg16_layers,
    "weights": weights,
    "with_biases": with_biases,
    "xception": xception_layers,
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
    return eval(compile(parse(expression), "<calculation>", "eval"), {"__builtins__": {}}, NAMES)
