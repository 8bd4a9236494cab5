"""A trained MobileNetV1 as a function that is quick on a processor: normalisation folded, blocks fused.

Batch normalisation with stored statistics multiplies each channel by one number and adds another. So does a
convolution with its weight and bias: the two become one convolution.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dsconv_lib import spec as specs
from dsconv_lib.compiled.separable import Block
from dsconv_lib.compiled.stem import Stem
from dsconv_lib.errors import UserError
from dsconv_lib.models import MobileNetV1
from dsconv_lib.spec import Array, ConvSpec, Sizes, require_int


class FuseError(UserError, ValueError):
    """A network that cannot be fused, or images that it cannot take; the message says what would do."""


@dataclass(frozen=True)
class _Step:
    """The stem or a block at one size of image: its convolution, the map that it fills, and how many rows at a time."""

    part: Stem | Block
    spec: ConvSpec
    map: Array
    rows: int


class FusedNetwork:
    """The inference function that `fuse` makes; `print` shows its plan for the last images it was given."""

    def __init__(self, model: MobileNetV1, threads: int) -> None:
        with torch.no_grad():
            layers: Any = copy.deepcopy(model).float().eval().features
            folded: list[nn.Conv2d] = [fuse_conv_bn_eval(each.conv, each.norm) for each in layers]
        first, *rest = folded
        blocks = [_block(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
        parts: list[Stem | Block] = [Stem(*_arrays(first)), *blocks]
        self._parts = list(zip((first, *rest[::2]), parts, strict=True))
        self._classifier = copy.deepcopy(model.classifier).float()
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._shape: tuple[int, ...] = ()
        self._steps: list[_Step] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, M, H, W), float32, to one score per class (B, num_classes), as the model in evaluation mode.

        The maps in between are kept for the next call with images of the same shape. Two calls at once on one network
        would write to the same maps: give each thread a network of its own.
        """
        if images.dtype != torch.float32 or images.ndim != 4 or images.device.type != "cpu":
            given = f"images are {images.dtype} of shape {tuple(images.shape)} on {images.device}"
            raise FuseError(
                f"{given}: expected float32 (batch, channels, height, width) on the CPU"
            )
        if tuple(images.shape) != self._shape:
            self._steps, self._shape = list(self._planned(images.shape)), tuple(images.shape)
        x = images.detach().numpy()
        for step in self._steps:
            self._run(step, x)
            x = step.map.reshape(len(images), *step.spec.out_size, -1)
        means = x.mean(axis=(1, 2))[:, : self._classifier.in_features]
        with torch.inference_mode():
            scores: Tensor = self._classifier(torch.from_numpy(means))
        return scores

    def _run(self, step: _Step, x: Array) -> None:
        """Fill the step's map: each thread a share of its rows."""
        rows, threads = len(step.map), self._threads
        shares = [(rows * n // threads, rows * (n + 1) // threads) for n in range(threads)]
        others = [
            self._pool.submit(step.part.fill, x, step.map, share, step.rows, step.spec)
            for share in shares[1:]
        ]
        step.part.fill(x, step.map, shares[0], step.rows, step.spec)
        for done in others:
            done.result()

    def _planned(self, shape: tuple[int, ...]) -> Iterator[_Step]:
        batch, _, *sides = shape
        size: Sizes = tuple(sides)
        for conv, part in self._parts:
            channels, groups = (conv.in_channels, conv.out_channels), conv.groups
            window = {name: getattr(conv, name) for name in ("stride", "padding", "dilation")}
            spec = specs.standard(*channels, size, conv.kernel_size, groups=groups, **window)
            size = spec.out_size
            rows = batch * size[0]
            map_ = np.empty((rows, size[1], part.channels[1]), np.float32)
            yield _Step(part, spec, map_, part.rows_at_a_time(spec, rows, self._threads))

    def __str__(self) -> str:
        """Return the plan, a line for each block."""
        if not self._steps:
            return "no images yet: the plan depends on their size"
        lines = [f"{'part':>5} {'map':>9} {'channels':>12} {'rows at a time':>14}"]
        for number, step in enumerate(self._steps):
            (height, width), (in_channels, out_channels) = step.spec.out_size, step.part.channels
            rows = f"{step.rows} of {len(step.map)}"
            lines.append(
                f"{number or 'stem':>5} {height:4}x{width:<4} {in_channels:4} -> {out_channels:4} {rows:>14}"
            )
        return "\n".join(lines)


def fuse(model: MobileNetV1, *, threads: int = 1) -> FusedNetwork:
    """Make an inference function of a trained MobileNetV1, of any width and either stem.

    Args:
        model: separable; it stays as it is. Its stored statistics are used, as in evaluation mode.
        threads: that share the rows of each block.

    Returns:
        A function of images (B, M, H, W), float32 on the CPU, any batch and size, that returns what the model does but
        for rounding. The first call compiles the loops, some seconds, unless an earlier process did.

    Raises:
        FuseError: if the model is another one, or its twin.

    >>> model = MobileNetV1(0.25, num_classes=10, stem="small", shallow=True).eval()
    >>> images = torch.zeros(1, 3, 16, 16)
    >>> torch.allclose(fuse(model)(images), model(images), atol=1e-5)
    True
    """
    threads = require_int("threads", threads)
    if not isinstance(model, MobileNetV1) or not model.arguments.get("separable", True):
        raise FuseError(f"model is {_what(model)}: expected a MobileNetV1 of separable blocks")
    return FusedNetwork(model, threads)


def _what(model: object) -> str:
    kind = type(model).__name__
    return f"a {kind} with separable=False" if isinstance(model, MobileNetV1) else f"a {kind}"


def _block(depthwise: nn.Conv2d, pointwise: nn.Conv2d) -> Block:
    (first, first_bias), (second, second_bias) = map(_arrays, (depthwise, pointwise))
    return Block(first, second, first_bias, second_bias, relu=True)


def _arrays(conv: nn.Conv2d) -> tuple[Array, Array]:
    assert conv.bias is not None  # where the statistics were folded to
    return conv.weight.detach().contiguous().numpy(), conv.bias.detach().numpy()
