"""The plan against figures worked out by hand, and against a tile walked through pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from math import inf, prod

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dsconv_lib import spec as specs
from dsconv_lib.kernels import KernelError, plan
from dsconv_lib.kernels.plan import Gpu
from dsconv_lib.kernels.tiles import SeparableTile, separable_tile, separable_tiles
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.spec import ConvSpec, SpecError

# Of no GPU in particular, but with the proportions of a large one in bfloat16.
GPU = Gpu(memory=4.3e12, cache=5.5e12, matrix=790e12, vector=67e12, multiprocessors=132, launch=0)
# Nothing but the memory takes time; fields that do not count are out of sight.
ONLY_MEMORY = replace(GPU, cache=inf, matrix=inf, vector=inf)
SEPARABLE = specs.separable(256, 256, 28, 3, padding=1)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "side", "apart", "fused"),
    [(32, 64, 112, 478, 287), (128, 128, 56, 382, 191), (256, 256, 28, 191, 96)],
)
def test_passes_over_maps_by_hand(
    in_channels: int, out_channels: int, side: int, apart: int, fused: int
) -> None:
    conv = specs.separable(in_channels, out_channels, side, 3, padding=1)
    found = plan.of(conv, ONLY_MEMORY, batch=512)
    # Numbers of 2 bytes; of the maps in, between and out the middle one moves twice where the halves are apart.
    pixels = 512 * side**2 * 2 / 4.3e12
    weights = 2 * in_channels * (9 + out_channels) / 4.3e12
    assert found.fused == pytest.approx(pixels * (in_channels + out_channels) + weights)
    assert found.apart == pytest.approx(pixels * (3 * in_channels + out_channels) + weights)
    assert round(found.apart * 1e6) == pytest.approx(apart, abs=1)
    assert round(found.fused * 1e6) == pytest.approx(fused, abs=1)


def test_what_takes_longest_sets_the_time() -> None:
    conv = specs.separable(64, 128, 16, 3, padding=1)
    tile = SeparableTile((1, 2), patches=32, channels=32, warps=4, outputs=64)
    free = Gpu(memory=inf, cache=inf, matrix=inf, vector=inf, multiprocessors=1, launch=0)

    def seconds(**rates: float) -> float:
        return plan.fused_seconds(conv, tile, replace(free, **rates), batch=3)

    assert seconds() == 0
    assert seconds(launch=7) == 7
    # Each of two blocks of outputs computes the depthwise half.
    assert seconds(vector=1) == 2 * (2 * 3 * 16**2 * 64 * 9)
    assert seconds(matrix=1) == 2 * 3 * 16**2 * 64 * 128
    assert seconds(vector=1, matrix=1) == seconds(vector=1) + seconds(matrix=1)
    # 24 programs: 64 pixels are 4 rows of 16 that 6 rows are read for, and 64 x 64 weights.
    assert seconds(cache=1) == 2 * 24 * 64 * (6 * 16 + 64)
    assert seconds(memory=1) == 2 * (3 * 16**2 * (64 + 128) + 64 * 9 + 64 * 128)
    assert seconds(memory=1, vector=1) == max(seconds(memory=1), seconds(vector=1))
    # Half of 48 multiprocessors have nothing to do.
    assert seconds(matrix=1, multiprocessors=48) == 2 * seconds(matrix=1)
    assert seconds(matrix=1, multiprocessors=24) == seconds(matrix=1)


def test_what_overhangs_is_computed_too() -> None:
    tile = SeparableTile((1, 1), patches=16, channels=16, warps=4, outputs=16)
    gpu = Gpu(memory=inf, cache=inf, matrix=1, vector=inf, multiprocessors=1, launch=0)
    few, full = (specs.separable(n, n, 5, 3, padding=1) for n in (17, 32))
    # 25 pixels take two programs of 16.
    assert plan.fused_seconds(few, tile, gpu, 1) == 2 * (2 * 16) * 32 * 32
    assert plan.fused_seconds(few, tile, gpu, 1) == plan.fused_seconds(full, tile, gpu, 1)
    # But not read: of one program 4 x 4 pixels of 17 channels, and their weights for 3 outputs.
    narrow = specs.separable(17, 3, 4, 3, padding=1)
    read = plan.fused_seconds(narrow, tile, replace(gpu, matrix=inf, cache=1), 1)
    assert read == 2 * 17 * (4 * 4 + 3)


def test_a_gpu_decides() -> None:
    assert plan.of(SEPARABLE, GPU, batch=512).fuses
    # Where the arithmetic outside matrix units is slow, computing the depthwise half again does not pay.
    wide = specs.separable(256, 512, 28, 3, padding=1)
    assert plan.of(wide, replace(GPU, cache=inf), batch=512).fuses
    assert not plan.of(wide, replace(GPU, cache=inf, vector=5e12), batch=512).fuses
    # Nor where the cache is no faster than the memory.
    assert not plan.of(SEPARABLE, replace(GPU, cache=GPU.memory), batch=512).fuses
    # With a slow launch, one kernel is better than two, even for an image alone.
    deep = specs.separable(1024, 1024, 7, 3, padding=1)
    assert not plan.of(deep, GPU).fuses
    assert plan.of(deep, replace(GPU, launch=1e-3)).fuses


def test_shallow_layers_of_mobilenet_are_fused_and_deep_ones_are_not() -> None:
    plans = plan.network(mobilenet_v1_layers(), GPU, batch=512)
    assert list(plans) == [f"block{n}.depthwise" for n in range(1, 14)]
    fused = [name for name, found in plans.items() if found.fuses]
    assert fused == [f"block{n}.depthwise" for n in range(1, 6)]


def test_a_depthwise_layer_alone_is_not_planned() -> None:
    table = [each for each in mobilenet_v1_layers() if each.name != "block3.pointwise"]
    assert "block3.depthwise" not in plan.network(table, GPU)


@st.composite
def depthwise(draw: st.DrawFn) -> ConvSpec:
    kernel_size = draw(st.sampled_from([3, 5]))
    return specs.depthwise(
        draw(st.integers(1, 600)),
        draw(st.tuples(st.integers(1, 40), st.integers(1, 40))),
        kernel_size,
        stride=draw(st.integers(1, 2)),
        padding=(kernel_size - 1) // 2,
    )


@given(depthwise(), st.integers(1, 600), st.sampled_from([2, 4]))
def test_every_tile_can_be_compiled(conv: ConvSpec, out_channels: int, itemsize: int) -> None:
    tiles = list(separable_tiles(conv, out_channels, itemsize))
    assert len(set(tiles)) == len(tiles) > 0
    for tile in [*tiles, separable_tile(conv, out_channels, itemsize)]:
        # Triton's: blocks have sides that are powers of two, factors of products at least 16.
        for side in (tile.patches, tile.channels, tile.outputs):
            assert side >= 16
            assert side & (side - 1) == 0
        assert tile.sums <= 80
        # No block is more than twice what there is, unless that is the least.
        assert tile.outputs < max(2 * out_channels, 17)
        assert tile.channels < max(2 * conv.in_channels, 17)
        assert SeparableTile.of(tile.numbers) == tile


@given(depthwise(), st.sampled_from([16, 32, 64, 128]), st.data())
def test_the_pixels_that_a_program_reads(conv: ConvSpec, patches: int, data: st.DataObject) -> None:
    height, width = conv.out_size
    # Whole rows or a part of one: there the count is exact, as nothing is cut in the middle.
    assume(patches < width or patches % width == 0)
    tile = SeparableTile((1, 1), patches, channels=16, warps=4, outputs=16)
    down = max(1, patches // width)
    assume(down <= height)
    read = set()
    for pixel in range(patches):
        rows, columns = (
            range(at * step, at * step + size)
            for at, step, size in zip(
                divmod(pixel, width), conv.stride, conv.kernel_size, strict=True
            )
        )
        read |= {(row, column) for row in rows for column in columns}
    # At most the image itself; the zeros around it are not read, but counted as far as there are pixels to read.
    sides = [1 + max(side) for side in zip(*read, strict=True)]
    at_most = prod(min(n, size) for n, size in zip(sides, conv.in_size, strict=True))
    assert plan.window(conv, tile) == at_most
    assert plan.window(conv, tile) <= prod(conv.in_size)


def test_small_images_share_a_program() -> None:
    conv = specs.depthwise(8, 4, 3, padding=1)
    tile = SeparableTile((1, 1), patches=64, channels=16, warps=4, outputs=16)
    assert plan.window(conv, tile) == 4 * 4**2


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
@pytest.mark.parametrize("name", Gpu.__slots__)
def test_a_gpu_without_a_number(name: str, value: float) -> None:
    if (name, value) == ("launch", 0):
        replace(GPU, launch=0)
        return
    with pytest.raises(KernelError, match=f"{name}=.*: expected a number greater than 0"):
        replace(GPU, **{name: value})


def test_what_is_refused() -> None:
    with pytest.raises(KernelError, match=r"4 channels in, 8 between .* \(multiplier=1\)"):
        plan.of(specs.separable(4, 6, 5, 3, multiplier=2), GPU)
    with pytest.raises(KernelError, match=r"1 dimensions: expected two"):
        plan.of(specs.separable(4, 6, (5,), 3), GPU)
    with pytest.raises(SpecError, match="batch=0"):
        plan.of(SEPARABLE, GPU, batch=0)
