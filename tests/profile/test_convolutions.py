"""Convolutions of every kind, against loops, closed forms and multiplications that are made."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dsconv_lib import cost, layers, loops, spec
from dsconv_lib.profile import profile
from tests.profile.models import columns, counted, ones_multiplied, small
from tests.strategies import OPERATIONS, array, cases, windows


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=settings.default.max_examples // 5)
@given(data=st.data())
def test_agrees_with_the_loops(operation: str, data: st.DataObject) -> None:
    case = data.draw(cases(operation, high=2))
    x, weights = case.arrays[0][:1], case.arrays[1:]
    _, macs = getattr(loops, operation)(x, *weights, **case.arguments)
    sizes = {"in_channels": x.shape[1]}
    if operation != "depthwise":
        sizes["out_channels"] = len(weights[-1])
    if operation != "pointwise":
        sizes["kernel_size"] = weights[0].shape[2:]
    if operation in ("depthwise", "separable"):
        sizes["multiplier"] = len(weights[0]) // x.shape[1]
    conv = getattr(spec, operation)(in_size=x.shape[2:], **sizes, **case.arguments)
    found = profile(layers.of(conv), x.shape[1:])
    assert found["macs"].sum() == macs
    assert found["params"].sum() == sum(w.size for w in weights)
    expected = cost.of(conv)
    assert found["writes"].sum() == expected.writes
    if case.arguments.get("padding") != "same":  # which torch pads first where it is uneven
        assert found["reads"].sum() == expected.reads
        assert found["bytes"].sum() == expected.bytes()


def test_agrees_with_the_flop_counter_of_torch() -> None:
    model = small().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 4, 8, 6))
    assert 2 * profile(model, (4, 8, 6))["macs"].sum() == counter.get_total_flops()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_every_dimension(ndim: int) -> None:
    size = (9, 8, 7)[:ndim]
    conv = spec.separable(4, 6, size, 3, stride=2, padding=1)
    found = profile(layers.of(conv, norm_relu=True), (4, *size))
    expected = cost.of(conv)
    assert found["macs"].sum() == expected.macs
    assert found["params"].sum() == expected.params + 2 * 4 + 2 * 6


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, dict[str, Any], tuple[int, ...], nn.Module]:
    ndim, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    case = {
        "kernel_size": draw(st.integers(1, 3)),
        "stride": draw(st.integers(1, 3)),
        "dilation": draw(st.integers(1, 2)),
        "padding": draw(st.integers(0, 2)),
        "groups": groups,
        "transposed": draw(st.booleans()),
    }
    channels = [groups * draw(st.integers(1, 3)) for _ in range(2)]
    span = case["dilation"] * (case["kernel_size"] - 1) + 1
    # Large enough for an output, and for what a transposed convolution cuts off.
    size = tuple(span + 4 + draw(st.integers(0, 3)) for _ in range(ndim))
    shape = (draw(st.integers(1, 2)), channels[0], *size)
    transposed = "Transpose" if case["transposed"] else ""
    arguments = {k: v for k, v in case.items() if k != "transposed"}
    module = getattr(nn, f"Conv{transposed}{ndim}d")(*channels, **arguments, bias=False)
    return ndim, case, shape, module


@settings(max_examples=settings.default.max_examples)
@given(drawn=convolutions())
def test_any_convolution_forward_and_backward(drawn: Any) -> None:
    ndim, case, shape, module = drawn
    forward, of_input, of_weight = ones_multiplied(ndim, case, shape, module.weight.shape)
    x = torch.zeros(shape, requires_grad=True)
    (row,) = profile(module, x, backward=True).to_dict("records")
    assert row["macs"] == forward
    assert row["backward"] == of_input + of_weight
    assert row["backward"] == 2 * forward
    assert row["total"] == 3 * forward
    assert row["params"] == module.weight.numel()
    if not case["transposed"]:
        arguments = {k: v for k, v in case.items() if k not in ("transposed", "kernel_size")}
        sizes = (shape[1], module.out_channels, shape[2:], case["kernel_size"])
        closed = cost.of(spec.standard(*sizes, **arguments), shape[0])
        found = cost.Cost(**{k: row[k] for k in ("macs", "params", "reads", "writes")})
        assert found == closed
        assert row["bytes"] == closed.bytes()
    # Nothing trainable before the layer: no gradient for its input.
    (first,) = profile(module, shape[1:], batch=shape[0], backward=True).to_dict("records")
    assert (first["macs"], first["backward"]) == (forward, of_weight)


@given(window=windows(ndim=2))
@settings(max_examples=settings.default.max_examples // 5)
def test_padding_in_words(window: Any) -> None:
    module = nn.Conv2d(2, 3, window.kernel_size, bias=False, **window.arguments)
    expected = cost.of(spec.standard(2, 3, window.in_size, window.kernel_size, **window.arguments))
    assert profile(module, (2, *window.in_size))["macs"].tolist() == [expected.macs]


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("standard", {"in_channels": 4, "out_channels": 6, "kernel_size": 3}),
        ("pointwise", {"in_channels": 4, "out_channels": 6, "kernel_size": 1}),
        ("grouped", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "groups": 2}),
        ("grouped", {"in_channels": 4, "out_channels": 6, "kernel_size": 1, "groups": 2}),
        ("depthwise", {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "groups": 4}),
        ("depthwise", {"in_channels": 4, "out_channels": 8, "kernel_size": 3, "groups": 4}),
        ("standard", {"in_channels": 1, "out_channels": 4, "kernel_size": 3}),
    ],
)
def test_kinds_of_convolution(kind: str, arguments: dict[str, int], ndim: int) -> None:
    size = (arguments["in_channels"], 5, 6, 7)[: ndim + 1]
    plain = profile(getattr(nn, f"Conv{ndim}d")(**arguments), size)
    transposed = profile(getattr(nn, f"ConvTranspose{ndim}d")(**arguments), size)
    assert (plain["operation"].tolist(), transposed["operation"].tolist()) == (
        [kind],
        ["transposed"],
    )


def test_a_transposed_convolution_by_hand() -> None:
    found = profile(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 5))
    # Each of 4 * 25 inputs meets the 3 outputs of its group, 9 taps each.
    assert columns(found, "output", "macs", "params") == [("6x11x11", 100 * 3 * 9, 4 * 3 * 9 + 6)]


def test_the_gradient_of_a_depthwise_weight_has_groups() -> None:
    layer = layers.of(spec.depthwise(64, 28, 3, padding=1))
    x = torch.zeros(1, 64, 28, 28, requires_grad=True)
    case = {"stride": 1, "dilation": 1, "groups": 64, "padding": 1, "transposed": False}
    made = ones_multiplied(2, case, tuple(x.shape), tuple(layer.weight.shape))
    found = counted(layer, x, backward=True)
    assert made == [451_584] * 3
    assert found["total"].tolist() == [sum(made)] == [1_354_752]  # 2.7 million FLOPs
    with FlopCounterMode(display=False) as counter:
        layer(x).sum().backward()
    if torch.__version__.startswith("2.13."):
        assert counter.get_total_flops() == 59_609_088, "torch takes the weight for a dense one"


def test_the_weights_of_a_depthwise_layer_are_not_counted_per_input_channel() -> None:
    x, weight = array((1, 8, 6, 6)), array((8, 1, 3, 3))
    found = profile(layers.of(spec.depthwise(8, 6, 3, padding=1)), x.shape[1:])
    assert found["macs"].tolist() == [loops.depthwise(x, weight, padding=1)[1]] == [2592]
