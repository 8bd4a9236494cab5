"""The gradient of a depthwise convolution's kernels, compiled: the blocked loops, with sums where the outputs were."""

from __future__ import annotations

from numba import njit

from dsconv_lib.compiled.forward import COLUMNS, read
from dsconv_lib.compiled.lanes import BYTES, load, multiply_add, store


@njit(cache=True, nogil=True)
def weight_gradient_loops(x, grad, sums, corner, window):
    """Add to sums, for each image, the products of pixels and gradients that meet at each tap.

    Args:
        x: (B, H, W, C); C fills whole registers.
        grad: (B, H_out, W_out, C).
        sums: (B, K_h, K_w, C).
        corner, window: as in `forward.blocked_loops`.
    """
    _, height, width, channels = x.shape
    images, height_out, width_out, _ = grad.shape
    rows = sums.shape[1]
    kernel, step, apart, step_down, apart_down = window
    reach = (COLUMNS - 1) * len(step) + (len(kernel) - 1) * len(apart)
    down = apart_down * width * channels
    for row in range(images * height_out):
        image, i = divmod(row, height_out)
        h = i * step_down - corner[0]
        top = max(0, -(h // apart_down))
        bottom = max(top, min(rows, -((h - height) // apart_down)))
        to, j = image * rows * len(kernel) * channels, 0
        while j < width_out:
            w = j * len(step) - corner[1]
            pixel = ((image * height + h) * width + w) * channels
            at = pixel, (row * width_out + j) * channels, to, w, top, bottom, down
            if j + COLUMNS > width_out:
                _one(x, grad, sums, at, kernel, apart)
                j += 1
                continue
            if w < 0 or w + reach >= width:
                _four(x, grad, sums, at, kernel, step, apart, True)
            else:
                _four(x, grad, sums, at, kernel, step, apart, None)
            j += COLUMNS


@njit(cache=True, nogil=True)
def _four(x, grad, sums, at, kernel, step, apart, edge):
    """Add the products of four neighbouring outputs: a sum is read and written once for all four."""
    pixel, out, to, w, top, bottom, down = at
    width, channels = x.shape[2:]
    columns, next_, next_x = len(kernel), len(step), len(step) * channels
    for c in range(0, channels, BYTES // x.itemsize):
        g0, g1 = load(grad, out + c), load(grad, out + channels + c)
        g2, g3 = load(grad, out + 2 * channels + c), load(grad, out + 3 * channels + c)
        for u in range(top, bottom):
            for v in range(columns):
                tap = to + (u * columns + v) * channels + c
                column, place = w + v * len(apart), pixel + u * down + v * len(apart) * channels + c
                total = multiply_add(g0, read(x, place, column, width, edge), load(sums, tap))
                total = multiply_add(
                    g1, read(x, place + next_x, column + next_, width, edge), total
                )
                total = multiply_add(
                    g2, read(x, place + 2 * next_x, column + 2 * next_, width, edge), total
                )
                total = multiply_add(
                    g3, read(x, place + 3 * next_x, column + 3 * next_, width, edge), total
                )
                store(sums, tap, total)


@njit(cache=True, nogil=True)
def _one(x, grad, sums, at, kernel, apart):
    """Add the products of one output, at the end of a row."""
    pixel, out, to, w, top, bottom, down = at
    width, channels = x.shape[2:]
    columns = len(kernel)
    for c in range(0, channels, BYTES // x.itemsize):
        g = load(grad, out + c)
        for u in range(top, bottom):
            for v in range(columns):
                tap = to + (u * columns + v) * channels + c
                place = pixel + u * down + v * len(apart) * channels + c
                value = read(x, place, w + v * len(apart), width, True)
                store(sums, tap, multiply_add(g, value, load(sums, tap)))
