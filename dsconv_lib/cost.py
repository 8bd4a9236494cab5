"""What the four operations cost, in closed form.

The convention, here and in the whole course: one multiply-add is 1 MAC and 2 FLOPs; every tap of the window counts, on
padding zeros too; bias and batch normalisation count only where asked for. Bytes assume that every input and every
weight is read once and every output written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

from dsconv_lib import spec as specs
from dsconv_lib.spec import ConvSpec, Padding, Size, positions, require_int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one operation, or of several one after the other: costs add up.

    `macs` in multiply-accumulates; `params` in weights; `reads` and `writes` in activations, the elements of the
    input and of the output.
    """

    macs: int
    params: int
    reads: int
    writes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            macs=self.macs + other.macs,
            params=self.params + other.params,
            reads=self.reads + other.reads,
            writes=self.writes + other.writes,
        )

    @property
    def flops(self) -> int:
        """Floating-point operations: 2 per MAC."""
        return 2 * self.macs

    def bytes(self, itemsize: int = 4) -> int:
        """Bytes moved, each element once, at `itemsize` bytes an element (4 for float32)."""
        return itemsize * (self.reads + self.params + self.writes)

    def intensity(self, itemsize: int = 4) -> float:
        """Arithmetic intensity in FLOP per byte: how much work each moved byte is good for."""
        return self.flops / self.bytes(itemsize)


def of(spec: ConvSpec, batch: int = 1, *, bias: bool = False) -> Cost:
    """Cost of one convolution: each weight is used once at every output position of every image.

    Args:
        spec: the convolution, in 1 to 3 dimensions.
        batch: number of images B.
        bias: also count N bias weights in `params`; adding them costs no MAC.

    Returns:
        macs = B * (D_G positions) * N * (M / groups) * (D_K taps); params = N * (M / groups) * (D_K taps).
    """
    batch = require_int("batch", batch)
    weights = prod(spec.weight_shape)
    return Cost(
        macs=batch * positions(spec.out_size) * weights,
        params=weights + (spec.out_channels if bias else 0),
        reads=prod(spec.input_shape(batch)),
        writes=prod(spec.output_shape(batch)),
    )


def standard(
    in_channels: int,
    out_channels: int,
    in_size: Size,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    batch: int = 1,
) -> Cost:
    """Cost of a standard convolution: D_K^2 M N D_G^2 MACs and D_K^2 M N weights for one group.

    Arguments and errors are those of `spec.standard`; `batch` is the number of images.
    """
    spec = specs.standard(
        in_channels,
        out_channels,
        in_size,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return of(spec, batch)


def depthwise(
    in_channels: int,
    in_size: Size,
    kernel_size: Size,
    *,
    multiplier: int = 1,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    batch: int = 1,
) -> Cost:
    """Cost of a depthwise convolution: D_K^2 M D_G^2 MACs and D_K^2 M weights, times the multiplier.

    Arguments and errors are those of `spec.depthwise`; `batch` is the number of images.
    """
    spec = specs.depthwise(
        in_channels,
        in_size,
        kernel_size,
        multiplier=multiplier,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    return of(spec, batch)


def pointwise(
    in_channels: int, out_channels: int, in_size: Size, *, stride: Size = 1, batch: int = 1
) -> Cost:
    """Cost of a pointwise convolution: M N D_G^2 MACs and M N weights.

    Arguments and errors are those of `spec.pointwise`; `batch` is the number of images.
    """
    return of(specs.pointwise(in_channels, out_channels, in_size, stride=stride), batch)


def separable(
    in_channels: int,
    out_channels: int,
    in_size: Size,
    kernel_size: Size,
    *,
    multiplier: int = 1,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    batch: int = 1,
) -> Cost:
    """Cost of a depthwise-separable convolution: the sum of its halves, M D_G^2 (D_K^2 + N) MACs.

    The map between the halves is written once and read once. Arguments and errors are those of `spec.separable`;
    `batch` is the number of images.
    """
    halves = specs.separable(
        in_channels,
        out_channels,
        in_size,
        kernel_size,
        multiplier=multiplier,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    return of(halves.depthwise, batch) + of(halves.pointwise, batch)


def ratio(out_channels: int, kernel_size: Size, *, multiplier: int = 1) -> Fraction:
    """MACs of a separable convolution over MACs of the standard one: multiplier * (1/N + 1/D_K^2), exactly.

    The same fraction holds for the weights. M, D_F, stride, padding and dilation cancel.

    Args:
        out_channels: N.
        kernel_size: D_K; an int means a square kernel.
        multiplier: filters per input channel in the depthwise half.

    Source: Howard et al. 2017, MobileNets, section 3.1.
    """
    out_channels = require_int("out_channels", out_channels)
    multiplier = require_int("multiplier", multiplier)
    taps = positions(specs.per_dimension("kernel_size", kernel_size, None))
    return multiplier * (Fraction(1, out_channels) + Fraction(1, taps))
