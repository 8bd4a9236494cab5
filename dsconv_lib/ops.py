"""The four operations in vectorised NumPy, forward and backward.

All rest on one idea: a convolution with a K x K kernel is a sum of K x K shifted 1 x 1 convolutions. `taps` yields
one shifted view of the padded input for each kernel position; the operations differ only in what they do with it.
Each raises `SpecError`, naming the argument, its value and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Unpack

import numpy as np

from dsconv_lib import spec as specs
from dsconv_lib.spec import Array, ConvSpec, Padding, Size, SpecError, Window


def taps(padded: Array, spec: ConvSpec) -> Iterator[tuple[int, int, Array]]:
    """Yield (u, v, view) for each kernel row u and column v.

    Args:
        padded: the padded input, shape (B, M, H + pads, W + pads).
        spec: a 2-D convolution on that input.

    Yields:
        A view of `padded`, shape (B, M, H_out, W_out), of the pixels that tap (u, v) multiplies. Writing to
        the view writes to `padded`.
    """
    (s_h, s_w), (d_h, d_w), (rows, columns) = spec.stride, spec.dilation, spec.out_size
    for u in range(spec.kernel_size[0]):
        for v in range(spec.kernel_size[1]):
            top, left = u * d_h, v * d_w
            bottom, right = top + (rows - 1) * s_h + 1, left + (columns - 1) * s_w + 1
            yield u, v, padded[:, :, top:bottom:s_h, left:right:s_w]


def standard(
    x: Array,
    weight: Array,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """Convolve every group of input channels with every filter of that group: a matrix product per tap.

    Args:
        x: input, shape (B, M, H, W), float32 or float64.
        weight: shape (N, M / groups, K_h, K_w), same dtype.
        stride, padding, dilation, groups: as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), same dtype.

    >>> standard(np.ones((1, 3, 8, 8)), np.ones((256, 3, 5, 5)), padding="same").shape
    (1, 256, 8, 8)
    """
    spec = specs.of_arrays(
        x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    y = np.zeros((len(x), groups, kernel.shape[1], prod(spec.out_size)), x.dtype)
    for u, v, view in taps(spec.pad(x), spec):
        y += kernel[..., u, v] @ _grouped(view, groups)
    return y.reshape(spec.output_shape(len(x)))


def standard_backward(
    grad_output: Array, x: Array, weight: Array, *, groups: int = 1, **window: Unpack[Window]
) -> tuple[Array, Array]:
    """Differentiate `standard`: the gradients of a scalar loss with respect to `x` and `weight`.

    Args:
        grad_output: the loss's gradient with respect to the output, of its shape (B, N, H_out, W_out) and dtype.
        x, weight, groups, **window: what the forward pass was given, stride, padding and dilation too.

    Returns:
        The gradients, shaped like `x` and like `weight`.
    """
    spec = specs.of_arrays(x, weight, groups=groups, **window)
    check_grad(grad_output, x, spec)
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    grad = _grouped(grad_output, groups)
    padded = spec.pad(x)
    grad_padded, grad_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    both = zip(taps(padded, spec), taps(grad_padded, spec), strict=True)
    for (u, v, view), (_, _, grad_view) in both:
        grad_kernel[..., u, v] = (grad @ _grouped(view, groups).swapaxes(-1, -2)).sum(axis=0)
        grad_view += (kernel[..., u, v].swapaxes(-1, -2) @ grad).reshape(view.shape)
    return _unpad(grad_padded, spec), grad_kernel.reshape(weight.shape)


def depthwise(
    x: Array, weight: Array, *, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> Array:
    """Convolve each input channel with filters of its own: a product per pixel and tap, no matrix.

    Args:
        x: input, shape (B, M, H, W), float32 or float64.
        weight: shape (M * multiplier, 1, K_h, K_w), same dtype; filter n belongs to channel n // multiplier.
        stride, padding, dilation: as in `spec.standard`.

    Returns:
        The output, shape (B, M * multiplier, H_out, W_out), same dtype.

    >>> depthwise(np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), padding="same").shape
    (1, 3, 8, 8)
    """
    spec = specs.of_depthwise(x, weight, stride=stride, padding=padding, dilation=dilation)
    kernel = weight.reshape(x.shape[1], -1, *weight.shape[2:], 1, 1)
    y = np.zeros((*x.shape[:2], kernel.shape[1], *spec.out_size), x.dtype)
    for u, v, view in taps(spec.pad(x), spec):
        y += kernel[:, :, u, v] * view[:, :, None]
    return y.reshape(spec.output_shape(len(x)))


def depthwise_backward(
    grad_output: Array, x: Array, weight: Array, **window: Unpack[Window]
) -> tuple[Array, Array]:
    """Differentiate `depthwise`: the gradients of a scalar loss with respect to `x` and `weight`.

    Arguments and results are those of `standard_backward`, with shapes as in `depthwise`.
    """
    spec = specs.of_depthwise(x, weight, **window)
    check_grad(grad_output, x, spec)
    kernel = weight.reshape(x.shape[1], -1, *weight.shape[2:], 1, 1)
    grad = grad_output.reshape(*x.shape[:2], kernel.shape[1], *spec.out_size)
    padded = spec.pad(x)
    grad_padded, grad_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    both = zip(taps(padded, spec), taps(grad_padded, spec), strict=True)
    for (u, v, view), (_, _, grad_view) in both:
        grad_kernel[:, :, u, v, 0, 0] = (grad * view[:, :, None]).sum(axis=(0, 3, 4))
        grad_view += (kernel[:, :, u, v] * grad).sum(axis=2)
    return _unpad(grad_padded, spec), grad_kernel.reshape(weight.shape)


def pointwise(x: Array, weight: Array, *, stride: Size = 1) -> Array:
    """Mix the channels of each pixel: one matrix product, (N x M) times (M x pixels).

    Args:
        x: input, shape (B, M, H, W), float32 or float64.
        weight: shape (N, M, 1, 1), same dtype.
        stride: as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), same dtype.

    >>> pointwise(np.ones((1, 3, 8, 8)), np.ones((256, 3, 1, 1))).shape
    (1, 256, 8, 8)
    """
    spec = specs.of_pointwise(x, weight, stride=stride)
    pixels = x[:, :, :: spec.stride[0], :: spec.stride[1]].reshape(*x.shape[:2], -1)
    return (weight[:, :, 0, 0] @ pixels).reshape(spec.output_shape(len(x)))


def pointwise_backward(
    grad_output: Array, x: Array, weight: Array, *, stride: Size = 1
) -> tuple[Array, Array]:
    """Differentiate `pointwise`: the gradients of a scalar loss with respect to `x` and `weight`.

    Arguments and results are those of `standard_backward`, with shapes as in `pointwise`.
    """
    specs.of_pointwise(x, weight, stride=stride)
    return standard_backward(grad_output, x, weight, stride=stride)


def separable(
    x: Array,
    depthwise_weight: Array,
    pointwise_weight: Array,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> Array:
    """Filter each channel, then mix the channels.

    Args:
        x: input, shape (B, M, H, W), float32 or float64.
        depthwise_weight: shape (M * multiplier, 1, K_h, K_w), same dtype.
        pointwise_weight: shape (N, M * multiplier, 1, 1), same dtype.
        stride, padding, dilation: of the depthwise half, as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), same dtype.
    """
    window: Window = {"stride": stride, "padding": padding, "dilation": dilation}
    specs.of_separable(x, depthwise_weight, pointwise_weight, **window)
    filtered = depthwise(x, depthwise_weight, **window)
    return pointwise(filtered, pointwise_weight)


def separable_backward(
    grad_output: Array,
    x: Array,
    depthwise_weight: Array,
    pointwise_weight: Array,
    **window: Unpack[Window],
) -> tuple[Array, Array, Array]:
    """Differentiate `separable`: the gradients with respect to `x` and to both weights.

    The depthwise output is computed again rather than kept. Arguments are those of `separable` and
    `standard_backward`; the gradients are shaped like `x`, `depthwise_weight` and `pointwise_weight`.
    """
    specs.of_separable(x, depthwise_weight, pointwise_weight, **window)
    filtered = depthwise(x, depthwise_weight, **window)
    grad_filtered, grad_pointwise = pointwise_backward(grad_output, filtered, pointwise_weight)
    grad_x, grad_depthwise = depthwise_backward(grad_filtered, x, depthwise_weight, **window)
    return grad_x, grad_depthwise, grad_pointwise


def _grouped(x: Array, groups: int) -> Array:
    """Reshape (B, C, H, W) to (B, groups, C / groups, H * W), ready for one matrix product per group."""
    return x.reshape(len(x), groups, x.shape[1] // groups, -1)


def _unpad(padded: Array, spec: ConvSpec) -> Array:
    (top, _), (left, _) = spec.pads
    return padded[:, :, top : top + spec.in_size[0], left : left + spec.in_size[1]]


def check_grad(grad_output: Array, x: Array, spec: ConvSpec) -> None:
    specs.check_array("grad_output", grad_output, "(batch, out_channels, out_height, out_width)")
    expected = spec.output_shape(len(x))
    if grad_output.shape != expected or grad_output.dtype != x.dtype:
        raise SpecError(
            f"grad_output has shape {grad_output.shape} and dtype {grad_output.dtype}: "
            f"expected {expected} and {x.dtype}, as the output"
        )
