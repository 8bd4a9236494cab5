"""The learning rate's way, and which weights decay."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from dsconv_lib.models import MobileNetV1
from dsconv_lib.train import RECIPES, SCHEDULES, one_cycle, parameter_groups, schedule
from dsconv_lib.train.optimiser import make_optimiser, restore, set_rate


def test_the_schedule_rises_in_a_line_and_falls_in_a_cosine() -> None:
    factors = [schedule(step, 100, 0.2) for step in range(100)]
    assert factors[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert factors[20] == 1
    assert factors[60] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in pairwise(factors[20:]))
    assert 0 < factors[-1] < 0.001


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 0.99), (2, 0.5), (3, 0.99)])
def test_a_schedule_of_few_steps_stays_a_factor(steps: int, warmup: float) -> None:
    assert all(0 < schedule(step, steps, warmup) <= 1 for step in range(steps))


def test_weight_decay_spares_depthwise_filters_norms_and_biases() -> None:
    model = MobileNetV1(0.25, num_classes=10, in_channels=1, stem="small")
    decayed, free = parameter_groups(model, 5e-4)
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    kept = {names[id(parameter)] for parameter in decayed["params"]}
    spared = {names[id(parameter)] for parameter in free["params"]}
    # A grey image's stem has one input channel and one group, and is no depthwise layer.
    assert kept == {
        "features.stem.conv.weight",
        "classifier.weight",
        *(f"features.block{number}_pointwise.conv.weight" for number in range(1, 14)),
    }
    assert spared == set(names.values()) - kept
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_weight_decay_of_the_twin_takes_all_its_filters() -> None:
    decayed, _ = parameter_groups(MobileNetV1(0.25, num_classes=10, separable=False), 1e-4)
    assert len(decayed["params"]) == 15


def test_grouped_convolutions_are_not_depthwise() -> None:
    decayed, free = parameter_groups(nn.Conv2d(8, 8, 3, groups=4, bias=False), 1e-4)
    assert (len(decayed["params"]), len(free["params"])) == (1, 0)
    decayed, free = parameter_groups(nn.Conv2d(8, 16, 3, groups=8, bias=False), 1e-4)
    assert (len(decayed["params"]), len(free["params"])) == (0, 1)


# The other way down


def test_one_cycle_rises_and_falls_in_lines() -> None:
    factors = [one_cycle(step, 10, 0.4) for step in range(10)]
    assert factors == pytest.approx(
        [1 / 4, 2 / 4, 3 / 4, 4 / 4, 6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    )
    assert list(SCHEDULES.values()) == [schedule, one_cycle]


def test_the_optimiser_goes_on_from_a_state_with_its_own_rate() -> None:
    model = nn.Linear(2, 1)
    recipe = RECIPES["digits"]
    first = make_optimiser(model, recipe, torch.device("cpu"))
    set_rate(first, recipe.learning_rate / 2)
    assert [group["lr"] for group in first.param_groups] == [recipe.learning_rate / 2] * 2
    model(torch.ones(1, 2)).sum().backward()
    first.step()
    second = make_optimiser(model, recipe, torch.device("cpu"))
    restore(second, first.state_dict())
    assert [group["lr"] for group in second.param_groups] == [recipe.learning_rate] * 2
    assert torch.equal(
        second.state[model.weight]["momentum_buffer"], first.state[model.weight]["momentum_buffer"]
    )


def test_a_rate_that_is_a_tensor_is_changed_in_place() -> None:
    rate = torch.tensor(1.0)
    optimiser = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=rate)
    set_rate(optimiser, 0.5)
    assert rate.item() == 0.5
    assert optimiser.param_groups[0]["lr"] is rate
