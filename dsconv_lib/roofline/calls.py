"""What a clock is held against to know a machine: copies, products, and one layer of each kind, of random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import prod

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor, nn

from dsconv_lib import layers, spec
from dsconv_lib.networks import Layer
from dsconv_lib.roofline.work import Work, elementwise, norm, of

Call = Callable[[], object]

# One of each kind, of sizes that MobileNet does not have.
LAYERS = (
    Layer("standard", "standard", spec.standard(48, 96, 40, 3, padding=1)),
    Layer("depthwise", "depthwise", spec.depthwise(192, 40, 3, padding=1)),
    Layer("pointwise", "pointwise", spec.pointwise(192, 384, 20)),
    Layer("linear", "linear", spec.pointwise(1280, 1000, 1)),
)
# The same programs, with so little to do that all the time goes into starting them.
STARTS = (
    Layer("standard", "standard", spec.standard(8, 8, 1, 3, padding=1)),
    Layer("depthwise", "depthwise", spec.depthwise(8, 1, 3, padding=1)),
    Layer("pointwise", "pointwise", spec.pointwise(8, 8, 1)),
    Layer("linear", "linear", spec.pointwise(8, 8, 1)),
)
LINE = 64  # bytes of a cache line
MAP = (1, 192, 40, 40)  # what normalisation and ReLU pass over
WORK: dict[str, Work] = {layer.kind: of(layer) for layer in LAYERS}
WORK |= {"norm": norm(prod(MAP)), "elementwise": elementwise(prod(MAP))}


def copies(size: int, times: int, place: torch.device, threads: int) -> Call:
    """A copy made several times in one call; it and its source take `size` bytes together.

    On one thread of a CPU NumPy makes them all, of the whole array as of one element: asking for each takes longer than
    a copy within the first cache.
    """
    if place.type == "cpu" and threads == 1:
        half = size // 2
        memory = np.random.default_rng(0).integers(0, 256, size + LINE, np.uint8)
        start = (
            -memory.ctypes.data % LINE
        )  # where halves of lines have to be joined, a third of the speed is lost
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


def kinds(place: torch.device, layout: torch.memory_format) -> dict[str, Call]:
    """Torch's program for each kind of work in `WORK`, on maps of this layout."""
    return _programs(LAYERS, MAP, place, layout)


def starts(place: torch.device, layout: torch.memory_format) -> dict[str, Call]:
    """The same programs, each with hardly anything to do."""
    return _programs(STARTS, (1, 8, 1, 1), place, layout)


def _programs(
    layers_: tuple[Layer, ...],
    map_: tuple[int, ...],
    place: torch.device,
    layout: torch.memory_format,
) -> dict[str, Call]:

    def placed(module: nn.Module) -> nn.Module:
        return module.eval().to(place).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]

    def random(*shape: int) -> Tensor:
        return torch.randn(shape).to(place, memory_format=layout)

    calls: dict[str, Call] = {
        layer.kind: partial(placed(layers.of(layer.spec)), random(*layer.spec.input_shape()))
        for layer in layers_
        if layer.kind != "linear"
    }
    sizes = next(layer.spec for layer in layers_ if layer.kind == "linear")
    linear = nn.Linear(sizes.in_channels, sizes.out_channels).to(place)
    calls["linear"] = partial(linear, torch.randn(1, sizes.in_channels, device=place))
    calls["norm"] = partial(placed(nn.BatchNorm2d(map_[1])), random(*map_))
    calls["elementwise"] = partial(torch.relu_, random(*map_))
    return calls


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
