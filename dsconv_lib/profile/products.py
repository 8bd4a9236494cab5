"""What is counted: convolutions and matrix products."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from torch import Tensor

from dsconv_lib.profile.free import base
from dsconv_lib.profile.roles import Weights

CONVOLUTIONS = frozenset({"convolution", "_convolution", "convolution_backward"})
# Where the first of the two factors stands: in addmm(bias, x, weight) it is the second argument.
PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "vdot": 0} | dict.fromkeys(
    ("addmm", "baddbmm", "addbmm", "addmv"), 1
)
# Their gradients are outer products, which autograd writes as broadcast element-wise ones.
VECTOR_PRODUCTS = frozenset({"mv", "addmv", "dot", "vdot"})


class Cost(NamedTuple):
    """What one operation makes: `factors` are the tensors that it multiplies, None MACs are not known."""

    kind: str
    macs: int | None
    factors: tuple[Tensor, ...] = ()


def is_product(name: str) -> bool:
    """Say whether an operation of torch is counted.

    >>> is_product("addmm"), is_product("convolution_backward"), is_product("add")
    (True, True, False)
    """
    return name in CONVOLUTIONS or base(name) in PRODUCTS


def cost_of(name: str, args: tuple[Any, ...], output: Tensor, weights: Weights) -> Cost:
    """Count one convolution or matrix product, from the arguments and the (first) output of torch's operation."""
    if name == "convolution_backward":
        gradient, x, weight, transposed, wanted = *args[:3], args[7], args[10]
        # Each gradient pairs the same inputs, outputs and weights as the forward pass.
        macs = _pairs(x if transposed else gradient, weight) * sum(wanted[:2])
        return Cost("gradient", macs, (x, weight))
    if name in CONVOLUTIONS:
        x, weight, transposed, groups = args[0], args[1], args[6], args[8]
        macs = _pairs(x if transposed else output, weight)
        return Cost(_kind(x, weight, transposed, groups), macs, (x, weight))
    first = PRODUCTS[base(name)]
    a, b = args[first : first + 2]
    macs = a.numel() * (b.shape[-1] if b.ndim > 1 else 1)
    return Cost("linear" if a in weights or b in weights else "matmul", macs, (a, b))


def _kind(x: Tensor, weight: Tensor, transposed: bool, groups: int) -> str:
    if transposed:
        return "transposed"
    if groups > 1:
        return "depthwise" if groups == x.shape[1] else "grouped"
    return "pointwise" if prod(weight.shape[2:]) == 1 else "standard"


def _pairs(tensor: Tensor, weight: Tensor) -> int:
    """MACs of a convolution: every weight once at each position of the side that the kernel slides over."""
    return tensor.shape[0] * prod(tensor.shape[2:]) * weight.numel()
