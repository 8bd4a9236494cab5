"""MobileNetV1, its width and resolution multipliers, and its twin with standard convolutions.

Source: Howard et al. 2017, MobileNets (arXiv 1704.04861), Table 1 and section 3. The table there prints stride 2 for
the last depthwise layer; its own output size, and its cost, need stride 1.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dsconv_lib import layers as torch_layers
from dsconv_lib import spec as specs
from dsconv_lib.models.stack import scaled
from dsconv_lib.models.table import Kind, Layer
from dsconv_lib.spec import ConvSpec, Size, SpecError, require_int

Stem = Literal["imagenet", "small"]

# Output channels and stride of the thirteen blocks; `shallow` leaves out the five equal ones in the middle.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
REPEATED = slice(6, 11)
STEM_STRIDE: dict[Stem, int] = {"imagenet": 2, "small": 1}


def mobilenet_v1_layers(
    alpha: float = 1.0,
    resolution: Size = 224,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem: Stem = "imagenet",
    separable: bool = True,
    shallow: bool = False,
) -> list[Layer]:
    """List the layers of MobileNetV1, or of its full-convolution twin.

    Args:
        alpha: width multiplier, greater than 0; every layer has alpha times the channels, rounded down, 8 at least.
        resolution: side of the input image in pixels, or (height, width): rho times 224 in the paper.
        num_classes: outputs of the classifier.
        in_channels: channels of the image: 3 for colour, 1 for grey.
        stem: "imagenet" halves the image in the first layer; "small", for images of 64 pixels or fewer, does not.
        separable: False gives the twin, in which one standard 3x3 convolution replaces each separable one.
        shallow: leave out the five repeated blocks (the paper's Table 5).

    Raises:
        SpecError: naming the argument, its value and what was expected.
    """
    if stem not in STEM_STRIDE:
        raise SpecError(f"stem={stem!r}: expected one of {', '.join(map(repr, STEM_STRIDE))}")
    require_int("num_classes", num_classes)
    resolution = specs.per_dimension("resolution", resolution, 2)

    layers: list[Layer] = []

    def append(name: str, kind: Kind, spec: ConvSpec) -> ConvSpec:
        layers.append(Layer(name, kind, spec))
        return spec

    last = append(
        "stem",
        "standard",
        specs.standard(
            in_channels, scaled(32, alpha), resolution, 3, stride=STEM_STRIDE[stem], padding=1
        ),
    )
    blocks = list(enumerate(BLOCKS, start=1))
    if shallow:
        del blocks[REPEATED]
    for number, (width, stride) in blocks:
        sizes = (last.out_channels, scaled(width, alpha), last.out_size, 3)
        if separable:
            halves = specs.separable(*sizes, stride=stride, padding=1)
            append(f"block{number}.depthwise", "depthwise", halves.depthwise)
            last = append(f"block{number}.pointwise", "pointwise", halves.pointwise)
        else:
            spec = specs.standard(*sizes, stride=stride, padding=1)
            last = append(f"block{number}.standard", "standard", spec)
    classifier = specs.pointwise(last.out_channels, num_classes, 1)
    return [*layers, Layer("classifier", "linear", classifier, bias=True, norm=False)]


class MobileNetV1(nn.Module):
    """MobileNetV1 as a torch module, built from `mobilenet_v1_layers`; the arguments are those of that function.

    Every convolution is followed by batch normalisation and ReLU. The average over all pixels before the classifier
    lets one model take images of any size. `arguments` holds what made it.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        stem: Stem = "imagenet",
        separable: bool = True,
        shallow: bool = False,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "alpha": alpha,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "stem": stem,
            "separable": separable,
            "shallow": shallow,
        }
        *convolutions, classifier = mobilenet_v1_layers(**self.arguments)
        self.features = nn.Sequential(
            OrderedDict(
                (layer.name.replace(".", "_"), _conv_norm_relu(layer)) for layer in convolutions
            )
        )
        self.classifier = nn.Linear(classifier.spec.in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, M, H, W) to one score per class (B, num_classes)."""
        pixels: Tensor = self.features(x)
        scores: Tensor = self.classifier(torch.mean(pixels, dim=(2, 3)))
        return scores


def _conv_norm_relu(layer: Layer) -> nn.Sequential:
    conv = torch_layers.from_spec(layer.spec)
    return nn.Sequential(
        OrderedDict(conv=conv, norm=nn.BatchNorm2d(conv.out_channels), relu=nn.ReLU(inplace=True))
    )
