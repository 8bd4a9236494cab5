"""A stack keeps the map's size as torch does, and refuses what does not fit together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from dsconv_lib.networks.stack import Stack, scaled
from dsconv_lib.spec import SpecError
from tests.strategies import message_of


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
)
def test_pooling_leaves_what_torch_leaves(
    size: tuple[int, int], kernel_size: int, stride: int, padding: int
) -> None:
    padding = min(padding, kernel_size // 2)
    x = torch.zeros(1, 1, *size)
    stack = Stack(size)
    try:
        y = F.max_pool2d(x, kernel_size, stride, padding)
    except RuntimeError:
        message = message_of(lambda: stack.pool(kernel_size, stride, padding), SpecError)
        assert message.startswith(f"resolution={size}: pooling has a window of ")
    else:
        assert stack.pool(kernel_size, stride, padding).size == tuple(y.shape[2:])
    assert stack.layers == []


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 4),
)
def test_pooling_over_the_edge(size: tuple[int, int], kernel_size: int, stride: int) -> None:
    stride = min(stride, kernel_size)  # a window that starts beyond the edge is another story
    try:
        y = F.max_pool2d(torch.zeros(1, 1, *size), kernel_size, stride, ceil_mode=True)
    except RuntimeError:
        with pytest.raises(SpecError, match="expected a larger image"):
            Stack(size).pool(kernel_size, stride, ceil=True)
    else:
        found = Stack(size).pool(kernel_size, stride, ceil=True)
        assert found.size == tuple(y.shape[2:])


def test_a_chain() -> None:
    stack = Stack((9, 12), in_channels=2, bias=True)
    stack.conv("a", 4, 3).separable("b", 6, 3, padding=1).conv("c", 8, 1, stride=2)
    names = ["a", "b.depthwise", "b.pointwise", "c"]
    assert [layer.name for layer in stack.layers] == names
    kinds = ["standard", "depthwise", "pointwise", "pointwise"]
    assert [layer.kind for layer in stack.layers] == kinds
    assert [layer.bias for layer in stack.layers] == [True, False, True, True]
    assert [layer.norm for layer in stack.layers] == [False] * 4
    assert (stack.channels, stack.size) == (8, (4, 5))
    table = stack.flatten().linear("d", 5).classifier(3)
    assert [layer.spec.in_channels for layer in table[-2:]] == [160, 5]
    assert [layer.name for layer in table[-2:]] == ["d", "classifier"]


def test_a_kernel_of_one_row_is_not_pointwise() -> None:
    assert Stack(8).conv("row", 4, (1, 7), padding=(0, 3)).layers[0].kind == "standard"


def test_branches_read_one_map_and_are_stacked() -> None:
    stack = Stack(8, norm=True).conv("a", 4, 3)
    stack.branches(
        stack.branch().conv("b", 3, 1),
        stack.branch().conv("c", 2, 1).conv("d", 5, 3, padding=1),
        stack.branch(),
    )
    assert [layer.name for layer in stack.layers] == ["a", "b", "c", "d"]
    assert [layer.spec.in_channels for layer in stack.layers] == [3, 4, 4, 2]
    assert (stack.channels, stack.size) == (3 + 5 + 4, (6, 6))
    assert all(layer.norm for layer in stack.layers)


def test_what_does_not_fit_together_is_refused() -> None:
    stack = Stack(8).conv("a", 4, 3)
    shorter = stack.branch().conv("b", 4, 3)
    with pytest.raises(SpecError, match=r"branches end in maps of .*: expected one size"):
        stack.branches(stack.branch(), shorter)
    with pytest.raises(SpecError, match=r"a shortcut ends in 4 channels of \(4, 4\) pixels"):
        stack.add(shorter)
    with pytest.raises(SpecError, match=r"ends in 5 channels .*: expected 4 of \(6, 6\)"):
        stack.add(stack.branch().conv("c", 5, 1))
    assert [layer.name for layer in stack.layers] == ["a"]
    with pytest.raises(SpecError, match=r"resolution=\(8, 8\): big has a window of \(7, 1\)"):
        stack.conv("big", 4, (7, 1))
    with pytest.raises(SpecError, match=r"resolution=\(8, 8\): sep has a window of \(7, 7\)"):
        stack.separable("sep", 4, 7)


def test_width() -> None:
    assert [scaled(100, alpha) for alpha in (1, 1.0, 0.759, 2, 0.001)] == [100, 100, 75, 200, 8]
