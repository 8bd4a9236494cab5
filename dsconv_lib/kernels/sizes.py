"""The sizes of a depthwise convolution in the one form that an operation of torch can take: a list of ints.

It holds the rows and columns of the kernel, of the stride, of the padding and of the dilation, in this order.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dsconv_lib import spec as specs
from dsconv_lib.spec import ConvSpec, Size


def listed(kernel_size: Size, stride: Size, padding: Size, dilation: Size) -> list[int]:
    """Return the list; an int stands for both rows and columns.

    >>> listed((3, 5), 1, (1, 2), 1)
    [3, 5, 1, 1, 1, 2, 1, 1]
    """
    sizes: list[int] = []
    for size in (kernel_size, stride, padding, dilation):
        sizes += (size, size) if isinstance(size, int) else size
    return sizes


def spec(in_size: Any, channels_of: Tensor, sizes: list[int]) -> ConvSpec:
    """Return the convolution that such a list describes, of images of this size and of a map's channels."""
    kernel_size, *window = _pairs(sizes)
    named: Any = dict(zip(("stride", "padding", "dilation"), window, strict=True))
    return specs.depthwise(channels_of.shape[1], tuple(in_size), kernel_size, **named)


def out_size(in_size: Any, sizes: list[int]) -> list[Any]:
    """Return the rows and columns of the output; they may be symbols, as when torch compiles."""
    each = zip(in_size, *_pairs(sizes), strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in each]


def _pairs(sizes: list[int]) -> list[list[int]]:
    return [sizes[i : i + 2] for i in range(0, len(sizes), 2)]
