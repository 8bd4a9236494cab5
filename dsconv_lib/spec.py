"""What a convolution is: its sizes, and nothing about how it is computed.

Four functions make it: `standard`, `depthwise`, `pointwise` and `separable`. What they return is the noun of every
later module: `cost.of(conv)` counts it, `layers.of(conv)` makes torch's layer of it. Sizes are tuples with one entry
per spatial dimension; where a function takes an int, the int stands for the same value in each dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from dsconv_lib.errors import UserError

Size = int | Sequence[int]
Sizes = tuple[int, ...]  # one for each dimension
Padding = int | Sequence[int] | Literal["same", "valid"]
Array = NDArray[Any]


class SpecError(UserError, ValueError):
    """A size, an array or an argument that no convolution can have; the message says what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A convolution without an image: all that a layer knows before it is given one.

    `pads` holds (before, after) per dimension, because "same" padding of an even kernel is uneven.

    Raises:
        SpecError: if a size is not a positive int, or the channels do not divide into the groups.
    """

    in_channels: int
    out_channels: int
    kernel_size: Sizes
    stride: Sizes
    pads: tuple[tuple[int, int], ...]
    dilation: Sizes
    groups: int = 1

    def __post_init__(self) -> None:
        # The setter goes round `frozen`: NumPy's own ints would overflow in the products of `cost`.
        for name in ("in_channels", "out_channels", "groups"):
            object.__setattr__(self, name, require_int(name, getattr(self, name)))
        for name in ("kernel_size", "stride", "dilation"):
            ndim = None if name == "kernel_size" else self.ndim
            object.__setattr__(self, name, per_dimension(name, getattr(self, name), ndim))
        if len(self.pads) != self.ndim:
            expected = f"{self.ndim} pairs (before, after), one per spatial dimension"
            raise SpecError(f"pads={self.pads!r}: expected {expected}")
        for pair in self.pads:
            per_dimension("pads", pair, 2, minimum=0)
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise SpecError(
                    f"groups={self.groups} does not divide {name}={getattr(self, name)}: "
                    f"each group needs the same whole number of channels"
                )

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions: 1, 2 or 3."""
        return len(self.kernel_size)

    @property
    def kernel_span(self) -> Sizes:
        """Input pixels from the kernel's first tap to its last, dilation included: d (K - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))

    @property
    def weight_shape(self) -> Sizes:
        """Shape of the weight in torch's layout: (N, M / groups, *kernel_size)."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSpec(Kernel):
    """A convolution of images of one size, always consistent: a kernel, and `in_size` per dimension.

    Prefer `standard`, `depthwise` and `pointwise` below: they take the friendlier forms of each size.

    Raises:
        SpecError: as `Kernel`, and if the kernel does not fit into the padded input.
    """

    in_size: Sizes

    def __post_init__(self) -> None:
        Kernel.__post_init__(self)  # super() does not know a class with slots
        object.__setattr__(self, "in_size", per_dimension("in_size", self.in_size, self.ndim))
        padded = tuple(n + sum(p) for n, p in zip(self.in_size, self.pads, strict=True))
        if any(span > n for span, n in zip(self.kernel_span, padded, strict=True)):
            raise SpecError(
                f"kernel_size={self.kernel_size} with dilation={self.dilation} spans {self.kernel_span}, "
                f"more than the padded input {padded}: expected a smaller kernel or more padding"
            )

    @property
    def out_size(self) -> Sizes:
        """Side lengths of the output: floor((D_F + 2 p - span) / s) + 1 in each dimension."""
        each = zip(self.in_size, self.pads, self.kernel_span, self.stride, strict=True)
        return tuple((n + sum(pads) - span) // step + 1 for n, pads, span, step in each)

    def input_shape(self, batch: int = 1) -> Sizes:
        """Shape of the input in torch's layout: (batch, M, *in_size)."""
        return (batch, self.in_channels, *self.in_size)

    def output_shape(self, batch: int = 1) -> Sizes:
        """Shape of the output in torch's layout: (batch, N, *out_size)."""
        return (batch, self.out_channels, *self.out_size)

    def pad(self, x: Array) -> Array:
        """Return `x`, shape `input_shape(batch)`, with this convolution's zeros around it."""
        return np.pad(x, ((0, 0), (0, 0), *self.pads))


class SeparableSpec(NamedTuple):
    """A depthwise-separable convolution: a depthwise one, and a pointwise one on its output."""

    depthwise: ConvSpec
    pointwise: ConvSpec


class Window(TypedDict, total=False):
    """How a kernel moves over its input: the arguments of `standard` of the same names."""

    stride: Size
    padding: Padding
    dilation: Size


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
) -> ConvSpec:
    """Specify a standard convolution: every output channel looks at every input channel of its group.

    Args:
        in_channels: M.
        out_channels: N.
        in_size: D_F per spatial dimension, in pixels; an int means a square image. The length of a
            tuple, 1 to 3, sets the number of spatial dimensions.
        kernel_size: D_K per dimension.
        stride: s per dimension.
        padding: zeros on both sides of each dimension; "valid" means 0; "same" keeps the input's size
            and needs stride 1, as in torch, with the odd zero of an even kernel at the end.
        dilation: d per dimension.
        groups: the channels are cut into this many groups that do not see each other.

    Raises:
        SpecError: naming the argument, its value and what was expected.

    >>> conv = standard(3, 256, 8, 5, padding="same")
    >>> conv.input_shape(batch=2), conv.weight_shape, conv.output_shape(batch=2)
    ((2, 3, 8, 8), (256, 3, 5, 5), (2, 256, 8, 8))
    """
    in_size = per_dimension("in_size", in_size, None)
    kernel_size = per_dimension("kernel_size", kernel_size, len(in_size))
    stride = per_dimension("stride", stride, len(in_size))
    dilation = per_dimension("dilation", dilation, len(in_size))
    return ConvSpec(
        in_channels=in_channels,
        out_channels=out_channels,
        in_size=in_size,
        kernel_size=kernel_size,
        stride=stride,
        pads=pads_of(padding, kernel_size, stride, dilation),
        dilation=dilation,
        groups=groups,
    )


