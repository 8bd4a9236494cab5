"""How fast a network could train on a machine, and how fast it does: memory traffic sets the pace."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from dsconv_lib import roofline
from dsconv_lib.networks import Layer
from dsconv_lib.timing import medians
from dsconv_lib.train import Recipe, TrainingError, pick_device
from dsconv_lib.train.optimiser import make_optimiser
from dsconv_lib.train.step import Recorded, Step, Way, make_step, on_kernels, timed_algorithms

COPIED = {"cpu": 1 << 27, "cuda": 1 << 30}  # bytes: far more than any cache holds
# Of the timed steps: so low that the loss falls steadily, and two ways to run a step can be compared.
LEARNING_RATE = 0.01
CHECKED = Recorded.UNRECORDED + 9  # the last ones are replayed where steps are recorded
CLOSE = 0.02  # relative: rounding to bfloat16 moves a loss by less
FALL = 0.05  # relative: less would not show that the weights move
WAYS: dict[str, dict[str, Way]] = {
    "cpu": {"eager": Way("cpu")},
    "cuda": {
        "eager": Way("cuda"),
        "compiled": Way("cuda", compile=True),
        "recorded": Way("cuda", graph=True),
        "compiled and recorded": Way("cuda", compile=True, graph=True),
        "with own kernels": Way("cuda", compile=True, graph=True, kernels=True),
    },
}


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was timed, in turns within one process.

    `images_per_second` of a training step, by how it is run, and the losses of its first steps, on one batch again and
    again; `floor`, the images per second at which the memory alone would be busy all the time; `bandwidth` of a copy in
    bytes per second, those read and those written.
    """

    images_per_second: dict[str, float]
    first_losses: dict[str, list[float]]
    floor: float
    bandwidth: float


def training_bytes(network: Iterable[Layer], element: int = 2) -> int:
    """Bytes that one image's way through a network moves in training, the work of `roofline.training`.

    `element` is the bytes of each element, 2 for bfloat16.
    """
    return roofline.training(network, itemsize=element).bytes


def measure(
    model: nn.Module,
    network: list[Layer],
    recipe: Recipe,
    ways: Mapping[str, Way],
    *,
    repeats: int = 20,
) -> Throughput:
    """Time one training step of a model, run in several ways on one device.

    Args:
        model: trained from copies; it stays as it is.
        network: its layers, for the floor.
        recipe: how to train; its batch size is that of the step.
        ways: how to run the step, by name, the plain way first; `WAYS` has those of each device. On a GPU numbers are
            bfloat16, on a CPU float32.
        repeats: timed rounds.

    Raises:
        TrainingError: if a way learns otherwise than the plain one: its speed would be that of something else.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> from dsconv_lib.train import NETWORKS, RECIPES, build
    >>> arguments, recipe = NETWORKS["digits"], RECIPES["digits"]
    >>> network = mobilenet_v1_layers(resolution=16, **arguments)
    >>> measure(build(arguments), network, recipe, WAYS["cpu"], repeats=1).images_per_second["eager"] > 0
    True
    """
    device = pick_device(next(iter(ways.values())).device)
    images, labels = _batch(network, recipe.batch_size, device)
    gentle = replace(recipe, learning_rate=LEARNING_RATE)

    def ready(way: Way) -> Step:
        own = copy.deepcopy(model).to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        optimiser = make_optimiser(own, gentle, device)
        swaps.enter_context(on_kernels(own, way.kernels))
        return make_step(own, optimiser, way=way, label_smoothing=recipe.label_smoothing)

    size = COPIED[device.type]
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    with ExitStack() as swaps, timed_algorithms():
        steps = {name: ready(way) for name, way in ways.items()}
        calls = {name: partial(step, images, labels) for name, step in steps.items()}
        # Of each way a few steps on the one batch, and the loss before each.
        losses = {name: [call()[0].item() for _ in range(CHECKED)] for name, call in calls.items()}
        check_alike(losses)
        seconds = medians({**calls, "copy": lambda: target.copy_(source)}, repeats=repeats)
    bandwidth = 2 * size / seconds.pop("copy")
    memory = roofline.Level("memory", math.inf, bandwidth)
    alone = roofline.Device("a memory and nothing else", math.inf, (memory,))
    moved = roofline.training(network, itemsize=2 if device.type == "cuda" else 4)
    return Throughput(
        images_per_second={name: recipe.batch_size / taken for name, taken in seconds.items()},
        first_losses=losses,
        floor=1 / roofline.floor(moved, alone).seconds,
        bandwidth=bandwidth,
    )


def _batch(network: list[Layer], size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Noise around one colour for each class: a few steps learn to tell some of them apart."""
    spec, classes = network[0].spec, network[-1].spec.out_channels
    chance = torch.Generator(device).manual_seed(0)
    labels = torch.randint(0, classes, (size,), generator=chance, device=device)
    colours = torch.randn(classes, spec.in_channels, 1, 1, generator=chance, device=device)
    shape = size, spec.in_channels, *spec.in_size
    images = torch.randn(shape, generator=chance, device=device).add_(colours[labels])
    return images.contiguous(memory_format=torch.channels_last), labels


def check_alike(losses: dict[str, list[float]]) -> None:
    """Raise TrainingError unless all ways to run a step learn, and learn like the first one.

    The first loss comes from the same weights, the second shows the first gradient: these agree but for rounding. Later
    ones part, as small differences grow; so of the last one only the fall counts.
    """
    plain, expected = next(iter(losses.items()))
    fall = expected[0] - expected[-1]
    if not fall > FALL * expected[0]:
        raise TrainingError(
            f"{plain}: the loss went from {expected[0]:.4f} to {expected[-1]:.4f} on one batch: "
            f"expected it to fall, so that the other ways can be compared with it"
        )
    for name, found in losses.items():
        for step, (loss, wanted) in enumerate(zip(found, expected, strict=True), start=1):
            rounding = CLOSE * wanted if step <= 2 else math.inf
            allowed = fall / 3 if step == len(found) else rounding
            if not abs(loss - wanted) <= allowed:
                raise TrainingError(
                    f"{name}: loss {loss:.4f} in step {step}: expected {wanted:.4f}, as {plain}, or "
                    f"{allowed:.4f} more or less; this way to run a step does not compute the same"
                )
