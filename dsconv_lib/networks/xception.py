"""Xception: separable convolutions with shortcuts. Source: Chollet 2017 (arXiv 1610.02357), Figure 5."""

from __future__ import annotations

from collections.abc import Sequence

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack, scaled
from dsconv_lib.spec import Size

# Output channels of the separable convolutions in each of the twelve blocks with a shortcut. A block of two halves the
# map, and its shortcut is a pointwise convolution with stride 2; a block of three keeps it, and its input is added.
BLOCKS = ((128, 128), (256, 256), (728, 728), *((728, 728, 728),) * 8, (728, 1024))
EXIT = (1536, 2048)
POOL = (3, 2, 1)  # window, stride, padding


def xception_layers(
    alpha: float = 1.0, resolution: Size = 299, *, num_classes: int = 1000, in_channels: int = 3
) -> list[Layer]:
    """List the layers of Xception: two convolutions, twelve blocks, two separable convolutions, one linear layer.

    Batch normalisation follows each standard convolution, each shortcut and each separable convolution as a whole:
    there is none, and no ReLU, between depthwise and pointwise. `resolution` is 7 at least.

    >>> from dsconv_lib import cost
    >>> cost.of(xception_layers()).macs
    8357403496
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
