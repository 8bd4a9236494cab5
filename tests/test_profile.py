"""The profile counts what runs, changes nothing, and takes no unknown layer for free."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from dsconv_lib import cost, layers, loops
from dsconv_lib.models import MobileNetV1, mobilenet_v1_layers, total
from dsconv_lib.profile import by_type, profile, uncounted
from dsconv_lib.spec import SpecError
from tests.strategies import OPERATIONS, array, cases, message_of, windows


def small() -> nn.Sequential:
    """A standard, a separable and a linear layer."""
    return nn.Sequential(
        layers.standard(4, 6, 3, stride=2, padding=1, groups=2, bias=True),
        nn.BatchNorm2d(6),
        layers.separable(6, 5, 3, padding=1, norm_relu=True),
        nn.Flatten(),
        nn.Linear(5 * 4 * 3, 7),
    )


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


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


# --- the counts ------------------------------------------------------------------------------


def test_every_row() -> None:
    model = small()
    found = profile(model, (4, 8, 6))
    rows = [
        ("0", "Conv2d", "grouped", "6x4x3", 6 * 12 * 2 * 9, 6 * 2 * 9 + 6, 4 * 48, 72),
        ("1", "BatchNorm2d", "normalisation", "6x4x3", 0, 12, 0, 0),
        ("2.depthwise", "Conv2d", "depthwise", "6x4x3", 6 * 12 * 9, 6 * 9, 72, 72),
        ("2.depthwise_norm", "BatchNorm2d", "normalisation", "6x4x3", 0, 12, 0, 0),
        ("2.pointwise", "Conv2d", "pointwise", "5x4x3", 5 * 12 * 6, 5 * 6, 72, 60),
        ("2.pointwise_norm", "BatchNorm2d", "normalisation", "5x4x3", 0, 10, 0, 0),
        ("4", "Linear", "linear", "7", 7 * 60, 7 * 60 + 7, 60, 7),
    ]
    names = ["layer", "type", "operation", "output", "macs", "params", "reads", "writes"]
    assert list(found.columns) == [*names, "bytes"]
    assert columns(found, *names) == rows
    weights = [108, 0, 54, 0, 30, 0, 420]
    expected = [4 * (r[6] + w + r[7]) for r, w in zip(rows, weights, strict=True)]
    assert found["bytes"].tolist() == expected
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())


def test_a_batch_multiplies_all_but_the_weights() -> None:
    one, five = profile(small(), (4, 8, 6)), profile(small(), (4, 8, 6), batch=5)
    for name in ("macs", "reads", "writes"):
        assert five[name].tolist() == (5 * one[name]).tolist()
    for name in ("layer", "type", "operation", "output", "params"):
        assert five[name].tolist() == one[name].tolist()


@pytest.mark.parametrize("batch", [0, 1.5, True])
def test_a_batch_is_a_positive_integer(batch: Any) -> None:
    assert "batch" in message_of(lambda: profile(small(), (4, 8, 6), batch=batch), SpecError)


@pytest.mark.parametrize("size", [torch.zeros(1, 4, 8, 6), (torch.zeros(1), 3)])
def test_tensors_come_alone_and_with_their_batch(size: Any) -> None:
    message = message_of(lambda: profile(small(), size, batch=2), SpecError)
    assert message.startswith("input_size=('Tensor'")
    assert "batch=2" in message


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
    model = getattr(layers, operation)(**sizes, **case.arguments)
    found = profile(model, x.shape[1:])
    assert found["macs"].sum() == macs
    assert found["params"].sum() == sum(w.size for w in weights)
    expected = getattr(cost, operation)(in_size=x.shape[2:], **sizes, **case.arguments)
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
    model = layers.separable(4, 6, 3, stride=2, padding=1, norm_relu=True, ndim=ndim)
    found = profile(model, (4, *size))
    expected = cost.separable(4, 6, size, 3, stride=2, padding=1)
    assert found["macs"].sum() == expected.macs
    assert found["params"].sum() == expected.params + 2 * 4 + 2 * 6


def test_a_linear_layer_counts_at_every_position() -> None:
    found = profile(nn.Linear(5, 3), (4, 5))
    assert found[["layer", "output", "macs", "params"]].to_numpy().tolist() == [
        ["", "4x3", 4 * 3 * 5, 18]
    ]


def test_a_frozen_weight_is_no_trainable_parameter() -> None:
    model = nn.Conv2d(3, 4, 3)
    model.weight.requires_grad_(requires_grad=False)
    found = profile(model, (3, 5, 5))
    assert found["params"].tolist() == [4]
    assert found["macs"].tolist() == [4 * 9 * 27]


class Shared(nn.Module):
    """Runs `second` first, `first` twice, and `idle` never."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, padding=1)
        self.second = nn.Conv2d(1, 2, 1)
        self.idle = nn.Conv2d(2, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(self.first(self.second(x)))


def test_rows_are_the_runs_in_their_order() -> None:
    found = profile(Shared(), (1, 4, 4))
    assert found["layer"].tolist() == ["second", "first", "first"]
    assert found["macs"].tolist() == [2 * 16, 2 * 16 * 18, 2 * 16 * 18]
    assert found["params"].tolist() == [4, 2 * 9 * 2 + 2, 0], "shared weights exist once"


def test_one_layer_under_two_names_runs_twice() -> None:
    conv = nn.Conv2d(2, 2, 1)
    found = profile(nn.Sequential(conv, nn.ReLU(), conv), (2, 3, 3))
    assert found["macs"].tolist() == [36, 36]

    assert found["params"].tolist() == [6, 0]


def test_a_product_shows_the_shape_of_its_layer() -> None:
    assert profile(nn.Linear(5, 3), (2, 4, 5))["output"].tolist() == ["2x4x3"]


def test_what_a_hook_of_the_user_runs_belongs_to_its_layer() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].register_forward_pre_hook(lambda _, inputs: inputs[0] @ torch.eye(4))
    found = profile(model, (4,))
    assert columns(found, "layer", "operation") == [("0", "matmul"), ("0", "linear")]


