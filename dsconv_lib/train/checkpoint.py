"""A run on disk: what a trained network needs to be used, and what a broken run needs to go on."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dsconv_lib.errors import UserError
from dsconv_lib.files import replace_file
from dsconv_lib.models import MobileNetV1
from dsconv_lib.train import processes
from dsconv_lib.train.recipes import Recipe, TrainingError
from dsconv_lib.train.records import METRICS, Board, EpochRecord

CHECKPOINT = "checkpoint.pt"


class CheckpointError(UserError, ValueError):
    """A file that holds no checkpoint of this library; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as it was after an epoch, and what made it; `mean` and `std`, by channel, normalise an image for it."""

    model: MobileNetV1
    recipe: Recipe
    data: str
    epoch: int
    test_accuracy: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def build(arguments: Mapping[str, Any], seed: int = 0) -> MobileNetV1:
    """Make a MobileNetV1 whose first weights depend on `seed` alone; torch's global generator is left as it was.

    `arguments` are those of `MobileNetV1`, and `model.arguments` afterwards.

    >>> build({"alpha": 0.25, "num_classes": 10}).arguments["alpha"]
    0.25
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MobileNetV1(**arguments)


def save_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint: whenever the process dies, `path` holds the old or the new one, whole.

    Raises:
        FileError: if the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    replace_file(path, buffer.getvalue())


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read what `fit` has written; the model is on the CPU, in evaluation mode.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds another model.

    >>> load_checkpoint("nowhere.pt")
    Traceback (most recent call last):
    dsconv_lib.train.checkpoint.CheckpointError: nowhere.pt cannot be opened: No such file or ...
    """
    content = read(Path(path))
    try:
        model = build(content["arguments"]).eval()
        model.load_state_dict(content["weights"])
        kept = {name: content[name] for name in ("data", "epoch", "test_accuracy")}
        kept |= {name: tuple(content[name]) for name in ("mean", "std")}
        return Checkpoint(model, Recipe(**content["recipe"]), **kept)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        other = "it was made by another version of this library, or changed"
        raise CheckpointError(
            f"{path} does not fit the model it names ({reason}): {other}"
        ) from error


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint's content, whole and of this library, without building the model."""
    try:
        # weights_only: no code from the file is run.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened: {error.strerror or error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        damaged = f"{path} is damaged or no checkpoint: train again to make one"
        raise CheckpointError(damaged) from error
    if not isinstance(content, dict) or content.get("model") != "MobileNetV1":
        held = content.get("model") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path} holds {held!r}: expected a checkpoint of MobileNetV1")
    return content


class RunFolder:
    """A run's checkpoint, metrics and, if asked for, curves; of several processes the first one writes them.

    `settings` must be the same for a run to be the same; the checkpoint keeps them.

    Raises:
        TrainingError: if the folder cannot be written to: after an epoch it is late to say so.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.settings = folder, settings
        self.checkpoint = folder / CHECKPOINT
        self.board: Board | None = None
        if processes.rank() > 0:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = f"{folder} cannot be made: {error.strerror}; name another folder"
            raise TrainingError(why) from error
        if not os.access(folder, os.W_OK):
            raise TrainingError(f"{folder} cannot be written to; name another folder")

    def earlier(self) -> dict[str, Any] | None:
        """Content of the checkpoint, or None if the run ended before it had written one.

        Raises:
            TrainingError: if the checkpoint comes from another run than the one that is to go on.
            CheckpointError: if it is damaged.
        """
        path = self.checkpoint
        saved = processes.from_first(lambda: read(path) if path.exists() else None)
        if saved is None:
            return None
        state = {"weights", "moving_weights", "optimiser", "generator", "records"}
        if missing := {*state, *self.settings} - saved.keys():
            raise TrainingError(
                f"{path} lacks {', '.join(sorted(missing))}: it can be loaded, and not resumed; "
                f"train again in another folder"
            )
        flat = [{**each, **each["arguments"], **each["recipe"]} for each in (saved, self.settings)]
        for name in flat[1]:
            before, now = (each.get(name) for each in flat)
            if before != now and name not in ("arguments", "recipe"):
                raise TrainingError(
                    f"{name}={now!r}, and the run in {self.folder} has {before!r}: "
                    f"expected the same settings and data to resume it"
                )
        return saved

    def draw(self, earlier: list[EpochRecord]) -> None:
        """Write curves for TensorBoard, too, beginning with earlier records."""
        if processes.rank() == 0:
            self.board = Board(self.folder, earlier)

    def write(self, records: list[EpochRecord], state: Mapping[str, Any]) -> None:
        """Replace the files by those after one more epoch, of all records and of what the run needs to go on."""
        if processes.rank() > 0:
            return
        last, rows = records[-1], [astuple(record) for record in records]
        now = {"records": rows, "epoch": last.epoch, "test_accuracy": last.test_accuracy}
        save_checkpoint(self.checkpoint, {**self.settings, **state, **now})
        table = pd.DataFrame(records).to_csv(index=False, lineterminator="\n")
        replace_file(self.folder / METRICS, table.encode())
        if self.board is not None:
            self.board.add(last)
