"""Depthwise convolution, compiled: the loops of chapter 2, and the same loops in blocks.

Maps are channels-last in memory, (B, H, W, C), and so are the kernels, (K_h, K_w, C): what is next to a number is the
same pixel's next channel, which meets the same instruction. The border is no copy with zeros around it: a tap that
falls outside is skipped.

What the compiler shall know for certain, so that it unrolls loops and sees which inputs two neighbours share, comes as
the length of a tuple, which is part of its type: `known(3)`. A flag is None or True, for the same reason.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from dsconv_lib.compiled.lanes import BYTES, load, maximum, multiply_add, store, zeros

COLUMNS = 4  # neighbouring outputs that share what they read, held in registers at once


def known(number: int) -> tuple[int, ...]:
    """Return a number as a compiled function is told it for certain: by the length of a tuple.

    >>> known(3)
    (0, 0, 0)
    """
    return (0,) * number


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def blocked_loops(x, weight, bias, y, rows, sides, corner, window, relu):
    """Fill some rows of the output: four neighbouring pixels at a time, their sums in registers.

    Args:
        x: (B, H, W, C); C fills a register at least.
        weight: (K_h, K_w, C).
        bias: (C,), or None.
        y: (rows, W_out, C), those rows alone.
        rows: the first and the last of them, the last not included, counted through the images.
        sides: K_h and H_out.
        corner: how far above and left of the image the first tap of the first output lies.
        window: K_w, the stride and the dilation along a row, as `known`; the stride and the dilation down a column.
        relu: True makes negative outputs 0; None leaves them.
    """
    _, height, width, channels = x.shape
    width_out = y.shape[1]
    kernel, step, apart, step_down, apart_down = window
    reach = (COLUMNS - 1) * len(step) + (len(kernel) - 1) * len(apart)
    down = apart_down * width * channels
    for row in range(*rows):
        image, i = divmod(row, sides[1])
        h = i * step_down - corner[0]
        top = max(0, -(h // apart_down))  # the kernel's rows from top to bottom are inside
        bottom = max(top, min(sides[0], -((h - height) // apart_down)))
        for part in range(-(-width_out // COLUMNS)):
            j = max(
                0, min(part * COLUMNS, width_out - COLUMNS)
            )  # the last block overlaps its neighbour
            w = j * len(step) - corner[1]
            pixel = ((image * height + h) * width + w) * channels
            out = ((row - rows[0]) * width_out + j) * channels
            at = pixel, out, w, top, bottom, down
            if width_out < COLUMNS:
                for n in range(width_out):
                    at = (
                        pixel + n * len(step) * channels,
                        out + n * channels,
                        w + n * len(step),
                        top,
                        bottom,
                        down,
                    )
                    _one(x, weight, bias, y, at, kernel, apart, relu)
            elif w < 0 or w + reach >= width:
                _four(x, weight, bias, y, at, kernel, step, apart, relu, True)
            else:
                _four(x, weight, bias, y, at, kernel, step, apart, relu, None)


@njit(cache=True, nogil=True)
def _four(x, weight, bias, y, at, kernel, step, apart, relu, edge):
    """Compute four neighbouring outputs: what they share is read once."""
    pixel, out, w, top, bottom, down = at
    width, channels = x.shape[2:]
    lanes, columns = BYTES // x.itemsize, len(kernel)
    next_, next_x = len(step), len(step) * channels
    for part in range(-(-channels // lanes)):
        c = min(part * lanes, channels - lanes)  # the last one overlaps its neighbour
        t0 = t1 = t2 = t3 = zeros(x) if bias is None else load(bias, c)
        for u in range(top, bottom):
            for v in range(columns):
                tap = load(weight, (u * columns + v) * channels + c)
                column, place = w + v * len(apart), pixel + u * down + v * len(apart) * channels + c
                t0 = multiply_add(tap, read(x, place, column, width, edge), t0)
                t1 = multiply_add(tap, read(x, place + next_x, column + next_, width, edge), t1)
                t2 = multiply_add(
                    tap, read(x, place + 2 * next_x, column + 2 * next_, width, edge), t2
                )
                t3 = multiply_add(
                    tap, read(x, place + 3 * next_x, column + 3 * next_, width, edge), t3
                )
        _finish(y, out + c, t0, relu)
        _finish(y, out + channels + c, t1, relu)
        _finish(y, out + 2 * channels + c, t2, relu)
        _finish(y, out + 3 * channels + c, t3, relu)


@njit(cache=True, nogil=True)
def _one(x, weight, bias, y, at, kernel, apart, relu):
    """Compute one output, in a row that has fewer than four."""
    pixel, out, w, top, bottom, down = at
    width, channels = x.shape[2:]
    lanes, columns = BYTES // x.itemsize, len(kernel)
    for part in range(-(-channels // lanes)):
        c = min(part * lanes, channels - lanes)
        total = zeros(x) if bias is None else load(bias, c)
        for u in range(top, bottom):
            for v in range(columns):
                tap = load(weight, (u * columns + v) * channels + c)
                place = pixel + u * down + v * len(apart) * channels + c
                total = multiply_add(tap, read(x, place, w + v * len(apart), width, True), total)
        _finish(y, out + c, total, relu)


@njit(inline="always")
def read(x, place, column, width, edge):
    """Load lanes of a pixel; at an edge, zeros where its column lies outside."""
    if edge is None:
        return load(x, place)
    if 0 <= column < width:
        return load(x, place)
    return zeros(x)


@njit(inline="always")
def _finish(y, place, total, relu):
    if relu is None:
        store(y, place, total)
    else:
        store(y, place, maximum(total, zeros(y)))
