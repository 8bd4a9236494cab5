"""One training loop, from a laptop's CPU to one GPU, small enough to read.

`RECIPES` holds settings that work for each data set of `data`. A run gives the same numbers again
on the same CPU with the same seed and number of threads: all chance comes from one generator, and
torch's own is left as it was.
"""

from __future__ import annotations

import csv
import io
import math
import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from time import perf_counter
from types import UnionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib.data import ImageData
from dsconv_lib.models import MobileNetV1

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.csv"


class TrainingError(RuntimeError):
    """A run that cannot start or go on; the message says why and what to do."""


class CheckpointError(ValueError):
    """A file that holds no checkpoint of this library; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    `learning_rate` is the highest one, reached after `warmup`, a fraction of the run, and followed
    by a cosine down to 0. `label_smoothing` is the share of the target that is spread over all
    classes. Training images are moved by up to `shift` pixels in each direction and, with `flip`,
    half of them are mirrored. `seed` decides on the order and on these changes; `build` uses it for
    the first weights.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup: float = 0.2
    shift: int = 0
    flip: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        expected: dict[str, tuple[type | UnionType, float, float, str]] = {
            "epochs": (int, 1, math.inf, "an integer, 1 or more"),
            "batch_size": (int, 2, math.inf, "an integer, 2 or more for batch normalisation"),
            "learning_rate": (int | float, math.ulp(0), math.inf, "a number above 0"),
            "momentum": (int | float, 0, 1, "0 to below 1"),
            "weight_decay": (int | float, 0, math.inf, "0 or more"),
            "label_smoothing": (int | float, 0, 1, "0 to below 1"),
            "warmup": (int | float, 0, 1, "0 to below 1, a fraction of the run"),
            "shift": (int, 0, math.inf, "an integer, 0 or more pixels"),
            "seed": (int, 0, 2**63, "an integer from 0 to 2**63 - 1"),
        }
        for name, (kind, lowest, end, words) in expected.items():
            value = getattr(self, name)
            typed = isinstance(value, kind)
            if not typed or not lowest <= value < end:
                raise TrainingError(f"{name}={value!r}: expected {words}")


RECIPES = {
    # For MobileNetV1(0.5, in_channels=1, stem="small", shallow=True); five seeds gave 99.4 to 100 %.
    "digits": Recipe(epochs=20, batch_size=64, learning_rate=0.2, label_smoothing=0.1, shift=1),
    "cifar10": Recipe(
        epochs=20, batch_size=512, learning_rate=0.4, label_smoothing=0.1, shift=2, flip=True
    ),
}


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch came to; its fields are the columns of metrics.csv.

    `learning_rate` is that of the last step. Training loss (smoothed labels) and accuracy are
    averages over the epoch's changed images, while the weights move; test loss and accuracy are
    taken after it, on the whole test set as it is. Accuracies are fractions. `images_per_second` is
    the training alone, `seconds` the epoch with its test.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    images_per_second: float
    seconds: float


class Progress(NamedTuple):
    """Where a running epoch stands: step of steps; loss, accuracy and speed since it began."""

    epoch: int
    step: int
    steps: int
    train_loss: float
    train_accuracy: float
    images_per_second: float


class Tensors(NamedTuple):
    """A data set on a device: float32 images (N, C, H, W), normalised; int64 labels (N,).

    `mean` and `std`, shape (C,), are those of the training images divided by 255.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor
    std: Tensor


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


def pick_device(device: str = "auto") -> torch.device:
    """Return the device to train on: "auto" takes CUDA where there is one, else the CPU.

    Raises:
        TrainingError: if the name is not "auto", "cpu" or "cuda", or there is no CUDA device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise TrainingError(f"device={device!r}: expected 'auto', 'cpu' or 'cuda'")
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device='cuda': torch finds no CUDA device here; use 'auto' or 'cpu'")
    return torch.device(device)


def prepare(data: ImageData, device: str | torch.device = "cpu") -> Tensors:
    """Put a data set on a device, normalised; as small as these images are, all of it fits."""
    train = torch.from_numpy(data.train_images).to(device).float().div_(255)
    test = torch.from_numpy(data.test_images).to(device).float().div_(255)
    mean = train.mean(dim=(0, 2, 3))
    # Images of one colour have no spread to divide by.
    std = train.std(dim=(0, 2, 3)).clamp_min(1 / 255)
    for images in (train, test):
        images.sub_(mean[:, None, None]).div_(std[:, None, None])
    train, test = (images.contiguous(memory_format=torch.channels_last) for images in (train, test))
    train_labels = torch.from_numpy(data.train_labels).to(device)
    test_labels = torch.from_numpy(data.test_labels).to(device)
    return Tensors(train, train_labels, test, test_labels, mean, std)


def augment(images: Tensor, shift: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Move each image by up to `shift` pixels each way and mirror half of them, by chance.

    Args:
        images: shape (B, C, H, W), on the generator's device.
        shift: pixels, less than H and W. What moves in at an edge is the image reflected there, so
            that no pixel wraps round from the far side and no border of another colour appears.
        flip: mirror left to right with probability 1/2.
        generator: where the chance comes from.

    Returns:
        New images of the same shape, or `images` itself if nothing is asked for.
    """
    batch, _, height, width = images.shape
    draw: dict[str, Any] = {"generator": generator, "device": images.device}
    if shift:
        padded = F.pad(images, (shift,) * 4, mode="reflect")
        top = torch.randint(0, 2 * shift + 1, (batch, 1, 1), **draw)
        left = torch.randint(0, 2 * shift + 1, (batch, 1, 1), **draw)
        each = torch.arange(batch, device=images.device)[:, None, None]
        rows = top + torch.arange(height, device=images.device)[:, None]
        columns = left + torch.arange(width, device=images.device)
        images = padded[each, :, rows, columns].movedim(3, 1)
    if flip:
        chosen = torch.rand((batch, 1, 1, 1), **draw) < 0.5
        images = torch.where(chosen, images.flip(3), images)
    return images


