"""MobileNetV1, its width and resolution multipliers, and its twin with standard convolutions.

Source: Howard et al. 2017, MobileNets (arXiv 1704.04861), Table 1 and section 3. The table there prints stride 2 for
the last depthwise layer; its own output size, and its cost, need stride 1.
"""

from __future__ import annotations

from typing import Literal

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack, scaled
from dsconv_lib.spec import Size, SpecError

Stem = Literal["imagenet", "small"]

# Output channels and stride of the thirteen blocks; `shallow` leaves out the five equal ones in the middle.
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
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

    Args, and those that the tables share; the paper's rho is `resolution` over 224:
        stem: "imagenet" halves the image in the first layer; "small", for images of 64 pixels or fewer, does not.
        separable: False gives the twin, in which one standard 3x3 convolution replaces each separable one.
        shallow: leave out the five repeated blocks (the paper's Table 5).

    >>> from dsconv_lib import cost
    >>> cost.of(mobilenet_v1_layers()).macs
    568740352
    """
    if stem not in STEM_STRIDE:
        raise SpecError(f"stem={stem!r}: expected one of {', '.join(map(repr, STEM_STRIDE))}")
    stack = Stack(resolution, in_channels=in_channels, norm=True)
    stack.conv("stem", scaled(32, alpha), 3, stride=STEM_STRIDE[stem], padding=1)
    blocks = list(enumerate(BLOCKS, start=1))
    if shallow:
        del blocks[REPEATED]
    for number, (width, stride) in blocks:
        name, channels = f"block{number}", scaled(width, alpha)
        if separable:
            stack.separable(name, channels, 3, stride=stride, padding=1, norm_between=True)
        else:
            stack.conv(f"{name}.standard", channels, 3, stride=stride, padding=1)
    return stack.average().classifier(num_classes)
