"""MobileNetV1 and its twin with standard convolutions. Source: Howard et al. 2017 (arXiv 1704.04861), section 3."""

from __future__ import annotations

from collections import OrderedDict
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib import layers
from dsconv_lib.networks import Layer, mobilenet_v1_layers


class MobileNetV1(nn.Module):
    """MobileNetV1 as a torch module, built from `mobilenet_v1_layers`; the arguments are those of that function.

    Every convolution is followed by batch normalisation and ReLU. The average over all pixels before the classifier
    lets one model take images of any size. `arguments` keeps what made it.

    >>> MobileNetV1(0.25, num_classes=10)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 10])
    """

    def __init__(self, alpha: float = 1.0, **others: Any) -> None:
        super().__init__()
        made = signature(mobilenet_v1_layers).bind(alpha, **others)
        made.apply_defaults()
        del made.arguments["resolution"]  # which the weights do not depend on
        self.arguments = dict(made.arguments)
        *convolutions, classifier = mobilenet_v1_layers(alpha, **others)
        parts = ((layer.name.replace(".", "_"), _conv_norm_relu(layer)) for layer in convolutions)
        self.features = nn.Sequential(OrderedDict(parts))
        self.classifier = nn.Linear(classifier.spec.in_channels, classifier.spec.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, M, H, W) to one score per class (B, num_classes)."""
        pixels: Tensor = self.features(x)
        scores: Tensor = self.classifier(torch.mean(pixels, dim=(2, 3)))
        return scores


def _conv_norm_relu(layer: Layer) -> nn.Sequential:
    norm, relu = nn.BatchNorm2d(layer.spec.out_channels), nn.ReLU(inplace=True)
    return nn.Sequential(OrderedDict(conv=layers.of(layer.spec), norm=norm, relu=relu))
