"""AlexNet. Source: Krizhevsky, Sutskever and Hinton 2012, section 3.5."""

from __future__ import annotations

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack
from dsconv_lib.spec import Size


def alexnet_layers(resolution: Size = 227, *, num_classes: int = 1000) -> list[Layer]:
    """List the layers of AlexNet: five convolutions, three of them in two groups, and three linear layers.

    The groups were the two GPUs on which it was trained. The paper says 224 pixels; its first map of 55 pixels needs
    227, the size in Caffe's copy of the network. `resolution` is 67 at least.

    >>> from dsconv_lib import cost
    >>> cost.of(alexnet_layers()).macs
    724406816
    """
    stack = Stack(resolution, bias=True)
    stack.conv("conv1", 96, 11, stride=4).pool(3, 2)
    stack.conv("conv2", 256, 5, padding=2, groups=2).pool(3, 2)
    stack.conv("conv3", 384, 3, padding=1)
    stack.conv("conv4", 384, 3, padding=1, groups=2)
    stack.conv("conv5", 256, 3, padding=1, groups=2).pool(3, 2)
    return stack.flatten().linear("linear1", 4096).linear("linear2", 4096).classifier(num_classes)
