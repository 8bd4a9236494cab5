"""Depthwise convolution and both its gradients in compiled loops, from and to torch's array shapes.

Arrays are (B, M, H, W), as everywhere in the library. What lies in memory is channels-last, (B, H, W, M): an array that
is not so laid out is copied first, and results are views of channels-last memory. The first call for a shape of kernel
compiles its loops, some seconds; they are kept on disk for the next process.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from dsconv_lib import spec as specs
from dsconv_lib.compiled.backward import weight_gradient_loops
from dsconv_lib.compiled.forward import blocked_loops, known, nested_loops
from dsconv_lib.compiled.lanes import BYTES
from dsconv_lib.ops import check_grad
from dsconv_lib.spec import Array, ConvSpec, Window


def nested(x: Array, weight: Array, **window: Unpack[Window]) -> Array:
    """Convolve each input channel with filters of its own: the loops of `loops.depthwise`, compiled as they stand.

    Arguments, result and errors are those of `depthwise`.

    >>> nested(np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), padding="same").shape
    (1, 3, 8, 8)
    """
    spec = specs.of_depthwise(x, weight, **window)
    pixels, kernel = pixels_of(x, spec), kernel_of(weight)
    y = np.empty((len(x), *spec.out_size, spec.out_channels), x.dtype)
    nested_loops(pixels, kernel, y, corner_of(spec), spec.stride, spec.dilation)
    return y.transpose(0, 3, 1, 2)


def depthwise(x: Array, weight: Array, **window: Unpack[Window]) -> Array:
    """Convolve each input channel with filters of its own, in blocks that stay in registers.

    Args:
        x: input, shape (B, M, H, W), float32 or float64; fastest where its memory is channels-last.
        weight: shape (M * multiplier, 1, K_h, K_w), same dtype; filter n belongs to channel n // multiplier.
        **window: stride, padding and dilation, as in `spec.standard`.

    Returns:
        The output, shape (B, M * multiplier, H_out, W_out), same dtype, channels-last in memory.

    Raises:
        SpecError: as `ops.depthwise`.

    >>> depthwise(np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), padding="same").shape
    (1, 3, 8, 8)
    """
    spec = specs.of_depthwise(x, weight, **window)
    least = BYTES // x.itemsize
    pixels, kernel = widen(pixels_of(x, spec), least), widen(kernel_of(weight), least)
    y = np.empty((len(x), *spec.out_size, kernel.shape[-1]), x.dtype)
    _convolve(pixels, kernel, y, corner_of(spec), spec, spec.stride)
    return y[..., : spec.out_channels].transpose(0, 3, 1, 2)


def depthwise_backward(
    grad_output: Array, x: Array, weight: Array, **window: Unpack[Window]
) -> tuple[Array, Array]:
    """Differentiate `depthwise`: the gradients of a scalar loss with respect to `x` and `weight`.

    Arguments, results and errors are those of `ops.depthwise_backward`.
    """
    return input_gradient(grad_output, x, weight, **window), weight_gradient(
        grad_output, x, weight, **window
    )


def input_gradient(grad_output: Array, x: Array, weight: Array, **window: Unpack[Window]) -> Array:
    """Differentiate `depthwise` with respect to `x`: a depthwise convolution of the output's gradient.

    Its kernel is turned by half a turn. Where the stride is more than 1, zeros fill the places that it stepped over.
    Arguments and errors are those of `ops.depthwise_backward`; the result is shaped like `x`.

    >>> grad, x, weight = np.ones((1, 3, 4, 4)), np.ones((1, 3, 6, 6)), np.ones((3, 1, 3, 3))
    >>> input_gradient(grad, x, weight)[0, 0, 0]
    array([1., 2., 3., 3., 2., 1.])
    """
    spec = specs.of_depthwise(x, weight, **window)
    check_grad(grad_output, x, spec)
    least = BYTES // x.itemsize
    grad = widen(_spread(channels_last(grad_output), spec.stride), least)
    turned = widen(np.ascontiguousarray(kernel_of(weight)[::-1, ::-1]), least)
    grad_x = np.empty((len(x), *spec.in_size, turned.shape[-1]), x.dtype)
    spans = zip(spec.kernel_span, spec.pads, strict=True)
    corner = tuple(span - 1 - before for span, (before, _) in spans)
    _convolve(grad, turned, grad_x, corner, spec, (1, 1))
    each = grad_x[..., : spec.out_channels].reshape(*grad_x.shape[:3], x.shape[1], -1)
    summed: Array = each[..., 0] if each.shape[-1] == 1 else each.sum(axis=-1)
    return summed.transpose(0, 3, 1, 2)


def weight_gradient(grad_output: Array, x: Array, weight: Array, **window: Unpack[Window]) -> Array:
    """Differentiate `depthwise` with respect to `weight`: each tap's sum of the products that met there.

    Arguments and errors are those of `ops.depthwise_backward`; the result is shaped like `weight`.

    >>> grad, x, weight = np.ones((1, 3, 4, 4)), np.ones((1, 3, 6, 6)), np.ones((3, 1, 3, 3))
    >>> weight_gradient(grad, x, weight)[0, 0, 0]
    array([16., 16., 16.])
    """
    spec = specs.of_depthwise(x, weight, **window)
    check_grad(grad_output, x, spec)
    lanes = BYTES // x.itemsize
    whole = -(-spec.out_channels // lanes) * lanes
    pixels = widen(pixels_of(x, spec), whole)
    grad = widen(channels_last(grad_output), whole)
    sums = np.zeros((len(x), *spec.kernel_size, whole), x.dtype)
    weight_gradient_loops(pixels, grad, sums, corner_of(spec), window_of(spec, spec.stride))
    summed: Array = sums.sum(axis=0)[..., : spec.out_channels].transpose(2, 0, 1)
    return summed.reshape(weight.shape)


def _convolve(
    pixels: Array,
    kernel: Array,
    y: Array,
    corner: tuple[int, ...],
    spec: ConvSpec,
    stride: tuple[int, ...],
) -> None:
    rows = y.reshape(-1, *y.shape[2:])
    sides = kernel.shape[0], y.shape[1]
    window = window_of(spec, stride)
    blocked_loops(pixels, kernel, None, rows, (0, len(rows)), sides, corner, window, None)


def window_of(spec: ConvSpec, stride: tuple[int, ...]) -> tuple[Any, ...]:
    """Return K_w, stride and dilation as `forward.blocked_loops` takes them."""
    along = known(spec.kernel_size[1]), known(stride[1]), known(spec.dilation[1])
    return *along, stride[0], spec.dilation[0]


def channels_last(x: Array) -> Array:
    """Return (B, H, W, M) in that order in memory: no copy where it is so already."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def pixels_of(x: Array, spec: ConvSpec) -> Array:
    """Return x channels-last, each channel as often as it has filters."""
    multiplier = spec.out_channels // x.shape[1]
    return channels_last(x if multiplier == 1 else np.repeat(x, multiplier, axis=1))


def kernel_of(weight: Array) -> Array:
    """Return (K_h, K_w, N) of (N, 1, K_h, K_w)."""
    return np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0))


def widen(x: Array, channels: int) -> Array:
    """Return x with channels of zeros behind its last, if it has fewer than these."""
    missing = channels - x.shape[-1]
    return x if missing <= 0 else np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def _spread(grad: Array, stride: tuple[int, ...]) -> Array:
    """Return grad with zeros where the stride stepped over an input pixel."""
    if stride == (1, 1):
        return grad
    sides = [(n - 1) * step + 1 for n, step in zip(grad.shape[1:3], stride, strict=True)]
    spread = np.zeros((len(grad), *sides, grad.shape[-1]), grad.dtype)
    spread[:, :: stride[0], :: stride[1]] = grad
    return spread


def corner_of(spec: ConvSpec) -> tuple[int, ...]:
    """Return how far above and left of the image the first tap of the first output lies."""
    return tuple(before for before, _ in spec.pads)
