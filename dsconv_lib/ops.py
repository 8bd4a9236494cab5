"""The four operations in vectorised NumPy, forward and backward.

All rest on one idea: a convolution with a K x K kernel is a sum of K x K shifted 1 x 1 convolutions. `taps` yields
one shifted view of the padded input for each kernel position. `standard` makes a matrix product of each, `pointwise`
has one tap and one product, and `shift_and_add` is the depthwise sum in its plainest form.

`depthwise` computes that sum in one pass. It lays the channels of a pixel side by side in memory, so that a row of the
image is one long vector, and the same row shifted by a tap is that vector, begun C numbers later. With the weights
repeated along it, a row of the output is a sum of K x K products of vectors: `rows` views an image as these vectors,
and one `einsum` multiplies and adds. The images take turns in one padded frame, which stays in the processor's cache.
The gradient of the input is the same pass over the output's gradient, its pixels spread by the stride, with the
weights turned around; that of the weight sums the products over the rows instead of the taps.

Results of `depthwise` keep that memory: shape (B, C, H, W), channels last. Each function raises `SpecError`, naming
the argument, its value and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf, prod
from typing import Unpack

import numpy as np
from numpy.lib.stride_tricks import as_strided

from dsconv_lib import spec as specs
from dsconv_lib.spec import Array, ConvSpec, Padding, Size, Sizes, SpecError, Window


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


def shift_and_add(
    x: Array, weight: Array, *, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> Array:
    """Convolve as `depthwise`, with the same arguments and result, by a sum over shifted images: K x K passes.

    >>> shift_and_add(np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), padding="same").shape
    (1, 3, 8, 8)
    """
    spec = specs.of_depthwise(x, weight, stride=stride, padding=padding, dilation=dilation)
    kernel = weight.reshape(x.shape[1], -1, *weight.shape[2:], 1, 1)
    y = np.zeros((*x.shape[:2], kernel.shape[1], *spec.out_size), x.dtype)
    for u, v, view in taps(spec.pad(x), spec):
        y += kernel[:, :, u, v] * view[:, :, None]
    return y.reshape(spec.output_shape(len(x)))


def rows(frame: Array, spec: ConvSpec, shortest: float = 768) -> Array:
    """View a padded image as the vectors that the taps multiply, each `tile` pixels of a row long.

    Args:
        frame: one padded image, channels last: shape (H + pads, W + pads, C).
        spec: a 2-D convolution on that image.
        shortest: numbers in a vector, at least, where a row has as many: enough that starting a vector costs little,
            and few enough that the weights of all taps stay in the processor's first cache.

    Returns:
        A read-only view of `frame`, shape (H_out, W_out / tile, K_h, K_w, tile * C).
    """
    (s_h, s_w), (d_h, d_w), (height, width) = spec.stride, spec.dilation, spec.out_size
    (down, right, _), channels = frame.strides, frame.shape[2]
    tiles = (t for t in range(1, width) if width % t == 0 and t * channels >= shortest)
    tile = next(tiles, width) if s_w == 1 else 1  # a stride leaves gaps between the pixels of a row
    shape = (height, width // tile, *spec.kernel_size, tile * channels)
    strides = (s_h * down, s_w * tile * right, d_h * down, d_w * right, frame.itemsize)
    return as_strided(frame, shape, strides, writeable=False)


def tiled_rows(images: Array, weight: Array, inside: Array, vectors: Array) -> Array:
    """Put one image after the other into a padded frame, and add the products of its rows with the weights.

    Args:
        images: channels last, one for each output image.
        weight: shape (C, 1, K_h, K_w).
        inside: the part of the frame that an image fills; an image may be broadcast to it.
        vectors: `rows` of the frame, with C channels.

    Returns:
        The output as its rows, shape (B, H_out, W_out / tile, tile * C).
    """
    tile = vectors.shape[-1] // len(weight)
    tiled = np.ascontiguousarray(np.tile(weight[:, 0].transpose(1, 2, 0), tile))
    y = np.empty((len(images), *vectors.shape[:2], vectors.shape[-1]), weight.dtype)
    for image, out in zip(images, y, strict=True):
        inside[...] = image
        np.einsum("hwijk,ijk->hwk", vectors, tiled, out=out)
    return y


def depthwise(
    x: Array, weight: Array, *, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> Array:
    """Convolve each input channel with filters of its own: a product per pixel and tap, no matrix.

    Args:
        x: input, shape (B, M, H, W), float32 or float64; fastest where its memory is channels last.
        weight: shape (M * multiplier, 1, K_h, K_w), same dtype; filter n belongs to channel n // multiplier.
        stride, padding, dilation: as in `spec.standard`.

    Returns:
        The output, shape (B, M * multiplier, H_out, W_out), same dtype; its memory is channels last.

    >>> y = depthwise(np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), padding="same")
    >>> y.shape, y.transpose(0, 2, 3, 1).flags.c_contiguous
    ((1, 3, 8, 8), True)
    """
    spec = specs.of_depthwise(x, weight, stride=stride, padding=padding, dilation=dilation)
    frame, inside = _padded_frame(x, spec)
    y = tiled_rows(_for_each_filter(x), weight, inside, rows(frame, spec))
    return _channels_second(y, len(x), spec.out_size)


def depthwise_backward(
    grad_output: Array, x: Array, weight: Array, **window: Unpack[Window]
) -> tuple[Array, Array]:
    """Differentiate `depthwise`: the gradients of a scalar loss with respect to `x` and `weight`.

    Arguments and results are those of `standard_backward`, with shapes as in `depthwise`. The memory of the input's
    gradient is channels last. A weight that is not finite spoils that gradient in its whole channel: it meets zeros.
    """
    spec = specs.of_depthwise(x, weight, **window)
    check_grad(grad_output, x, spec)
    grad = np.ascontiguousarray(grad_output.transpose(0, 2, 3, 1))
    return _depthwise_to_input(grad, weight, spec), _depthwise_to_weight(grad, x, spec)


def _depthwise_to_input(grad: Array, weight: Array, spec: ConvSpec) -> Array:
    """Convolve the gradient of the output, channels last, with the weights turned around, at stride 1."""
    (s_h, s_w), ((top, bottom), (left, right)) = spec.stride, spec.pads
    before_h, before_w = (span - 1 for span in spec.kernel_span)
    height, width = spec.in_size[0] + before_h, spec.in_size[1] + before_w
    shape = (top + height + bottom, left + width + right, spec.out_channels)
    frame = np.zeros(shape, grad.dtype)
    inside = frame[before_h::s_h, before_w::s_w][: grad.shape[1], : grad.shape[2]]
    back = replace(spec, in_size=(height, width), stride=(1, 1), pads=((0, 0), (0, 0)))
    y = tiled_rows(grad, weight[..., ::-1, ::-1], inside, rows(frame[top:, left:], back))
    if spec.out_channels > spec.in_channels:  # a sum over one filter would copy everything
        y = y.reshape(*y.shape[:-1], -1, spec.out_channels // spec.in_channels).sum(axis=-1)
    return _channels_second(y, len(grad), spec.in_size)


def _depthwise_to_weight(grad: Array, x: Array, spec: ConvSpec) -> Array:
    """Multiply each row of the gradient of the output, channels last, with the rows that its taps saw."""
    frame, inside = _padded_frame(x, spec)
    # Whole rows, and one row of the kernel at a time: einsum copies operands of more dimensions to a buffer first.
    vectors = rows(frame, spec, shortest=inf)
    sums = np.zeros(vectors.shape[2:], grad.dtype)
    by_rows = grad.reshape(len(x), *vectors.shape[:2], -1)
    for image, grad_rows in zip(_for_each_filter(x), by_rows, strict=True):
        inside[...] = image
        for u in range(spec.kernel_size[0]):
            sums[u] += np.einsum("hwjk,hwk->jk", vectors[:, :, u], grad_rows)
    by_channel: Array = sums.reshape(*spec.kernel_size, -1, spec.out_channels).sum(axis=2)
    return by_channel.transpose(2, 0, 1)[:, None]


def pointwise(x: Array, weight: Array, *, stride: Size = 1) -> Array:
    """Mix the channels of each pixel: one matrix product, (N x M) times (M x pixels).

    Args:
        x: input, shape (B, M, H, W), float32 or float64.
        weight: shape (N, M, 1, 1), same dtype.
        stride: as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), same dtype; its memory is channels last where that of `x` is.

    >>> pointwise(np.ones((1, 3, 8, 8)), np.ones((256, 3, 1, 1))).shape
    (1, 256, 8, 8)
    """
    spec = specs.of_pointwise(x, weight, stride=stride)
    seen = x[:, :, :: spec.stride[0], :: spec.stride[1]]
    if x.strides[1] == x.itemsize:  # all images are one matrix already: small ones fill the product
        return _channels_second(_pixels(seen) @ weight[:, :, 0, 0].T, len(x), spec.out_size)
    pixels = seen.reshape(*x.shape[:2], -1)
    return (weight[:, :, 0, 0] @ pixels).reshape(spec.output_shape(len(x)))


def pointwise_backward(
    grad_output: Array, x: Array, weight: Array, *, stride: Size = 1
) -> tuple[Array, Array]:
    """Differentiate `pointwise`: the gradients of a scalar loss with respect to `x` and `weight`.

    Arguments and results are those of `standard_backward`, with shapes as in `pointwise`. The memory of the input's
    gradient is channels last.
    """
    spec = specs.of_pointwise(x, weight, stride=stride)
    check_grad(grad_output, x, spec)
    s_h, s_w = spec.stride
    grad = _pixels(grad_output)
    grad_weight = grad.T @ _pixels(x[:, :, ::s_h, ::s_w])
    grad_x = _channels_second(grad @ weight[:, :, 0, 0], len(x), spec.out_size)
    if spec.stride != (1, 1):
        spread = np.zeros((len(x), *spec.in_size, spec.in_channels), x.dtype).transpose(0, 3, 1, 2)
        spread[:, :, ::s_h, ::s_w] = grad_x
        grad_x = spread
    return grad_x, grad_weight.reshape(weight.shape)


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


def _padded_frame(x: Array, spec: ConvSpec) -> tuple[Array, Array]:
    """Return zeros for one padded image, channels last, and their inside as (H, W, M, multiplier)."""
    (height, width), ((top, bottom), (left, right)) = spec.in_size, spec.pads
    shape = (height + top + bottom, width + left + right, spec.out_channels)
    frame = np.zeros(shape, x.dtype)
    inside = frame[top : top + height, left : left + width]
    return frame, inside.reshape(height, width, spec.in_channels, -1)


def _for_each_filter(x: Array) -> Array:
    """View (B, M, H, W) as (B, H, W, M, 1): each channel is broadcast to its filters."""
    return x.transpose(0, 2, 3, 1)[..., None]


def _pixels(x: Array) -> Array:
    """Reshape (B, C, H, W) to (B * H * W, C), a view where the memory is channels last."""
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def _channels_second(y: Array, batch: int, size: Sizes) -> Array:
    """View the pixels of `batch` images, channels last and in any grouping, as (B, C, H, W)."""
    return y.reshape(batch, *size, -1).transpose(0, 3, 1, 2)


def _unpad(padded: Array, spec: ConvSpec) -> Array:
    (top, _), (left, _) = spec.pads
    return padded[:, :, top : top + spec.in_size[0], left : left + spec.in_size[1]]


def check_grad(grad_output: Array, x: Array, spec: ConvSpec) -> None:
    """Raise SpecError unless `grad_output` has the shape and dtype of the output for `x`."""
    specs.check_array("grad_output", grad_output, "(batch, out_channels, out_height, out_width)")
    expected = spec.output_shape(len(x))
    if grad_output.shape != expected or grad_output.dtype != x.dtype:
        raise SpecError(
            f"grad_output has shape {grad_output.shape} and dtype {grad_output.dtype}: "
            f"expected {expected} and {x.dtype}, as the output"
        )
