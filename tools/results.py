"""Measure what the training chapter shows, and write it to results/: one file for each machine.

On a GPU: MobileNetV1 for small images and its twin on CIFAR-10, five seeds each, the speed of a
training step, and a run that is killed half-way and resumed. On a CPU the same in small, and the
file says so. A run that the file already holds is not repeated: start again after an interruption.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from dsconv_lib import machine, throughput
from dsconv_lib.cli.console import Device, one_line_errors
from dsconv_lib.data import ImageData, load
from dsconv_lib.models import mobilenet_v1_layers, total
from dsconv_lib.train import (
    CHECKPOINT,
    NETWORKS,
    RECIPES,
    Recipe,
    TrainingError,
    accuracy,
    build,
    fit,
    load_checkpoint,
    pick_device,
    prepare,
)
from dsconv_lib.train.checkpoint import replace_file

ROOT = Path(__file__).parents[1]
NAMES = {"separable": True, "twin": False}
# What a laptop trains in some minutes. Two epochs of 2,000 images say that everything runs; they
# say nothing about the networks.
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 100, "subset": 2000, "alpha": 0.25, "seeds": 2}
FULL: dict[str, Any] = {"subset": None, "alpha": 1.0, "seeds": 5}
STEP_BATCH = {"cpu": 64, "cuda": 2048}


class Results:
    """The file, written again after each measurement."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = {**head, "runs": [], "step": {}, "resumed": []}
        if path.exists():
            earlier = json.loads(path.read_text())
            for key in ("machine", "data", "recipe", "alpha", "small"):
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


def train_once(
    name: str, seed: int, images: ImageData, settings: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Train one network from one seed, and read everything the chapter shows of it."""
    arguments = NETWORKS["cifar10"] | {"alpha": settings["alpha"], "separable": NAMES[name]}
    network = mobilenet_v1_layers(resolution=32, **arguments)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    model = build(arguments, seed)
    recipe = replace(settings["recipe"], seed=seed)
    records = fit(model, images, recipe, device=device.type, graph=on_gpu, compile=settings["fuse"])
    tensors = prepare(images, device)
    test = tensors.test_images, tensors.test_labels
    return {
        "network": name,
        "seed": seed,
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


def train_into(
    folder: Path, seed: int, data: Path | None, settings: Mapping[str, Any], device: str
) -> float:
    """Train the separable network, or go on with it, and return its test accuracy."""
    torch.set_num_threads(settings["threads"])
    images = load("cifar10", data)
    images = images.subset(settings["subset"]) if settings["subset"] else images
    arguments = NETWORKS["cifar10"] | {"alpha": settings["alpha"]}
    records = fit(
        build(arguments, seed),
        images,
        replace(settings["recipe"], seed=seed),
        device=device,
        folder=folder,
        arguments=arguments,
        resume=True,
        graph=device == "cuda",
        compile=settings["fuse"],
    )
    return records[-1].test_accuracy


def kill_and_resume(
    seed: int, data: Path | None, settings: Mapping[str, Any], device: str
) -> dict[str, Any]:
    """Train in a process of its own, kill it after half of the epochs, and go on in this one."""
    epochs = settings["recipe"].epochs
    with tempfile.TemporaryDirectory() as scratch:
        job = (Path(scratch), seed, data, settings, device)
        process = multiprocessing.get_context("spawn").Process(target=train_into, args=job)
        process.start()
        checkpoint = Path(scratch, CHECKPOINT)
        while not checkpoint.exists() or 2 * load_checkpoint(checkpoint).epoch < epochs:
            if not process.is_alive():
                raise TrainingError("the run that was to be killed has ended before")
            time.sleep(0.05)
        process.kill()
        process.join()
        killed_after = load_checkpoint(checkpoint).epoch
        reached = train_into(*job)
    return {
        "network": "separable",
        "seed": seed,
        "killed_after_epoch": killed_after,
        "accuracy": reached,
    }


def main(
    data: Annotated[
        Path | None, typer.Option(help="CIFAR-10's train.parquet and test.parquet.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = ROOT / "results",
    device: Device = "auto",
    small: Annotated[
        bool | None, typer.Option(help="The small version (on a CPU, unless told otherwise).")
    ] = None,
    change: Annotated[
        str, typer.Option(help='Changes to the recipe, as JSON: {"epochs": 30}.')
    ] = "{}",
    fuse: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="On a GPU, unless told otherwise.")
    ] = None,
) -> None:
    """Measure, and write one JSON file."""
    console = Console(width=120)
    with one_line_errors():
        place = pick_device(device)
        in_small = place.type == "cpu" if small is None else small
        if place.type == "cpu":
            torch.set_num_threads(1)
        settings = dict(SMALL if in_small else FULL)
        named = {key: settings.pop(key) for key in ("epochs", "batch_size") if key in settings}
        settings["recipe"] = replace(RECIPES["cifar10"], **(named | _changes(change)))
        settings["threads"] = torch.get_num_threads()
        settings["fuse"] = place.type == "cuda" if fuse is None else fuse
        images = load("cifar10", data)
        if settings["subset"]:
            images = images.subset(settings["subset"])
        recipe = asdict(settings["recipe"])
        del recipe["seed"]
        results = Results(
            out / f"cifar10-{place.type}.json",
            {
                "what": "MobileNetV1 for small images and its twin with standard convolutions",
                "small": in_small,
                "remark": "a small version, which shows that everything runs, not what it is worth"
                if in_small
                else "the whole grid",
                "command": " ".join(["python", "tools/results.py", *sys.argv[1:]]),
                "date": datetime.now(UTC).date().isoformat(),
                "commit": _commit(),
                "machine": machine.facts(place),
                "data": images.name,
                "training_images": len(images.train_labels),
                "alpha": settings["alpha"],
                "recipe": recipe,
                "graph": place.type == "cuda",
                "compiled": settings["fuse"],
            },
        )
        runs, resumed = results.content["runs"], results.content["resumed"]
        done = {(run["network"], run["seed"]) for run in runs}
        for seed in range(settings["seeds"]):
            for name in NAMES:
                if (name, seed) not in done:
                    runs.append(train_once(name, seed, images, settings, place))
                    results.write()
                    console.print(
                        f"{name:9} seed {seed}  {runs[-1]['accuracy']:.2%}  "
                        f"{runs[-1]['seconds']:.1f} s",
                        highlight=False,
                    )
        for name, separable in NAMES.items():
            if name not in results.content["step"]:
                arguments = NETWORKS["cifar10"] | {
                    "alpha": settings["alpha"],
                    "separable": separable,
                }
                measured = throughput.measure(
                    build(arguments),
                    mobilenet_v1_layers(resolution=32, **arguments),
                    replace(settings["recipe"], batch_size=STEP_BATCH[place.type]),
                    place,
                    fuse=settings["fuse"],
                )
                results.content["step"][name] = {
                    "batch_size": STEP_BATCH[place.type],
                    **asdict(measured),
                }
                results.write()
                console.print(f"{name:9} step  {measured}", highlight=False)
        if not resumed:
            resumed.append(kill_and_resume(0, data, settings, place.type))
            results.write()
            console.print(f"killed and resumed  {resumed[0]['accuracy']:.2%}", highlight=False)
        console.print(f"written to {results.path}", highlight=False, soft_wrap=True)


def _changes(text: str) -> dict[str, Any]:
    """Read --change: names and values of a recipe."""
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
    return changes


def _commit() -> str:
    """The commit that is checked out, and whether files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"
    return found.stdout.strip()


if __name__ == "__main__":
    typer.run(main)
