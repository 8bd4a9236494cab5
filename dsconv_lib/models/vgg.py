"""VGG16, for large and for small images. Source: Simonyan and Zisserman 2015 (arXiv 1409.1556), Table 1, column D."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib import layers
from dsconv_lib.networks import Layer, vgg16_layers
from dsconv_lib.networks.vgg import POOL
from dsconv_lib.spec import Size


class VGG16(nn.Module):
    """VGG16 as a torch module, built from `vgg16_layers`; the arguments are those of that function.

    The "imagenet" form takes images of its own resolution only, as its first linear layer has weights for each pixel,
    and drops half of the hidden numbers in training. The "small" form takes images of any size, 32 pixels or more.
    """

    def __init__(self, alpha: float = 1.0, resolution: Size = 224, **others: Any) -> None:
        super().__init__()
        table = vgg16_layers(alpha, resolution, **others)
        convolutions = (layer for layer in table if layer.kind != "linear")
        stages = groupby(convolutions, key=lambda layer: layer.name.partition(".")[0])
        self.features = nn.Sequential(OrderedDict((name, _stage(each)) for name, each in stages))
        *hidden, last = (layer for layer in table if layer.kind == "linear")
        self.average = others.get("form") == "small"
        self.hidden = nn.Sequential(OrderedDict((layer.name, _hidden(layer)) for layer in hidden))
        self.classifier = nn.Linear(last.spec.in_channels, last.spec.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, M, H, W) to one score per class (B, num_classes)."""
        pixels: Tensor = self.features(x)
        numbers = torch.mean(pixels, dim=(2, 3)) if self.average else torch.flatten(pixels, 1)
        scores: Tensor = self.classifier(self.hidden(numbers))
        return scores


def _stage(convolutions: Iterable[Layer]) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in convolutions:
        name = layer.name.partition(".")[2]
        parts[name] = layers.of(layer.spec, bias=layer.bias)
        if layer.norm:
            parts[f"{name}_norm"] = nn.BatchNorm2d(layer.spec.out_channels)
        parts[f"{name}_relu"] = nn.ReLU(inplace=True)
    parts["pool"] = nn.MaxPool2d(*POOL)
    return nn.Sequential(parts)


def _hidden(layer: Layer) -> nn.Sequential:
    linear = nn.Linear(layer.spec.in_channels, layer.spec.out_channels)
    return nn.Sequential(OrderedDict(linear=linear, relu=nn.ReLU(inplace=True), drop=nn.Dropout()))
