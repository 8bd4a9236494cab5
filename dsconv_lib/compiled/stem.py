"""A standard convolution as a matrix product: each output pixel's window is written out as a row of a matrix.

That costs K^2 copies of the input. It pays where the input has few channels, as in the first layer of a network, and
only some rows of windows are written at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dsconv_lib.compiled.depthwise import corner_of, widen
from dsconv_lib.compiled.plan import rows_at_a_time
from dsconv_lib.compiled.product import multiply, pack, panel_width
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
        return rows_at_a_time(rows, width, self.channels, itemsize=size, threads=threads)

    def fill(self, x: Array, y: Array, rows: tuple[int, int], size: int, spec: ConvSpec) -> None:
        """Fill rows first to last of y (rows of all images, W_out, N) from x (B, M, H, W), `size` at a time."""
        window = spec.out_size[0], corner_of(spec), spec.kernel_size, spec.stride, spec.dilation
        _fill(x, self.panels, self.bias, y, rows, size, window)


@njit(cache=True, nogil=True)
def _fill(x, panels, bias, y, rows, size, window):
    width, numbers = y.shape[1], panels.shape[1]
    windows = np.empty((size, width, numbers), x.dtype)
    for start in range(rows[0], rows[1], size):
        end = min(start + size, rows[1])
        for row in range(start, end):
            _write_windows(x, windows[row - start], row, window)
        pixels = (end - start) * width
        written = windows.reshape(size * width, numbers)[:pixels]
        multiply(written, panels, bias, y[start:end].reshape(pixels, y.shape[2]), True)


@njit(cache=True, nogil=True)
def _write_windows(x: Any, windows: Any, row: int, window: Any) -> None:
    """Write the windows (W_out, M * K_h * K_w) of one row of output, zeros where they leave the image."""
    height_out, corner, kernel, stride, dilation = window
    image, i = divmod(row, height_out)
    n = 0
    for m in range(x.shape[1]):
        for u in range(kernel[0]):
            h = i * stride[0] + u * dilation[0] - corner[0]
            for v in range(kernel[1]):
                shift = v * dilation[1] - corner[1]
                # outputs whose tap lies in the image
                low = min(len(windows), max(0, -(shift // stride[1])))
                high = max(low, min(len(windows), (x.shape[3] - 1 - shift) // stride[1] + 1))
                if not 0 <= h < x.shape[2]:
                    low = high = 0
                windows[:low, n] = 0
                for j in range(low, high):
                    windows[j, n] = x[image, m, h, j * stride[1] + shift]
                windows[high:, n] = 0
                n += 1
