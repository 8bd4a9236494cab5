"""`dsconv train`: MobileNetV1 for small images, on a CPU, a GPU or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from typer import Option

from dsconv_lib import cost, train
from dsconv_lib.cli.console import Data, Device, one_line_errors, open_console
from dsconv_lib.data import ImageData, load
from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.train import CHECKPOINT, METRICS, EpochRecord, Recipe, StepRecord, processes
from dsconv_lib.train.recipes import Schedule, TrainingError


# Long, as each parameter is an option of the command line: typer reads them off the signature.
def train_command(
    dataset: Annotated[
        Literal["digits", "cifar10"],
        Option(help="digits needs no download and trains within a minute."),
    ] = "digits",
    data: Data = None,
    epochs: Annotated[int | None, Option(help="Passes over the data (from the recipe).")] = None,
    batch_size: Annotated[int | None, Option(help="Images a step (from the recipe).")] = None,
    learning_rate: Annotated[
        float | None, Option(help="The highest one (from the recipe).")
    ] = None,
    schedule: Annotated[
        Schedule | None, Option(help="The learning rate's way down (from the recipe).")
    ] = None,
    average: Annotated[
        float | None,
        Option(help="Share that an average of the weights keeps at each step (recipe)."),
    ] = None,
    alpha: Annotated[
        float | None, Option(help="Width multiplier (0.5 for digits, 1 for cifar10).")
    ] = None,
    twin: Annotated[
        bool, Option("--twin", help="Standard 3x3 convolutions in place of separable ones.")
    ] = False,
    seed: Annotated[int, Option(help="The same seed and threads give the same run on a CPU.")] = 0,
    device: Device = "auto",
    threads: Annotated[
        int | None, Option(min=1, help="CPU threads (1 for digits, torch's choice for cifar10).")
    ] = None,
    subset: Annotated[
        int | None, Option(metavar="N", help="Train on the first N images; test on all.")
    ] = None,
    out: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Where the results go (a new folder under runs/)."),
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Let --out replace the results of an earlier run.")
    ] = False,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the run in --out, to the same numbers.")
    ] = False,
    compile_: Annotated[
        bool, Option("--compile", help="Fuse operations; pays off on a GPU, if anywhere.")
    ] = False,
    graph: Annotated[
        bool, Option("--graph", help="Record a step and replay it, on one GPU.")
    ] = False,
    kernels: Annotated[
        bool, Option("--kernels", help="Depthwise layers by the library's own GPU kernels.")
    ] = False,
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Also write curves for TensorBoard.")
    ] = False,
) -> None:
    """Train MobileNetV1 for small images, or its twin with standard convolutions.

    Started by torchrun, several processes train one network together.
    """
    started = perf_counter()
    with one_line_errors():
        given: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "average": average}
        given |= {"learning_rate": learning_rate, "schedule": schedule}
        changes = {name: each for name, each in given.items() if each is not None}
        recipe = replace(train.RECIPES[dataset], seed=seed, **changes)
        way = train.Way(device, compile_, graph, kernels)
        place = processes.pick_device(device)
        if kernels:
            # Here, and not after the data and torch's compiler have been read.
            from dsconv_lib.kernels import launch

            launch.check_device(place)
        # Threads of so small a network mostly wait for each other: on a busy machine two took the digits ten times as
        # long as one, on an idle one they saved a sixth.
        if threads is not None or dataset == "digits":
            torch.set_num_threads(threads or 1)
        with processes.joined(place):
            console = open_console(quiet=processes.rank() > 0)
            name = f"{dataset}-twin" if twin else dataset
            folder = processes.from_first(lambda: _out_folder(out, name, overwrite, resume))
            # Of several processes one downloads.
            images = processes.from_first(lambda: load(dataset, data))
            if subset is not None:
                images = images.subset(subset)
            width = {} if alpha is None else {"alpha": alpha}
            arguments = train.NETWORKS[dataset] | {"separable": not twin} | width
            model = train.build(arguments, recipe.seed)
            console.print(_announced(model, images, recipe, place), highlight=False)
            files: dict[str, Any] = {"folder": folder, "resume": resume, "tensorboard": tensorboard}
            with _shown(console, recipe.epochs) as report:
                records = train.fit(model, images, recipe, way=way, report=report, **files)
            rows = _results(model, images, recipe, records[-1].test_accuracy)
    rows["time"] = f"{perf_counter() - started:,.1f} s"
    rows |= {"checkpoint": str(folder / CHECKPOINT), "metrics": str(folder / METRICS)}
    results = Table.grid("", Column(overflow="fold"), padding=(0, 2))
    for name, value in rows.items():
        results.add_row(name, value)
    console.print(results)


def _announced(model: MobileNetV1, images: ImageData, recipe: Recipe, place: torch.device) -> str:
    together, made = processes.count(), model.arguments
    return (
        f"{'' if made['separable'] else 'The twin of '}MobileNetV1, alpha {made['alpha']:g}, on {images.name}: "
        f"{len(images.train_labels):,} training and {len(images.test_labels):,} test images, "
        f"{recipe.epochs} {'epoch' if recipe.epochs == 1 else 'epochs'} on "
        f"{place.type if together == 1 else f'{together} processes, {place.type}'}"
    )


def _results(
    model: MobileNetV1, images: ImageData, recipe: Recipe, reached: float
) -> dict[str, str]:
    rows = {"test accuracy": f"{reached:.2%} on {images.name}"}
    if recipe.flip != "no":
        tensors = train.prepare(images, next(model.parameters()).device)
        mirrored = train.accuracy(model, tensors.test_images, tensors.test_labels, flip=True)
        rows["with mirror images"] = f"{mirrored:.2%}, scores averaged"
    network = mobilenet_v1_layers(resolution=images.train_images.shape[2:], **model.arguments)
    rows["parameters"] = f"{sum(layer.trainable for layer in network):,}"
    return rows | {"MACs": f"{cost.of(network).macs:,} for one image"}


@contextmanager
def _shown(console: Console, epochs: int) -> Iterator[Callable[[StepRecord | EpochRecord], None]]:
    """A bar that moves with each step, and a line for each epoch: what to call for them."""
    epoch, state = f"epoch {{task.fields[epoch]}}/{epochs}", "{task.fields[state]}"
    left = TimeRemainingColumn(), TextColumn("left")
    columns = TextColumn(epoch), BarColumn(bar_width=20), TextColumn(state), *left
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, epoch=1, state="loss -  accuracy -  - images/s")

        def report(now: StepRecord | EpochRecord) -> None:
            if isinstance(now, StepRecord):
                done, total = (now.epoch - 1) * now.steps + now.step, epochs * now.steps
                state = f"loss {now.train_loss:.3f}  accuracy {now.train_accuracy:.1%}"
                state += f"  {now.images_per_second:,.0f} images/s"
                bar.update(task, total=total, completed=done, epoch=now.epoch, state=state)
            else:
                console.print(
                    f"epoch {now.epoch:>3}  loss {now.train_loss:.3f}  test loss {now.test_loss:.3f}  "
                    f"test accuracy {now.test_accuracy:7.2%}  {now.images_per_second:>9,.0f} images/s",
                    highlight=False,
                )

        yield report


def _out_folder(out: Path | None, name: str, overwrite: bool, resume: bool) -> Path:
    """Choose where results go: an earlier run's are replaced only if that was asked for."""
    if resume:
        if out is None or not out.is_dir() or overwrite:
            raise TrainingError(
                "--resume goes on with an earlier run: expected --out with the folder of that run, and no --overwrite"
            )
        return out
    if out is None:
        numbered = (Path("runs", name if n == 1 else f"{name}-{n}") for n in range(1, 10**6))
        return next(folder for folder in numbered if not folder.exists())
    held = [name for name in (CHECKPOINT, METRICS) if (out / name).exists()]
    if held and not overwrite:
        raise TrainingError(
            f"{out} holds {' and '.join(held)} of an earlier run: "
            f"add --resume to go on with it, name another --out, or add --overwrite to replace it"
        )
    return out