def test_weights_cut_from_one_tensor_all_count() -> None:
    flat, model = torch.zeros(32), nn.Sequential(nn.Linear(4, 4, False), nn.Linear(4, 4, False))
    for i, layer in enumerate(model):
        layer.weight = nn.Parameter(flat[16 * i : 16 * i + 16].view(4, 4))
    assert profile(model, (4,))["params"].sum() == 32


def test_a_buffer_is_a_weight_that_nobody_trains() -> None:
    model = Call(lambda x: x @ model.fixed)
    model.register_buffer("fixed", torch.eye(4))
    assert columns(profile(model, (4,)), "operation", "params", "reads") == [("linear", 0, 4)]


def test_an_activation_in_the_place_of_a_dropped_weight() -> None:
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        for _ in range(20):
            weight.clone()
            x = x + 1
            x = x @ x
        return x

    assert set(counted(Call(forward, (4, 4)), torch.zeros(4, 4))["operation"]) == {"matmul"}


def test_a_tied_weight_counts_once() -> None:
    embed, head = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
    head.weight = embed.weight
    found = counted(nn.Sequential(embed, head), torch.zeros(2, 5, dtype=torch.long))
    assert columns(found, "operation", "output", "macs", "params") == [
        ("rearranging", "5x3", 0, 21),
        ("linear", "5x7", 2 * 5 * 21, 0),
    ]


# --- convolutions of every kind --------------------------------------------------------------


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
    size = tuple(span + 2 + draw(st.integers(0, 3)) for _ in range(ndim))
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
        closed = cost.standard(
            *(shape[1], module.out_channels, shape[2:], case["kernel_size"]),
            **arguments,
            batch=shape[0],
        )
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
    expected = cost.standard(2, 3, window.in_size, window.kernel_size, **window.arguments)
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
    layer = layers.depthwise(64, 3, padding=1)
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


# --- functions, products, attention ----------------------------------------------------------

A, B = torch.zeros(2, 3, 4), torch.zeros(2, 4, 5)


