"""Depthwise convolution as one operation of torch: differentiable, under autocast, torch.compile and CUDA graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dsconv_lib.kernels import launch
from dsconv_lib.kernels import sizes as of
from dsconv_lib.kernels.errors import KernelError
from dsconv_lib.spec import Size

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def depthwise_conv2d(
    x: Tensor, weight: Tensor, *, stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> Tensor:
    """Convolve each input channel with the filter of its own, on a GPU.

    Sums are made in float32. Under autocast, `x` and `weight` are first cast to its type, as torch's convolution does.

    Args:
        x: input, shape (B, C, H, W), bfloat16, float16 or float32; best in channels-last memory, where the output is.
        weight: shape (C, 1, K_h, K_w), same type and device.
        stride, padding, dilation: as in `spec.standard`, but `padding` in numbers.

    Returns:
        The output, shape (B, C, H_out, W_out), in channels-last memory.

    Raises:
        KernelError: if the tensors do not fit together, or lie where the kernels do not run.
        SpecError: if no convolution can have these sizes.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        x, weight = x.to(dtype), weight.to(dtype)
    _check(x, weight)
    x = x.contiguous(memory_format=torch.channels_last)
    # Neighbouring channels become neighbours in memory, as they are in x.
    taps = weight.flatten(1).t().contiguous()
    sizes = of.listed([*weight.shape[2:]], stride, padding, dilation)
    y: Tensor = _depthwise(x, taps, sizes)
    return y


def _check(x: Tensor, weight: Tensor) -> None:
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[:2] != (x.shape[1], 1):
        raise KernelError(
            f"x has shape {tuple(x.shape)} and weight {tuple(weight.shape)}: expected (B, C, H, W) "
            f"and (C, 1, K_h, K_w), a filter for each channel"
        )
    if x.dtype not in DTYPES or weight.dtype != x.dtype:
        raise KernelError(
            f"x is {x.dtype} and weight {weight.dtype}: expected bfloat16, float16 or float32, and "
            f"the same for both; convert with .to"
        )
    if weight.device != x.device:
        raise KernelError(f"x is on {x.device}, weight on {weight.device}: expected one device")


# Three operations that torch.compile takes as they are: it needs to know the shapes of their results, and no more.


@torch.library.custom_op("dsconv::depthwise", mutates_args=())
def _depthwise(x: Tensor, taps: Tensor, sizes: list[int]) -> Tensor:
    return launch.forward(x, taps, of.spec(x.shape[2:], taps, sizes))


@torch.library.custom_op("dsconv::depthwise_input_gradient", mutates_args=())
def _input_gradient(
    grad_output: Tensor, taps: Tensor, in_size: list[int], sizes: list[int]
) -> Tensor:
    return launch.input_gradient(grad_output, taps, of.spec(in_size, taps, sizes))


@torch.library.custom_op("dsconv::depthwise_weight_gradient", mutates_args=())
def _weight_gradient(grad_output: Tensor, x: Tensor, sizes: list[int]) -> Tensor:
    return launch.weight_gradient(grad_output, x, of.spec(x.shape[2:], x, sizes))


@_depthwise.register_fake
def _(x: Tensor, taps: Tensor, sizes: list[int]) -> Tensor:
    return launch.new_map(x, (*x.shape[:2], *of.out_size(x.shape[2:], sizes)))


@_input_gradient.register_fake
def _(grad_output: Tensor, taps: Tensor, in_size: list[int], sizes: list[int]) -> Tensor:
    return launch.new_map(grad_output, (*grad_output.shape[:2], *in_size))


@_weight_gradient.register_fake
def _(grad_output: Tensor, x: Tensor, sizes: list[int]) -> Tensor:
    return x.new_empty((sizes[0] * sizes[1], x.shape[1]), dtype=torch.float32)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, taps, ctx.sizes = inputs
    ctx.save_for_backward(x, taps)


def _backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
    x, taps = ctx.saved_tensors
    to_x = to_taps = None
    if ctx.needs_input_grad[0]:
        to_x = _input_gradient(grad_output, taps, list(x.shape[2:]), ctx.sizes)
    if ctx.needs_input_grad[1]:
        to_taps = _weight_gradient(grad_output, x, ctx.sizes).to(taps.dtype)
    return to_x, to_taps, None


_depthwise.register_autograd(_backward, setup_context=_keep)
