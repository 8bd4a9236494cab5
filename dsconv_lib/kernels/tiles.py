"""How much of the work each program takes: the one place to change when other sizes prove faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
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


@dataclass(frozen=True)
class SeparableTile(Tile):
    """The share of one program of a fused separable convolution: patches of so many `outputs`, the output channels.

    It computes the depthwise half `channels` at a time. What it sums up for the pointwise half stays in registers,
    `patches * outputs / (32 * warps)` numbers of a thread for every pixel of the patch.
    """

    outputs: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> SeparableTile:
        """Return the tile of these `numbers`."""
        down, across, patches, channels, warps, outputs = numbers
        return cls((down, across), patches, channels, warps, outputs)

    @property
    def numbers(self) -> list[int]:
        """All that it holds, as an operation of torch can take it."""
        return [*self.patch, self.patches, self.channels, self.warps, self.outputs]

    @property
    def pixels(self) -> int:
        """Output pixels of one program."""
        return self.patches * prod(self.patch)

    @property
    def sums(self) -> int:
        """Registers of a thread that hold sums of either half."""
        return self.pixels * (self.outputs + self.channels) // (32 * self.warps)


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


def separable_tile(conv: ConvSpec, out_channels: int, itemsize: int = 2) -> SeparableTile:
    """Share out a fused separable convolution where no plan has been made.

    `conv` is its depthwise half, `itemsize` the bytes of a number in its maps.
    """
    channels, outputs = _block(conv.in_channels, 32), _block(out_channels, 128)
    side = _sides(conv, itemsize)[:2][-1]
    return SeparableTile((1, side), 128 // side, channels, warps=8, outputs=outputs)


def separable_tiles(
    conv: ConvSpec, out_channels: int, itemsize: int = 2
) -> Iterator[SeparableTile]:
    """Yield the tiles that a plan chooses from, those whose sums leave the other numbers of a thread room."""
    channels, most = _block(conv.in_channels, 32), _block(out_channels, 256)
    blocks = [block for block in (16, 32, 64, 128, 256) if block <= most]
    for side, patches, block, warps in product(
        _sides(conv, itemsize), (16, 32, 64, 128), blocks, (4, 8)
    ):
        tile = SeparableTile((1, side), patches, channels, warps, block)
        # Of sm_90's 255 registers, with a kernel of 5 x 5: with more sums, or more outputs of a warp, some are spilled.
        if tile.sums <= 80 and block <= 32 * warps:
            yield tile


def _sides(conv: ConvSpec, itemsize: int) -> list[int]:
    """Take as many neighbours in a row as there are; but products in float32 alone fill the registers with one."""
    return [
        side for side in (1, 2, 4) if side == 1 or (side < 2 * conv.out_size[1] and itemsize < 4)
    ]


def _block(channels: int, at_most: int) -> int:
    """Take all channels in one block, or `at_most`: a power of two, 16 at least, as matrix units ask for."""
    return min(at_most, max(16, 1 << (channels - 1).bit_length()))


def _tile(patch: tuple[int, int], spec: ConvSpec, warps: int, registers: int) -> Tile:
    """Take 64 channels, a cache line of bfloat16, or all if there are fewer.

    Each thread gets eight of them, or fewer where a number per channel and tap would not fit into so many registers.
    """
    channels = min(64, 1 << (spec.in_channels - 1).bit_length())
    fitting = registers // prod(spec.kernel_size)
    each = min(8, 1 << (fitting.bit_length() - 1)) if fitting else 1
    return Tile(patch, max(1, each * 32 * warps // channels), channels, warps)
