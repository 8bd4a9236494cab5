"""Networks whose separable convolutions are computed by one kernel each, where a plan says that it should pay."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from dsconv_lib import spec as specs
from dsconv_lib.kernels import launch, plan
from dsconv_lib.kernels.errors import KernelError
from dsconv_lib.kernels.launch import Weights
from dsconv_lib.kernels.plan import Gpu, Plan
from dsconv_lib.kernels.separable import fold, is_depthwise, is_pointwise, separable_conv2d
from dsconv_lib.kernels.tiles import SeparableTile

Found = list[tuple[str, nn.Module]]  # convolution, normalisation, ReLU, and the same again


class SeparableConv2d(nn.Module):
    """Both halves of a separable convolution, each with its normalisation and ReLU, for inference; made by `fused`."""

    def __init__(self, halves: list[Any], tile: SeparableTile) -> None:
        super().__init__()
        for name, each in fold(*halves)._asdict().items():
            self.register_buffer(name, each)
        depthwise = halves[0]
        self.kernel_size = depthwise.kernel_size
        names = "stride", "padding", "dilation"
        self.window = {name: getattr(depthwise, name) for name in names}
        self.tile = tile

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x, shape (B, C, H, W)."""
        weights = Weights(*(self.get_buffer(name) for name in Weights._fields))
        return separable_conv2d(x, weights, self.kernel_size, **self.window, tile=self.tile)


def fused(model: nn.Module, x: Tensor, gpu: Gpu) -> tuple[nn.Module, dict[str, Plan]]:
    """Return a copy of a network for inference, its separable convolutions fused where a plan says so.

    Taken is what stands in an `nn.Sequential`, or in several within each other: a depthwise convolution, batch
    normalisation, ReLU, a pointwise convolution, batch normalisation, ReLU. All else is copied as it is.

    Args:
        model: in evaluation, of one type, on the device where it is to run.
        x: images of the size and number, (B, M, H, W), and of the type for which it is planned; the network is run on
            them once. The copy takes others, too.
        gpu: what the plan is made for.

    Returns:
        The copy, and the plan of each separable convolution, fused or not, by its depthwise layer's name.

    Raises:
        KernelError: if the model is in training, or on a device that the kernels do not run on.
    """
    if model.training:
        raise KernelError(
            "the model is in training: expected model.eval(), in which normalisation stands still and can be folded"
        )
    launch.check_device(x.device)
    copied = copy.deepcopy(model)
    found = _separable(copied)
    shapes = _shapes(copied, x, found)
    plans = {}
    for name, layers in found.items():
        if name in shapes:  # else the network has it, but does not call it
            plans[name] = _plan(layers, shapes[name], gpu, x.itemsize)
    for name, planned in plans.items():
        if planned.fuses:
            (_, *emptied), halves = found[name], [found[name][n][1] for n in (0, 1, 3, 4)]
            copied.set_submodule(name, SeparableConv2d(halves, planned.tile))
            for rest, _ in emptied:
                copied.set_submodule(rest, nn.Identity())
    return copied, plans


def _separable(model: nn.Module) -> dict[str, Found]:
    """Return the six layers of every separable convolution, by the name of the first."""
    found = {}
    for name, module in model.named_modules():
        if type(module) is nn.Sequential:
            chain = list(_leaves(name, module))
            for first in range(len(chain) - 5):
                six = chain[first : first + 6]
                if _fits([layer for _, layer in six]):
                    found[six[0][0]] = six
    return found


def _leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if type(module) is nn.Sequential:
        for child, inner in module.named_children():
            yield from _leaves(f"{name}.{child}" if name else child, inner)
    else:
        yield name, module


def _fits(layers: list[Any]) -> bool:
    depthwise, norm, relu, pointwise, next_norm, next_relu = layers
    return (
        is_depthwise(depthwise)
        and is_pointwise(pointwise, depthwise.out_channels)
        and all(type(each) is nn.ReLU for each in (relu, next_relu))
        and all(
            type(each) is nn.BatchNorm2d and each.running_mean is not None and not each.training
            for each in (norm, next_norm)
        )
    )


def _shapes(model: nn.Module, x: Tensor, names: dict[str, Found]) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each of these layers is given."""
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str, given: tuple[Any, ...]) -> None:
        shapes[name] = tuple(given[0].shape)

    hooks = [
        model.get_submodule(name).register_forward_pre_hook(lambda _, given, n=name: keep(n, given))
        for name in names
    ]
    with torch.inference_mode():
        model(x)
    for hook in hooks:
        hook.remove()
    return shapes


def _plan(layers: Found, shape: tuple[int, ...], gpu: Gpu, itemsize: int) -> Plan:
    depthwise, pointwise = (cast(nn.Conv2d, layers[n][1]) for n in (0, 3))
    conv = specs.separable(
        depthwise.in_channels,
        pointwise.out_channels,
        shape[2:],
        depthwise.kernel_size,
        stride=depthwise.stride,
        padding=cast(tuple[int, ...], depthwise.padding),
        dilation=depthwise.dilation,
    )
    return plan.of(conv, gpu, shape[0], itemsize=itemsize)
