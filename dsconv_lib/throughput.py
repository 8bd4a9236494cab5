"""How fast a network could train on a machine, and how fast it does: memory traffic sets the pace."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from dsconv_lib.models import Layer
from dsconv_lib.timing import medians
from dsconv_lib.train.optimiser import make_optimiser
from dsconv_lib.train.recipe import Recipe
from dsconv_lib.train.step import Recorded, Step, compiled, make_step

COPIED = {"cpu": 1 << 27, "cuda": 1 << 30}  # bytes: far more than any cache holds


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was timed, in turns within one process.

    `images_per_second` of a training step, by how it is run; `floor`, the images per second at
    which the memory alone would be busy all the time; `bandwidth` of a copy in bytes per second,
    those read and those written.
    """

    images_per_second: dict[str, float]
    floor: float
    bandwidth: float


def training_bytes(network: Iterable[Layer], element: int = 2) -> int:
    """Bytes that one image's way through a network moves in training.

    A convolution with input I and output O, and the batch normalisation and ReLU after it, make
    these passes, if neighbours that work element by element share one:

    - forward: the convolution reads I and writes O; the statistics read O; normalisation and ReLU
      read O and write as much;
    - backward: the sums of normalisation read its gradient and O; its own gradient reads both and
      writes as much; the convolution's two gradients each read that, one reads I, one writes as
      much.

    That is 3 I + 11 O elements. Weights, which a batch shares, and the classifier are left out.

    Args:
        network: the layers.
        element: bytes of one number, 2 for bfloat16.
    """
    convolutions = [layer.cost() for layer in network if layer.kind != "linear"]
    return sum(element * (3 * each.reads + 11 * each.writes) for each in convolutions)


def measure(
    model: nn.Module,
    network: list[Layer],
    recipe: Recipe,
    device: torch.device,
    *,
    fuse: bool,
    repeats: int = 20,
) -> Throughput:
    """Time one training step of a model, run in each way that the device allows.

    Args:
        model: trained from copies; it stays as it is.
        network: its layers, for the floor.
        recipe: how to train; its batch size is that of the step.
        device: where. On a GPU numbers are bfloat16, on a CPU float32.
        fuse: also time the step with torch.compile, for which a CPU needs a C++ compiler.
        repeats: timed rounds.
    """
    on_gpu = device.type == "cuda"
    spec = network[0].spec
    shape = (recipe.batch_size, spec.in_channels, *spec.in_size)
    images = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, network[-1].spec.out_channels, shape[:1], device=device)

    def ready(fused: bool, recorded: bool) -> Callable[[], object]:
        own = copy.deepcopy(model).to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        optimiser = make_optimiser(own, recipe, device)
        step: Step = make_step(compiled(own) if fused else own, optimiser, recipe.label_smoothing)
        if recorded:
            step = Recorded(step)
        return lambda: step(images, labels)

    ways = {"eager": (False, False)}
    if fuse:
        ways["compiled"] = (True, False)
    if on_gpu:
        ways["recorded"] = (False, True)
    if on_gpu and fuse:
        ways["compiled and recorded"] = (True, True)
    size = COPIED[device.type]
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    steps = {name: ready(*way) for name, way in ways.items()}
    seconds = medians(
        {**steps, "copy": lambda: target.copy_(source)},
        repeats=repeats,
        warmup=Recorded.UNRECORDED + 2,
    )
    bandwidth = 2 * size / seconds.pop("copy")
    return Throughput(
        images_per_second={name: recipe.batch_size / taken for name, taken in seconds.items()},
        floor=bandwidth / training_bytes(network, element=2 if on_gpu else 4),
        bandwidth=bandwidth,
    )
