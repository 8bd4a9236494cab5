"""One run of training, with everything that is read off it; what the measurements of training share."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dsconv_lib import cost, throughput, train
from dsconv_lib.data import ImageData, load
from dsconv_lib.measure.record import Measured, head
from dsconv_lib.networks import Layer, mobilenet_v1_layers
from dsconv_lib.throughput import WAYS
from dsconv_lib.train import NETWORKS, RECIPES, Recipe, TrainingError, Way

NAMES = {"separable": True, "twin": False}
# What a laptop trains in some minutes: two epochs of 2,000 images say that all runs, and nothing of the networks.
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 100, "subset": 2000, "alpha": 0.25}
FULL: dict[str, Any] = {"subset": None, "alpha": 1.0}


class Setting(NamedTuple):
    """Where and on what the runs of a file are made, and the folder that it is written to."""

    place: torch.device
    small: bool
    data: Path | None
    subset: int | None
    alpha: float
    recipe: Recipe
    out: Path
    commit: str | None

    def images(self) -> ImageData:
        """CIFAR-10, or its first training images, as far as there are so many, with all test images."""
        images = load("cifar10", self.data)
        count = len(images.train_labels)
        return images.subset(min(self.subset or count, count))

    def arguments(self, name: str) -> dict[str, Any]:
        """The arguments of `MobileNetV1` that make one of the two networks, "separable" or "twin"."""
        return NETWORKS["cifar10"] | {"alpha": self.alpha, "separable": NAMES[name]}

    def network(self, name: str) -> list[Layer]:
        """The layers of this network."""
        return mobilenet_v1_layers(resolution=32, **self.arguments(name))

    def ways(self, names: list[str] | None) -> dict[str, Way]:
        """The plain way to run a step here, and those that are named, or all.

        Raises:
            TrainingError: if this device has no such way.
        """
        every = WAYS[self.place.type]
        plain = next(iter(every))
        if unknown := set(names or ()) - set(every):
            named = ", ".join(sorted(unknown))
            raise TrainingError(f"--way {named}: expected some of {', '.join(every)}")
        return {name: each for name, each in every.items() if not names or name in (plain, *names)}

    def file(self, name: str, what: str, images: ImageData, empty: dict[str, Any]) -> Measured:
        """The file of these runs, as far as it is there: NAME-cpu.json or NAME-cuda.json."""
        about = head(what, device=self.place, commit=self.commit)
        small = "a small version, which shows that everything runs, not what it is worth"
        about |= {"small": self.small, "remark": small if self.small else "the whole grid"}
        about |= {"data": images.name, "training_images": len(images.train_labels)}
        about |= {"alpha": self.alpha, "recipe": asdict(self.recipe)}
        del about["recipe"]["seed"]  # each run names its own
        return Measured(self.out / f"{name}-{self.place.type}.json", about, empty)


def setting(
    data: Path | None, device: str, small: bool | None, change: str, out: Path, commit: str | None
) -> Setting:
    """Take the small version on a CPU and the whole one on a GPU, unless `small` says otherwise.

    `data` and `device` are as for `data.load` and `train.pick_device`; `change`, JSON, as for `changed`.

    >>> setting(None, "cpu", None, '{"epochs": 3}', Path("results"), None).recipe.epochs
    3
    """
    place = train.pick_device(device)
    if place.type == "cpu":
        torch.set_num_threads(1)
    in_small = place.type == "cpu" if small is None else small
    own = dict(SMALL if in_small else FULL)
    alpha, subset = own.pop("alpha"), own.pop("subset")
    recipe = changed(replace(RECIPES["cifar10"], **own), change)
    return Setting(place, in_small, data, subset, alpha, recipe, out, commit)


def train_once(
    chosen: Setting, images: ImageData, name: str, recipe: Recipe, way: Way
) -> dict[str, Any]:
    """Train one network, "separable" or "twin", once by a recipe, and read everything the chapter shows of it."""
    on_gpu, network = chosen.place.type == "cuda", chosen.network(name)
    if on_gpu:
        gc.collect()  # recordings of earlier runs hold memory
        torch.cuda.reset_peak_memory_stats()
    model = train.build(chosen.arguments(name), recipe.seed)
    records = train.fit(model, images, recipe, way=way)
    tensors = train.prepare(images, chosen.place)
    test = tensors.test_images, tensors.test_labels
    return {
        "network": name,
        "seed": recipe.seed,
        "accuracy": train.accuracy(model, *test),
        "accuracy_with_mirror_images": train.accuracy(model, *test, flip=True),
        "macs": cost.of(network).macs,
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

    >>> changed(RECIPES["cifar10"], '{"cutout": 8}').cutout
    8
    """
    names = [field.name for field in fields(Recipe)]
    try:
        changes = json.loads(text)
        unknown = set(changes) - set(names)
    except (json.JSONDecodeError, TypeError) as error:
        such = f'expected JSON such as {{"epochs": 30}} ({error})'
        raise TrainingError(f"--change {text}: {such}") from error
    if unknown or not isinstance(changes, Mapping):
        raise TrainingError(f"--change {text}: expected an object with some of {', '.join(names)}")
    return replace(recipe, **changes)
