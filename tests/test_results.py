"""The measuring scripts, on images of noise; and the files they have left in results/."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import measured
import numpy as np
import pytest
import recipes
from pyarrow import parquet

from dsconv_lib.models import mobilenet_v1_layers, total
from dsconv_lib.train import NETWORKS, RECIPES, TrainingError
from tests.photographs import encoded, table

ROOT = Path(__file__).parents[1]
FIELDS = {"what", "small", "remark", "command", "date", "commit", "machine", "data", "recipe"}


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many images as the small version takes, of noise."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name, count in (("train", measured.SMALL["subset"]), ("test", 50)):
        images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        labels = rng.integers(0, 10, count).tolist()
        content = table([encoded(image) for image in images], labels)
        parquet.write_table(content, folder / f"{name}.parquet")
    return folder


def measure(
    noise: Path, out: Path, *options: str, script: str = "results"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"tools/{script}.py", "--data", noise, "--out", out]
    return subprocess.run(
        [*command, "--device", "cpu", *options],
        cwd=ROOT,
        env={**os.environ, "DSCONV_CACHE": str(out / "cache"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_the_small_version_says_so_and_is_not_repeated(noise: Path, tmp_path: Path) -> None:
    first = measure(noise, tmp_path)
    assert first.returncode == 0, first.stderr
    path = tmp_path / "cifar10-cpu.json"
    content: dict[str, Any] = json.loads(path.read_text())
    assert content.keys() >= FIELDS
    assert content["small"] is True
    assert "small version" in content["remark"]
    assert content["machine"]["threads"] == 1
    assert content["command"].startswith("python tools/results.py --data ")
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
        assert run["macs"] == total(network).macs
        assert run["trainable"] == sum(layer.trainable for layer in network)
        assert 0 <= run["accuracy"] <= 1
        assert run["peak_memory_bytes"] is None  # not measured on a CPU
    # The same seed, killed after half of the epochs and resumed: the same accuracy on a CPU.
    (resumed,) = content["resumed"]
    assert resumed["killed_after_epoch"] >= 1
    assert resumed["accuracy"] == content["runs"][0]["accuracy"]

    del content["runs"][1:3]  # as if it had been interrupted
    path.write_text(json.dumps(content))
    again = measure(noise, tmp_path)
    assert again.returncode == 0, again.stderr
    assert "separable seed 0" not in again.stdout
    assert "twin      seed 0" in again.stdout
    assert len(json.loads(path.read_text())["runs"]) == 4

    later = measure(noise, tmp_path, "--commit", "another")
    assert later.returncode == 1
    assert "holds measurements with commit" in later.stderr
    other = measure(noise, tmp_path, "--change", '{"epochs": 3}')
    assert other.returncode == 1
    assert "holds measurements with recipe" in other.stderr
    assert len(json.loads(path.read_text())["runs"]) == 4


@pytest.mark.parametrize("change", ["epochs=3", '{"epoch": 3}', "[]", "3"])
def test_a_change_that_cannot_be_read(change: str) -> None:
    with pytest.raises(TrainingError, match=r"--change .*: expected (JSON|an object)"):
        measured.changed(RECIPES["cifar10"], change)


def test_a_way_that_this_machine_has_not(noise: Path, tmp_path: Path) -> None:
    for script in ("results", "recipes"):
        refused = measure(noise, tmp_path, "--way", "recorded", script=script)
        assert refused.returncode == 1
        assert "--way recorded: expected" in refused.stderr
    assert list(tmp_path.glob("*.json")) == []


def test_each_change_is_one_and_differs_from_the_recipe() -> None:
    for recipe in (RECIPES["cifar10"], replace(RECIPES["cifar10"], muon=0.02, cutout=8)):
        first, *others = recipes.changes(recipe)
        assert first == {}
        made = [replace(recipe, **change) for change in others]
        assert recipe not in made
        assert len({str(each) for each in made}) == len(made)
        # Only a smaller batch takes a rate with it.
        assert {tuple(change) for change in others if len(change) > 1} == {
            ("batch_size", "learning_rate")
        }
        assert {"whitened", "muon", "cutout", "average", "flip"} <= {
            name for change in others for name in change
        }


def test_the_recipes_are_tried_once_each(noise: Path, tmp_path: Path) -> None:
    options = ("--first", "2", "--change", '{"epochs": 1}')
    first = measure(noise, tmp_path, *options, script="recipes")
    assert first.returncode == 0, first.stderr
    path = tmp_path / "recipes-cpu.json"
    content = json.loads(path.read_text())
    assert content.keys() >= FIELDS
    rate = RECIPES["cifar10"].learning_rate
    slower = {"learning_rate": rate / 2}
    assert [run["change"] for run in content["runs"]] == [{}, {}, slower, slower]
    assert [run["seed"] for run in content["runs"]] == [0, 1, 0, 1]
    assert content["recipe"]["learning_rate"] == rate
    assert content["command"].endswith(shlex.join(options))  # as it can be typed again
    again = measure(noise, tmp_path, *options, script="recipes")
    assert again.returncode == 0, again.stderr
    assert json.loads(path.read_text()) == content


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("cifar10-*.json")), ids=str)
def test_what_is_recorded_names_its_machine(path: Path) -> None:
    content = json.loads(path.read_text())
    assert content.keys() >= FIELDS
    assert content["machine"]["name"]
    assert content["machine"]["torch"]
    assert {run["network"] for run in content["runs"]} == {"separable", "twin"}
    assert content["small"] == (content["machine"].get("driver") is None)
