"""A depthwise-separable convolution in one go: some rows are filtered into a buffer, and mixed while they are cached.

One after the other, the two halves write the map between them to memory and read it back. Here a block of its rows is
filtered, given bias and ReLU, multiplied with the pointwise matrix, and forgotten. What is left to move is the input,
the output and the weights.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numba import njit

from dsconv_lib import spec as specs
from dsconv_lib.compiled.depthwise import corner_of, kernel_of, pixels_of, widen, window_of
from dsconv_lib.compiled.forward import blocked_loops
from dsconv_lib.compiled.plan import rows_at_a_time
from dsconv_lib.compiled.product import multiply, pack, panel_width
from dsconv_lib.spec import Array, ConvSpec, SpecError, Window


class Block:
    """A depthwise and a pointwise convolution, each followed by its bias and, if wanted, ReLU, made ready to run.

    Both of its maps have `least` channels or more, zeros behind those that the convolutions have.

    Args:
        depthwise_weight: shape (M, 1, K_h, K_w), float32 or float64.
        pointwise_weight: shape (N, M, 1, 1), same dtype.
        depthwise_bias, pointwise_bias: shapes (M,) and (N,), same dtype.
        relu: whether ReLU follows both.
    """

    def __init__(
        self,
        depthwise_weight: Array,
        pointwise_weight: Array,
        depthwise_bias: Array,
        pointwise_bias: Array,
        *,
        relu: bool,
    ) -> None:
        least = panel_width(depthwise_weight.dtype)
        self.weights = depthwise_weight, pointwise_weight
        self.kernel = widen(kernel_of(depthwise_weight), least)
        matrix = widen(pointwise_weight[:, :, 0, 0].T, least)
        unseen = self.kernel.shape[-1] - len(matrix)
        self.panels = pack(np.pad(matrix, ((0, unseen), (0, 0))))
        self.biases = widen(depthwise_bias, least), widen(pointwise_bias, least)
        self.relu = relu or None

    def __call__(self, x: Array, **window: Unpack[Window]) -> Array:
        """Do what `separable` does, with weights that were packed before."""
        spec, mixing = specs.of_separable(x, *self.weights, **window)
        pixels = widen(pixels_of(x, spec), self.channels[0])
        y = np.empty((len(x) * spec.out_size[0], spec.out_size[1], self.channels[1]), x.dtype)
        self.fill(pixels, y, (0, len(y)), self.rows_at_a_time(spec, len(y)), spec)
        images = y.reshape(len(x), *spec.out_size, -1)[..., : mixing.out_channels]
        return images.transpose(0, 3, 1, 2)

    @property
    def channels(self) -> tuple[int, int]:
        """Of the map that comes in, and of the one that goes out."""
        return self.kernel.shape[-1], len(self.biases[1])

    def rows_at_a_time(self, spec: ConvSpec, rows: int, threads: int = 1) -> int:
        """Choose the rows that are filtered before they are mixed, as `plan.rows_at_a_time` does."""
        size, width = self.kernel.itemsize, spec.out_size[1]
        return rows_at_a_time(rows, width, self.channels, itemsize=size, threads=threads)

    def fill(self, x: Array, y: Array, rows: tuple[int, int], size: int, spec: ConvSpec) -> None:
        """Fill rows first to last of y (rows of all images, W_out, N) from x (B, H, W, M), `size` at a time."""
        sides = spec.kernel_size[0], spec.out_size[0]
        window = sides, corner_of(spec), window_of(spec, spec.stride), self.relu
        _fill(x, self.kernel, self.panels, self.biases, y, rows, size, window)


@njit(cache=True, nogil=True)
def _fill(x, kernel, panels, biases, y, rows, size, window):
    sides, corner, along, relu = window
    width, channels = y.shape[1], x.shape[3]
    between = np.empty((size, width, channels), x.dtype)
    for start in range(rows[0], rows[1], size):
        end = min(start + size, rows[1])
        blocked_loops(x, kernel, biases[0], between, (start, end), sides, corner, along, relu)
        pixels = (end - start) * width
        filtered = between.reshape(size * width, channels)[:pixels]
        multiply(filtered, panels, biases[1], y[start:end].reshape(pixels, y.shape[2]), relu)


def separable(
    x: Array,
    depthwise_weight: Array,
    pointwise_weight: Array,
    *,
    depthwise_bias: Array | None = None,
    pointwise_bias: Array | None = None,
    relu: bool = False,
    **window: Unpack[Window],
) -> Array:
    """Filter each channel and mix the channels, some rows at a time.

    Args:
        x: input, shape (B, M, H, W), float32 or float64; fastest where its memory is channels-last.
        depthwise_weight: shape (M * multiplier, 1, K_h, K_w), same dtype.
        pointwise_weight: shape (N, M * multiplier, 1, 1), same dtype.
        depthwise_bias, pointwise_bias: one number for each output channel of a half; zeros if left out.
        relu: whether each half ends in ReLU, after its bias.
        **window: stride, padding and dilation of the depthwise half, as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), same dtype, channels-last in memory.

    Raises:
        SpecError: as `ops.separable`, and on a bias of another shape or dtype.

    >>> x, filters, matrix = np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), np.ones((256, 3, 1, 1))
    >>> separable(x, filters, matrix, padding="same").shape
    (1, 256, 8, 8)
    """
    spec, mixing = specs.of_separable(x, depthwise_weight, pointwise_weight, **window)
    biases = (
        _bias("depthwise_bias", depthwise_bias, spec, x.dtype),
        _bias("pointwise_bias", pointwise_bias, mixing, x.dtype),
    )
    return Block(depthwise_weight, pointwise_weight, *biases, relu=relu)(x, **window)


def _bias(name: str, bias: Array | None, spec: ConvSpec, dtype: Any) -> Array:
    if bias is None:
        return np.zeros(spec.out_channels, dtype)
    if bias.shape != (spec.out_channels,) or bias.dtype != dtype:
        given = f"{name} is {bias.dtype} of shape {bias.shape}"
        raise SpecError(f"{given}: expected {dtype} of shape ({spec.out_channels},)")
    return np.ascontiguousarray(bias)
