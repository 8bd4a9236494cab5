"""Which separable convolutions to compute in one program, and in what shares: from bytes and FLOPs, without a GPU.

Fused, a layer saves two passes over the map between its halves. For that each program computes the depthwise half again
for its own block of output channels, and reads its input and weights through the cache: with many channels that costs
more than it saves. The seconds here are bounds from counted work, in a model of a GPU that has six numbers; none has
been measured. The two halves apart are taken at their floor, so where the model is in doubt it says apart.

FLOPs are 2 for each multiply-add; ReLU and biases are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod

from dsconv_lib import cost
from dsconv_lib.kernels.errors import KernelError
from dsconv_lib.kernels.tiles import SeparableTile, separable_tiles
from dsconv_lib.networks import Layer
from dsconv_lib.spec import ConvSpec, SeparableSpec, require_int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What a plan has to know of a GPU, for one type of numbers.

    `memory` and `cache` in bytes per second, the cache being the one that all multiprocessors share; `matrix` and
    `vector` in FLOP per second, of matrix units in the type of the maps (float32 has none here: the vector rate) and
    of float32 arithmetic outside them; `multiprocessors` their number; `launch` the seconds that any kernel takes.
    """

    memory: float
    cache: float
    matrix: float
    vector: float
    multiprocessors: int
    launch: float

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (value > 0 or (name == "launch" and value == 0)):
                raise KernelError(f"{name}={value!r}: expected a number greater than 0")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is expected of one layer: seconds with its halves `fused`, in programs of this `tile`, and `apart`."""

    tile: SeparableTile
    fused: float
    apart: float

    @property
    def fuses(self) -> bool:
        """Whether fusing is expected to save time."""
        return self.fused < self.apart


def of(conv: SeparableSpec, gpu: Gpu, batch: int = 1, *, itemsize: int = 2) -> Plan:
    """Plan one separable convolution, with the tile that is expected to be fastest.

    Args:
        conv: in two dimensions, with one filter for each channel.
        gpu: what it runs on.
        batch: number of images B.
        itemsize: bytes of a number in the maps: 2 for bfloat16, 4 for float32.

    Raises:
        KernelError: if the kernel does not compute such a convolution.

    >>> from dsconv_lib import spec
    >>> gpu = Gpu(memory=4e12, cache=6e12, matrix=8e14, vector=6e13, multiprocessors=132, launch=2e-6)
    >>> of(spec.separable(128, 128, 56, 3, padding=1), gpu, batch=512).fuses
    True
    >>> of(spec.separable(1024, 1024, 7, 3, padding=1), gpu, batch=512).fuses
    False
    """
    require_int("batch", batch)
    first, second = conv
    if first.ndim != 2 or first.out_channels != first.in_channels:
        raise KernelError(
            f"{first.in_channels} channels in, {first.out_channels} between the halves, {first.ndim} dimensions: "
            f"expected two dimensions and one filter for each channel (multiplier=1)"
        )
    seconds = {
        tile: fused_seconds(conv, tile, gpu, batch, itemsize)
        for tile in separable_tiles(first, second.out_channels, itemsize)
    }
    # Of tiles that do alike, the largest: what a program does once, the fewest do then.
    best = min(seconds, key=lambda tile: (seconds[tile], -tile.pixels * tile.outputs))
    return Plan(best, seconds[best], apart_seconds(conv, gpu, batch, itemsize))


def network(
    layers: Iterable[Layer], gpu: Gpu, batch: int = 1, *, itemsize: int = 2
) -> dict[str, Plan]:
    """Plan every depthwise layer of a table that a pointwise one follows, by the depthwise layer's name.

    Arguments and errors are those of `of`.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> gpu = Gpu(memory=4e12, cache=6e12, matrix=8e14, vector=6e13, multiprocessors=132, launch=2e-6)
    >>> len(network(mobilenet_v1_layers(), gpu, batch=512))
    13
    """
    return {
        first.name: of(SeparableSpec(first.spec, second.spec), gpu, batch, itemsize=itemsize)
        for first, second in pairwise(layers)
        if (first.kind, second.kind) == ("depthwise", "pointwise")
    }


def apart_seconds(conv: SeparableSpec, gpu: Gpu, batch: int, itemsize: int = 2) -> float:
    """Return the floor of two kernels, biases and ReLU in them: each moves each byte once, or computes all the time."""
    seconds = 0.0
    for half, rate in zip(conv, (gpu.vector, gpu.matrix), strict=True):
        each = cost.of(half, batch)
        seconds += gpu.launch + max(each.bytes(itemsize) / gpu.memory, each.flops / rate)
    return seconds


def fused_seconds(
    conv: SeparableSpec, tile: SeparableTile, gpu: Gpu, batch: int, itemsize: int = 2
) -> float:
    """Return the time of one kernel: its way to memory, to the cache, or its arithmetic, whichever takes longest.

    A program does one half after the other, so their arithmetic adds up. Fewer programs than multiprocessors leave some
    of these with nothing to do.
    """
    first, second = conv
    halves = cost.of(conv, batch)
    # All but the map in between, which the first half would write and the second read.
    memory = (halves.bytes(itemsize) - 2 * itemsize * cost.of(second, batch).reads) / gpu.memory
    runs = ceil(tile.count(first.out_size, batch) / tile.patches)
    programs = runs * ceil(second.out_channels / tile.outputs)
    # What overhangs is computed, too.
    channels = ceil(first.in_channels / tile.channels) * tile.channels
    vector = 2 * programs * tile.pixels * channels * prod(first.kernel_size)
    matrix = 2 * programs * tile.pixels * channels * tile.outputs
    read = first.in_channels * (window(first, tile) + min(tile.outputs, second.out_channels))
    busy = min(1.0, programs / gpu.multiprocessors)
    cache = programs * read * itemsize / gpu.cache
    slowest = max(memory, cache, vector / gpu.vector + matrix / gpu.matrix)
    return gpu.launch + slowest / busy


def window(conv: ConvSpec, tile: SeparableTile) -> float:
    """Return the input pixels that one program reads, those that several of its windows share counted once.

    Its pixels are taken to fill rows of an image, and then images, from their first pixel on.

    >>> from dsconv_lib import spec
    >>> conv = spec.depthwise(8, 64, 3, padding=1)
    >>> window(conv, SeparableTile((1, 2), patches=64, channels=16, warps=4, outputs=16))  # two rows: 4 x 64
    256.0
    """
    height, width = conv.out_size
    across = min(tile.pixels, width)
    down = min(max(1, tile.pixels // width), height)
    read = [
        min(size, step * (count - 1) + span)
        for size, step, count, span in zip(
            conv.in_size, conv.stride, (down, across), conv.kernel_span, strict=True
        )
    ]
    return tile.pixels / (across * down) * prod(read)