@pytest.mark.parametrize(
    ("function", "inputs", "macs"),
    [
        (torch.matmul, (A, B), 2 * 3 * 4 * 5),
        (torch.matmul, (A, B[0]), 2 * 3 * 4 * 5),
        (torch.matmul, (A[0], B[0, :, 0]), 3 * 4),
        (torch.matmul, (A, B[0, :, 0]), 2 * 3 * 4),
        (torch.matmul, (A[0, 0], B[0, :, 0]), 4),
        (torch.mm, (A[0], B[0]), 3 * 4 * 5),
        (lambda a, b: torch.addmm(torch.zeros(5), a, b), (A[0], B[0]), 3 * 4 * 5),
        (lambda a, b: torch.baddbmm(torch.zeros(5), a, b), (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: torch.addbmm(torch.zeros(5), a, b), (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: torch.addmv(torch.zeros(3), a, b), (A[0], B[0, :, 0]), 3 * 4),
        (lambda a, b: torch.einsum("bij,bjk->bik", a, b), (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: torch.einsum("bij,bjk->k", a, b), (A, B), None),
        (lambda a, b: torch.tensordot(a, b, dims=([0, 2], [0, 1])), (A, B), 3 * 5 * 2 * 4),
        (F.linear, (A, torch.zeros(7, 4)), 2 * 3 * 4 * 7),
        (F.bilinear, (A, A, torch.zeros(2, 4, 4)), "aten._trilinear"),
    ],
)
def test_products(function: Any, inputs: tuple[Tensor, ...], macs: Any) -> None:
    inputs = tuple(t.clone().requires_grad_() for t in inputs)
    if isinstance(macs, str):
        with pytest.warns(UserWarning, match=f"{macs} in the model"):
            found = profile(Call(function), inputs, backward=True)
        assert columns(found, "operation")[0] == (macs,)
        assert found["total"].isna().all()
        return
    found = counted(Call(function), *inputs, backward=True)
    assert set(found["operation"]) == {"matmul"}
    if macs is None:  # torch sums one factor first
        assert 0 < found["macs"].sum() < 2 * 3 * 4 * 5
    else:
        assert found["macs"].sum() == macs
    assert found["backward"].sum() == 2 * found["macs"].sum()


def test_functions_count_as_modules_do() -> None:
    def network(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, w3: Tensor) -> Tensor:
        x = F.conv2d(x, w1, b1, padding=1)
        x = F.relu(F.batch_norm(x, torch.zeros(6), torch.ones(6)))
        x = F.conv2d(x, w2, groups=6)
        return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), w3)

    functions = Call(network, (6, 3, 3, 3), (6,), (6, 1, 3, 3), (4, 6))
    modules = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6, affine=False),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, groups=6, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4, bias=False),
    )
    what = ("operation", "output", "macs", "params", "reads", "writes", "bytes", "backward")
    found = profile(functions, (3, 8, 8), batch=2, backward=True)
    assert columns(found, *what) == columns(
        profile(modules, (3, 8, 8), batch=2, backward=True), *what
    )
    assert set(found["layer"]) == {""}
    assert set(found["type"]) == {"Call"}


def test_a_depthwise_convolution_by_einsum() -> None:
    x = torch.zeros(1, 3, 5, 5)
    model = Call(
        lambda x, w: torch.einsum("bcpq,cq->bcp", x.unfold(2, 3, 1).flatten(3), w), (3, 15)
    )
    assert counted(model, x)["macs"].sum() == 3 * 3 * 15


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("backward", [True, False])
def test_attention_is_two_products(causal: bool, backward: bool) -> None:
    q, k, v = (torch.zeros(2, 4, n, d, requires_grad=True) for n, d in ((5, 8), (7, 8), (7, 6)))
    model = Call(lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=causal))
    found = counted(model, q, k, v, backward=backward)
    forward = [8 * 5 * 7 * 8, 8 * 5 * 7 * 6]
    assert columns(found, "operation", "output", "macs") == [
        ("matmul", "4x5x7", forward[0]),
        ("matmul", "4x5x6", forward[1]),
    ]
    if backward:
        assert found["backward"].tolist() == [2 * n for n in forward]


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_transformer_layer(batch_first: bool) -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
    x = torch.zeros(3, 5, 8)
    found = counted(model, x)
    sequences, positions = (3, 5) if batch_first else (5, 3)
    products = 2 * sequences * positions**2 * 8
    assert by_type(found)["macs"].to_dict() == {
        "linear": 15 * (8 * 24 + 8 * 8 + 2 * 8 * 16),
        "matmul": products,
        "normalisation": 0,
    }
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())
    assert set(found["layer"]) == {"self_attn", "norm1", "linear1", "linear2", "norm2"}
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_a_model_in_a_mode_of_its_own(mode: Any) -> None:
    layer = small()
    model = Call(lambda x: mode()(layer.forward)(x))
    model.add_module("inner", layer)
    found, expected = profile(model, (4, 8, 6)), profile(layer, (4, 8, 6))
    for name in ("operation", "macs", "params", "bytes"):
        assert found[name].tolist() == expected[name].tolist()


