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

COLUMNS = 4  # of two rows: eight neighbouring outputs share what they read, and are held in registers at once


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
    """Fill some rows of the output: four neighbouring pixels of two rows at a time, their sums in registers.

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
    row = rows[0]
    while row < rows[1]:
        image, i = divmod(row, sides[1])
        h = i * step_down - corner[0]
        taps = _taps_inside(h, height, sides[0], apart_down)
        # The row below meets the same pixels one tap earlier, if nothing lies between.
        pair = step_down == apart_down == 1 and row + 1 < rows[1] and i + 1 < sides[1]
        below = _taps_inside(h + 1, height, sides[0], 1) if pair else (0, 0)
        for part in range(-(-width_out // COLUMNS)):
            j = max(0, min(part * COLUMNS, width_out - COLUMNS))  # the last one overlaps
            w = j * len(step) - corner[1]
            pixel = ((image * height + h) * width + w) * channels
            out = ((row - rows[0]) * width_out + j) * channels
            at = pixel, out, w, down
            if width_out < COLUMNS:
                for n in range(width_out * (1 + pair)):
                    _one(x, weight, bias, y, at, n, taps, below, kernel, step, apart, relu)
            elif w < 0 or w + reach >= width:
                _eight(x, weight, bias, y, at, pair, taps, below, kernel, step, apart, relu, True)
            else:
                _eight(x, weight, bias, y, at, pair, taps, below, kernel, step, apart, relu, None)
        row += 1 + pair


@njit(cache=True, nogil=True)
def _taps_inside(h, height, rows, apart):
    """Return the first of the kernel's rows that lies in the image if row 0 lies at h, and the one after the last."""
    top = max(0, -(h // apart))
    return top, max(top, min(rows, -((h - height) // apart)))


@njit(cache=True, nogil=True)
def _eight(x, weight, bias, y, at, pair, taps, below, kernel, step, apart, relu, edge):
    """Compute four neighbouring outputs, and those below them: what they share is read once."""
    pixel, out, w, down = at
    (width, channels), row = x.shape[2:], y.shape[1] * y.shape[2]
    lanes, columns = BYTES // x.itemsize, len(kernel)
    next_, next_x = len(step), len(step) * channels
    for part in range(-(-channels // lanes)):
        c = min(part * lanes, channels - lanes)  # the last one overlaps its neighbour
        t0 = t1 = t2 = t3 = s0 = s1 = s2 = s3 = zeros(x) if bias is None else load(bias, c)
        for u in range(taps[0], below[1] + 1 if pair else taps[1]):
            for v in range(columns):
                column, place = w + v * len(apart), pixel + u * down + v * len(apart) * channels + c
                x0 = read(x, place, column, width, edge)
                x1 = read(x, place + next_x, column + next_, width, edge)
                x2 = read(x, place + 2 * next_x, column + 2 * next_, width, edge)
                x3 = read(x, place + 3 * next_x, column + 3 * next_, width, edge)
                if u < taps[1]:
                    tap = load(weight, (u * columns + v) * channels + c)
                    t0, t1 = multiply_add(tap, x0, t0), multiply_add(tap, x1, t1)
                    t2, t3 = multiply_add(tap, x2, t2), multiply_add(tap, x3, t3)
                if below[0] < u <= below[1]:
                    tap = load(weight, ((u - 1) * columns + v) * channels + c)
                    s0, s1 = multiply_add(tap, x0, s0), multiply_add(tap, x1, s1)
                    s2, s3 = multiply_add(tap, x2, s2), multiply_add(tap, x3, s3)
        for n, total in ((0, t0), (1, t1), (2, t2), (3, t3)):
            _finish(y, out + n * channels + c, total, relu)
        if pair:
            for n, total in ((0, s0), (1, s1), (2, s2), (3, s3)):
                _finish(y, out + row + n * channels + c, total, relu)


@njit(cache=True, nogil=True)
def _one(x, weight, bias, y, at, n, taps, below, kernel, step, apart, relu):
    """Compute output n of a row that has fewer than four, or of that and the one below."""
    pixel, out, w, down = at
    width, channels = x.shape[2:]
    lanes, columns = BYTES // x.itemsize, len(kernel)
    lower, j = divmod(n, y.shape[1])
    top, bottom = below if lower else taps
    first = pixel + lower * down + j * len(step) * channels
    for part in range(-(-channels // lanes)):
        c = min(part * lanes, channels - lanes)
        total = zeros(x) if bias is None else load(bias, c)
        for u in range(top, bottom):
            for v in range(columns):
                tap = load(weight, (u * columns + v) * channels + c)
                column, place = (
                    w + j * len(step) + v * len(apart),
                    first + u * down + v * len(apart) * channels + c,
                )
                total = multiply_add(tap, read(x, place, column, width, True), total)
        _finish(y, out + n * channels + c, total, relu)


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
