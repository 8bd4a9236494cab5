"""SqueezeNet 1.0. Source: Iandola et al. 2016 (arXiv 1602.07360), Table 1."""

from __future__ import annotations

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack
from dsconv_lib.spec import Size, require_int

# Channels of each fire module's squeeze layer; its two expand layers have four times as many each.
SQUEEZE = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
POOL_AFTER = (4, 8)


def squeezenet_layers(resolution: Size = 224, *, num_classes: int = 1000) -> list[Layer]:
    """List the layers of SqueezeNet: a convolution, eight fire modules, and a pointwise layer with an output per class.

    No linear layer follows: the scores are the averages over the last map. With 227 pixels the first two maps have the
    paper's sides of 111 and 55; with the 224 that the paper names they have 109 and 54. `resolution` is 21 at least.

    >>> from dsconv_lib import cost
    >>> cost.of(squeezenet_layers()).macs
    818924576
    """
    stack = Stack(resolution, bias=True)
    stack.conv("conv1", 96, 7, stride=2).pool(3, 2, ceil=True)
    for number, channels in SQUEEZE.items():
        name = f"fire{number}"
        stack.conv(f"{name}.squeeze", channels, 1)
        stack.branches(
            stack.branch().conv(f"{name}.expand1x1", 4 * channels, 1),
            stack.branch().conv(f"{name}.expand3x3", 4 * channels, 3, padding=1),
        )
        if number in POOL_AFTER:
            stack.pool(3, 2, ceil=True)
    return stack.conv("conv10", require_int("num_classes", num_classes), 1).layers
