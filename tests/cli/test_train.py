"""The command line, as it is typed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dsconv_lib import cost
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.train import load_checkpoint
from tests.commands import dsconv, refused

QUICK = ("train", "--epochs", "1", "--subset", "64", "--device", "cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DSCONV_DATA", raising=False)
    monkeypatch.setenv("DSCONV_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_help_names_the_commands() -> None:
    result = dsconv("--help")
    assert result.exit_code == 0
    for command in ("train", "cost", "bench", "grade", "review"):
        assert re.search(rf"^\W*{command}\s+\w", result.stdout, re.MULTILINE)
    assert "--install-completion" not in result.stdout


@pytest.mark.parametrize("command", ["train", "cost", "bench", "grade", "review"])
def test_help_of_a_command(command: str) -> None:
    result = dsconv(command, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_train_tells_what_it_did_and_where(folder: Path) -> None:
    result = dsconv(*QUICK)
    assert result.exit_code == 0, result.output
    loaded = load_checkpoint(folder / "runs" / "digits" / "checkpoint.pt")
    network = mobilenet_v1_layers(
        0.5, 16, num_classes=10, in_channels=1, stem="small", shallow=True
    )
    said = {line[:15].strip(): line[15:].strip() for line in result.stdout.splitlines()}
    assert said["test accuracy"] == f"{loaded.test_accuracy:.2%} on digits"
    assert said["parameters"] == f"{sum(p.numel() for p in loaded.model.parameters()):,}"
    assert said["MACs"] == f"{cost.of(network).macs:,} for one image"
    assert re.fullmatch(r"[\d.]+ s", said["time"])
    assert said["checkpoint"] == os.path.join("runs", "digits", "checkpoint.pt")
    assert said["metrics"] == os.path.join("runs", "digits", "metrics.csv")
    assert "64 training and 360 test images, 1 epoch on cpu" in result.stdout
    assert "epoch   1  loss " in result.stdout


def test_the_options_reach_the_run(folder: Path) -> None:
    result = dsconv(
        *QUICK,
        *("--twin", "--alpha", "0.3", "--seed", "7", "--batch-size", "16"),
        *("--learning-rate", "0.01", "--out", "mine"),
    )
    assert result.exit_code == 0, result.output
    loaded = load_checkpoint(folder / "mine" / "checkpoint.pt")
    assert (loaded.model.arguments["alpha"], loaded.model.arguments["separable"]) == (0.3, False)
    recipe = loaded.recipe
    assert (recipe.seed, recipe.batch_size, recipe.learning_rate) == (7, 16, 0.01)
    assert "The twin of MobileNetV1, alpha 0.3" in result.stdout


def test_a_second_run_loses_nothing_of_the_first(folder: Path) -> None:
    for _ in range(2):
        assert dsconv(*QUICK).exit_code == 0
    assert dsconv(*QUICK, "--twin").exit_code == 0
    names = sorted(path.name for path in (folder / "runs").iterdir())
    assert names == ["digits", "digits-2", "digits-twin"]


def test_results_in_the_named_folder_are_replaced_only_when_told(folder: Path) -> None:
    assert dsconv(*QUICK, "--out", "mine").exit_code == 0
    before = (folder / "mine" / "checkpoint.pt").read_bytes()
    result = dsconv(*QUICK, "--out", "mine", "--seed", "1")
    refused(result, "mine holds checkpoint.pt and metrics.csv of an earlier run: .*--overwrite")
    assert (folder / "mine" / "checkpoint.pt").read_bytes() == before
    assert dsconv(*QUICK, "--out", "mine", "--seed", "1", "--overwrite").exit_code == 0
    assert load_checkpoint(folder / "mine" / "checkpoint.pt").recipe.seed == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", "0"), "epochs=0: expected an integer, 1 or more"),
        (("--batch-size", "1"), "batch_size=1: expected"),
        (("--learning-rate", "-1"), "learning_rate=-1.0: expected a number above 0"),
        (("--learning-rate", "1e30", "--batch-size", "2"), "no longer finite in epoch 1, step 2"),
        (("--alpha", "0"), r"alpha=0\.0: expected a number greater than 0"),
        (("--seed", "-1"), "seed=-1: expected"),
        (("--subset", "1"), "subset=1: expected 2 to 1,437 images of digits"),
        (("--subset", "2000"), "subset=2000: expected 2 to 1,437 images of digits"),
        (("--data", "x"), "expected none, digits ships with scikit-learn"),
        (("--dataset", "cifar10", "--data", "x"), "train.parquet is not there"),
        (("--out", "file"), "file cannot be made: File exists"),
        (("--out", "file/below"), "cannot be made: Not a directory"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    arguments: tuple[str, ...], message: str, folder: Path
) -> None:
    (folder / "file").write_text("in the way")
    refused(dsconv(*QUICK, *arguments), message)
    assert not list(folder.rglob("checkpoint.pt"))


def test_a_bad_choice_names_the_good_ones() -> None:
    result = dsconv("train", "--dataset", "mnist")
    assert result.exit_code == 2
    assert "digits" in result.stderr
    assert "cifar10" in result.stderr


# In one process for all: CUDA looks for a GPU once, and Triton decides when it is imported whether it interprets.
ELSEWHERE = """
import json, sys
from tests.commands import dsconv
for command in json.loads(sys.argv[1]):
    found = dsconv(*command)
    print(json.dumps([found.exit_code, found.stderr]))
