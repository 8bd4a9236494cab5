"""VGG16, for large and for small images. Source: Simonyan and Zisserman 2015 (arXiv 1409.1556), Table 1, column D."""

from __future__ import annotations

from typing import Literal

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack, scaled
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

    The form "imagenet" is the paper's, with biases and three linear layers that read every pixel of the last map;
    "small", usual for images of 32 pixels, has batch normalisation in place of the biases, and one linear layer on the
    average over the last map. `resolution` is 32 at least.

    >>> from dsconv_lib import cost
    >>> cost.of(vgg16_layers()).macs
    15470264320
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
    for name in ("linear1", "linear2"):
        stack.flatten().linear(name, scaled(HIDDEN, alpha))
    return stack.classifier(num_classes)
