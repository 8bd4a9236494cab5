"""Depthwise convolution, compiled: the loops of chapter 2, and the same loops in blocks.

Maps are channels-last in memory, (B, H, W, C), and so are the kernels, (K_h, K_w, C): what is next to a number is the
same pixel's next channel, which meets the same instruction. The border is no copy with zeros around it: a tap that
falls outside is skipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import njit

from dsconv_lib.compiled.lanes import BYTES, load, maximum, multiply_add, store, zeros

COLUMNS = 4  # neighbouring outputs that share what they read, held in registers at once


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def nested_loops(x: Any, weight: Any, y: Any, corner: Any, stride: Any, dilation: Any) -> None:
    """Fill y (B, H_out, W_out, C): chapter 2's loops, the channel innermost, compiled as they stand."""
    for b in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                y[b, i, j] = 0
                for u in range(weight.shape[0]):
                    for v in range(weight.shape[1]):
                        h = i * stride[0] + u * dilation[0] - corner[0]
                        w = j * stride[1] + v * dilation[1] - corner[1]
                        if 0 <= h < x.shape[1] and 0 <= w < x.shape[2]:
                            for c in range(x.shape[3]):
                                y[b, i, j, c] += weight[u, v, c] * x[b, h, w, c]


@lru_cache(maxsize=None)
def blocked_loops(kernel: tuple[int, int], step: int, apart: int, relu: bool) -> Any:
    """Compile the blocked loops for one shape of kernel.

    Only where the compiler knows them can it unroll the loops over a kernel's columns, and see which inputs two
    neighbouring outputs share.

    Args:
        kernel: K_h and K_w.
        step: the stride along a row.
        apart: the dilation along a row.
        relu: whether negative outputs become 0.

    Returns:
        A function (x, weight, bias, y, first, last, corner, stride, dilation). It fills y with the rows first to last
        of the whole output, counted through all images: y has shape (last - first, W_out, C). bias has shape (C,) or
        is None. C fills a register at least.
    """
    rows, columns = kernel

    @njit(inline="always")  # type: ignore[untyped-decorator]
    def finish(y, place, total):  # type: ignore[no-untyped-def]
        store(y, place, maximum(total, zeros(y)) if relu else total)

    def block(read, outputs):  # type: ignore[no-untyped-def]
        """Compile the loops for neighbouring outputs, all columns of which are inside, or some outside."""

        @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
        def fill(x, weight, bias, y, pixel, out, w, top, bottom, down):  # type: ignore[no-untyped-def]
            width, channels = x.shape[2:]
            lanes = BYTES // x.itemsize
            for part in range(-(-channels // lanes)):
                c = min(part * lanes, channels - lanes)  # the last one overlaps its neighbour
                t0 = t1 = t2 = t3 = zeros(x) if bias is None else load(bias, c)
                for u in range(top, bottom):
                    for v in range(columns):
                        tap = load(weight, (u * columns + v) * channels + c)
                        here, at = w + v * apart, pixel + u * down + v * apart * channels + c
                        t0 = multiply_add(tap, read(x, at, here, width), t0)
                        if outputs == 4:
                            t1 = multiply_add(tap, read(x, at + step * channels, here + step, width), t1)
                            t2 = multiply_add(tap, read(x, at + 2 * step * channels, here + 2 * step, width), t2)
                            t3 = multiply_add(tap, read(x, at + 3 * step * channels, here + 3 * step, width), t3)
                finish(y, out + c, t0)
                if outputs == 4:
                    finish(y, out + channels + c, t1)
                    finish(y, out + 2 * channels + c, t2)
                    finish(y, out + 3 * channels + c, t3)

        return fill

    middle, edge, one = block(anywhere, 4), block(inside, 4), block(inside, 1)

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def fill(x, weight, bias, y, first, last, height_out, corner, stride, dilation):  # type: ignore[no-untyped-def]
        _, height, width, channels = x.shape
        width_out = y.shape[1]
        down = dilation[0] * width * channels
        for row in range(first, last):
            image, i = divmod(row, height_out)
            h = i * stride[0] - corner[0]
            top = max(0, -(h // dilation[0]))
            bottom = max(top, min(rows, -((h - height) // dilation[0])))
            start = (image * height + h) * width * channels
            for k in range(-(-width_out // COLUMNS)):
                j = max(0, min(k * COLUMNS, width_out - COLUMNS))  # the last block overlaps too
                w = j * step - corner[1]
                end = w + (COLUMNS - 1) * step + (columns - 1) * apart
                pixel, out = start + w * channels, ((row - first) * width_out + j) * channels
                if width_out < COLUMNS:
                    for n in range(width_out):
                        one(x, weight, bias, y, pixel + n * step * channels, out + n * channels, w + n * step, top, bottom, down)
                elif w < 0 or end >= width:
                    edge(x, weight, bias, y, pixel, out, w, top, bottom, down)
                else:
                    middle(x, weight, bias, y, pixel, out, w, top, bottom, down)

    return fill


@njit(inline="always")  # type: ignore[untyped-decorator]
def anywhere(x, place, column, width):  # type: ignore[no-untyped-def]
    return load(x, place)


@njit(inline="always")  # type: ignore[untyped-decorator]
def inside(x, place, column, width):  # type: ignore[no-untyped-def]
    if 0 <= column < width:
        return load(x, place)
    return zeros(x)
