"""Depthwise layers on the kernels, and networks whose depthwise layers are put on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from torch import Tensor, nn

from dsconv_lib.kernels import launch
from dsconv_lib.kernels.depthwise import depthwise_conv2d


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise `nn.Conv2d` without bias that computes with the kernels; made by `swap_in`."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x, shape (B, C, H, W)."""
        padding, dilation = cast(tuple[int, ...], self.padding), self.dilation
        return depthwise_conv2d(
            x, self.weight, stride=self.stride, padding=padding, dilation=dilation
        )


def swap_in(model: nn.Module) -> tuple[str, ...]:
    """Let the depthwise layers of a network compute with the kernels, and return their names.

    Taken is every `nn.Conv2d` with one filter per channel, no bias, and its padding in zeros and in numbers; all else
    stays as it is. Weights, their names and the optimiser's hold on them do not change.

    Raises:
        KernelError: if such a layer's weight is on a device that the kernels do not run on.
    """
    layers = {name: module for name, module in model.named_modules() if _fits(module)}
    for layer in layers.values():
        launch.check_device(layer.weight.device)
    # Same weights and settings, only another forward pass: so the class alone changes.
    for layer in layers.values():
        layer.__class__ = DepthwiseConv2d
    return tuple(layers)


def swap_out(model: nn.Module) -> None:
    """Let all layers compute with torch again."""
    for module in model.modules():
        if type(module) is DepthwiseConv2d:
            cast(nn.Module, module).__class__ = nn.Conv2d


@contextmanager
def swapped(model: nn.Module) -> Iterator[tuple[str, ...]]:
    """Let depthwise layers compute with the kernels for the length of a `with`; yields their names."""
    names = swap_in(model)
    try:
        yield names
    finally:
        swap_out(model)


def _fits(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.groups == module.in_channels == module.out_channels
        and module.bias is None
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )
