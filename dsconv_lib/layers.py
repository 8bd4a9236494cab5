"""A convolution of `spec` as torch's own layers, in one, two or three dimensions.

Every tool that knows `nn.Conv2d` knows these layers too. What no convolution can have was refused before, where the
convolution was made.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import overload

from torch import nn

from dsconv_lib.spec import Kernel, SeparableSpec, SpecError, pads_of

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d


@overload
def of(conv: Kernel, *, bias: bool = False) -> Conv: ...


@overload
def of(conv: SeparableSpec, *, bias: bool = False, norm_relu: bool = False) -> nn.Sequential: ...


def of(
    conv: Kernel | SeparableSpec, *, bias: bool = False, norm_relu: bool = False
) -> Conv | nn.Sequential:
    """Make the torch layer that a convolution describes; it takes images of any size, not of `in_size` alone.

    Args:
        conv: from `spec`; its number of dimensions picks `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`.
        bias: add one learnt number per output channel; off by default, as batch normalisation has its own.
        norm_relu: follow each half of a separable convolution with batch normalisation and ReLU, as MobileNet
            does. Without it the two halves compose into one linear map.

    Returns:
        A layer whose weight has shape `conv.weight_shape`. Of a separable convolution, a sequence whose children
        are named `depthwise` and `pointwise`, with `depthwise_norm`, `depthwise_relu`, `pointwise_norm` and
        `pointwise_relu` where asked for.

    Raises:
        SpecError: if `conv` is none, or its zeros are uneven and not those of "same": no torch layer has them.

    >>> from dsconv_lib import spec
    >>> of(spec.separable(3, 256, 8, 5, padding="same"))
    Sequential(
      (depthwise): Conv2d(3, 3, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=3, bias=False)
      (pointwise): Conv2d(3, 256, kernel_size=(1, 1), stride=(1, 1), bias=False)
    )
    """
    if isinstance(conv, SeparableSpec):
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for name, half in conv._asdict().items():
            parts[name] = _torch_layer(half, bias)
            if norm_relu:
                parts[f"{name}_norm"] = getattr(nn, f"BatchNorm{half.ndim}d")(half.out_channels)
                parts[f"{name}_relu"] = nn.ReLU(inplace=True)
        return nn.Sequential(parts)
    if norm_relu or not isinstance(conv, Kernel):
        wanted = "a separable convolution, whose halves to follow" if norm_relu else "a convolution"
        raise SpecError(f"{conv!r}, norm_relu={norm_relu}: expected {wanted}, made by `spec`")
    return _torch_layer(conv, bias)


def _torch_layer(kernel: Kernel, bias: bool) -> Conv:
    even = all(before == after for before, after in kernel.pads)
    if not even:
        same = pads_of("same", kernel.kernel_size, kernel.stride, kernel.dilation)
        if kernel.pads != same:
            expected = f"before == after, or {same}, as padding='same'"
            raise SpecError(f"pads={kernel.pads}: expected {expected}")
    layer: Conv = getattr(nn, f"Conv{kernel.ndim}d")(
        kernel.in_channels,
        kernel.out_channels,
        kernel.kernel_size,
        stride=kernel.stride,
        # Only "same" gives uneven zeros, and torch can place those itself.
        padding=tuple(before for before, _ in kernel.pads) if even else "same",
        dilation=kernel.dilation,
        groups=kernel.groups,
        bias=bias,
    )
    return layer