"""


def test_a_gpu_that_is_not_there(folder: Path) -> None:
    hidden = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    hidden |= {"PYTHONPATH": str(Path(__file__).parents[2]), "CUDA_VISIBLE_DEVICES": ""}
    on_gpu = ("--device", "cuda")
    commands = [(*QUICK, *on_gpu), ("bench", *on_gpu), (*QUICK, "--kernels")]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, json.dumps(commands)],
        env=hidden,
        check=True,
        capture_output=True,
        text=True,
    )
    train, bench, kernels = map(json.loads, done.stdout.splitlines())
    for code, said in (train, bench):
        assert code == 1
        assert re.fullmatch(r"dsconv: .*torch finds no CUDA device here.*\n", said)
    assert kernels[0] == 1
    assert re.fullmatch(r"dsconv: device cpu: expected a CUDA GPU, .*\n", kernels[1])
    assert list(folder.iterdir()) == []


def numbers(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│ ").split("│")]


@pytest.mark.parametrize("model", ["mobilenet-v1", "mobilenet-v1-twin"])
def test_cost_prints_the_closed_forms(model: str) -> None:
    result = dsconv("cost", model)
    assert result.exit_code == 0
    layers = mobilenet_v1_layers(separable=model == "mobilenet-v1")
    rows = {cells[0]: cells for cells in map(numbers, result.stdout.splitlines())}
    for layer in layers:
        assert f"{cost.of(layer).macs:,}" in rows[layer.name]
        assert f"{layer.trainable:,}" in rows[layer.name]
    sums = cost.of(layers)
    trainable = sum(layer.trainable for layer in layers)
    expected = [f"{sums.macs:,}", "100.0%", f"{sums.params:,}", f"{trainable:,}"]
    assert rows["total"][-4:] == expected
    if model == "mobilenet-v1":
        assert rows["total"][-4:] == ["568,740,352", "100.0%", "4,209,088", "4,231,976"]
    assert "One multiply-add is 1 MAC, 2 FLOPs" in result.stdout


def test_cost_aligns_its_columns() -> None:
    lines = dsconv("cost", "mobilenet-v1").stdout.splitlines()
    rows = [line for line in lines if line.startswith("│")]
    assert len(rows) == 29
    assert len({tuple(i for i, sign in enumerate(row) if sign == "│") for row in rows}) == 1
    for row in rows:  # units stand below units
        assert all(re.search(r"\S $", cell) for cell in row.split("│")[-5:-1])


def test_cost_takes_the_multipliers() -> None:
    result = dsconv("cost", "mobilenet-v1", "--size", "32", "--alpha", "0.5", "--stem", "small")
    small = mobilenet_v1_layers(0.5, 32, stem="small")
    assert f"{cost.of(small).macs:,}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--alpha", "-1"), r"alpha=-1\.0: expected a number greater than 0"),
        (("--size", "0"), "resolution=0: expected a positive integer"),
        (("--classes", "0"), "num_classes=0: expected a positive integer"),
    ],
)
def test_cost_of_what_cannot_be(arguments: tuple[str, ...], message: str) -> None:
    refused(dsconv("cost", "mobilenet-v1", *arguments), message)


def test_threads_are_set(folder: Path) -> None:
    try:
        assert dsconv(*QUICK, "--threads", "2").exit_code == 0
        assert torch.get_num_threads() == 2
        assert dsconv(*QUICK).exit_code == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)


def test_the_module_is_the_command(folder: Path) -> None:
    """As a user starts it: another process, another folder, a pipe for a terminal."""
    here = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "dsconv_lib", "cost", "mobilenet-v1", "--size", "0"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": here},
    )
    assert done.returncode == 1
    assert re.fullmatch(r"dsconv: resolution=0: expected a positive integer.*\n", done.stderr)


def test_resume_goes_on_with_the_run_in_out(folder: Path) -> None:
    refused(dsconv(*QUICK, "--resume"), "expected --out with the folder of that run")
    refused(dsconv(*QUICK, "--resume", "--out", "nowhere"), "expected --out with the folder")
    assert dsconv(*QUICK, "--out", "here").exit_code == 0
    kept = (folder / "here" / "checkpoint.pt").read_bytes()
    refused(dsconv(*QUICK, "--out", "here"), "add --resume to go on with it")
    refused(dsconv(*QUICK, "--out", "here", "--resume", "--seed", "3"), "seed=3, and the run in")
    again = dsconv(*QUICK, "--out", "here", "--resume")
    assert again.exit_code == 0, again.output
    assert "test accuracy" in again.stdout
    assert (folder / "here" / "checkpoint.pt").read_bytes() == kept
