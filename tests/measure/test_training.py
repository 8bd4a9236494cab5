"""`dsconv measure training` and `recipes`, on images of noise."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dsconv_lib import cost
from dsconv_lib.measure import recipes, runs
from dsconv_lib.measure.record import check
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.train import NETWORKS, RECIPES, TrainingError
from tests.measure.conftest import Measure


def test_the_small_version_says_so_and_is_not_repeated(measure: Measure, tmp_path: Path) -> None:
    first = measure("training")
    assert first.exit_code == 0, first.output
    path = tmp_path / "results" / "cifar10-cpu.json"
    content: dict[str, Any] = json.loads(path.read_text())
    check(content)
    assert content["small"] is True
    assert "small version" in content["remark"]
    assert content["machine"]["threads"] == 1
    assert content["command"].startswith("dsconv measure training --data ")
    assert content["step"].keys() == {"separable", "twin"}
    assert {run["way"] for run in content["runs"]} == {"eager"}
    assert [(run["network"], run["seed"]) for run in content["runs"]] == [
        ("separable", 0),
        ("twin", 0),
        ("separable", 1),
        ("twin", 1),
    ]
    for run in content["runs"]:
        network = mobilenet_v1_layers(
            resolution=32,
            **(NETWORKS["cifar10"] | {"alpha": 0.25, "separable": run["network"] == "separable"}),
        )
        assert run["macs"] == cost.of(network).macs
        assert run["trainable"] == sum(layer.trainable for layer in network)
        assert 0 <= run["accuracy"] <= 1
        assert run["peak_memory_bytes"] is None  # not measured on a CPU
    # The same seed, killed after half of the epochs and resumed: the same accuracy on a CPU.
    (resumed,) = content["resumed"]
    assert resumed["killed_after_epoch"] >= 1
    assert resumed["accuracy"] == content["runs"][0]["accuracy"]

    del content["runs"][1]  # as if it had been interrupted
    path.write_text(json.dumps(content))
    again = measure("training")
    assert again.exit_code == 0, again.output
    assert "separable seed" not in again.stdout
    assert "twin      seed 0" in again.stdout
    assert len(json.loads(path.read_text())["runs"]) == 4

    later = measure("training", "--commit", "another")
    assert later.exit_code == 1
    assert "holds measurements with commit" in later.stderr
    other = measure("training", "--change", '{"epochs": 3}')
    assert other.exit_code == 1
    assert "holds measurements with recipe" in other.stderr
    assert len(json.loads(path.read_text())["runs"]) == 4


@pytest.mark.parametrize("change", ["epochs=3", '{"epoch": 3}', "[]", "3"])
def test_a_change_that_cannot_be_read(change: str) -> None:
    with pytest.raises(TrainingError, match=r"--change .*: expected (JSON|an object)"):
        runs.changed(RECIPES["cifar10"], change)


@pytest.mark.parametrize("what", ["training", "recipes"])
def test_a_way_that_this_machine_has_not(what: str, measure: Measure, tmp_path: Path) -> None:
    refused = measure(what, "--way", "recorded")
    assert refused.exit_code == 1
    assert "--way recorded: expected" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_each_change_is_one_and_differs_from_the_recipe() -> None:
    for recipe in (RECIPES["cifar10"], replace(RECIPES["cifar10"], average=0.99, cutout=8)):
        first, *others = recipes.changes(recipe)
        assert first == {}
        made = [replace(recipe, **change) for change in others]
        assert recipe not in made
        assert len({str(each) for each in made}) == len(made)
        # Only a smaller batch takes a rate with it.
        assert {tuple(change) for change in others if len(change) > 1} == {
            ("batch_size", "learning_rate")
        }
        assert {"cutout", "average", "flip"} <= {name for change in others for name in change}


def test_the_recipes_are_tried_once_each(measure: Measure, tmp_path: Path) -> None:
    options = ("--first", "2", "--change", '{"epochs": 1}')
    first = measure("recipes", *options)
    assert first.exit_code == 0, first.output
    path = tmp_path / "results" / "recipes-cpu.json"
    content = json.loads(path.read_text())
    check(content)
    rate = RECIPES["cifar10"].learning_rate
    slower = {"learning_rate": rate / 2}
    assert [run["change"] for run in content["runs"]] == [{}, {}, slower, slower]
    assert [run["seed"] for run in content["runs"]] == [0, 1, 0, 1]
    assert content["recipe"]["learning_rate"] == rate
    assert content["command"].endswith(shlex.join(options))  # as it can be typed again
    again = measure("recipes", *options)
    assert again.exit_code == 0, again.output
    assert json.loads(path.read_text()) == content
