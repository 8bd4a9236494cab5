"""Measure what the training chapter shows, and write it to results/: one file for each machine.

On a GPU: MobileNetV1 for small images and its twin on CIFAR-10. First the speed of a training step,
run in several ways; then five runs of each network, in the fastest of them; then a run that is
killed half-way and resumed. On a CPU the same in small, and the file says so. What the file already
holds is not repeated: start again after an interruption.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from measured import (
    NAMES,
    ROOT,
    Change,
    Commit,
    Data,
    Measured,
    Out,
    Small,
    arguments,
    head,
    images_of,
    setting,
    train_once,
)
from rich.console import Console

from dsconv_lib import throughput
from dsconv_lib.cli.console import Device, one_line_errors
from dsconv_lib.models import mobilenet_v1_layers
from dsconv_lib.throughput import WAYS, Way
from dsconv_lib.train import (
    CHECKPOINT,
    Recipe,
    TrainingError,
    build,
    fit,
    load_checkpoint,
)

STEP_BATCH = {"cpu": 64, "cuda": 2048}


class Job(NamedTuple):
    """A run in a process of its own."""

    folder: Path
    data: Path | None
    subset: int | None
    alpha: float
    recipe: Recipe
    way: Way
    device: str
    threads: int


def train_into(job: Job) -> float:
    """Train the separable network, or go on with it, and return its test accuracy."""
    torch.set_num_threads(job.threads)
    shape = arguments("separable", job.alpha)
    records = fit(
        build(shape, job.recipe.seed),
        images_of(job.data, job.subset),
        job.recipe,
        device=job.device,
        folder=job.folder,
        arguments=shape,
        resume=True,
        **job.way._asdict(),
    )
    return records[-1].test_accuracy


def kill_and_resume(job: Job) -> dict[str, Any]:
    """Train in a process of its own, kill it after half of the epochs, and go on in this one."""
    process = multiprocessing.get_context("spawn").Process(target=train_into, args=(job,))
    process.start()
    checkpoint = job.folder / CHECKPOINT
    while not checkpoint.exists() or 2 * load_checkpoint(checkpoint).epoch < job.recipe.epochs:
        if not process.is_alive():
            raise TrainingError("the run that was to be killed has ended before")
        time.sleep(0.05)
    process.kill()
    process.join()
    killed_after = load_checkpoint(checkpoint).epoch
    return {
        "network": "separable",
        "seed": job.recipe.seed,
        "killed_after_epoch": killed_after,
        "accuracy": train_into(job),
    }


def main(
    data: Data = None,
    out: Out = ROOT / "results",
    device: Device = "auto",
    small: Small = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="Runs of each network.")] = None,
    change: Change = "{}",
    way: Annotated[
        list[str] | None,
        typer.Option(help="Time a step in this way beside the plain one (all of them)."),
    ] = None,
    step_only: Annotated[bool, typer.Option("--step-only", help="Stop after the steps.")] = False,
    commit: Commit = None,
) -> None:
    """Measure, and write one JSON file."""
    console = Console(width=120)
    with one_line_errors():
        chosen = setting(data, device, small, change)
        place, recipe = chosen.place, chosen.recipe
        every = WAYS[place.type]
        ways = _named(every, way)
        what = "MobileNetV1 for small images and its twin with standard convolutions"
        file = Measured(
            out / f"cifar10-{place.type}.json",
            head(what, chosen, commit),
            {"step": {}, "runs": [], "resumed": []},
        )

        steps, runs, resumed = (file.content[key] for key in ("step", "runs", "resumed"))
        for name in NAMES:
            if name not in steps:
                shape = arguments(name, chosen.alpha)
                timed = throughput.measure(
                    build(shape),
                    mobilenet_v1_layers(resolution=32, **shape),
                    replace(recipe, batch_size=STEP_BATCH[place.type]),
                    place,
                    # The twin has no depthwise layers.
                    {how: each for how, each in ways.items() if NAMES[name] or not each.kernels},
                )
                steps[name] = {"batch_size": STEP_BATCH[place.type], **asdict(timed)}
                file.write()
            for how, speed in steps[name]["images_per_second"].items():
                share = speed / steps[name]["floor"]
                console.print(
                    f"{name:9} step  {how:30} {speed:9,.0f} images/s  {share:.0%} of the floor"
                )
        if step_only:
            return
        fastest = {
            name: max(timed["images_per_second"], key=timed["images_per_second"].__getitem__)
            for name, timed in steps.items()
        }
        # torch.compile works once for each network and process: here, and not within the first run.
        for name, how in fastest.items():
            if every[how].compile:
                train_once(name, chosen, replace(recipe, epochs=1), every[how])
        done = {(run["network"], run["seed"]) for run in runs}
        for seed in range(seeds or (2 if chosen.small else 5)):
            for name, how in fastest.items():
                if (name, seed) not in done:
                    run = train_once(name, chosen, replace(recipe, seed=seed), every[how])
                    runs.append(run | {"way": how})
                    file.write()
                    console.print(
                        f"{name:9} seed {seed}  {run['accuracy']:.2%}, with mirror images "
                        f"{run['accuracy_with_mirror_images']:.2%}  {run['training_seconds']:.1f} s",
                        highlight=False,
                    )
        if not resumed:
            with tempfile.TemporaryDirectory() as scratch:
                job = Job(
                    Path(scratch),
                    data,
                    chosen.subset,
                    chosen.alpha,
                    recipe,
                    every[fastest["separable"]],
                    place.type,
                    torch.get_num_threads(),
                )
                resumed.append(kill_and_resume(job))
            file.write()
        console.print(f"killed and resumed  {resumed[0]['accuracy']:.2%}", highlight=False)
        console.print(f"written to {file.path}", highlight=False, soft_wrap=True)


def _named(ways: dict[str, Way], names: list[str] | None) -> dict[str, Way]:
    """Return the plain way and those that are named, or all."""
    plain = next(iter(ways))
    unknown = set(names or ()) - set(ways)
    if unknown:
        raise TrainingError(
            f"--way {', '.join(sorted(unknown))}: expected some of {', '.join(ways)}"
        )
    return {name: each for name, each in ways.items() if not names or name in (plain, *names)}


if __name__ == "__main__":
    typer.run(main)
