"""The Triton programs: what one block of a GPU's threads does.

For each tap (u, v) of the kernel a depthwise convolution ties a row of its input to a row of its output,

    input row = output row * stride + u * dilation - padding

and columns alike. `forward` solves it for the output, `input_gradient` for the input, and `weight_gradient` runs over
both.

Maps lie in memory as (batch, height, width, channels), weights as (taps, channels). A program takes BLOCK channels of
PATCHES patches, rectangles of neighbouring pixels. Patches are numbered row by row and image by image, so small images
share a program. All sizes but the batch are constants when it is compiled: the way from a pixel to its neighbours is
then part of the load instruction. A number that several taps need is written here as several loads; the compiler makes
one of them, as long as no store stands between.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward(
    y: tl.tensor,
    x: tl.tensor,
    weight: tl.tensor,
    patches: int,
    CHANNELS: tl.constexpr,
    IN_SIZE: tl.constexpr,
    OUT_SIZE: tl.constexpr,
    KERNEL_SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    DILATION: tl.constexpr,
    PATCH: tl.constexpr,
    PATCHES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Compute patches of the output y: over the taps, the sum of input times weight."""
    channel, part = _share(CHANNELS, BLOCK)
    patch = part * PATCHES + tl.arange(0, PATCHES)
    taken = (patch < patches)[:, None] & (channel < CHANNELS)[None, :]
    image, row, column = _corner(patch, OUT_SIZE, PATCH)
    top = row * STRIDE[0] - PADDING[0]
    left = column * STRIDE[1] - PADDING[1]
    xs = x + _offset(image, top, left, channel, IN_SIZE, CHANNELS)
    ys = y + _offset(image, row, column, channel, OUT_SIZE, CHANNELS)

    sums = ()
    for i in tl.static_range(tl.constexpr(PATCH[0])):
        for j in tl.static_range(tl.constexpr(PATCH[1])):
            total = tl.full((PATCHES, BLOCK), 0.0, tl.float32)
            for u in tl.static_range(tl.constexpr(KERNEL_SIZE[0])):
                r = i * STRIDE[0] + u * DILATION[0]
                in_row = taken & ((top + r >= 0) & (top + r < IN_SIZE[0]))[:, None]
                for v in tl.static_range(tl.constexpr(KERNEL_SIZE[1])):
                    c = j * STRIDE[1] + v * DILATION[1]
                    there = in_row & ((left + c >= 0) & (left + c < IN_SIZE[1]))[:, None]
                    pixel = tl.load(xs + (r * IN_SIZE[1] + c) * CHANNELS, there, 0.0)
                    at = (u * KERNEL_SIZE[1] + v) * CHANNELS
                    tap = tl.load(weight + at + channel, channel < CHANNELS, 0.0)
                    total += pixel.to(tl.float32) * tap.to(tl.float32)[None, :]
            sums += (total,)
    _store(ys, sums, row, column, taken, OUT_SIZE, CHANNELS, PATCH)