def test_a_compiled_model_counts_as_it_was_written() -> None:
    model = small()
    expected = profile(model, (4, 8, 6), backward=True)
    compiled = cast(nn.Module, torch.compile(model))
    found = profile(compiled, (4, 8, 6), backward=True)
    assert found.drop(columns="layer").equals(expected.drop(columns="layer"))


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_a_computed_weight_is_a_weight(kind: str) -> None:
    layer = getattr(nn.utils.parametrizations, kind)(nn.Linear(4, 3))
    found = profile(layer, (5, 4))
    assert found["params"].sum() == sum(p.numel() for p in layer.parameters())
    last = found.iloc[-1]
    assert (last["macs"], last["output"]) == (5 * 12, "5x3")
    if kind == "weight_norm":
        assert last["operation"] == "linear"


# --- forward and backward, by layer and by type ----------------------------------------------


def test_backward_of_every_row() -> None:
    found = profile(small(), (4, 8, 6), backward=True)
    macs = [1296, 0, 648, 0, 360, 0, 420]
    assert found["macs"].tolist() == macs
    # The first layer needs no gradient for its input.
    assert found["backward"].tolist() == [1296, *(2 * n for n in macs[1:])]
    assert found["total"].tolist() == (found["macs"] + found["backward"]).tolist()
    pd.testing.assert_frame_equal(found.iloc[:, :9], profile(small(), (4, 8, 6)))


def test_backward_belongs_to_the_run_that_made_it() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.left = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            y = F.relu_(self.shared(x))
            z = self.shared(y)
            return self.left(z), {"free": (y @ y.T).exp()}

    found = profile(Branches(), (4,), batch=2, backward=True)
    assert columns(found, "layer", "operation", "macs", "backward") == [
        ("shared", "linear", 32, 32),
        ("shared", "linear", 32, 64),
        ("left", "linear", 24, 48),
        ("", "matmul", 16, 32),
    ]


def test_frozen_weights_need_no_gradient() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].requires_grad_(requires_grad=False)
    model[2].weight.requires_grad_(requires_grad=False)
    assert profile(model, (4,), backward=True)["backward"].tolist() == [0, 16, 16]
    for p in model.parameters():
        p.requires_grad_(requires_grad=False)
    assert profile(model, (4,), backward=True)["backward"].tolist() == [0, 0, 0]


def test_a_function_with_its_own_gradient() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
            x, w = ctx.saved_tensors
            return gradients[0] @ w.t(), x.t() @ gradients[0] @ torch.eye(5)

    found = counted(
        Call(Square.apply, (4, 5)), torch.zeros(3, 4, requires_grad=True), backward=True
    )
    assert columns(found, "operation", "macs", "backward") == [("linear", 60, 60 + 60 + 100)]


def test_what_is_computed_again_counts_again() -> None:
    inner = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6))
    model = Call(lambda x: checkpoint(inner, x, use_reentrant=False))
    model.add_module("inner", inner)
    found = counted(model, torch.zeros(3, 4, requires_grad=True), backward=True)
    assert found["macs"].sum() == 60 + 90
    # Of the last layer nothing is needed again.
    assert found["backward"].sum() == 2 * (60 + 90) + 60


def test_sums_by_type() -> None:
    found = by_type(profile(small(), (4, 8, 6), backward=True))
    assert found.index.tolist() == ["grouped", "normalisation", "depthwise", "pointwise", "linear"]
    assert found["rows"].tolist() == [1, 3, 1, 1, 1]
    assert found["macs"].tolist() == [1296, 0, 648, 360, 420]
    assert found["backward"].tolist() == [1296, 0, 1296, 720, 840]
    assert found["total"].tolist() == [2592, 0, 1944, 1080, 1260]
    assert found["params"].tolist() == [114, 34, 54, 30, 427]
    assert "backward" not in by_type(profile(small(), (4, 8, 6)))


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_mobilenet_by_type(alpha: float) -> None:
    table = mobilenet_v1_layers(alpha, 64)
    with torch.device("meta"):
        model = MobileNetV1(alpha)
    found = profile(model, (3, 64, 64), batch=2, backward=True)
    sums = by_type(found)
    for kind in ("standard", "depthwise", "pointwise", "linear"):
        expected = total((layer for layer in table if layer.kind == kind), batch=2)
        got = sums.loc[kind]
        assert (got["macs"], got["reads"], got["writes"]) == (
            expected.macs,
            expected.reads,
            expected.writes,
        )
        assert got["bytes"] == expected.bytes()
        assert got["backward"] == (1 if kind == "standard" else 2) * expected.macs
    assert sums["bytes"].sum() == total(table, batch=2).bytes()


