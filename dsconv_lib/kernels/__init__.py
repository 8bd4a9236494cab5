"""Depthwise and separable convolution on a GPU, in Triton.

A depthwise layer does little arithmetic for each number it moves, so its time is the time of moving: the kernels for
training read and write each map about once, in the layout (channels last) and the type (bfloat16) in which a GPU
trains. For inference a kernel computes both halves of a separable convolution, and `plan` says where that should pay.
Importing this package needs Triton; nothing else in the library does, and nothing imports it unasked.
"""

from dsconv_lib.errors import need
from dsconv_lib.kernels.errors import KernelError

need("triton", "a kernel for a GPU, on Linux,", extra="kernels")

# Only now: their modules are written in it.
from dsconv_lib.kernels.depthwise import depthwise_conv2d  # noqa: E402
from dsconv_lib.kernels.inference import SeparableConv2d, fused  # noqa: E402
from dsconv_lib.kernels.launch import Weights  # noqa: E402
from dsconv_lib.kernels.layers import DepthwiseConv2d, swap_in, swap_out, swapped  # noqa: E402
from dsconv_lib.kernels.separable import fold, separable_conv2d  # noqa: E402

__all__ = [
    "DepthwiseConv2d",
    "KernelError",
    "SeparableConv2d",
    "Weights",
    "depthwise_conv2d",
    "fold",
    "fused",
    "separable_conv2d",
    "swap_in",
    "swap_out",
    "swapped",
]
