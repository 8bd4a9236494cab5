"""One step, against the same step by hand."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor
from torch.nn import functional as F

from dsconv_lib.train import TrainingError
from dsconv_lib.train.step import Average, compiled, make_step, timed_algorithms
from tests.apart import apart


def test_a_step_moves_the_weights_against_the_slope() -> None:
    model = nn.Linear(3, 4)
    by_hand = copy.deepcopy(model)
    x, labels = torch.randn(8, 3), torch.randint(0, 4, (8,))
    calls: list[torch.Tensor] = []
    step = make_step(
        model,
        torch.optim.SGD(model.parameters(), lr=0.5),
        label_smoothing=0.1,
        after=lambda: calls.append(model.weight.detach().clone()),
    )
    loss, hits = step(x, labels)

    expected = F.cross_entropy(by_hand(x), labels, label_smoothing=0.1)
    assert torch.equal(loss, expected)
    assert not loss.requires_grad
    assert hits == (by_hand(x).argmax(dim=1) == labels).sum()
    expected.backward()
    for weight, start in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(weight, start - 0.5 * start.grad)
    assert len(calls) == 1
    assert torch.equal(calls[0], model.weight)  # called after the weights have moved


def test_steps_do_not_add_up_their_gradients() -> None:
    model = nn.Linear(2, 2)
    step = make_step(model, torch.optim.SGD(model.parameters(), lr=0.0))
    x, labels = torch.randn(4, 2), torch.tensor([0, 1, 0, 1])
    step(x, labels)
    assert model.weight.grad is not None
    first = model.weight.grad.clone()
    step(x, labels)
    assert torch.equal(model.weight.grad, first)


def test_the_average_keeps_its_share_and_takes_the_rest() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = copy.deepcopy(model)
    update = Average(model, average, 0.75)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    model(torch.randn(4, 1, 3, 3))  # moves the stored statistics
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    update()
    now = model.state_dict()
    for name, value in average.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value == now[name] == 1
        else:
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * now[name])
            assert not torch.equal(now[name], before[name])


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_the_average_follows_weights_that_stand_still(keep: float) -> None:
    model, average = nn.Linear(1, 1), nn.Linear(1, 1)
    distance = (average.weight - model.weight).item()
    update = Average(model, average, keep)
    for _ in range(5):
        update()
    assert (average.weight - model.weight).item() == pytest.approx(distance * keep**5, rel=1e-4)


def test_a_compiled_network_computes_the_same() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    twin = copy.deepcopy(network)
    x = torch.randn(4, 1, 5, 5)
    # This backend traces the network, forward and backward, and needs no compiler for C++.
    fast = compiled(network, backend="aot_eager")(x)
    torch.testing.assert_close(fast, twin(x))
    fast.sum().backward()
    twin(x).sum().backward()
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_each_size_of_batch_is_compiled_for_itself() -> None:
    """Of three sizes torch.compile would leave the last two to one program, for any size."""
    model = nn.Linear(3, 2)
    graphs = []
    for size in (4, 5, 6):
        compiled(model, backend="aot_eager")(torch.randn(size, 3))
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert [later - graphs[0] for later in graphs] == [0, 1, 2]


def test_a_network_is_compiled_whole_or_not_at_all() -> None:
    class Halves(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = 2 * x
            torch._dynamo.graph_break()
            return y + 1

    with pytest.raises(TrainingError, match=r"^torch.compile cannot build this network here"):
        compiled(Halves(), backend="aot_eager")(torch.ones(2))


def compile_without(compiler: str, said: Path) -> None:
    inductor.cpp.cxx = None, compiler
    try:
        compiled(nn.Conv2d(1, 2, 3))(torch.ones(1, 1, 5, 5))
    except TrainingError as error:
        said.write_text(str(error))


def test_without_a_compiler_it_says_so(tmp_path: Path) -> None:
    """In a process of its own: torch looks for a compiler once."""
    said, cache = tmp_path / "said", {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    process = apart(compile_without, str(tmp_path / "none"), said, **cache)
    process.join(300)
    assert process.exitcode == 0
    message = said.read_text()
    assert message.startswith("torch.compile cannot build this network here (InvalidCxxCompil")
    assert message.endswith("needs a C++ compiler; train without it")


def test_the_choice_of_algorithms_is_left_as_it_was() -> None:
    for before in (False, True):
        torch.backends.cudnn.benchmark = before
        with timed_algorithms():
            assert torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.benchmark is before
    torch.backends.cudnn.benchmark = False
