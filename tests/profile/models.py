"""What the tests of the profile run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib import layers, spec
from dsconv_lib.profile import profile


def small() -> nn.Sequential:
    """A standard, a separable and a linear layer."""
    return nn.Sequential(
        layers.of(spec.standard(4, 6, 8, 3, stride=2, padding=1, groups=2), bias=True),
        nn.BatchNorm2d(6),
        layers.of(spec.separable(6, 5, 8, 3, padding=1), norm_relu=True),
        nn.Flatten(),
        nn.Linear(5 * 4 * 3, 7),
    )


class Call(nn.Module):
    """A module that is one function, with parameters of its own."""

    def __init__(self, function: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(torch.ones(shape) for shape in shapes)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, *self.weights)


def columns(table: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table[list(names)].itertuples(index=False)]


def counted(model: nn.Module, *inputs: Tensor, backward: bool = False) -> pd.DataFrame:
    """Profile on these inputs; nothing may be left uncounted, which would warn."""
    return profile(model, inputs, backward=backward)


def ones_multiplied(
    ndim: int, case: dict[str, Any], x: tuple[int, ...], w: tuple[int, ...]
) -> list[int]:
    """Count multiplications by making them: of ones, so that each adds 1 to a sum.

    The padding of a convolution is made of ones too, and of a transposed one nothing is cut off: then no product is
    lost. Returns the products of the forward pass, of the input's gradient and of the weight's.
    """
    arguments = {k: case[k] for k in ("stride", "dilation", "groups")}
    if not case["transposed"]:
        x = (*x[:2], *(n + 2 * case["padding"] for n in x[2:]))
    name = f"conv_transpose{ndim}d" if case["transposed"] else f"conv{ndim}d"
    ones = [torch.ones(shape, dtype=torch.float64, requires_grad=True) for shape in (x, w)]
    y = getattr(F, name)(*ones, **arguments)
    gradients = torch.autograd.grad(y.sum(), ones)
    return [int(t.sum()) for t in (y, *gradients)]
