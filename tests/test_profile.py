"""The profile counts what runs, changes nothing, and takes no unknown layer for free."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import OPERATIONS, array, cases, message_of
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dsconv_lib import cost, layers, loops
from dsconv_lib.profile import profile


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


# --- the counts ------------------------------------------------------------------------------


def test_every_row() -> None:
    model = small()
    found = profile(model, (4, 8, 6))
    assert list(found.columns) == ["layer", "type", "output", "macs", "params"]
    assert [tuple(row) for row in found.itertuples(index=False)] == [
        ("0", "Conv2d", "6x4x3", 6 * 12 * 2 * 9, 6 * 2 * 9 + 6),
        ("1", "BatchNorm2d", "6x4x3", 0, 12),
        ("2.depthwise", "Conv2d", "6x4x3", 6 * 12 * 9, 6 * 9),
        ("2.depthwise_norm", "BatchNorm2d", "6x4x3", 0, 12),
        ("2.pointwise", "Conv2d", "5x4x3", 5 * 12 * 6, 5 * 6),
        ("2.pointwise_norm", "BatchNorm2d", "5x4x3", 0, 10),
        ("4", "Linear", "7", 7 * 60, 7 * 60 + 7),
    ]
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())


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


def test_one_layer_under_two_names_runs_twice() -> None:
    conv = nn.Conv2d(2, 2, 1)
    found = profile(nn.Sequential(conv, nn.ReLU(), conv), (2, 3, 3))
    assert found["macs"].tolist() == [36, 36]


# --- what is refused -------------------------------------------------------------------------


class Scale(nn.Module):
    """A weight of its own that no known layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


@pytest.mark.parametrize(
    "unknown",
    [
        nn.LSTM(4, 4),
        nn.ConvTranspose2d(4, 4, 3),
        nn.Embedding(4, 4),
        nn.GroupNorm(2, 4),
        nn.MultiheadAttention(4, 1),
        nn.PReLU(),
        Scale(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_a_layer_that_cannot_be_counted_is_named(unknown: nn.Module) -> None:
    kind = type(unknown).__name__
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ModuleDict({"odd": unknown}))
    message = message_of(lambda: profile(model, (3, 8, 8)), TypeError)
    assert message.startswith(f"1.odd is a {kind}, which has weights but no known cost: expected")
    assert "Conv2d, Conv3d, Linear" in message
    assert hooks(model) == 0, "nothing is left on the layers before it"
    alone = message_of(lambda: profile(unknown, (4, 8, 8)), TypeError)
    assert alone.startswith(f"the model is a {kind}")


def test_layers_without_weights_are_free() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(),
        nn.BatchNorm2d(4, affine=False),
    )
    assert profile(model, (3, 8, 8))["layer"].tolist() == ["0"]


# --- the model stays as it was ---------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_modes_hooks_and_state_are_restored(training: bool) -> None:
    model = small().train(training)
    model[2].depthwise_norm.eval()  # a part that the user has frozen
    model[4].train()
    modes = [m.training for m in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    calls: list[int] = []
    handle = model[0].register_forward_hook(lambda *_: calls.append(1))
    profile(model, (4, 8, 6))
    assert [m.training for m in model.modules()] == modes
    assert hooks(model) == 1
    assert calls == [1], "the user's own hook is still there and ran once"
    handle.remove()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_input_has_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    expected = profile(small(), (4, 8, 6))
    assert profile(small().to(dtype), (4, 8, 6)).equals(expected)


def test_the_input_is_on_the_device_of_the_model() -> None:
    with torch.device("meta"):
        model = small()
    assert profile(model, (4, 8, 6)).equals(profile(small(), (4, 8, 6)))


def test_the_weights_of_a_depthwise_layer_are_not_counted_per_input_channel() -> None:
    x, weight = array((1, 8, 6, 6)), array((8, 1, 3, 3))
    found = profile(layers.depthwise(8, 3, padding=1), x.shape[1:])
    assert found["macs"].tolist() == [loops.depthwise(x, weight, padding=1)[1]] == [2592]
