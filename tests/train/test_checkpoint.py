"""Checkpoints: whole or not at all, and no code from a file is run."""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import asdict
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import torch

from dsconv_lib.files import FileError
from dsconv_lib.models import MobileNetV1
from dsconv_lib.train import (
    CheckpointError,
    build,
    load_checkpoint,
    save_checkpoint,
)
from tests.apart import APART, apart
from tests.runs import ARGUMENTS, SHORT


def content_of(model: MobileNetV1, epoch: int = 1) -> dict[str, Any]:
    return {
        "model": "MobileNetV1",
        "arguments": ARGUMENTS,
        "weights": model.state_dict(),
        "recipe": asdict(SHORT),
        "data": "digits",
        "epoch": epoch,
        "test_accuracy": 0.5,
        "mean": [0.5],
        "std": [0.25],
    }


def write_for_ever(path: Path, ready: Event) -> None:
    content = torch.load(path, weights_only=True)
    content["ballast"] = torch.zeros(8_000_000)  # 32 MB: a write that takes its time
    ready.set()
    while True:
        content["epoch"] += 1
        save_checkpoint(path, content)


def test_a_writer_killed_in_the_middle_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A real process writes the file over and over, and is killed with a new one half there."""
    path = tmp_path / "checkpoint.pt"
    partial = tmp_path / "checkpoint.pt.partial"
    save_checkpoint(path, content_of(build(ARGUMENTS)))
    left_behind = 0
    for _ in range(5):
        ready = APART.Event()
        writer = apart(write_for_ever, path, ready)
        assert ready.wait(300)
        partial.unlink(missing_ok=True)
        until = time.monotonic() + 30
        while time.monotonic() < until and not (partial.exists() and partial.stat().st_size > 0):
            pass
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        assert load_checkpoint(path).data == "digits"
        left_behind += partial.exists()
        if left_behind == 2:
            break
    assert left_behind, "no attempt hit the middle of a write"


def write_too_much(path: Path, said: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        save_checkpoint(path, {"weights": torch.zeros(10_000)})
    except FileError as error:
        said.write_text(str(error))


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write really fails half-way."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, content_of(build(ARGUMENTS)))
    before = path.read_bytes()
    writer = apart(write_too_much, path, tmp_path / "said")
    writer.join(300)
    assert writer.exitcode == 0
    said = (tmp_path / "said").read_text()
    assert "cannot be written: File too large; what was there stays" in said
    assert path.read_bytes() == before


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be opened: No such file"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, content_of(build(ARGUMENTS)))
    whole = path.read_bytes()
    for content in (b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
            load_checkpoint(path)


class Code:
    """What a file with code in it would hold."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("made-by-a-checkpoint",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": "MobileNetV1", "arguments": Code()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "made-by-a-checkpoint").exists()


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for content, held in (
        ({"model": "ResNet"}, "'ResNet'"),
        ({"weights": 1}, "None"),
        ([1, 2], "'list'"),
    ):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=f"holds {held}: expected a checkpoint of Mobile"):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {**ARGUMENTS, "alpha": 0.5}},
        {"arguments": {**ARGUMENTS, "separable": False}},
        {"arguments": {**ARGUMENTS, "depth": 3}},
        {"arguments": {**ARGUMENTS, "alpha": -1}},
        {"weights": {}},
        {"recipe": {"epochs": 1}},
    ],
)
def test_a_checkpoint_that_does_not_fit_itself(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {**content_of(build(ARGUMENTS)), **change})
    with pytest.raises(CheckpointError, match=r"does not fit the model it names \(.+\)"):
        load_checkpoint(path)
