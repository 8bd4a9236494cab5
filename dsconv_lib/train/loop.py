"""The loop: epochs of steps, a test after each, and a checkpoint to go on from."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib.data import ImageData
from dsconv_lib.models import MobileNetV1
from dsconv_lib.train import processes
from dsconv_lib.train.checkpoint import RunFolder
from dsconv_lib.train.evaluation import evaluate
from dsconv_lib.train.images import augment, prepare
from dsconv_lib.train.optimiser import SCHEDULES, make_optimiser, restore, set_rate
from dsconv_lib.train.recipes import Recipe, TrainingError
from dsconv_lib.train.records import EpochRecord, StepRecord
from dsconv_lib.train.step import Average, Step, Way, make_step, on_kernels, timed_algorithms

Report = Callable[[StepRecord | EpochRecord], object]


def fit(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    way: Way = Way(),
    folder: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    report: Report = lambda record: None,
) -> list[EpochRecord]:
    """Train `model` in place by stochastic gradient descent with Nesterov momentum.

    Each epoch takes as many batches as the recipe's batch size asks for, all of one size, and leaves out the few images
    that remain, other ones each time. Among processes that `joined` has tied together each batch is shared out, and
    process 0 writes the files.

    Args:
        model: maps images (B, C, H, W) to scores (B, classes); it is moved to the device, stays there, and is left in
            evaluation mode, with the averaged weights if the recipe has them.
        data: images and labels.
        recipe: how to train.
        way: where and how a step is run.
        folder: where to write metrics.csv and checkpoint.pt of a MobileNetV1 after each epoch; made if not there.
        resume: go on from the checkpoint in `folder`, or from the start if the run ended before it had written one.
            On a CPU the numbers are those of an unbroken run, bit for bit.
        tensorboard: also write the records for TensorBoard, into `folder`.
        report: called with a `StepRecord` as an epoch goes on, and with its `EpochRecord` when its files are written.

    Returns:
        One record per epoch, those before the resumption included.

    Raises:
        TrainingError: if the loss is no longer finite, the run cannot start, or the checkpoint to resume from is of
            another run. What earlier epochs have written stays.
        CheckpointError: if the checkpoint to resume from is damaged.
        FileError: if a file cannot be written.
        KernelError: if the kernels cannot run here.

    >>> from dataclasses import replace
    >>> from dsconv_lib.data import load_digits
    >>> from dsconv_lib.train import NETWORKS, RECIPES, build
    >>> model, short = build(NETWORKS["digits"]), replace(RECIPES["digits"], epochs=1)
    >>> len(fit(model, load_digits().subset(64), short, way=Way("cpu")))
    1
    """
    place = processes.pick_device(way.device)
    if min(data.train_images.shape[2:]) <= recipe.shift:
        raise TrainingError(f"shift={recipe.shift}: expected fewer pixels than the images' side")
    if way.graph and (place.type != "cuda" or processes.count() > 1):
        raise TrainingError("graph=True: expected one process on a GPU; train without it")
    if folder is None and (resume or tensorboard):
        name = "resume" if resume else "tensorboard"
        raise TrainingError(f"{name} without a folder: expected that of the run")
    if folder is not None and not isinstance(model, MobileNetV1):
        kind = type(model).__name__
        raise TrainingError(f"{kind} with a folder: expected MobileNetV1, as checkpoints are of it")
    run = _Run(model, data, recipe, place)
    files = RunFolder(Path(folder), run.settings()) if folder is not None else None
    records = run.restored(files.earlier() if files and resume else None)
    if files and tensorboard:
        files.draw(records)
    with on_kernels(model, way.kernels), processes.together(model) as network, timed_algorithms():
        step = run.make_step(network, way)
        for epoch in range(len(records) + 1, recipe.epochs + 1):
            records.append(run.epoch(epoch, step, report))
            if files:
                files.write(records, run.state())
            report(records[-1])
    model.load_state_dict(run.tested.state_dict())
    model.eval()
    return records


class _Run:
    """Everything that changes while a model trains, and what a checkpoint keeps of it."""

    def __init__(
        self, model: nn.Module, data: ImageData, recipe: Recipe, place: torch.device
    ) -> None:
        # Channels-last is the faster layout for separable layers: a GPU's tensor cores need it, and on a CPU it has
        # halved the time of a step.
        model.to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.recipe = model, recipe
        self.data, self.images = data.name, len(data.train_labels)
        self.tensors = prepare(data, place)
        self.tested = copy.deepcopy(model) if recipe.average else model
        self.optimiser = make_optimiser(model, recipe, place)
        self.generator = torch.Generator(place).manual_seed(recipe.seed)
        self.steps, self.size = _batches(self.images, recipe.batch_size)
        chance: dict[str, Any] = {"generator": self.generator, "device": place}
        self.first_side = torch.randint(0, 2, (self.images,), **chance)
        self.read_every = 16 if place.type == "cuda" else 1  # reading a loss makes the GPU wait

    def make_step(self, network: nn.Module, way: Way) -> Step:
        """The function that learns from one batch, and moves the average along."""
        keep, smoothing = self.recipe.average, self.recipe.label_smoothing
        average = Average(self.model, self.tested, keep) if keep else None
        return make_step(network, self.optimiser, way=way, label_smoothing=smoothing, after=average)

    def rate(self, epoch: int, step: int) -> float:
        """The learning rate in a step of an epoch, both counted from 1."""
        taken, steps = (epoch - 1) * self.steps + step - 1, self.recipe.epochs * self.steps
        share = SCHEDULES[self.recipe.schedule](taken, steps, self.recipe.warmup)
        return self.recipe.learning_rate * share

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the images and labels of an epoch, in a new order."""
        recipe, place, tensors = self.recipe, self.generator.device, self.tensors
        mine = slice(processes.rank(), None, processes.count())
        order = torch.randperm(self.images, generator=self.generator, device=place)
        for chosen in order[: self.steps * self.size].view(self.steps, self.size):
            flip: bool | Tensor = recipe.flip == "by chance"
            if recipe.flip == "in turn":
                flip = (self.first_side[chosen] + epoch) % 2 == 0
            # Every process changes the whole batch and takes its share: cheap beside training on it, and so the images
            # do not depend on the number of processes.
            images, shift, hidden = tensors.train_images[chosen], recipe.shift, recipe.cutout
            images = augment(images, shift, flip, self.generator, cutout=hidden)[mine]
            labels = tensors.train_labels[chosen[mine]]
            yield images.contiguous(memory_format=torch.channels_last), labels

    def epoch(self, epoch: int, step: Step, report: Report) -> EpochRecord:
        """Train for one epoch, and test."""
        start = perf_counter()
        last = self.train(epoch, step, report)
        tensors = self.tensors
        loss, accuracy = evaluate(self.tested, tensors.test_images, tensors.test_labels)
        if not math.isfinite(loss):  # the last step has spoilt the weights after its loss
            raise _diverged(epoch, last.steps, self.recipe)
        return EpochRecord(
            epoch=epoch,
            learning_rate=self.rate(epoch, last.step),
            train_loss=last.train_loss,
            train_accuracy=last.train_accuracy,
            test_loss=loss,
            test_accuracy=accuracy,
            images_per_second=last.images_per_second,
            seconds=perf_counter() - start,
        )

    def train(self, epoch: int, step: Step, report: Report) -> StepRecord:
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
                record = self.read(epoch, losses, hits, start)
                report(record)
        return record

    def read(self, epoch: int, losses: list[Tensor], hits: Tensor, start: float) -> StepRecord:
        """Where an epoch that began at `start` stands, over all processes."""
        so_far = processes.total(torch.stack(losses)) / processes.count()
        finite = so_far.isfinite()
        if not finite.all():
            raise _diverged(epoch, int(finite.long().argmin()) + 1, self.recipe)
        step, images = len(losses), len(losses) * self.size
        loss, accuracy = so_far.mean().item(), processes.total(hits).item() / images
        speed = images / (perf_counter() - start)
        return StepRecord(epoch, step, self.steps, loss, accuracy, speed)

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to be the same."""
        return {
            "model": "MobileNetV1",
            "arguments": self.model.arguments,
            "recipe": asdict(self.recipe),
            "data": self.data,
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

    def restored(self, saved: Mapping[str, Any] | None) -> list[EpochRecord]:
        """Go back to a state, if there is one, and return the records of its epochs."""
        if saved is None:
            return []
        self.tested.load_state_dict(saved["weights"])
        self.model.load_state_dict(saved["moving_weights"])
        restore(self.optimiser, saved["optimiser"])
        self.generator.set_state(saved["generator"])
        return [EpochRecord(*values) for values in saved["records"]]


def _batches(images: int, batch_size: int) -> tuple[int, int]:
    """Return the number of batches of an epoch and their size, which all processes share equally.

    A batch of one image could not be normalised, so each has two at least.
    """
    together = processes.count()
    steps = min(math.ceil(images / batch_size), images // max(2, together))
    if not steps:
        expected = f"one at least for each of {together} processes"
        raise TrainingError(f"{images} images: expected {expected}")
    return steps, images // steps // together * together


def _on_cpu(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in model.state_dict().items()}


def _diverged(epoch: int, step: int, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"the loss is no longer finite in epoch {epoch}, step {step}: "
        f"train with a lower learning rate than {recipe.learning_rate:g} or a longer warm-up "
        f"than {recipe.warmup:g}; earlier epochs' files stay"
    )
