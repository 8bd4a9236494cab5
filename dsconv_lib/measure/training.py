"""What the training chapter shows: MobileNetV1 for small images and its twin, on CIFAR-10.

First the speed of a training step, run in several ways; then some runs of each network, in the fastest of them; then a
run that is killed half-way and resumed.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from dsconv_lib import throughput
from dsconv_lib.data import ImageData
from dsconv_lib.measure.record import Measured
from dsconv_lib.measure.runs import NAMES, Setting, train_once
from dsconv_lib.train import CHECKPOINT, TrainingError, Way, build, fit, load_checkpoint

WHAT = "MobileNetV1 for small images and its twin with standard convolutions"
STEP_BATCH = {"cpu": 64, "cuda": 2048}


def measure_training(
    chosen: Setting,
    *,
    seeds: int | None = None,
    ways: list[str] | None = None,
    step_only: bool = False,
) -> None:
    """Measure, and write cifar10-cpu.json or cifar10-cuda.json; what it holds is not repeated.

    Each network is run with `seeds` seeds, 5 or in the small version 2; `ways` names how to run a step beside the plain
    way, all if it is left out; `step_only` stops after the steps.

    Raises:
        TrainingError: if this device has no such way, or a way does not learn as the plain one.
        RecordError: if the file that is there has other measurements.
        DataError: if CIFAR-10 cannot be had.
    """
    every = chosen.ways(ways)
    images = chosen.images()
    file = chosen.file("cifar10", WHAT, images, {"step": {}, "runs": [], "resumed": []})
    _time_steps(file, chosen, every)
    if step_only:
        return
    speeds = {name: timed["images_per_second"] for name, timed in file.content["step"].items()}
    fastest = {name: max(speed, key=speed.__getitem__) for name, speed in speeds.items()}
    _train(file, chosen, images, fastest, seeds or (2 if chosen.small else 5))
    resumed = file.content["resumed"]
    if not resumed:
        resumed.append(kill_and_resume(chosen, images, chosen.ways(None)[fastest["separable"]]))
        file.write()
    print(f"killed and resumed  {resumed[0]['accuracy']:.2%}")
    print(f"written to {file.path}")


def _time_steps(file: Measured, chosen: Setting, ways: dict[str, Way]) -> None:
    batch, steps = STEP_BATCH[chosen.place.type], file.content["step"]
    recipe = replace(chosen.recipe, batch_size=batch)
    for name, separable in NAMES.items():
        if name not in steps:
            model, network = build(chosen.arguments(name)), chosen.network(name)
            # The twin has no depthwise layers.
            able = {how: way for how, way in ways.items() if separable or not way.kernels}
            timed = throughput.measure(model, network, recipe, able)
            steps[name] = {"batch_size": batch, **asdict(timed)}
            file.write()
        for how, speed in steps[name]["images_per_second"].items():
            share = speed / steps[name]["floor"]
            print(f"{name:9} step  {how:30} {speed:9,.0f} images/s  {share:.0%} of the floor")


def _train(
    file: Measured, chosen: Setting, images: ImageData, fastest: dict[str, str], seeds: int
) -> None:
    ways = {name: chosen.ways(None)[how] for name, how in fastest.items()}
    # torch.compile works once for each network and process: here, and not within the first run.
    for name, way in ways.items():
        if way.compile:
            train_once(chosen, images, name, replace(chosen.recipe, epochs=1), way)
    runs = file.content["runs"]
    done = {(run["network"], run["seed"]) for run in runs}
    for seed in range(seeds):
        for name, way in ways.items():
            if (name, seed) not in done:
                run = train_once(chosen, images, name, replace(chosen.recipe, seed=seed), way)
                runs.append(run | {"way": fastest[name]})
                file.write()
                mirrored, taken = run["accuracy_with_mirror_images"], run["training_seconds"]
                reached = f"{run['accuracy']:.2%}, with mirror images {mirrored:.2%}"
                print(f"{name:9} seed {seed}  {reached}  {taken:.1f} s")


def kill_and_resume(chosen: Setting, images: ImageData, way: Way) -> dict[str, object]:
    """Train in a process of its own, kill it after half of the epochs, and go on in this one.

    Raises:
        TrainingError: if the run has ended before it was killed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch, CHECKPOINT)
        alone = (chosen, way, scratch, torch.get_num_threads())
        process = multiprocessing.get_context("spawn").Process(target=_train_alone, args=alone)
        process.start()
        half = chosen.recipe.epochs / 2
        while not checkpoint.exists() or load_checkpoint(checkpoint).epoch < half:
            if not process.is_alive():
                raise TrainingError("the run that was to be killed has ended before")
            time.sleep(0.05)
        process.kill()
        process.join()
        made = {"network": "separable", "seed": chosen.recipe.seed}
        killed = {"killed_after_epoch": load_checkpoint(checkpoint).epoch}
        return {**made, **killed, "accuracy": _go_on(chosen, images, way, scratch)}


def _train_alone(chosen: Setting, way: Way, folder: str, threads: int) -> None:
    torch.set_num_threads(threads)
    _go_on(chosen, chosen.images(), way, folder)


def _go_on(chosen: Setting, images: ImageData, way: Way, folder: str) -> float:
    model = build(chosen.arguments("separable"), chosen.recipe.seed)
    records = fit(model, images, chosen.recipe, way=way, folder=folder, resume=True)
    return records[-1].test_accuracy
