"""What a convolution costs, or a network of them, in closed form.

The convention, here and in the whole course: one multiply-add is 1 MAC and 2 FLOPs; every tap of the window counts, on
padding zeros too; bias and batch normalisation count only where asked for. Bytes assume that every input and every
weight is read once and every output written once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import reduce
from math import prod
from operator import add
from typing import Protocol, TypeAlias

from dsconv_lib.spec import ConvSpec, Size, SpecError, per_dimension, require_int


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
        return Cost(**{name: count + getattr(other, name) for name, count in asdict(self).items()})

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


class HasSpec(Protocol):
    """Anything that is a convolution among other things, such as a layer of a network."""

    @property
    def spec(self) -> ConvSpec:
        """The convolution."""


Costly: TypeAlias = "ConvSpec | HasSpec | Iterable[Costly]"


def of(what: Costly, batch: int = 1, *, bias: bool = False) -> Cost:
    """Cost of a convolution, of a layer, or of all in a list: of a separable convolution, or of a network.

    Each weight is used once at every output position of every image. A map between two layers is written once and read
    once.

    Args:
        what: a convolution of `spec`, in 1 to 3 dimensions; a layer of `networks`; or an iterable of these.
        batch: number of images B.
        bias: also count one bias for each output channel in `params`; adding them costs no MAC.

    Returns:
        The sum over all convolutions: macs = B * (D_G positions) * N * (M / groups) * (D_K taps);
        params = N * (M / groups) * (D_K taps).

    Raises:
        SpecError: if `what` is none of these, or `batch` no positive integer.

    >>> from dsconv_lib import spec
    >>> of(spec.standard(3, 256, 8, 5, padding="same")).macs
    1228800
    >>> of(spec.separable(3, 256, 8, 5, padding="same"))
    Cost(macs=53952, params=843, reads=384, writes=16576)
    """
    if isinstance(what, ConvSpec):
        batch = require_int("batch", batch)
        weights = prod(what.weight_shape)
        return Cost(
            macs=batch * prod(what.out_size) * weights,
            params=weights + (what.out_channels if bias else 0),
            reads=prod(what.input_shape(batch)),
            writes=prod(what.output_shape(batch)),
        )
    if hasattr(what, "spec"):
        return of(what.spec, batch, bias=bias)
    if isinstance(what, str) or not isinstance(what, Iterable):
        raise SpecError(
            f"{what!r} is a {type(what).__name__}: expected a convolution made by spec.standard, "
            f"depthwise, pointwise or separable, a layer of a network, or a list of them"
        )
    nothing = Cost(macs=0, params=0, reads=0, writes=0)
    return reduce(add, (of(each, batch, bias=bias) for each in what), nothing)


def ratio(out_channels: int, kernel_size: Size, *, multiplier: int = 1) -> Fraction:
    """MACs of a separable convolution over MACs of the standard one: multiplier * (1/N + 1/D_K^2), exactly.

    The same fraction holds for the weights. M, D_F, stride, padding and dilation cancel.

    Args:
        out_channels: N.
        kernel_size: D_K; an int means a square kernel.
        multiplier: filters per input channel in the depthwise half.

    Source: Howard et al. 2017, MobileNets, section 3.1.

    >>> ratio(256, 3)
    Fraction(265, 2304)
    """
    out_channels = require_int("out_channels", out_channels)
    multiplier = require_int("multiplier", multiplier)
    taps = prod(per_dimension("kernel_size", kernel_size, None))
    return multiplier * (Fraction(1, out_channels) + Fraction(1, taps))
