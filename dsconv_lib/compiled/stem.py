"""A standard convolution as a matrix product: each output pixel's window is written out as a row of a matrix.

That costs K^2 copies of the input. It pays where the input has few channels, as in the first layer of a network, and
only some rows of windows are written at a time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from dsconv_lib.compiled.depthwise import corner_of, widen
from dsconv_lib.compiled.plan import rows_at_a_time
from dsconv_lib.compiled.product import pack, panel_width, product_loops
from dsconv_lib.spec import Array, ConvSpec


class Stem:
    """A standard convolution, followed by its bias and ReLU, made ready to run.

    Args:
        weight: shape (N, M, K_h, K_w), float32 or float64.
        bias: shape (N,), same dtype.
    """

    def __init__(self, weight: Array, bias: Array) -> None:
        least = panel_width(weight.dtype)
        self.panels = pack(widen(weight.reshape(len(weight), -1).T, least))
        self.bias = widen(bias, least)

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of a window, and channels of the map that goes out."""
        return self.panels.shape[1], len(self.bias)

    def rows_at_a_time(self, spec: ConvSpec, rows: int, threads: int = 1) -> int:
        """Choose the rows of windows that are written before they are multiplied, as `plan.rows_at_a_time` does."""
        width, size = spec.out_size[1], self.bias.itemsize
        return rows_at_a_time(rows, width, sum(self.channels), itemsize=size, threads=threads)

    def fill(self, x: Array, y: Array, rows: tuple[int, int], spec: ConvSpec) -> None:
        """Fill some rows of y (rows of all images, W_out, N) from x (B, M, H, W): from the first to the last, not included."""
        window = corner_of(spec), spec.kernel_size, spec.stride, spec.dilation
        stem_loops()(x, self.panels, self.bias, y[slice(*rows)], rows[0], spec.out_size[0], window)


@lru_cache(maxsize=1)
def stem_loops() -> Any:
    """Compile the loops of a stem."""
    multiply = product_loops(True)

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def fill(x, panels, bias, y, first, height_out, window):  # type: ignore[no-untyped-def]
        rows, columns = y.shape[:2]
        windows = np.empty((rows * columns, panels.shape[1]), x.dtype)
        write_windows(x, windows.reshape(rows, columns, panels.shape[1]), first, height_out, window)
        multiply(windows, panels, bias, y.reshape(rows * columns, y.shape[2]))

    return fill


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def write_windows(x: Any, windows: Any, first: int, height_out: int, window: Any) -> None:
    """Write the windows of some rows of output, channel by channel, zeros where a window leaves the image."""
    corner, kernel, stride, dilation = window
    for row in range(windows.shape[0]):
        image, i = divmod(first + row, height_out)
        for j in range(windows.shape[1]):
            n = 0
            for m in range(x.shape[1]):
                for u in range(kernel[0]):
                    h = i * stride[0] + u * dilation[0] - corner[0]
                    for v in range(kernel[1]):
                        w = j * stride[1] + v * dilation[1] - corner[1]
                        inside = 0 <= h < x.shape[2] and 0 <= w < x.shape[3]
                        windows[row, j, n] = x[image, m, h, w] if inside else 0
                        n += 1
