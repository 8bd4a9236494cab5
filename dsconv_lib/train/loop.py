"""The loop: epochs of steps, a test after each, and a checkpoint to go on from."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib.data import ImageData
from dsconv_lib.train import checkpoint, processes
from dsconv_lib.train.errors import TrainingError
from dsconv_lib.train.evaluation import evaluate
from dsconv_lib.train.first_layer import whiten
from dsconv_lib.train.images import augment, prepare
from dsconv_lib.train.optimiser import SCHEDULES, make_optimiser, restore, set_rate
from dsconv_lib.train.recipe import Recipe
from dsconv_lib.train.records import METRICS, Board, EpochRecord, Progress, as_csv
from dsconv_lib.train.step import (
    Average,
    Recorded,
    Step,
    compiled,
    make_step,
    on_kernels,
    timed_algorithms,
)


def fit(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    device: str = "auto",
    folder: str | Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    resume: bool = False,
    compile: bool = False,
    graph: bool = False,
    kernels: bool = False,
    tensorboard: bool = False,
    on_step: Callable[[Progress], object] | None = None,
    on_epoch: Callable[[EpochRecord], object] | None = None,
) -> list[EpochRecord]:
    """Train `model` in place by stochastic gradient descent with Nesterov momentum.

    Each epoch takes as many batches as the recipe's batch size asks for, all of one size, and
    leaves out the few images that remain, other ones each time. Among processes that `joined` has
    tied together each batch is shared out, and process 0 writes the files.

    Args:
        model: maps images (B, C, H, W) to scores (B, classes); it is moved to the device, stays
            there, and is left in evaluation mode, with the averaged weights if the recipe has them.
        data: images and labels.
        recipe: how to train.
        device: "auto", "cpu" or "cuda".
        folder: where to write metrics.csv and checkpoint.pt after each epoch; made if it is not
            there.
        arguments: those of `MobileNetV1` that made `model`, for the checkpoint; needed with
            `folder`.
        resume: go on from the checkpoint in `folder`, or from the start if the run ended before it
            had written one. On a CPU the numbers are those of an unbroken run, bit for bit.
        compile: let torch.compile fuse the network's operations. The first step takes long.
        graph: on a GPU, record one step and replay it (a CUDA graph). For one process.
        kernels: let depthwise layers compute with the library's own Triton kernels, for a GPU. The
            model's layers are torch's own again afterwards.
        tensorboard: also write the records for TensorBoard, into `folder`.
        on_step: called as the epoch goes on, for a progress bar.
        on_epoch: called after each epoch of this call, when its files are written.

    Returns:
        One record per epoch, those before the resumption included.

    Raises:
        TrainingError: if the loss is no longer finite, the run cannot start or write its files, or
            the checkpoint to resume from is of another run. What earlier epochs have written stays.
        CheckpointError: if the checkpoint to resume from is damaged.
        KernelError: if the kernels cannot run here.
    """
    place = processes.pick_device(device)
    on_gpu = place.type == "cuda"
    if min(data.train_images.shape[2:]) <= recipe.shift:
        raise TrainingError(f"shift={recipe.shift}: expected fewer pixels than the images' side")
    if graph and (not on_gpu or processes.count() > 1):
        raise TrainingError("graph=True: expected one process on a GPU; train without it")
    if folder is not None:
        if arguments is None or not checkpoint.fits(model, arguments):
            raise TrainingError(
                f"arguments={arguments!r}: expected, with a folder, those of MobileNetV1 that made "
                f"the model, so that the checkpoint can be loaded"
            )
        folder = Path(folder)
        if processes.rank() == 0:
            checkpoint.writable(folder)
    for name, wanted in (("resume", resume), ("tensorboard", tensorboard)):
        if wanted and folder is None:
            raise TrainingError(f"{name} without a folder: expected that of the run")

    # Channels-last is the faster layout for separable layers: a GPU's tensor cores need it, and on
    # a CPU it has halved the time of a step.
    model.to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = _Run(model, data, recipe, place)
    settings = run.settings(data.name, arguments)
    records: list[EpochRecord] = []
    if resume and folder is not None:
        file = folder / checkpoint.CHECKPOINT
        saved = processes.from_first(lambda: checkpoint.read(file) if file.exists() else None)
        if saved is not None:
            checkpoint.check_same_run(saved, settings, folder)
            run.restore(saved)
            records = [EpochRecord(*values) for values in saved["records"]]
    board = Board(folder, records) if tensorboard and folder and processes.rank() == 0 else None

    with on_kernels(model, kernels), processes.together(model) as network, timed_algorithms():
        average = Average(model, run.tested, recipe.average) if recipe.average else None
        forward = compiled(network) if compile else network
        step = make_step(forward, run.optimiser, recipe.label_smoothing, after=average)
        if graph:
            step = Recorded(step)
        for epoch in range(len(records) + 1, recipe.epochs + 1):
            start = perf_counter()
            last = run.train(epoch, step, on_step)
            tensors = run.tensors
            loss, accuracy = evaluate(run.tested, tensors.test_images, tensors.test_labels)
            if not math.isfinite(loss):  # the last step has spoilt the weights after its loss
                raise _diverged(epoch, last.steps, recipe)
            records.append(
                EpochRecord(
                    epoch=epoch,
                    learning_rate=recipe.learning_rate * run.rate(epoch, last.step),
                    train_loss=last.train_loss,
                    train_accuracy=last.train_accuracy,
                    test_loss=loss,
                    test_accuracy=accuracy,
                    images_per_second=last.images_per_second,
                    seconds=perf_counter() - start,
                )
            )
            if folder is not None and processes.rank() == 0:
                now = {
                    "records": [astuple(record) for record in records],
                    "epoch": epoch,
                    "test_accuracy": accuracy,
                }
                content = settings | run.state() | now
                checkpoint.save_checkpoint(folder / checkpoint.CHECKPOINT, content)
                checkpoint.replace_file(folder / METRICS, as_csv(records))
            if board is not None:
                board.add(records[-1])
            if on_epoch is not None:
                on_epoch(records[-1])
    model.load_state_dict(run.tested.state_dict())
    model.eval()
    return records


class _Run:
    """Everything that changes while a model trains, and what a checkpoint keeps of it."""

    def __init__(
        self, model: nn.Module, data: ImageData, recipe: Recipe, place: torch.device
    ) -> None:
        self.tensors = prepare(data, place)
        if recipe.whitened:
            first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
            whiten(first, self.tensors.train_images)
        self.model = model
        self.tested = copy.deepcopy(model) if recipe.average else model
        self.recipe = recipe
        self.optimiser = make_optimiser(model, recipe, place)
        self.generator = torch.Generator(place).manual_seed(recipe.seed)
        self.images = len(data.train_labels)
        self.steps, self.size = _batches(self.images, recipe.batch_size)
        self.first_side = torch.randint(
            0, 2, (self.images,), generator=self.generator, device=place
        )
        self.read_every = 16 if place.type == "cuda" else 1  # reading a loss makes the GPU wait

    def rate(self, epoch: int, step: int) -> float:
        """Share of the highest learning rate in a step of an epoch, both counted from 1."""
        steps = self.recipe.epochs * self.steps
        taken = (epoch - 1) * self.steps + step - 1
        return SCHEDULES[self.recipe.schedule](taken, steps, self.recipe.warmup)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the images and labels of an epoch, in a new order."""
        recipe, place = self.recipe, self.generator.device
        mine = slice(processes.rank(), None, processes.count())
        order = torch.randperm(self.images, generator=self.generator, device=place)
        for chosen in order[: self.steps * self.size].view(self.steps, self.size):
            flip: bool | Tensor = recipe.flip == "by chance"
            if recipe.flip == "in turn":
                flip = (self.first_side[chosen] + epoch) % 2 == 0
            # Every process changes the whole batch and takes its share: cheap beside training on
            # it, and so the images do not depend on the number of processes.
            images = augment(
                self.tensors.train_images[chosen],
                recipe.shift,
                flip,
                self.generator,
                cutout=recipe.cutout,
            )
            yield (
                images[mine].contiguous(memory_format=torch.channels_last),
                self.tensors.train_labels[chosen[mine]],
            )

    def train(
        self, epoch: int, step: Step, on_step: Callable[[Progress], object] | None
    ) -> Progress:
        """Train for one epoch, and tell how it went."""
        self.model.train()
        start = perf_counter()
        losses: list[Tensor] = []
        hits = torch.zeros((), device=self.generator.device)
        for index, (images, labels) in enumerate(self.batches(epoch), start=1):
            set_rate(self.optimiser, self.rate(epoch, index))
            loss, right = step(images, labels)
            losses.append(loss)
            hits += right
            if index % self.read_every == 0 or index == self.steps:
                so_far = processes.total(torch.stack(losses)) / processes.count()
                finite = so_far.isfinite()
                if not finite.all():
                    raise _diverged(epoch, int(finite.long().argmin()) + 1, self.recipe)
                now = Progress(
                    epoch=epoch,
                    step=index,
                    steps=self.steps,
                    train_loss=so_far.mean().item(),
                    train_accuracy=processes.total(hits).item() / (index * self.size),
                    images_per_second=index * self.size / (perf_counter() - start),
                )
                if on_step is not None:
                    on_step(now)
        return now

    def settings(self, data: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """What must be the same for a run to be the same."""
        return {
            "model": "MobileNetV1",
            "arguments": dict(arguments or {}),
            "recipe": asdict(self.recipe),
            "data": data,
            "images": self.images,
            "processes": processes.count(),
            "mean": self.tensors.mean.tolist(),
            "std": self.tensors.std.tolist(),
        }

    def state(self) -> dict[str, Any]:
        """What changes from epoch to epoch; `weights` are the ones that are tested."""
        return {
            "weights": _on_cpu(self.tested),
            "moving_weights": _on_cpu(self.model),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.tested.load_state_dict(saved["weights"])
        self.model.load_state_dict(saved["moving_weights"])
        restore(self.optimiser, saved["optimiser"])
        self.generator.set_state(saved["generator"])


def _batches(images: int, batch_size: int) -> tuple[int, int]:
    """Return the number of batches of an epoch and their size, which all processes share equally.

    A batch of one image could not be normalised, so each has two at least.
    """
    together = processes.count()
    steps = min(math.ceil(images / batch_size), images // max(2, together))
    if not steps:
        raise TrainingError(
            f"{images} images: expected one at least for each of {together} processes"
        )
    return steps, images // steps // together * together


def _on_cpu(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in model.state_dict().items()}


def _diverged(epoch: int, step: int, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"the loss is no longer finite in epoch {epoch}, step {step}: "
        f"train with a lower learning rate than {recipe.learning_rate:g} or a longer warm-up "
        f"than {recipe.warmup:g}; earlier epochs' files stay"
    )