def depthwise(
    in_channels: int,
    in_size: Size,
    kernel_size: Size,
    *,
    multiplier: int = 1,
    **window: Unpack[Window],
) -> ConvSpec:
    """Specify a depthwise convolution: each input channel gets `multiplier` filters of its own.

    The other arguments, stride, padding and dilation too, and the errors are those of `standard`. The output has
    multiplier * M channels.

    >>> depthwise(3, 8, 5, multiplier=2).weight_shape
    (6, 1, 5, 5)
    """
    in_channels = require_int("in_channels", in_channels)
    multiplier = require_int("multiplier", multiplier)
    return standard(
        in_channels, multiplier * in_channels, in_size, kernel_size, groups=in_channels, **window
    )


def pointwise(in_channels: int, out_channels: int, in_size: Size, *, stride: Size = 1) -> ConvSpec:
    """Specify a pointwise convolution: a kernel of one pixel that mixes channels.

    Arguments and errors are those of `standard`.

    >>> pointwise(3, 256, 8).weight_shape
    (256, 3, 1, 1)
    """
    return standard(in_channels, out_channels, in_size, 1, stride=stride)


def separable(
    in_channels: int,
    out_channels: int,
    in_size: Size,
    kernel_size: Size,
    *,
    multiplier: int = 1,
    **window: Unpack[Window],
) -> SeparableSpec:
    """Specify a depthwise-separable convolution; stride, padding and dilation belong to its first half.

    Arguments and errors are those of `standard` and `depthwise`.

    >>> conv = separable(3, 256, 8, 5, stride=2, padding=2)
    >>> conv.depthwise.out_size, conv.pointwise.weight_shape
    ((4, 4), (256, 3, 1, 1))
    """
    first = depthwise(in_channels, in_size, kernel_size, multiplier=multiplier, **window)
    return SeparableSpec(first, pointwise(first.out_channels, out_channels, first.out_size))


def of_arrays(
    x: Array,
    weight: Array,
    *,
    groups: int = 1,
    names: tuple[str, str] = ("x", "weight"),
    **window: Unpack[Window],
) -> ConvSpec:
    """Read the specification of a 2-D convolution off its arrays, and check that they fit together.

    Args:
        x: input, shape (B, M, H, W), float32 or float64.
        weight: shape (N, M / groups, K_h, K_w), same dtype as `x`.
        groups: as in `standard`.
        names: what the caller calls the two arrays, for the messages.
        **window: stride, padding and dilation, as in `standard`.

    Raises:
        SpecError: on a wrong type, rank, dtype, an empty array, or channels that do not match.
    """
    check_array(names[0], x, "(batch, in_channels, height, width)")
    check_array(names[1], weight, "(out_channels, in_channels / groups, height, width)")
    if x.dtype != weight.dtype:
        given = f"{names[0]} is {x.dtype} and {names[1]} is {weight.dtype}"
        raise SpecError(f"{given}: expected one dtype for both; convert one with .astype")
    require_int("groups", groups)
    (_, in_channels, *in_size), (out_channels, depth, *kernel_size) = x.shape, weight.shape
    if depth * groups != in_channels:
        raise SpecError(
            f"{names[1]} of shape {weight.shape} with groups={groups} reads {depth * groups} input channels, "
            f"but {names[0]} of shape {x.shape} has {in_channels}: "
            f"expected {names[1]}.shape[1] * groups == {names[0]}.shape[1]"
        )
    return standard(in_channels, out_channels, in_size, kernel_size, groups=groups, **window)


