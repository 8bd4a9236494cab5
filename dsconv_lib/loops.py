"""The four operations as plain loops that count the multiplications they make.

Nothing here is fast. Every loop is written out, so that you can see which one each operation drops. One pass
through the innermost line is one multiply-accumulate (1 MAC); taps that fall on padding zeros count too.

>>> x, filters, matrix = np.ones((1, 3, 8, 8)), np.ones((3, 1, 5, 5)), np.ones((256, 3, 1, 1))
>>> y, macs = separable(x, filters, matrix, padding="same")
>>> macs
53952
"""

from __future__ import annotations

from math import prod

import numpy as np

from dsconv_lib.spec import (
    Array,
    ConvSpec,
    Padding,
    Size,
    of_arrays,
    of_depthwise,
    of_pointwise,
    of_separable,
    require_int,
)


def standard(
    x: Array,
    weight: Array,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> tuple[Array, int]:
    """Convolve every group of input channels with every filter of that group.

    Args:
        x: input, shape (B, M, H, W).
        weight: shape (N, M / groups, K_h, K_w).
        stride, padding, dilation, groups: as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), and the number of MACs made.
    """
    spec = of_arrays(x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    (s_h, s_w), (d_h, d_w) = spec.stride, spec.dilation
    x, y, macs = spec.pad(x), np.zeros(spec.output_shape(len(x)), x.dtype), 0
    for b in range(y.shape[0]):  # each image
        for n in range(y.shape[1]):  # each output channel
            first = n // (spec.out_channels // groups) * weight.shape[1]  # of n's group
            for i in range(y.shape[2]):  # each output row
                for j in range(y.shape[3]):  # each output column
                    for m in range(weight.shape[1]):  # each input channel of the group
                        for u in range(weight.shape[2]):  # each kernel row
                            for v in range(weight.shape[3]):  # each kernel column
                                pixel = x[b, first + m, i * s_h + u * d_h, j * s_w + v * d_w]
                                y[b, n, i, j] += weight[n, m, u, v] * pixel
                                macs += 1
    return y, macs


def depthwise(
    x: Array, weight: Array, *, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> tuple[Array, int]:
    """Convolve each input channel with filters of its own: the loop over input channels is gone.

    Args:
        x: input, shape (B, M, H, W).
        weight: shape (M * multiplier, 1, K_h, K_w); filter n belongs to input channel n // multiplier.
        stride, padding, dilation: as in `spec.standard`.

    Returns:
        The output, shape (B, M * multiplier, H_out, W_out), and the number of MACs made.
    """
    spec = of_depthwise(x, weight, stride=stride, padding=padding, dilation=dilation)
    (s_h, s_w), (d_h, d_w) = spec.stride, spec.dilation
    multiplier = spec.out_channels // spec.in_channels
    x, y, macs = spec.pad(x), np.zeros(spec.output_shape(len(x)), x.dtype), 0
    for b in range(y.shape[0]):  # each image
        for n in range(y.shape[1]):  # each output channel
            m = n // multiplier  # its one input channel
            for i in range(y.shape[2]):  # each output row
                for j in range(y.shape[3]):  # each output column
                    for u in range(weight.shape[2]):  # each kernel row
                        for v in range(weight.shape[3]):  # each kernel column
                            pixel = x[b, m, i * s_h + u * d_h, j * s_w + v * d_w]
                            y[b, n, i, j] += weight[n, 0, u, v] * pixel
                            macs += 1
    return y, macs


def pointwise(x: Array, weight: Array, *, stride: Size = 1) -> tuple[Array, int]:
    """Mix the channels of each pixel: the two loops over the kernel are gone.

    Args:
        x: input, shape (B, M, H, W).
        weight: shape (N, M, 1, 1).
        stride: as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), and the number of MACs made.
    """
    spec = of_pointwise(x, weight, stride=stride)
    s_h, s_w = spec.stride
    y, macs = np.zeros(spec.output_shape(len(x)), x.dtype), 0
    for b in range(y.shape[0]):  # each image
        for n in range(y.shape[1]):  # each output channel
            for i in range(y.shape[2]):  # each output row
                for j in range(y.shape[3]):  # each output column
                    for m in range(x.shape[1]):  # each input channel
                        y[b, n, i, j] += weight[n, m, 0, 0] * x[b, m, i * s_h, j * s_w]
                        macs += 1
    return y, macs


def separable(
    x: Array,
    depthwise_weight: Array,
    pointwise_weight: Array,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> tuple[Array, int]:
    """Filter each channel, then mix the channels: the two nests run one after the other.

    Args:
        x: input, shape (B, M, H, W).
        depthwise_weight: shape (M * multiplier, 1, K_h, K_w).
        pointwise_weight: shape (N, M * multiplier, 1, 1).
        stride, padding, dilation: of the depthwise half, as in `spec.standard`.

    Returns:
        The output, shape (B, N, H_out, W_out), and the number of MACs made: a sum of two counts.
    """
    of_separable(
        x, depthwise_weight, pointwise_weight, stride=stride, padding=padding, dilation=dilation
    )
    filtered, first = depthwise(
        x, depthwise_weight, stride=stride, padding=padding, dilation=dilation
    )
    mixed, second = pointwise(filtered, pointwise_weight)
    return mixed, first + second


def trips(spec: ConvSpec, batch: int = 1) -> int:
    """Count the passes through the innermost line of `standard` without making them.

    It multiplies the lengths of the seven ranges, from the batch to the kernel's columns.
    """
    channels_per_group = spec.in_channels // spec.groups
    batch = require_int("batch", batch)
    ranges = (batch, spec.out_channels, *spec.out_size, channels_per_group, *spec.kernel_size)
    return prod(ranges)
