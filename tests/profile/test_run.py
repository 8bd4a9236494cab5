"""The run leaves the model as it was."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib.profile import profile
from tests.profile.models import small


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


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
