"""VGG16, for large and for small images. Source: Simonyan and Zisserman 2015 (arXiv 1409.1556), Table 1, column D."""

from __future__ import annotations

from collections import OrderedDict
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor, nn

from dsconv_lib import layers as torch_layers
from dsconv_lib.models.stack import Stack, scaled
from dsconv_lib.models.table import Layer
from dsconv_lib.spec import Size, SpecError

Form = Literal["imagenet", "small"]

FORMS: tuple[Form, ...] = ("imagenet", "small")
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
POOL = (2, 2)  # window and stride, after each stage
HIDDEN = 4096


def vgg16_layers(
    alpha: float = 1.0,
    resolution: Size = 224,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    form: Form = "imagenet",
) -> list[Layer]:
    """List the layers of VGG16: five stages of 3x3 convolutions, each followed by pooling, then linear layers.

    Args:
        alpha: width multiplier, greater than 0; every layer has alpha times the channels, rounded down, 8 at least.
        resolution: side of the input image in pixels, or (height, width); 32 at least.
        num_classes: outputs of the classifier.
        in_channels: channels of the image: 3 for colour, 1 for grey.
        form: "imagenet" is the paper's, with biases and three linear layers that read every pixel of the last map;
            "small", usual for images of 32 pixels, has batch normalisation in place of the biases, and one linear
            layer on the average over the last map.

    Raises:
        SpecError: naming the argument, its value and what was expected.
    """
    if form not in FORMS:
        raise SpecError(f"form={form!r}: expected one of {', '.join(map(repr, FORMS))}")
    small = form == "small"
    stack = Stack(resolution, in_channels=in_channels, bias=not small, norm=small)
    for stage, (channels, count) in enumerate(STAGES, start=1):
        for number in range(1, count + 1):
            stack.conv(f"stage{stage}.conv{number}", scaled(channels, alpha), 3, padding=1)
        stack.pool(*POOL)
    if small:
        return stack.average().classifier(num_classes)
    hidden = scaled(HIDDEN, alpha)
    return (
        stack.flatten().linear("linear1", hidden).linear("linear2", hidden).classifier(num_classes)
    )


class VGG16(nn.Module):
    """VGG16 as a torch module, built from `vgg16_layers`; the arguments are those of that function.

    The "imagenet" form takes images of its own resolution only, as its first linear layer has weights for each pixel,
    and drops half of the hidden numbers in training. The "small" form takes images of any size, 32 pixels or more.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        resolution: Size = 224,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        form: Form = "imagenet",
    ) -> None:
        super().__init__()
        table = vgg16_layers(
            alpha, resolution, num_classes=num_classes, in_channels=in_channels, form=form
        )
        stages = groupby(
            (layer for layer in table if layer.kind != "linear"),
            key=lambda layer: layer.name.partition(".")[0],
        )
        self.features = nn.Sequential(
            OrderedDict((stage, _stage(list(convolutions))) for stage, convolutions in stages)
        )
        *hidden, last = (layer for layer in table if layer.kind == "linear")
        self.average = form == "small"
        self.hidden = nn.Sequential(OrderedDict((layer.name, _hidden(layer)) for layer in hidden))
        self.classifier = nn.Linear(last.spec.in_channels, last.spec.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, M, H, W) to one score per class (B, num_classes)."""
        pixels: Tensor = self.features(x)
        numbers = torch.mean(pixels, dim=(2, 3)) if self.average else torch.flatten(pixels, 1)
        scores: Tensor = self.classifier(self.hidden(numbers))
        return scores


def _stage(convolutions: list[Layer]) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in convolutions:
        name = layer.name.partition(".")[2]
        parts[name] = torch_layers.from_spec(layer.spec, bias=layer.bias)
        if layer.norm:
            parts[f"{name}_norm"] = nn.BatchNorm2d(layer.spec.out_channels)
        parts[f"{name}_relu"] = nn.ReLU(inplace=True)
    parts["pool"] = nn.MaxPool2d(*POOL)
    return nn.Sequential(parts)


def _hidden(layer: Layer) -> nn.Sequential:
    linear = nn.Linear(layer.spec.in_channels, layer.spec.out_channels)
    return nn.Sequential(OrderedDict(linear=linear, relu=nn.ReLU(inplace=True), drop=nn.Dropout()))
