"""Random convolutions, always valid, for the property tests; and torch's answer to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

OPERATIONS = ("standard", "depthwise", "pointwise", "separable")
LAYOUTS = ("C", "transposed", "reversed", "every second", "repeated")


@dataclass(frozen=True)
class Window:
    """How a kernel slides over an image: arguments that fit together."""

    in_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    arguments: dict[str, Any]  # stride, padding, dilation


@dataclass(frozen=True)
class Case:
    """One call of an operation: `ops.<operation>(*arrays, **arguments)`."""

    operation: str
    arrays: tuple[np.ndarray, ...]  # x, then the weights
    arguments: dict[str, Any]

    def torch(self, *tensors: Tensor) -> Tensor:
        """Let torch do the same operation."""
        x, *weights = tensors
        groups = {"depthwise": x.shape[1], "separable": x.shape[1]}
        arguments = {"groups": groups.get(self.operation, 1)} | self.arguments
        y = functional.conv2d(x, weights[0], **arguments)
        return functional.conv2d(y, weights[1]) if self.operation == "separable" else y


def _per_dimension(draw: st.DrawFn, ndim: int, low: int, high: int) -> Any:
    numbers = st.integers(low, high)
    return draw(st.one_of(numbers, st.tuples(*[numbers] * ndim)))


def _expand(value: Any, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else value


@st.composite
def windows(draw: st.DrawFn, ndim: int = 2, high: int = 4) -> Window:
    """Draw a window; `high` bounds kernel and stride, and padding by one more."""
    kernel_size = _expand(_per_dimension(draw, ndim, 1, high), ndim)
    dilation = _per_dimension(draw, ndim, 1, 3)
    span = [d * (k - 1) + 1 for k, d in zip(kernel_size, _expand(dilation, ndim), strict=True)]
    padding = draw(st.sampled_from(["same", "valid", "int", "pair"]))
    stride = 1 if padding == "same" else _per_dimension(draw, ndim, 1, high)
    if padding == "same":
        zeros = tuple(n - 1 for n in span)
    elif padding == "valid":
        zeros = (0,) * ndim
    else:
        low = st.integers(0, high + 1)
        padding = draw(low if padding == "int" else st.tuples(*[low] * ndim))
        zeros = tuple(2 * p for p in _expand(padding, ndim))
    in_size = tuple(
        max(1, n - z) + draw(st.integers(0, 5)) for n, z in zip(span, zeros, strict=True)
    )
    return Window(
        in_size, kernel_size, {"stride": stride, "padding": padding, "dilation": dilation}
    )


def array(
    shape: tuple[int, ...], dtype: Any = np.float64, layout: str = "C", seed: int = 0
) -> np.ndarray:
    """Return normal random numbers, read-only, laid out in memory as asked."""
    numbers = np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)
    if layout == "transposed":
        numbers = np.ascontiguousarray(numbers.T).T
    elif layout == "reversed":
        numbers = np.ascontiguousarray(numbers[..., ::-1])[..., ::-1]
    elif layout == "every second":
        numbers = np.repeat(numbers, 2, axis=-1)[..., ::2]
    elif layout == "repeated":
        numbers = np.broadcast_to(numbers[:1], shape)
    numbers.flags.writeable = False
    return numbers


@st.composite
def cases(
    draw: st.DrawFn, operation: str, dtypes: tuple[Any, ...] = (np.float64,), high: int = 4
) -> Case:
    """Draw arrays and arguments for one of the four operations."""
    batch, per_group, wide = (draw(st.integers(1, 3)) for _ in range(3))
    groups = draw(st.integers(1, 3))
    window = draw(windows(high=high))
    arguments = dict(window.arguments)
    if operation == "standard":
        in_channels = per_group * groups
        shapes = [(wide * groups, per_group, *window.kernel_size)]
        arguments["groups"] = groups
    elif operation == "pointwise":
        in_channels = per_group * groups
        shapes = [(wide, in_channels, 1, 1)]
        arguments = {"stride": arguments["stride"]}
    else:
        in_channels = per_group
        shapes = [(in_channels * wide, 1, *window.kernel_size)]
        if operation == "separable":
            shapes.append((draw(st.integers(1, 5)), in_channels * wide, 1, 1))
    dtype, seed = draw(st.sampled_from(dtypes)), draw(st.integers(0, 99))
    arrays = tuple(
        array(shape, dtype, draw(st.sampled_from(LAYOUTS)), seed)
        for shape in [(batch, in_channels, *window.in_size), *shapes]
    )
    return Case(operation, arrays, arguments)


def as_tensors(arrays: tuple[np.ndarray, ...], *, requires_grad: bool = False) -> list[Tensor]:
    """Copy the arrays to torch."""
    return [torch.tensor(a.copy(), requires_grad=requires_grad) for a in arrays]


def tolerance(dtype: Any) -> dict[str, float]:
    """How close two computations of one result must come."""
    return {"rtol": 1e-10, "atol": 1e-10} if dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-4}


def message_of(call: Callable[[], object], error: type[Exception]) -> str:
    """Return the message with which `call` fails; fail if it does not, or fails otherwise."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return str(caught.value)
