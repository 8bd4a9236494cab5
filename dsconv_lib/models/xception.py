"""Xception: separable convolutions with shortcuts. Source: Chollet 2017 (arXiv 1610.02357), Figure 5."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib import layers
from dsconv_lib.networks import Layer, xception_layers
from dsconv_lib.networks.xception import POOL


class Xception(nn.Module):
    """Xception as a torch module, built from `xception_layers`; the arguments are those of that function.

    The average over all pixels before the classifier lets one model take images of any size, 7 pixels or more.
    """

    def __init__(self, alpha: float = 1.0, **others: Any) -> None:
        super().__init__()
        *table, classifier = xception_layers(alpha, **others)
        blocks = groupby(table, key=lambda layer: layer.name.partition(".")[0])
        parts = ((name, _part(name, list(block))) for name, block in blocks)
        self.features = nn.Sequential(OrderedDict(parts))
        self.classifier = nn.Linear(classifier.spec.in_channels, classifier.spec.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, M, H, W) to one score per class (B, num_classes)."""
        pixels: Tensor = self.features(x)
        scores: Tensor = self.classifier(torch.mean(pixels, dim=(2, 3)))
        return scores


class XceptionBlock(nn.Module):
    """ReLU and a separable convolution, two or three times, and the block's input added to the result.

    Where the table has a shortcut layer, pooling halves the map, and the shortcut does the same to the input. The
    figure draws no ReLU at the start of the first block: its input has passed one, and a second changes nothing.
    """

    def __init__(self, block: Sequence[Layer]) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for name, separable in _separable_parts(block):
            # In place, the first ReLU would change the input that the shortcut still needs.
            self.body.add_module(f"{name}_relu", nn.ReLU(inplace=len(self.body) > 0))
            self.body.add_module(name, separable)
        halves = block[-1].name.endswith(".shortcut")
        self.pool = nn.MaxPool2d(*POOL) if halves else nn.Identity()
        self.shortcut = nn.Sequential(_conv_norm(block[-1])) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, M, H, W) to (B, N, H, W), or to half of H and W, rounded up."""
        both: Tensor = self.pool(self.body(x)) + self.shortcut(x)
        return both


def _part(name: str, block: Sequence[Layer]) -> nn.Module:
    if name.startswith("block"):
        return XceptionBlock(block)
    if name.startswith("conv"):
        return nn.Sequential(_conv_norm(block[0]) | {"relu": nn.ReLU(inplace=True)})
    ends = nn.Sequential()
    for part, separable in _separable_parts(block):
        ends.add_module(part, separable)
        ends.add_module(f"{part}_relu", nn.ReLU(inplace=True))
    return ends


def _separable_parts(block: Sequence[Layer]) -> Iterator[tuple[str, nn.Sequential]]:
    halves = [layer for layer in block if not layer.name.endswith(".shortcut")]
    for depthwise, pointwise in zip(halves[::2], halves[1::2], strict=True):
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            depthwise=layers.of(depthwise.spec),
            pointwise=layers.of(pointwise.spec),
            norm=nn.BatchNorm2d(pointwise.spec.out_channels),
        )
        yield depthwise.name.split(".")[1], nn.Sequential(parts)


def _conv_norm(layer: Layer) -> OrderedDict[str, nn.Module]:
    conv = layers.of(layer.spec)
    return OrderedDict(conv=conv, norm=nn.BatchNorm2d(conv.out_channels))