def schedule(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a line up to 1, then a cosine towards 0.

    Args:
        step: optimiser steps taken before this one, 0 to `steps` - 1.
        steps: optimiser steps of the whole run.
        warmup: fraction of the run on the line, 0 to below 1.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Sort a model's parameters for the optimiser: with weight decay, and without.

    Depthwise filters get none, as they have so few weights; nor do biases and batch normalisation,
    which have one or two numbers per channel. All other weights do.

    Source: Howard et al. 2017, MobileNets, section 3.2.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in model.modules():
        # A grey image's first layer has in_channels == groups == 1, and is a standard convolution.
        depthwise = getattr(module, "groups", 1) > 1 and module.groups == module.in_channels
        for parameter in module.parameters(recurse=False):
            (free if depthwise or parameter.ndim == 1 else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def evaluate(
    model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 1000
) -> tuple[float, float]:
    """Mean cross-entropy (natural logarithm, labels as they are) and accuracy (a fraction).

    Args:
        model: put into evaluation mode for this and then back.
        images: normalised, shape (N, C, H, W); `Tensors` has them.
        labels: shape (N,), on the same device.
        batch_size: images at a time.
    """
    was_training = model.training
    model.eval()
    loss, hits = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    with torch.no_grad(), _precision(images.device):
        for start in range(0, len(images), batch_size):
            targets = labels[start : start + batch_size]
            scores = model(images[start : start + batch_size])
            loss += F.cross_entropy(scores, targets, reduction="sum")
            hits += (scores.argmax(dim=1) == targets).sum()
    model.train(was_training)
    return loss.item() / len(images), hits.item() / len(images)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Fraction of the images that `model` names rightly. Arguments as in `evaluate`."""
    return evaluate(model, images, labels)[1]


def fit(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    device: str = "auto",
    folder: str | Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_step: Callable[[Progress], object] | None = None,
    on_epoch: Callable[[EpochRecord], object] | None = None,
) -> list[EpochRecord]:
    """Train `model` in place by stochastic gradient descent with Nesterov momentum.

    Args:
        model: maps images (B, C, H, W) to scores (B, classes); it is moved to the device, stays
            there, and is left in evaluation mode.
        data: images and labels.
        recipe: how to train.
        device: "auto", "cpu" or "cuda".
        folder: where to write metrics.csv and checkpoint.pt after each epoch; made if it is not
            there.
        arguments: those of `MobileNetV1` that made `model`, for the checkpoint; needed with
            `folder`.
        resume: go on from the checkpoint in `folder`, or from the start if the run ended before it
            had written one. On a CPU the numbers are those of an unbroken run, bit for bit.
        on_step: called as the epoch goes on, for a progress bar.
        on_epoch: called after each epoch of this call, when its files are written.

    Returns:
        One record per epoch, those before the resumption included.

    Raises:
        TrainingError: if the loss is no longer finite, the run cannot start or write its files, or
            the checkpoint to resume from is of another run. What earlier epochs have written stays.
        CheckpointError: if the checkpoint to resume from is damaged.
    """
    place = pick_device(device)
    if min(data.train_images.shape[2:]) <= recipe.shift:
        raise TrainingError(f"shift={recipe.shift}: expected fewer pixels than the images' side")
    if folder is not None:
        if arguments is None or _shapes(build(arguments)) != _shapes(model):
            raise TrainingError(
                f"arguments={arguments!r}: expected, with a folder, those of MobileNetV1 that made "
                f"the model, so that the checkpoint can be loaded"
            )
        folder = _writable(Path(folder))
    elif resume:
        raise TrainingError("resume without a folder: expected the folder of the run to go on with")
    on_gpu = place.type == "cuda"
    tensors = prepare(data, place)
    # Channels-last is the faster layout for separable layers: a GPU's tensor cores need it, and on
    # a CPU it has halved the time of a step.
    model.to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        parameter_groups(model, recipe.weight_decay),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )
    generator = torch.Generator(place).manual_seed(recipe.seed)
    images_total = len(tensors.train_labels)
    # Batches as equal as can be: a last batch of one image could not be normalised.
    steps = min(math.ceil(images_total / recipe.batch_size), images_total // 2)
    read_every = 16 if on_gpu else 1  # reading a loss makes the GPU wait
    run = {
        "model": "MobileNetV1",
        "arguments": dict(arguments or {}),
        "recipe": asdict(recipe),
        "data": data.name,
        "images": images_total,
        "mean": tensors.mean.tolist(),
        "std": tensors.std.tolist(),
    }
    records: list[EpochRecord] = []
    if resume and folder is not None and (folder / CHECKPOINT).exists():
        saved = _read(folder / CHECKPOINT)
        _check_same_run(saved, run, folder)
        model.load_state_dict(saved["weights"])
        optimiser.load_state_dict(saved["optimiser"])
        generator.set_state(saved["generator"])
        records = [EpochRecord(*values) for values in saved["records"]]

    for epoch in range(len(records) + 1, recipe.epochs + 1):
        model.train()
        start = perf_counter()
        losses, hits, images_done = [], torch.zeros((), device=place), 0
        order = torch.randperm(images_total, generator=generator, device=place)
        for step, chosen in enumerate(order.tensor_split(steps)):
            rate = recipe.learning_rate * schedule(
                (epoch - 1) * steps + step, recipe.epochs * steps, recipe.warmup
            )
            for group in optimiser.param_groups:
                group["lr"] = rate
            labels = tensors.train_labels[chosen]
            images = augment(tensors.train_images[chosen], recipe.shift, recipe.flip, generator)
            with _precision(place):
                scores = model(images.contiguous(memory_format=torch.channels_last))
                loss = F.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

            losses.append(loss.detach())
            hits += (scores.detach().argmax(dim=1) == labels).sum()
            images_done += len(chosen)
            if (step + 1) % read_every == 0 or step + 1 == steps:
                so_far = torch.stack(losses)
                finite = so_far.isfinite()
                if not finite.all():
                    raise _diverged(epoch, int(finite.long().argmin()) + 1, recipe)
                now = Progress(
                    epoch=epoch,
                    step=step + 1,
                    steps=steps,
                    train_loss=so_far.mean().item(),
                    train_accuracy=hits.item() / images_done,
                    images_per_second=images_done / (perf_counter() - start),
                )
                if on_step is not None:
                    on_step(now)

        test_loss, test_accuracy = evaluate(model, tensors.test_images, tensors.test_labels)
        if not math.isfinite(test_loss):  # the last step has spoilt the weights after its loss
            raise _diverged(epoch, steps, recipe)
        records.append(
            EpochRecord(
                epoch=epoch,
                learning_rate=rate,
                train_loss=now.train_loss,
                train_accuracy=now.train_accuracy,
                test_loss=test_loss,
                test_accuracy=test_accuracy,
                images_per_second=now.images_per_second,
                seconds=perf_counter() - start,
            )
        )
        if folder is not None:
            state = {
                "weights": {name: value.cpu() for name, value in model.state_dict().items()},
                "optimiser": optimiser.state_dict(),
                "generator": generator.get_state(),
                "records": [astuple(record) for record in records],
                "epoch": epoch,
                "test_accuracy": test_accuracy,
            }
            save_checkpoint(folder / CHECKPOINT, run | state)
            _replace(folder / METRICS, _csv(records))
        if on_epoch is not None:
            on_epoch(records[-1])
    model.eval()
    return records


def save_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint: whenever the process dies, `path` holds the old or the new one, whole.

    Raises:
        TrainingError: if the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    _replace(Path(path), buffer.getvalue())


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read what `fit` has written; the model is on the CPU, in evaluation mode.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds another model.
    """
    content = _read(Path(path))
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


def _read(path: Path) -> dict[str, Any]:
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


def _check_same_run(saved: Mapping[str, Any], run: Mapping[str, Any], folder: Path) -> None:
    """Raise TrainingError unless the checkpoint comes from the run that is about to go on."""
    missing = {"weights", "optimiser", "generator", "records", *run} - saved.keys()
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


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


def _precision(device: torch.device) -> AbstractContextManager[Any]:
    # A GPU's tensor cores run bfloat16; most CPUs have no fast path for it, and a CPU run is the
    # reference: float32.
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def _diverged(epoch: int, step: int, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"the loss is no longer finite in epoch {epoch}, step {step}: "
        f"train with a lower learning rate than {recipe.learning_rate:g} or a longer warm-up "
        f"than {recipe.warmup:g}; earlier epochs' files stay"
    )


def _writable(folder: Path) -> Path:
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


def _replace(path: Path, content: bytes) -> None:
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


def _csv(records: list[EpochRecord]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(EpochRecord))
    writer.writerows(astuple(record) for record in records)
    return text.getvalue().encode()
