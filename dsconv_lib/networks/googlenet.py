"""GoogLeNet, or Inception V1. Source: Szegedy et al. 2015 (arXiv 1409.4842), Table 1."""

from __future__ import annotations

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack
from dsconv_lib.spec import Size

# Output channels: 1x1; 3x3 reduction, 3x3; 5x5 reduction, 5x5; projection after pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOL_AFTER = ("3b", "4e")


def googlenet_layers(resolution: Size = 224, *, num_classes: int = 1000) -> list[Layer]:
    """List the layers of GoogLeNet: a stem, nine inception modules, one linear layer; no auxiliary classifiers.

    A module looks at its map with four branches and stacks their outputs. The pooling in one of them keeps the size.

    Args:
        resolution: side of the input image in pixels, or (height, width); 31 at least.
        num_classes: outputs of the classifier.

    Raises:
        SpecError: naming the argument, its value and what was expected.

    >>> from dsconv_lib import cost
    >>> cost.of(googlenet_layers()).macs
    1582671872
    """
    stack = Stack(resolution, bias=True)
    stack.conv("conv1", 64, 7, stride=2, padding=3).pool(3, 2, ceil=True)
    stack.conv("conv2.reduce", 64, 1).conv("conv2.3x3", 192, 3, padding=1).pool(3, 2, ceil=True)
    for name, (one, reduce3, three, reduce5, five, project) in MODULES.items():
        stack.branches(
            stack.branch().conv(f"{name}.1x1", one, 1),
            stack.branch()
            .conv(f"{name}.3x3.reduce", reduce3, 1)
            .conv(f"{name}.3x3", three, 3, padding=1),
            stack.branch()
            .conv(f"{name}.5x5.reduce", reduce5, 1)
            .conv(f"{name}.5x5", five, 5, padding=2),
            stack.branch().conv(f"{name}.pool", project, 1),
        )
        if name in POOL_AFTER:
            stack.pool(3, 2, ceil=True)
    return stack.average().classifier(num_classes)
