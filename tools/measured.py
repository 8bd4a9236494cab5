"""A file in results/: measurements, and the machine, versions, date, commit and command they come from."""

from __future__ import annotations

import gc
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer

from dsconv_lib import machine, throughput
from dsconv_lib.data import ImageData, load
from dsconv_lib.models import mobilenet_v1_layers, total
from dsconv_lib.throughput import Way
from dsconv_lib.train import (
    NETWORKS,
    RECIPES,
    Recipe,
    TrainingError,
    accuracy,
    build,
    fit,
    pick_device,
    prepare,
)
from dsconv_lib.train.checkpoint import replace_file

ROOT = Path(__file__).parents[1]

# What every measuring script takes.
Data = Annotated[Path | None, typer.Option(help="CIFAR-10's train.parquet and test.parquet.")]
Out = Annotated[Path, typer.Option(help="The folder to write to.")]
Small = Annotated[
    bool | None, typer.Option(help="The small version (on a CPU, unless told otherwise).")
]
Change = Annotated[str, typer.Option(help='Changes to the recipe, as JSON: {"epochs": 30}.')]
Commit = Annotated[str | None, typer.Option(help="The commit, where git cannot tell.")]

NAMES = {"separable": True, "twin": False}
# What a laptop trains in some minutes. Two epochs of 2,000 images say that everything runs; they
# say nothing about the networks.
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 100, "subset": 2000, "alpha": 0.25}
FULL: dict[str, Any] = {"subset": None, "alpha": 1.0}


class Measured:
    """The file, written again after each measurement.

    A file that is there is gone on with, if it comes from the same commit, machine, data and settings.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], empty: Mapping[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = {**head, **empty}
        if path.exists():
            earlier = json.loads(path.read_text())
            for key in ("commit", "machine", "data", "recipe", "alpha", "small"):
                if earlier[key] != self.content[key]:
                    raise TrainingError(
                        f"{path} holds measurements with {key} {earlier[key]!r}, now it is "
                        f"{self.content[key]!r}: name another --out, or remove the file"
                    )
            self.content = {**self.content, **earlier}

    def write(self) -> None:
        """Replace the file, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, (json.dumps(self.content, indent=1) + "\n").encode())


class Setting(NamedTuple):
    """Where and on what the runs of a file are made."""

    place: torch.device
    small: bool
    subset: int | None
    alpha: float
    recipe: Recipe
    images: ImageData


def setting(data: Path | None, device: str, small: bool | None, change: str) -> Setting:
    """Take the small version on a CPU and the whole one on a GPU, unless told otherwise."""
    place = pick_device(device)
    if place.type == "cpu":
        torch.set_num_threads(1)
    in_small = place.type == "cpu" if small is None else small
    own = dict(SMALL if in_small else FULL)
    alpha, subset = own.pop("alpha"), own.pop("subset")
    recipe = changed(replace(RECIPES["cifar10"], **own), change)
    return Setting(place, in_small, subset, alpha, recipe, images_of(data, subset))


def images_of(data: Path | None, subset: int | None) -> ImageData:
    """Return CIFAR-10, or its first training images with all test images."""
    images = load("cifar10", data)
    return images.subset(subset) if subset else images


def head(what: str, chosen: Setting, commit: str | None) -> dict[str, Any]:
    """What every file says of itself."""
    place, small, _, alpha, recipe, images = chosen
    settings = asdict(recipe)
    del settings["seed"]  # each run names its own
    return {
        "what": what,
        "small": small,
        "remark": "a small version, which shows that everything runs, not what it is worth"
        if small
        else "the whole grid",
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit or _commit(),
        "machine": machine.facts(place),
        "data": images.name,
        "training_images": len(images.train_labels),
        "alpha": alpha,
        "recipe": settings,
    }


def arguments(name: str, alpha: float) -> dict[str, Any]:
    """Return the arguments of `MobileNetV1` that make one of the two networks."""
    return NETWORKS["cifar10"] | {"alpha": alpha, "separable": NAMES[name]}


def train_once(name: str, chosen: Setting, recipe: Recipe, way: Way) -> dict[str, Any]:
    """Train one network once by a recipe, and read everything the chapter shows of it."""
    device, images = chosen.place, chosen.images
    shape = arguments(name, chosen.alpha)
    network = mobilenet_v1_layers(resolution=32, **shape)
    on_gpu = device.type == "cuda"
    if on_gpu:
        gc.collect()  # recordings of earlier runs hold memory
        torch.cuda.reset_peak_memory_stats()
    model = build(shape, recipe.seed)
    records = fit(model, images, recipe, device=device.type, **way._asdict())
    tensors = prepare(images, device)
    test = tensors.test_images, tensors.test_labels
    return {
        "network": name,
        "seed": recipe.seed,
        "accuracy": accuracy(model, *test),
        "accuracy_with_mirror_images": accuracy(model, *test, flip=True),
        "macs": total(network).macs,
        "trainable": sum(layer.trainable for layer in network),
        "bytes_per_image_and_step": throughput.training_bytes(network, 2 if on_gpu else 4),
        "training_seconds": sum(len(images.train_labels) / r.images_per_second for r in records),
        "seconds": sum(r.seconds for r in records),
        "images_per_second": records[-1].images_per_second,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "test_accuracy_by_epoch": [r.test_accuracy for r in records],
    }


def changed(recipe: Recipe, text: str) -> Recipe:
    """Change a recipe as `--change` asks: names and values, as JSON.

    Raises:
        TrainingError: if the text is no such JSON or a value makes no sense.
    """
    names = [field.name for field in fields(Recipe)]
    try:
        changes = json.loads(text)
        unknown = set(changes) - set(names)
    except (json.JSONDecodeError, TypeError) as error:
        raise TrainingError(
            f'--change {text}: expected JSON such as {{"epochs": 30}} ({error})'
        ) from error
    if unknown or not isinstance(changes, dict):
        raise TrainingError(f"--change {text}: expected an object with some of {', '.join(names)}")
    return replace(recipe, **changes)


def _commit() -> str:
    """The commit that is checked out, and whether files but those in results/ differ from it."""
    head = ["rev-parse", "--short=10", "HEAD"]
    differs = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results"]
    try:
        commit, changes = (
            subprocess.run(["git", *each], cwd=ROOT, capture_output=True, text=True, check=True)
            for each in (head, differs)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"
    return commit.stdout.strip() + ("-dirty" if changes.stdout else "")
