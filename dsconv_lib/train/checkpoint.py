"""A run on disk: what a trained network needs to be used, and what a broken run needs to go on."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dsconv_lib.errors import UserError
from dsconv_lib.files import replace_file
from dsconv_lib.models import MobileNetV1
from dsconv_lib.train.recipes import Recipe

CHECKPOINT = "checkpoint.pt"


class CheckpointError(UserError, ValueError):
    """A file that holds no checkpoint of this library; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as it was after an epoch, and what made it.

    `mean` and `std` normalise an image as in training, per channel.
    """

    model: MobileNetV1
    recipe: Recipe
    data: str
    epoch: int
    test_accuracy: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def build(arguments: Mapping[str, Any], seed: int = 0) -> MobileNetV1:
    """Make a MobileNetV1 whose first weights depend on `seed` alone.

    torch's global generator is left as it was. `arguments` are those of `MobileNetV1`, and
    `model.arguments` afterwards.

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
        model = build(content["arguments"])
        model.load_state_dict(content["weights"])
        return Checkpoint(
            model=model.eval(),
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