@pytest.mark.parametrize("written", ["modules", "functions"])
def test_one_count_where_six_counters_differ(written: str) -> None:
    """The true count of the network whose readings the notation page prints, in both ways of writing it."""

    def as_function(x: Tensor, *weights: Tensor) -> Tensor:
        convolutions = [layer.spec for layer in mobilenet_v1_layers()[:-1]]
        for spec_, weight in zip(convolutions, weights[:-2], strict=True):
            zeros, ones = torch.zeros(len(weight)), torch.ones(len(weight))
            x = F.conv2d(
                x, weight, stride=spec_.stride, padding=1 % weight.shape[-1], groups=spec_.groups
            )
            x = F.relu(F.batch_norm(x, zeros, ones, ones, zeros))
        return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), *weights[-2:])

    with torch.device("meta"):
        model: nn.Module = MobileNetV1()
        if written == "functions":
            shapes = [layer.spec.weight_shape for layer in mobilenet_v1_layers()]
            model = Call(as_function, *shapes[:-1], (1000, 1024), (1000,))
        found = profile(model, (3, 224, 224), backward=True)
    macs = int(found["macs"].sum())
    assert macs == 568_740_352
    stem = int(found["macs"][0])
    assert found["total"].sum() == 3 * macs - stem
    path = Path(__file__).parent.parent / "results" / "counters.json"
    readings = json.loads(path.read_text())[written]
    # The nearest two add the classifier's 1,000 biases, and perhaps what normalisation holds.
    over = {tool: reading - macs for tool, reading in readings.items()}
    assert over.pop("FlopCounterMode") == macs
    assert over.pop("ptflops aten") == 1000
    assert over.pop("torchinfo") == 1000 + (21_888 if written == "modules" else 0)
    assert min(over.values()) > 50_000


# --- what cannot be counted ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs", "name"),
    [
        (nn.LSTM(4, 4), torch.zeros(3, 2, 4), "aten.mkldnn_rnn_layer"),
        (Call(torch.fft.rfft), torch.zeros(8), "aten._fft_r2c"),
        (Call(torch.linalg.inv), torch.eye(3), "aten.linalg_inv_ex"),
        (Call(torch.linalg.svd), torch.eye(3), "aten._linalg_svd"),
        (Call(torch.linalg.eigh), torch.eye(3), "aten._linalg_eigh"),
        (Call(lambda x: torch.cdist(x, x + 1)), torch.zeros(3, 2), "aten._cdist_forward"),
        (nn.Bilinear(4, 4, 3), (torch.zeros(2, 4),) * 2, "aten._trilinear"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), torch.zeros(1, 2, 3, 3), "upsample_bil"),
        (Call(lambda x: x.to_sparse() @ x), torch.eye(3), "aten.mm"),
        (nn.EmbeddingBag(5, 3), torch.zeros(2, 2, dtype=torch.long), "aten._embedding_bag"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("backward", [True, False])
def test_what_cannot_be_counted_is_named(
    model: nn.Module, inputs: Any, name: str, backward: bool
) -> None:
    whole = nn.Module()
    whole.odd = model  # type: ignore[assignment]
    whole.forward = lambda *x: whole.odd(*x)  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match=r"not counted, .*in odd") as caught:
        found = profile(whole, inputs, backward=backward)
    rows = uncounted(found)
    assert name in str(caught[0].message)
    assert caught[0].filename == __file__, "the warning points to the caller"
    row = rows[rows["operation"].str.contains(name)].iloc[0]
    assert (row["layer"], row["type"]) == ("odd", type(model).__name__)
    assert pd.isna(row["macs"])
    assert pd.isna(row["bytes"])
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())
    assert pd.isna(by_type(found).loc[row["operation"], "macs"])


