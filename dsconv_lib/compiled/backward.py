"""The gradient of a depthwise convolution's kernels, compiled: the blocked loops, with sums where the outputs were."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import njit

from dsconv_lib.compiled.forward import COLUMNS, anywhere, inside
from dsconv_lib.compiled.lanes import BYTES, load, multiply_add, store


@lru_cache(maxsize=None)
def weight_gradient_loops(kernel: tuple[int, int], step: int, apart: int) -> Any:
    """Compile the loops for one shape of kernel; arguments as in `forward.blocked_loops`.

    Returns:
        A function (x, grad, sums, corner, stride, dilation). It adds to sums (B, K_h, K_w, C), for each image, the
        products of x (B, H, W, C) and grad (B, H_out, W_out, C) that meet at each tap. C is a multiple of a register.
    """
    rows, columns = kernel

    def block(read, outputs):  # type: ignore[no-untyped-def]
        """Compile the loops for neighbouring outputs, all columns of which are inside, or some outside."""

        @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
        def add(x, grad, sums, pixel, out, to, w, top, bottom, down):  # type: ignore[no-untyped-def]
            width, channels = x.shape[2:]
            for c in range(0, channels, BYTES // x.itemsize):
                g0 = g1 = g2 = g3 = load(grad, out + c)
                if outputs == 4:
                    g1 = load(grad, out + channels + c)
                    g2 = load(grad, out + 2 * channels + c)
                    g3 = load(grad, out + 3 * channels + c)
                for u in range(top, bottom):
                    for v in range(columns):
                        place = to + (u * columns + v) * channels + c
                        here, at = w + v * apart, pixel + u * down + v * apart * channels + c
                        total = multiply_add(g0, read(x, at, here, width), load(sums, place))
                        if outputs == 4:
                            for g, n in ((g1, 1), (g2, 2), (g3, 3)):
                                value = read(x, at + n * step * channels, here + n * step, width)
                                total = multiply_add(g, value, total)
                        store(sums, place, total)

        return add

    middle, edge, one = block(anywhere, 4), block(inside, 4), block(inside, 1)

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def add(x, grad, sums, corner, stride, dilation):  # type: ignore[no-untyped-def]
        _, height, width, channels = x.shape
        images, height_out, width_out, _ = grad.shape
        down = dilation[0] * width * channels
        for row in range(images * height_out):
            image, i = divmod(row, height_out)
            h = i * stride[0] - corner[0]
            top = max(0, -(h // dilation[0]))
            bottom = max(top, min(rows, -((h - height) // dilation[0])))
            to = image * rows * columns * channels
            for j in range(0, width_out - COLUMNS + 1, COLUMNS):
                w = j * step - corner[1]
                pixel = ((image * height + h) * width + w) * channels
                out = (row * width_out + j) * channels
                if w < 0 or w + (COLUMNS - 1) * step + (columns - 1) * apart >= width:
                    edge(x, grad, sums, pixel, out, to, w, top, bottom, down)
                else:
                    middle(x, grad, sums, pixel, out, to, w, top, bottom, down)
            for j in range(width_out - width_out % COLUMNS, width_out):
                w = j * step - corner[1]
                pixel = ((image * height + h) * width + w) * channels
                out = (row * width_out + j) * channels
                one(x, grad, sums, pixel, out, to, w, top, bottom, down)

    return add