def of_depthwise(
    x: Array, weight: Array, *, names: tuple[str, str] = ("x", "weight"), **window: Unpack[Window]
) -> ConvSpec:
    """Read a depthwise specification off its arrays: `weight` has shape (M * multiplier, 1, K_h, K_w).

    The other arguments and the errors are those of `of_arrays`.
    """
    check_array(names[0], x, "(batch, in_channels, height, width)")
    check_array(names[1], weight, "(in_channels * multiplier, 1, height, width)")
    in_channels = x.shape[1]
    if weight.shape[1] != 1 or weight.shape[0] % in_channels:
        why = f"since {names[0]} has {in_channels} channels"
        expected = f"({in_channels} * multiplier, 1, height, width), {why}"
        raise SpecError(f"{names[1]} has shape {weight.shape}: expected {expected}")
    return of_arrays(x, weight, groups=in_channels, names=names, **window)


def of_pointwise(
    x: Array, weight: Array, *, stride: Size = 1, names: tuple[str, str] = ("x", "weight")
) -> ConvSpec:
    """Read a pointwise specification off its arrays: `weight` has shape (N, M, 1, 1).

    The other arguments and the errors are those of `of_arrays`.
    """
    conv = of_arrays(x, weight, stride=stride, names=names)
    if conv.kernel_size != (1, 1):
        expected = f"(out_channels, {conv.in_channels}, 1, 1)"
        raise SpecError(f"{names[1]} has shape {weight.shape}: expected {expected}")
    return conv


def of_separable(
    x: Array, depthwise_weight: Array, pointwise_weight: Array, **window: Unpack[Window]
) -> SeparableSpec:
    """Read both halves of a separable specification off the arrays, before anything is computed.

    Arguments and errors are those of `of_depthwise` and `of_pointwise`.
    """
    first = of_depthwise(x, depthwise_weight, names=("x", "depthwise_weight"), **window)
    check_array("pointwise_weight", pointwise_weight, "(out_channels, in_channels, 1, 1)")
    out_channels, *rest = shape = pointwise_weight.shape
    if rest != [first.out_channels, 1, 1] or pointwise_weight.dtype != x.dtype:
        expected = f"{x.dtype} of shape (out_channels, {first.out_channels}, 1, 1), as the depthwise output"
        given = f"pointwise_weight is {pointwise_weight.dtype} of shape {shape}"
        raise SpecError(f"{given}: expected {expected} has {first.out_channels} channels")
    return SeparableSpec(first, pointwise(first.out_channels, out_channels, first.out_size))


def check_array(name: str, array: object, layout: str) -> None:
    """Raise SpecError unless `array` is a non-empty 4-D array of float32 or float64; NaN may be in it."""
    if not isinstance(array, np.ndarray):
        raise SpecError(f"{name} is a {type(array).__name__}: expected a numpy array {layout}")
    shape, dtype = array.shape, array.dtype
    if array.ndim != 4:
        raise SpecError(f"{name} has shape {shape}, rank {array.ndim}: expected rank 4, {layout}")
    if dtype not in (np.float32, np.float64):
        expected = "expected float32 or float64; convert with .astype"
        raise SpecError(f"{name} has dtype {dtype}: {expected}")
    if array.size == 0:
        raise SpecError(f"{name} has shape {shape}: expected no empty dimension")


def require_int(name: str, value: object, minimum: int = 1) -> int:
    """Return `value` as an int; raise SpecError unless it is one (no bool) of `minimum` or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        kind = "positive" if minimum == 1 else "non-negative"
        raise SpecError(f"{name}={value!r}: expected a {kind} integer")
    return int(value)


def per_dimension(name: str, value: Size, ndim: int | None, minimum: int = 1) -> Sizes:
    """Return `value` as a tuple of `ndim` ints, an int repeated.

    With `ndim=None` the number of dimensions is that of `value`, 1 to 3, and an int means a square: 2.
    """
    entries = tuple(value) if isinstance(value, list | tuple) else (value,) * (ndim or 2)
    if len(entries) not in ((1, 2, 3) if ndim is None else (ndim,)):
        wanted = "1 to 3 integers" if ndim is None else f"an integer or {ndim} integers"
        raise SpecError(f"{name}={value!r}: expected {wanted}, one per spatial dimension")
    try:
        return tuple(require_int(name, entry, minimum) for entry in entries)
    except SpecError as error:
        if not isinstance(value, list | tuple):
            raise
        expected = str(error).partition(": ")[2]
        raise SpecError(f"{name}={value!r}: {expected} in each place") from None


def pads_of(
    padding: Padding, kernel_size: Sizes, stride: Sizes, dilation: Sizes
) -> tuple[tuple[int, int], ...]:
    """Return the zeros (before, after) in each dimension that a padding stands for, as in `standard`."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_dimension("padding", padding, len(kernel_size), minimum=0))
    if padding == "valid":
        return ((0, 0),) * len(kernel_size)
    if padding == "same":
        if any(step != 1 for step in stride):
            raise SpecError(
                f"padding='same' with stride={stride}: expected stride 1, as in torch; "
                f"for a strided convolution give the zeros as numbers, such as padding=1 for a 3x3 kernel"
            )
        zeros = (d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True))
        return tuple((total // 2, total - total // 2) for total in zeros)
    raise SpecError(f"padding={padding!r}: expected 'same', 'valid' or non-negative integers")
