"""Depthwise and separable convolution in loops that Numba compiles for this processor.

Importing this package needs Numba; nothing else in the library does, and nothing imports it unasked.
"""

from dsconv_lib.errors import need

need("numba", "the compiled loops", extra="compiled")

# Only now: their modules are written in it.
from dsconv_lib.compiled.depthwise import (  # noqa: E402
    depthwise,
    depthwise_backward,
    input_gradient,
    nested,
    weight_gradient,
)
from dsconv_lib.compiled.network import fuse  # noqa: E402
from dsconv_lib.compiled.separable import Block, separable  # noqa: E402

__all__ = [
    "Block",
    "depthwise",
    "depthwise_backward",
    "fuse",
    "input_gradient",
    "nested",
    "separable",
    "weight_gradient",
]
