"""How much of the work each program takes: the one place to change when other sizes prove faster."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dsconv_lib.spec import ConvSpec


@dataclass(frozen=True)
class Tile:
    """The share of one program.

    A thread has `patches * channels / (32 * warps)` neighbouring channels of a patch: eight of them are one load of
    16 bytes in bfloat16. Each needs a register for every pixel of the patch (gradient by the weight: for every tap),
    so larger patches spare loads and take registers.
    """

    patch: tuple[int, int]
    patches: int
    channels: int
    warps: int

    def count(self, size: tuple[int, ...], batch: int) -> int:
        """Return how many patches cover a batch of maps."""
        down, across = (-(-n // side) for n, side in zip(size, self.patch, strict=True))
        return batch * down * across


# Programs that share one gradient by the weight: a few for each multiprocessor of a large GPU. It does not follow the
# GPU at hand, so the sums are made in the same order on all of them.
PROGRAMS = 768


def forward_tile(spec: ConvSpec) -> Tile:
    """Share out the output: of the 36 loads that 2 x 2 pixels make for a 3 x 3 kernel, 16 differ.

    With a stride more do, and hold registers, so the patch is smaller.
    """
    return _tile((2, 2) if max(spec.stride) == 1 else (1, 2), spec, warps=8, registers=400)


def input_tile(spec: ConvSpec) -> Tile:
    """Share out the input's gradient: the sides of a patch are multiples of the stride."""
    down, across = (2 if step == 1 else step for step in spec.stride)
    return _tile((down, across), spec, warps=8, registers=200)


def weight_tile(spec: ConvSpec) -> Tile:
    """Share out the output for the gradient by the weight, whose sums take most of a thread's registers."""
    return _tile((2, 2), spec, warps=4, registers=100)


def _tile(patch: tuple[int, int], spec: ConvSpec, warps: int, registers: int) -> Tile:
    """Take 64 channels, a cache line of bfloat16, or all if there are fewer.

    Each thread gets eight of them, or fewer where a number per channel and tap would not fit into so many registers.
    """
    channels = min(64, 1 << (spec.in_channels - 1).bit_length())
    fitting = registers // prod(spec.kernel_size)
    each = min(8, 1 << (fitting.bit_length() - 1)) if fitting else 1
    return Tile(patch, max(1, each * 32 * warps // channels), channels, warps)