def test_an_operation_of_somebody_else() -> None:
    @torch.library.custom_op("dsconv_test::triple", mutates_args=())
    def triple(x: Tensor) -> Tensor:
        return 3 * x

    model = nn.Sequential(nn.Linear(4, 4), Call(triple))
    with pytest.warns(UserWarning, match=r"dsconv_test\.triple in 1"):
        found = profile(model, (4,))
    assert columns(found.fillna(-1), "layer", "operation", "macs") == [
        ("0", "linear", 16),
        ("1", "dsconv_test.triple", -1),
    ]


def test_a_free_operation_whose_gradient_is_not_known() -> None:
    class Odd(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return torch.fft.rfft(gradients[0]).real.sum() + gradients[0]

    model = nn.Sequential(nn.Linear(4, 4), Call(Odd.apply))
    with pytest.warns(UserWarning, match=r"aten\._fft_r2c in 1"):
        found = profile(model, (4,), backward=True)
    assert found["macs"].tolist() == [16, 0]
    assert found["backward"].isna().tolist() == [False, True]
    assert found["total"].isna().tolist() == [False, True]
    assert uncounted(found)["layer"].tolist() == ["1"]


def test_a_counted_model_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert uncounted(profile(small(), (4, 8, 6), backward=True)).empty


FREE = (
    *(nn.ReLU(), nn.GELU(), nn.Sigmoid(), nn.SiLU(), nn.Hardswish(), nn.ELU(), nn.Softplus()),
    *(nn.ReLU6(True), nn.LeakyReLU(), nn.CELU(), nn.SELU(), nn.Mish(), nn.Tanh(), nn.Hardtanh()),
    *(nn.Hardsigmoid(), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(), nn.Hardshrink()),
    *(nn.Threshold(0, 1), nn.RReLU(), nn.Softmin(1), nn.Softmax2d(), nn.Dropout2d()),
    *(nn.LPPool2d(2, 2), nn.MaxPool2d(2, return_indices=True), nn.FeatureAlphaDropout()),
    *(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(2)),
    *(nn.BatchNorm2d(4, affine=False), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4, affine=False)),
    *(nn.LayerNorm(8, elementwise_affine=False), nn.LocalResponseNorm(2)),
    *(nn.Softmax(1), nn.LogSoftmax(1), nn.Dropout(), nn.Flatten(), nn.GLU(1), nn.LogSigmoid()),
    *(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ZeroPad2d(1), nn.ReflectionPad2d(1)),
    *(nn.CircularPad2d(1), nn.Upsample(scale_factor=2), nn.Unfold(2), nn.ReplicationPad2d(1)),
    *(Call(lambda x: x[:, [1, 0]]), Call(lambda x: x.std((2, 3))), Call(lambda x: x.cumsum(1))),
    *(Call(lambda x: torch.cat([x, x.roll(1, 2)], 1)), Call(lambda x: x.sort(1)[0])),
    *(Call(lambda x: x.topk(2, 1)[0]), Call(lambda x: F.normalize(x) * torch.randn(8))),
    *(Call(lambda x: x.masked_fill(x > 0, 1)), Call(lambda x: torch.stack([x, x.flip(1)]))),
    *(Call(lambda x: x.norm() + x.logsumexp(1).var()), Call(lambda x: F.dropout(x, 0.5))),
)


@pytest.mark.parametrize("module", FREE, ids=lambda module: type(module).__name__)
def test_what_is_free_has_no_row(module: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), module)
    found = profile(model, (3, 8, 8), backward=True)
    assert found["layer"].tolist() == ["0"]
    assert found["total"].tolist() == [2 * 64 * 12]


@pytest.mark.parametrize(
    "module",
    [
        *(nn.PReLU(), nn.GroupNorm(2, 4), nn.LayerNorm(8), nn.RMSNorm(8)),
        *(nn.InstanceNorm2d(4, affine=True), nn.BatchNorm2d(4), Call(torch.mul, (1,))),
    ],
    ids=lambda module: type(module).__name__,
)
def test_free_weights_have_a_row(module: nn.Module) -> None:
    found = profile(module, (4, 8, 8), backward=True)
    assert found["total"].sum() == 0
    assert set(found["type"]) == {type(module).__name__}
    assert found["params"].sum() == sum(p.numel() for p in module.parameters())


