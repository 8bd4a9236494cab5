"""Both halves of a separable convolution as one operation of torch, for inference.

What the depthwise half computes is normalised, cut off at zero and multiplied where it stands, and never written to the
GPU's memory: of the four passes over maps that two layers make, two are left.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from dsconv_lib.kernels import launch
from dsconv_lib.kernels import sizes as of
from dsconv_lib.kernels.depthwise import DTYPES
from dsconv_lib.kernels.errors import KernelError
from dsconv_lib.kernels.launch import Weights
from dsconv_lib.kernels.tiles import SeparableTile
from dsconv_lib.spec import Size


def separable_conv2d(
    x: Tensor,
    weights: Weights,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    tile: SeparableTile | None = None,
) -> Tensor:
    """Return ReLU(pointwise(ReLU(depthwise(x)))), each half with its bias, on a GPU.

    Sums are made in float32; the numbers between the halves are rounded to the type of `x`. It has no gradient.

    Args:
        x: input, shape (B, C, H, W), bfloat16, float16 or float32; best in channels-last memory, where the output is.
        weights: of both halves, from `fold`; on the same device, the matrix of the same type.
        kernel_size, stride, padding, dilation: of the depthwise half, as in `spec.standard`, but `padding` in numbers.
        tile: the share of one program, from `plan.of`; if left out, one that does for all sizes.

    Returns:
        The output, shape (B, N, H_out, W_out), in channels-last memory.

    Raises:
        KernelError: if the tensors do not fit together, ask for gradients, or lie where the kernels do not run.
        SpecError: if no convolution can have these sizes.
    """
    sizes = of.listed(kernel_size, stride, padding, dilation)
    _check(x, weights, sizes)
    x = x.contiguous(memory_format=torch.channels_last)
    y: Tensor = _separable(x, *weights, sizes, tile.numbers if tile else [])
    return y


def fold(
    depthwise: nn.Conv2d,
    depthwise_norm: nn.BatchNorm2d,
    pointwise: nn.Conv2d,
    pointwise_norm: nn.BatchNorm2d,
) -> Weights:
    """Fold each half's batch normalisation, as it is in evaluation, into the weights that the kernel reads.

    Args:
        depthwise: of C channels, one filter each.
        depthwise_norm, pointwise_norm: what follows each half, with running statistics.
        pointwise: from C to N channels; its type is that of the maps.

    Folding is done in float32, and of the results the matrix alone is rounded to the type of the maps.

    Raises:
        KernelError: if the layers are not the halves of a separable convolution.

    >>> halves = nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)
    >>> {name: tuple(each.shape) for name, each in fold(*halves)._asdict().items()}
    {'taps': (9, 4), 'shift': (4,), 'matrix': (4, 6), 'bias': (6,)}
    """
    if not (is_depthwise(depthwise) and is_pointwise(pointwise, depthwise.out_channels)):
        raise KernelError(
            f"{depthwise} and {pointwise}: expected a depthwise convolution with one filter per channel and zeros for "
            f"padding, in numbers, and a pointwise one, stride 1, on its channels"
        )
    taps, shift = _folded(depthwise, depthwise_norm)
    matrix, bias = _folded(pointwise, pointwise_norm)
    # Neighbouring channels become neighbours in memory, as they are in the maps.
    matrix = matrix.flatten(1).t().to(pointwise.weight.dtype).contiguous()
    return Weights(taps.flatten(1).t().contiguous(), shift, matrix, bias)


def is_depthwise(module: nn.Module) -> bool:
    """Say whether this is a convolution with one filter per channel that the kernels take."""
    return (
        type(module) is nn.Conv2d
        and module.groups == module.in_channels == module.out_channels
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def is_pointwise(module: nn.Module, in_channels: int) -> bool:
    """Say whether this is a 1x1 convolution of so many channels that looks at every pixel, and at no padding."""
    ones = (1, 1)
    return (
        type(module) is nn.Conv2d
        and (module.groups, module.in_channels) == (1, in_channels)
        and (module.kernel_size, module.stride) == (ones, ones)
        and module.padding in ((0, 0), "valid", "same")
    )


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.num_features != conv.out_channels:
        raise KernelError(
            f"{norm} after {conv}: expected running statistics of {conv.out_channels} channels, which stand still in "
            f"evaluation"
        )
    parts = conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias
    with torch.no_grad():
        weight, bias, mean, var, scale, shift = (
            None if each is None else each.float() for each in parts
        )
        folded = fuse_conv_bn_weights(
            cast(Tensor, weight),
            bias,
            cast(Tensor, mean),
            cast(Tensor, var),
            norm.eps,
            scale,
            shift,
        )
    return folded[0].detach(), folded[1].detach()


def _check(x: Tensor, weights: Weights, sizes: list[int]) -> None:
    taps, shift, matrix, bias = weights
    channels = shift.shape[0] if shift.ndim else 0
    expected = (sizes[0] * sizes[1], channels), (channels,), (channels, len(bias)), (len(bias),)
    found = tuple(tuple(each.shape) for each in weights)
    if x.ndim != 4 or x.shape[1] != channels or found != expected:
        raise KernelError(
            f"x has shape {tuple(x.shape)}, the kernel {sizes[0]} x {sizes[1]} taps, and the weights {found}: "
            f"expected (B, C, H, W) and (taps, C), (C,), (C, N), (N,), as from fold"
        )
    if x.dtype not in DTYPES or matrix.dtype != x.dtype:
        raise KernelError(
            f"x is {x.dtype} and the matrix {matrix.dtype}: expected bfloat16, float16 or float32, and the same for "
            f"both; convert with .to"
        )
    rest = {each.dtype for each in (taps, shift, bias)}
    if rest != {torch.float32}:
        raise KernelError(f"taps, shift and bias have {rest}: expected float32, as from fold")
    if any(each.device != x.device for each in weights):
        where = ", ".join(str(each.device) for each in weights)
        raise KernelError(f"x is on {x.device}, the weights on {where}: expected one device")
    if torch.is_grad_enabled() and any(each.requires_grad for each in (x, *weights)):
        raise KernelError(
            "a gradient is asked for: expected inference, which is all that this kernel does; call it under "
            "torch.inference_mode(), or train with the layers themselves"
        )


@torch.library.custom_op("dsconv::separable", mutates_args=())
def _separable(
    x: Tensor,
    taps: Tensor,
    shift: Tensor,
    matrix: Tensor,
    bias: Tensor,
    sizes: list[int],
    tile: list[int],
) -> Tensor:
    spec = of.spec(x.shape[2:], x, sizes)
    shared = SeparableTile.of(tile) if tile else None
    return launch.separable(x, Weights(taps, shift, matrix, bias), spec, shared)


@_separable.register_fake
def _(x: Tensor, taps: Tensor, shift: Tensor, matrix: Tensor, bias: Tensor, *rest: Any) -> Tensor:
    sizes, _ = rest
    return launch.new_map(x, (x.shape[0], bias.shape[0], *of.out_size(x.shape[2:], sizes)))
