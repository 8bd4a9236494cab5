"""The four operations as torch layers, in one, two or three dimensions.

Each function returns torch's own modules, so every tool that knows `nn.Conv2d` knows these layers too. All of them
go through `from_spec`, so a setting that no convolution can have is refused when the layer is made.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

from torch import nn

from dsconv_lib import spec as specs
from dsconv_lib.spec import ConvSpec, Padding, Size, SpecError

Dimensions = Literal[1, 2, 3]
Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d

_CONV: dict[int, type[Any]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
# A torch layer does not fix its input's size: check it against one that every kernel fits.
_ANY_SIZE = 2**31


def from_spec(spec: ConvSpec, *, bias: bool = False) -> Conv:
    """Make the torch layer that a specification describes; the layer accepts inputs of any size.

    Args:
        spec: the convolution; its number of dimensions picks `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`.
        bias: add one learnt number per output channel; off by default, as batch normalisation has its own.

    Returns:
        A layer whose weight has shape `spec.weight_shape`.

    Raises:
        SpecError: if the zeros are uneven and not those of "same": no torch layer has them.
    """
    even = all(before == after for before, after in spec.pads)
    if not even:
        same = specs.standard(
            1,
            1,
            spec.in_size,
            spec.kernel_size,
            stride=spec.stride,
            padding="same",
            dilation=spec.dilation,
        )
        if spec.pads != same.pads:
            raise SpecError(
                f"pads={spec.pads}: expected before == after, or {same.pads}, as padding='same'"
            )
    conv: Conv = _CONV[spec.ndim](
        spec.in_channels,
        spec.out_channels,
        spec.kernel_size,
        stride=spec.stride,
        # Only "same" gives uneven zeros, and torch can place those itself.
        padding=tuple(before for before, _ in spec.pads) if even else "same",
        dilation=spec.dilation,
        groups=spec.groups,
        bias=bias,
    )
    return conv


def standard(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = False,
    ndim: Dimensions = 2,
) -> Conv:
    """Make a standard convolution, weight shape (N, M / groups, *kernel_size).

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as in `spec.standard`.
        bias: as in `from_spec`.
        ndim: spatial dimensions, 1, 2 or 3.

    Raises:
        SpecError: naming the argument, its value and what was expected.
    """
    spec = specs.standard(
        in_channels,
        out_channels,
        _any_size(ndim),
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    return from_spec(spec, bias=bias)


def depthwise(
    in_channels: int,
    kernel_size: Size,
    *,
    multiplier: int = 1,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    bias: bool = False,
    ndim: Dimensions = 2,
) -> Conv:
    """Make a depthwise convolution: torch's convolution with groups = in_channels.

    Its weight has shape (M * multiplier, 1, *kernel_size). Arguments and errors are those of `standard`.
    """
    spec = specs.depthwise(
        in_channels,
        _any_size(ndim),
        kernel_size,
        multiplier=multiplier,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    return from_spec(spec, bias=bias)


def pointwise(
    in_channels: int,
    out_channels: int,
    *,
    stride: Size = 1,
    bias: bool = False,
    ndim: Dimensions = 2,
) -> Conv:
    """Make a pointwise convolution, weight shape (N, M, 1, ...). Arguments and errors as in `standard`."""
    spec = specs.pointwise(in_channels, out_channels, _any_size(ndim), stride=stride)
    return from_spec(spec, bias=bias)


def separable(
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    *,
    multiplier: int = 1,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    bias: bool = False,
    norm_relu: bool = False,
    ndim: Dimensions = 2,
) -> nn.Sequential:
    """Make a depthwise-separable convolution: a depthwise layer, then a pointwise one.

    Args:
        norm_relu: follow each half with batch normalisation and ReLU, as MobileNet does. Without it the two
            halves compose into one linear map.

    The other arguments and the errors are those of `standard` and `depthwise`.

    Returns:
        A sequence whose children are named `depthwise` and `pointwise`, with `depthwise_norm`,
        `depthwise_relu`, `pointwise_norm` and `pointwise_relu` where asked for.
    """
    first = depthwise(
        in_channels,
        kernel_size,
        multiplier=multiplier,
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=bias,
        ndim=ndim,
    )
    second = pointwise(first.out_channels, out_channels, bias=bias, ndim=ndim)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, conv in (("depthwise", first), ("pointwise", second)):
        parts[name] = conv
        if norm_relu:
            parts[f"{name}_norm"] = _NORM[ndim](conv.out_channels)
            parts[f"{name}_relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


def _any_size(ndim: int) -> tuple[int, ...]:
    if isinstance(ndim, bool) or not isinstance(ndim, int) or ndim not in _CONV:
        raise SpecError(f"ndim={ndim!r}: expected 1, 2 or 3")
    return (_ANY_SIZE,) * ndim