@triton.jit
def input_gradient(
    grad_x: tl.tensor,
    grad_output: tl.tensor,
    weight: tl.tensor,
    patches: int,
    CHANNELS: tl.constexpr,
    IN_SIZE: tl.constexpr,
    OUT_SIZE: tl.constexpr,
    KERNEL_SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    DILATION: tl.constexpr,
    PATCH: tl.constexpr,
    PATCHES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Compute patches of the input's gradient: over the taps, the sum of the output's gradient times weight.

    The sides of a patch are multiples of the stride, so a pixel's place in its patch says which taps reach it.
    """
    channel, part = _share(CHANNELS, BLOCK)
    patch = part * PATCHES + tl.arange(0, PATCHES)
    taken = (patch < patches)[:, None] & (channel < CHANNELS)[None, :]
    image, row, column = _corner(patch, IN_SIZE, PATCH)
    top = row // STRIDE[0]
    left = column // STRIDE[1]
    xs = grad_x + _offset(image, row, column, channel, IN_SIZE, CHANNELS)
    ys = grad_output + _offset(image, top, left, channel, OUT_SIZE, CHANNELS)

    sums = ()
    for i in tl.static_range(tl.constexpr(PATCH[0])):
        for j in tl.static_range(tl.constexpr(PATCH[1])):
            total = tl.full((PATCHES, BLOCK), 0.0, tl.float32)
            for u in tl.static_range(tl.constexpr(KERNEL_SIZE[0])):
                if (i + PADDING[0] - u * DILATION[0]) % STRIDE[0] == 0:
                    r = (i + PADDING[0] - u * DILATION[0]) // STRIDE[0]
                    in_row = taken & ((top + r >= 0) & (top + r < OUT_SIZE[0]))[:, None]
                    for v in tl.static_range(tl.constexpr(KERNEL_SIZE[1])):
                        if (j + PADDING[1] - v * DILATION[1]) % STRIDE[1] == 0:
                            c = (j + PADDING[1] - v * DILATION[1]) // STRIDE[1]
                            there = in_row & ((left + c >= 0) & (left + c < OUT_SIZE[1]))[:, None]
                            slope = tl.load(ys + (r * OUT_SIZE[1] + c) * CHANNELS, there, 0.0)
                            at = (u * KERNEL_SIZE[1] + v) * CHANNELS
                            tap = tl.load(weight + at + channel, channel < CHANNELS, 0.0)
                            total += slope.to(tl.float32) * tap.to(tl.float32)[None, :]
            sums += (total,)
    _store(xs, sums, row, column, taken, IN_SIZE, CHANNELS, PATCH)


@triton.jit
def weight_gradient(
    partial: tl.tensor,
    x: tl.tensor,
    grad_output: tl.tensor,
    patches: int,
    rounds: int,
    CHANNELS: tl.constexpr,
    IN_SIZE: tl.constexpr,
    OUT_SIZE: tl.constexpr,
    KERNEL_SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    DILATION: tl.constexpr,
    PATCH: tl.constexpr,
    PATCHES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Sum input times the output's gradient, for every tap, over `rounds` times PATCHES patches of the output.

    The sums of each program get a place of their own in `partial` (parts, taps, channels): nothing depends on which
    program ends first.
    """
    channel, part = _share(CHANNELS, BLOCK)
    sums = _zeros(KERNEL_SIZE[0] * KERNEL_SIZE[1], PATCHES, BLOCK)
    for number in range(rounds):
        patch = (part * rounds + number) * PATCHES + tl.arange(0, PATCHES)
        taken = (patch < patches)[:, None] & (channel < CHANNELS)[None, :]
        image, row, column = _corner(patch, OUT_SIZE, PATCH)
        top = row * STRIDE[0] - PADDING[0]
        left = column * STRIDE[1] - PADDING[1]
        xs = x + _offset(image, top, left, channel, IN_SIZE, CHANNELS)
        ys = grad_output + _offset(image, row, column, channel, OUT_SIZE, CHANNELS)
        longer = ()
        for u in tl.static_range(tl.constexpr(KERNEL_SIZE[0])):
            for v in tl.static_range(tl.constexpr(KERNEL_SIZE[1])):
                total = sums[u * KERNEL_SIZE[1] + v]
                for i in tl.static_range(tl.constexpr(PATCH[0])):
                    r = i * STRIDE[0] + u * DILATION[0]
                    in_row = taken & ((top + r >= 0) & (top + r < IN_SIZE[0]))[:, None]
                    out_row = taken & (row + i < OUT_SIZE[0])[:, None]
                    for j in tl.static_range(tl.constexpr(PATCH[1])):
                        c = j * STRIDE[1] + v * DILATION[1]
                        there = in_row & ((left + c >= 0) & (left + c < IN_SIZE[1]))[:, None]
                        pixel = tl.load(xs + (r * IN_SIZE[1] + c) * CHANNELS, there, 0.0)
                        there = out_row & (column + j < OUT_SIZE[1])[:, None]
                        slope = tl.load(ys + (i * OUT_SIZE[1] + j) * CHANNELS, there, 0.0)
                        total += pixel.to(tl.float32) * slope.to(tl.float32)
                longer += (total,)
        sums = longer
    taps: tl.constexpr = KERNEL_SIZE[0] * KERNEL_SIZE[1]
    for tap in tl.static_range(taps):
        at = partial + (part * taps + tap) * CHANNELS + channel
        tl.store(at, tl.sum(sums[tap], axis=0), channel < CHANNELS)


@triton.jit
def _share(CHANNELS: tl.constexpr, BLOCK: tl.constexpr) -> tl.tensor:
    """Return this program's channels, and its number among the programs that have the same ones."""
    blocks = (CHANNELS + BLOCK - 1) // BLOCK
    program = tl.program_id(0)
    return program % blocks * BLOCK + tl.arange(0, BLOCK), program // blocks


@triton.jit
def _corner(patch: tl.tensor, SIZE: tl.constexpr, PATCH: tl.constexpr) -> tl.tensor:
    """Return the image of each patch, and the row and column where it begins."""
    down = (SIZE[0] + PATCH[0] - 1) // PATCH[0]
    across = (SIZE[1] + PATCH[1] - 1) // PATCH[1]
    return patch // (down * across), patch // across % down * PATCH[0], patch % across * PATCH[1]


@triton.jit
def _offset(
    image: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    channel: tl.tensor,
    SIZE: tl.constexpr,
    CHANNELS: tl.constexpr,
) -> tl.tensor:
    """Return the places (patches, channels) of these pixels in a map."""
    pixel = (image * SIZE[0] + row) * SIZE[1] + column
    return pixel[:, None] * CHANNELS + channel[None, :]


@triton.jit
def _store(
    at: tl.tensor,
    sums: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    taken: tl.tensor,
    SIZE: tl.constexpr,
    CHANNELS: tl.constexpr,
    PATCH: tl.constexpr,
) -> None:
    """Store patches whose first pixels are `at`, as far as the map has their rows and columns."""
    for i in tl.static_range(tl.constexpr(PATCH[0])):
        for j in tl.static_range(tl.constexpr(PATCH[1])):
            there = taken & ((row + i < SIZE[0]) & (column + j < SIZE[1]))[:, None]
            value = sums[i * PATCH[1] + j].to(at.dtype.element_ty)
            tl.store(at + (i * SIZE[1] + j) * CHANNELS, value, there)


@triton.jit
def _zeros(COUNT: tl.constexpr, PATCHES: tl.constexpr, BLOCK: tl.constexpr) -> tl.tensor:
    """Return a tuple of sums (patches, channels) that nothing has been added to."""
    sums = ()
    for _ in tl.static_range(COUNT):
        sums += (tl.full((PATCHES, BLOCK), 0.0, tl.float32),)
    return sums
