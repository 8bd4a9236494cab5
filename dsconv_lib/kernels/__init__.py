"""Depthwise convolution for training on a GPU, in Triton.

A depthwise layer does little arithmetic for each number it moves, so its time is the time of moving: these kernels read
and write each map about once, in the layout (channels last) and the type (bfloat16) in which a GPU trains. Importing
this package needs Triton; nothing else in the library does, and nothing imports it unasked.
"""

from importlib.util import find_spec

from dsconv_lib.kernels.errors import KernelError

if find_spec("triton") is None:
    raise KernelError(
        "triton is not installed: the GPU kernels are written in it; on Linux, "
        "pip install 'dsconv-lib[kernels]', or go on without the kernels"
    )

from dsconv_lib.kernels.depthwise import depthwise_conv2d
from dsconv_lib.kernels.layers import DepthwiseConv2d, swap_in, swap_out, swapped

__all__ = ["DepthwiseConv2d", "KernelError", "depthwise_conv2d", "swap_in", "swap_out", "swapped"]
