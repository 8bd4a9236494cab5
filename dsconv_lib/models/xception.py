"""Xception: separable convolutions with shortcuts. Source: Chollet 2017 (arXiv 1610.02357), Figure 5."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from dsconv_lib import layers as torch_layers
from dsconv_lib.models.stack import Stack, scaled
from dsconv_lib.models.table import Layer
from dsconv_lib.spec import Size

# Output channels of the separable convolutions in each of the twelve blocks with a shortcut. A block of two halves the
# map, and its shortcut is a pointwise convolution with stride 2; a block of three keeps it, and its input is added.
BLOCKS = (
    (128, 128),
    (256, 256),
    (728, 728),
    *((728, 728, 728),) * 8,
    (728, 1024),
)
EXIT = (1536, 2048)
POOL = (3, 2, 1)  # window, stride, padding


def xception_layers(
    alpha: float = 1.0, resolution: Size = 299, *, num_classes: int = 1000, in_channels: int = 3
) -> list[Layer]:
    """List the layers of Xception: two convolutions, twelve blocks, two separable convolutions, one linear layer.

    Batch normalisation follows each standard convolution, each shortcut and each separable convolution as a whole:
    there is none, and no ReLU, between depthwise and pointwise.

    Args:
        alpha: width multiplier, greater than 0; every layer has alpha times the channels, rounded down, 8 at least.
        resolution: side of the input image in pixels, or (height, width); 7 at least.
        num_classes: outputs of the classifier.
        in_channels: channels of the image: 3 for colour, 1 for grey.

    Raises:
        SpecError: naming the argument, its value and what was expected.
    """
    stack = Stack(resolution, in_channels=in_channels, norm=True)
    stack.conv("conv1", scaled(32, alpha), 3, stride=2).conv("conv2", scaled(64, alpha), 3)
    for number, block in enumerate(BLOCKS, start=1):
        name = f"block{number}"
        start = stack.branch()
        _separables(stack, name, block, alpha)
        if len(block) == 2:
            shortcut = start.conv(f"{name}.shortcut", stack.channels, 1, stride=POOL[1])
            stack.pool(*POOL).add(shortcut)
    _separables(stack, "exit", EXIT, alpha)
    return stack.average().classifier(num_classes)


def _separables(stack: Stack, name: str, block: Sequence[int], alpha: float) -> None:
    for number, channels in enumerate(block, start=1):
        stack.separable(f"{name}.separable{number}", scaled(channels, alpha), 3, padding=1)


class Xception(nn.Module):
    """Xception as a torch module, built from `xception_layers`; the arguments are those of that function.

    The average over all pixels before the classifier lets one model take images of any size, 7 pixels or more.
    """

    def __init__(
        self, alpha: float = 1.0, *, num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        super().__init__()
        *table, classifier = xception_layers(
            alpha, num_classes=num_classes, in_channels=in_channels
        )
        self.features = nn.Sequential(
            OrderedDict(
                (name, _part(name, list(layers)))
                for name, layers in groupby(table, key=lambda layer: layer.name.partition(".")[0])
            )
        )
        self.classifier = nn.Linear(classifier.spec.in_channels, num_classes)

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

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.body = nn.Sequential()
        for name, separable in _separable_parts(layers):
            # In place, the first ReLU would change the input that the shortcut still needs.
            self.body.add_module(f"{name}_relu", nn.ReLU(inplace=len(self.body) > 0))
            self.body.add_module(name, separable)
        halves = layers[-1].name.endswith(".shortcut")
        self.pool = nn.MaxPool2d(*POOL) if halves else nn.Identity()
        self.shortcut = nn.Sequential(_conv_norm(layers[-1])) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, M, H, W) to (B, N, H, W), or to half of H and W, rounded up."""
        both: Tensor = self.pool(self.body(x)) + self.shortcut(x)
        return both


def _part(name: str, layers: Sequence[Layer]) -> nn.Module:
    if name.startswith("block"):
        return XceptionBlock(layers)
    if name.startswith("conv"):
        return nn.Sequential(_conv_norm(layers[0]) | {"relu": nn.ReLU(inplace=True)})
    ends = nn.Sequential()
    for part, separable in _separable_parts(layers):
        ends.add_module(part, separable)
        ends.add_module(f"{part}_relu", nn.ReLU(inplace=True))
    return ends


def _separable_parts(layers: Sequence[Layer]) -> Iterator[tuple[str, nn.Sequential]]:
    halves = [layer for layer in layers if not layer.name.endswith(".shortcut")]
    for depthwise, pointwise in zip(halves[::2], halves[1::2], strict=True):
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            depthwise=torch_layers.from_spec(depthwise.spec),
            pointwise=torch_layers.from_spec(pointwise.spec),
            norm=nn.BatchNorm2d(pointwise.spec.out_channels),
        )
        yield depthwise.name.split(".")[1], nn.Sequential(parts)


def _conv_norm(layer: Layer) -> OrderedDict[str, nn.Module]:
    conv = torch_layers.from_spec(layer.spec)
    return OrderedDict(conv=conv, norm=nn.BatchNorm2d(conv.out_channels))
