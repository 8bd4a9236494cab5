"""What a clock is held against to know a machine: copies, products, and one layer of each kind, of random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import nn

from dsconv_lib import layers, spec
from dsconv_lib.networks.layer import Kind, Layer
from dsconv_lib.roofline.work import Work, elementwise, norm, of
from dsconv_lib.spec import ConvSpec

Call = Callable[[], Any]

# One of each kind, of sizes that MobileNet does not have, in the order of their calls.
LAYERS: dict[Kind, ConvSpec] = {
    "standard": spec.standard(48, 96, 40, 3, padding=1),
    "depthwise": spec.depthwise(192, 40, 3, padding=1),
    "pointwise": spec.pointwise(192, 384, 20),
    "linear": spec.pointwise(1280, 1000, 1),
}
# The same programs, with so little to do that all the time goes into starting them.
STARTS: dict[Kind, ConvSpec] = {
    "standard": spec.standard(8, 8, 1, 3, padding=1),
    "depthwise": spec.depthwise(8, 1, 3, padding=1),
    "pointwise": spec.pointwise(8, 8, 1),
    "linear": spec.pointwise(8, 8, 1),
}
LINE = 64  # bytes of a cache line


def work(batch: int) -> dict[str, Work]:
    """The work of `LAYERS`, and of normalisation and ReLU, which pass over what the depthwise layer has written."""
    elements = prod(LAYERS["depthwise"].output_shape(batch))
    counted: dict[str, Work] = {
        kind: of(Layer(kind, kind, conv), batch) for kind, conv in LAYERS.items()
    }
    return {**counted, "norm": norm(elements), "elementwise": elementwise(elements)}


def copies(size: int, times: int, place: torch.device, threads: int) -> Call:
    """A copy made several times in one call; it and its source take `size` bytes together.

    On one thread of a CPU NumPy makes them all, of the whole array as of one element: asking for each takes longer than
    a copy within the first cache.
    """
    if place.type == "cpu" and threads == 1:
        half = size // 2
        memory = np.random.default_rng(0).integers(0, 256, size + LINE, np.uint8)
        # Where halves of cache lines have to be joined, a third of the speed is lost.
        start = -memory.ctypes.data % LINE
        read, written = memory[start:][:half], memory[start + half :][:half]
        source, target = (
            as_strided(each.view(f"V{half}"), (times,), (0,)) for each in (read, written)
        )
        return partial(np.copyto, target, source)
    before = torch.randn(size // 8, device=place)
    return repeated(partial(torch.empty_like(before).copy_, before), times)


def product(side: int, place: torch.device) -> Call:
    """A product of two square matrices."""
    one, other = (torch.randn(side, side, device=place) for _ in range(2))
    return partial(torch.mm, one, other, out=torch.empty_like(one))


def programs(
    convs: Mapping[Kind, ConvSpec], batch: int, place: torch.device, layout: torch.memory_format
) -> dict[str, Call]:
    """Torch's program for each kind of `work`: `LAYERS`, or `STARTS`, on maps of this layout.

    Normalisation reads the map that the depthwise layer has just written, and ReLU what normalisation has written.
    """

    def placed(module: nn.Module) -> nn.Module:
        return module.eval().to(place).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]

    def called(kind: Kind) -> Call:
        x = torch.randn(convs[kind].input_shape(batch)).to(place, memory_format=layout)
        return partial(placed(layers.of(convs[kind])), x)

    filtering, flat = called("depthwise"), convs["linear"]
    normalising = placed(nn.BatchNorm2d(convs["depthwise"].out_channels))
    written = {"map": filtering()}

    def depthwise() -> None:
        written["map"] = filtering()

    def normalise() -> None:
        written["map"] = normalising(written["map"])

    linear = placed(nn.Linear(flat.in_channels, flat.out_channels))
    return {
        "standard": called("standard"),
        "depthwise": depthwise,
        "norm": normalise,
        "elementwise": lambda: torch.relu_(written["map"]),
        "pointwise": called("pointwise"),
        "linear": partial(linear, torch.randn(batch, flat.in_channels, device=place)),
    }


def repeated(call: Call, times: int) -> Call:
    """Several calls in one."""

    def several() -> None:
        for _ in range(times):
            call()

    return several


@contextmanager
def exact() -> Iterator[None]:
    """No gradients, and on a GPU products of float32 as such, not of numbers rounded for its tensor cores."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
