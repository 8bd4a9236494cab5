"""A run on disk: what a trained network needs to be used, and what a broken run needs to go on."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dsconv_lib.errors import UserError
from dsconv_lib.models import MobileNetV1
from dsconv_lib.train.errors import TrainingError
from dsconv_lib.train.recipe import Recipe

CHECKPOINT = "checkpoint.pt"


class CheckpointError(UserError, ValueError):
    """A file that holds no checkpoint of this library; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as it was after an epoch, and what made it.

    `arguments` are those of `MobileNetV1`; `mean` and `std` normalise an image as in training, per
    channel.
    """

    model: MobileNetV1
    arguments: dict[str, Any]
    recipe: Recipe
    data: str
    epoch: int
    test_accuracy: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def build(arguments: Mapping[str, Any], seed: int = 0) -> MobileNetV1:
    """Make a MobileNetV1 whose first weights depend on `seed` alone.

    torch's global generator is left as it was. `arguments` are those of `MobileNetV1`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MobileNetV1(**arguments)


def save_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint: whenever the process dies, `path` holds the old or the new one, whole.

    Raises:
        TrainingError: if the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    replace_file(Path(path), buffer.getvalue())


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read what `fit` has written; the model is on the CPU, in evaluation mode.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds another model.
    """
    content = read(Path(path))
    try:
        model = build(content["arguments"])
        model.load_state_dict(content["weights"])
        return Checkpoint(
            model=model.eval(),
            arguments=content["arguments"],
            recipe=Recipe(**content["recipe"]),
            data=content["data"],
            epoch=content["epoch"],
            test_accuracy=content["test_accuracy"],
            mean=tuple(content["mean"]),
            std=tuple(content["std"]),
        )
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{path} does not fit the model it names ({reason}): "
            f"it was made by another version of this library, or changed"
        ) from error


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint's content, whole and of this library, without building the model."""
    try:
        # weights_only: no code from the file is run.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened: {error.strerror or error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint: train again to make one"
        ) from error
    if not isinstance(content, dict) or content.get("model") != "MobileNetV1":
        held = content.get("model") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path} holds {held!r}: expected a checkpoint of MobileNetV1")
    return content


def check_same_run(saved: Mapping[str, Any], run: Mapping[str, Any], folder: Path) -> None:
    """Raise TrainingError unless the checkpoint comes from the run that is about to go on."""
    missing = {
        "weights",
        "moving_weights",
        "optimiser",
        "generator",
        "records",
        *run,
    } - saved.keys()
    if missing:
        raise TrainingError(
            f"{folder / CHECKPOINT} lacks {', '.join(sorted(missing))}: it can be loaded, and not "
            f"resumed; train again in another folder"
        )
    flat = [{**each, **each["arguments"], **each["recipe"]} for each in (saved, run)]
    for name in flat[1]:
        before, now = (each.get(name) for each in flat)
        if before != now and name not in ("arguments", "recipe"):
            raise TrainingError(
                f"{name}={now!r}, and the run in {folder} has {before!r}: expected the same settings "
                f"and data to resume it"
            )


def fits(model: nn.Module, arguments: Mapping[str, Any]) -> bool:
    """Tell whether `build` makes weights and buffers of the same names and shapes."""
    ours, theirs = (
        {name: value.shape for name, value in each.state_dict().items()}
        for each in (model, build(arguments))
    )
    return ours == theirs


def writable(folder: Path) -> Path:
    """Make the folder and see that it can be written to: after an epoch it is late to say so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"{folder} cannot be made: {error.strerror}; name another folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise TrainingError(f"{folder} cannot be written to; name another folder")
    return folder


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside `path` and rename it: that happens whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror}; what was there stays"
        ) from error