def test_a_class_token_and_positions_are_parameters() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = (nn.Parameter(torch.zeros(1, n, 4)) for n in (1, 6))
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
            return cast(Tensor, self.head(x + self.place))

    found = profile(Tokens(), (5, 4), batch=3)
    assert columns(found, "operation", "macs", "params") == [
        ("rearranging", 0, 4),
        ("element-wise", 0, 24),
        ("linear", 3 * 6 * 8, 10),
    ]


# --- the model stays as it was ---------------------------------------------------------------


@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_modes_hooks_and_state_are_restored(training: bool, backward: bool) -> None:
    model = small().train(training)
    model[2].depthwise_norm.eval()  # a part that the user has frozen
    model[4].train()
    modes = [m.training for m in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    calls: list[int] = []
    handle = model[0].register_forward_hook(lambda *_: calls.append(1))
    kept = model[4].weight.grad = torch.full_like(model[4].weight, 3)
    profile(model, (4, 8, 6), backward=backward)
    assert [m.training for m in model.modules()] == modes
    assert hooks(model) == 1
    assert calls == [1], "the user's own hook is still there and ran once"
    handle.remove()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert model[4].weight.grad is kept
    assert (kept == 3).all()
    assert [p.grad is None for p in model.parameters()].count(False) == 1


def test_an_input_tensor_gets_no_gradient() -> None:
    x = torch.zeros(1, 4, 8, 6, requires_grad=True)
    profile(small(), x, backward=True)
    assert x.grad is None


def test_buffers_are_put_back() -> None:
    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))
            self.register_buffer("last", torch.zeros(1))
            self.register_buffer("none", None)

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.last = self.calls * 2
            return x

    model = Calls()
    buffers = dict(model.named_buffers())
    profile(model, (1,))
    assert dict(model.named_buffers()) == {"calls": 0, "last": 0}
    assert all(buffer is buffers[name] for name, buffer in model.named_buffers())


def test_an_exception_that_the_model_catches() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 3), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return cast(Tensor, self.wrong(x))
            except RuntimeError:
                return cast(Tensor, F.linear(self.right(x), torch.eye(4)))

    assert profile(Careful(), (4,))["layer"].tolist() == ["right", ""]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_does_not_matter(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = profile(small(), (4, 8, 6), backward=True)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found.equals(profile(small(), (4, 8, 6), backward=True))


@pytest.mark.parametrize("training", [True, False])
def test_restored_when_forward_fails(training: bool) -> None:
    model = small().train(training)
    model[1].train(not training)
    modes = [m.training for m in model.modules()]
    with pytest.raises(RuntimeError):
        profile(model, (5, 8, 6))
    assert hooks(model) == 0
    assert [m.training for m in model.modules()] == modes


def test_profiling_twice_gives_the_same_table() -> None:
    model = small()
    assert profile(model, (4, 8, 6)).equals(profile(model, (4, 8, 6)))


def test_the_model_runs_as_for_inference() -> None:
    class Spy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((self.training, torch.is_grad_enabled()))
            return x

    seen: list[Any] = []
    profile(nn.Sequential(Spy(), nn.Conv2d(1, 1, 1)).train(), (1, 2, 2))
    assert seen == [(False, False)]
    assert torch.is_grad_enabled()
    seen.clear()
    profile(Spy(), (1, 2, 2), backward=True)
    assert seen == [(False, True)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_input_has_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    expected, found = profile(small(), (4, 8, 6)), profile(small().to(dtype), (4, 8, 6))
    assert found["bytes"].tolist() == (expected["bytes"] * dtype.itemsize // 4).tolist()
    assert found.drop(columns="bytes").equals(expected.drop(columns="bytes"))


def test_the_input_is_on_the_device_of_the_model() -> None:
    with torch.device("meta"):
        model = small()
    for backward in (True, False):
        expected = profile(small(), (4, 8, 6), backward=backward)
        assert profile(model, (4, 8, 6), backward=backward).equals(expected)


def test_the_weights_of_a_depthwise_layer_are_not_counted_per_input_channel() -> None:
    x, weight = array((1, 8, 6, 6)), array((8, 1, 3, 3))
    found = profile(layers.depthwise(8, 3, padding=1), x.shape[1:])
    assert found["macs"].tolist() == [loops.depthwise(x, weight, padding=1)[1]] == [2592]
