"""The Triton programs: what one block of a GPU's threads does.

For each tap (u, v) of the kernel a depthwise convolution ties a row of its input to a row of its output,

    input row = output row * stride + u * dilation - padding

and columns alike. `forward` solves it for the output, `input_gradient` for the input, and `weight_gradient` runs over
both.

Maps lie in memory as (batch, height, width, channels), weights as (taps, channels). A program takes `tile.channels`
channels of `tile.patches` patches, rectangles of neighbouring pixels. Patches are numbered row by row and image by
image, so small images share a program. All sizes but the batch are constants when it is compiled, `conv` a `ConvSpec`
and `tile` a `Tile`: the way from a pixel to its neighbours is then part of the load instruction. A number that several
taps need is written here as several loads; the compiler makes one of them, as long as no store stands between.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr, tensor


@triton.jit
def forward(
    y: tensor, x: tensor, weight: tensor, patches: int, conv: constexpr, tile: constexpr
) -> None:
    """Compute patches of the output y: over the taps, the sum of input times weight."""
    IN_SIZE: constexpr = conv.in_size
    OUT_SIZE: constexpr = conv.out_size
    channel, part = _share(conv, tile)
    taken, image, row, column = _patches(part, patches, channel, OUT_SIZE, conv, tile)
    top = row * conv.stride[0] - conv.pads[0][0]
    left = column * conv.stride[1] - conv.pads[1][0]
    xs = x + _offset(image, top, left, channel, IN_SIZE, conv)
    ys = y + _offset(image, row, column, channel, OUT_SIZE, conv)

    sums = ()
    for i in tl.static_range(constexpr(tile.patch[0])):
        for j in tl.static_range(constexpr(tile.patch[1])):
            total = tl.full((tile.patches, tile.channels), 0.0, tl.float32)
            for u in tl.static_range(constexpr(conv.kernel_size[0])):
                r = i * conv.stride[0] + u * conv.dilation[0]
                in_row = taken & ((top + r >= 0) & (top + r < IN_SIZE[0]))[:, None]
                for v in tl.static_range(constexpr(conv.kernel_size[1])):
                    c = j * conv.stride[1] + v * conv.dilation[1]
                    there = in_row & ((left + c >= 0) & (left + c < IN_SIZE[1]))[:, None]
                    pixel = tl.load(xs + (r * IN_SIZE[1] + c) * conv.in_channels, there, 0.0)
                    at = (u * conv.kernel_size[1] + v) * conv.in_channels
                    tap = tl.load(weight + at + channel, channel < conv.in_channels, 0.0)
                    total += pixel.to(tl.float32) * tap.to(tl.float32)[None, :]
            sums += (total,)
    _store(ys, sums, row, column, taken, OUT_SIZE, conv, tile)


@triton.jit
def input_gradient(
    grad_x: tensor,
    grad_output: tensor,
    weight: tensor,
    patches: int,
    conv: constexpr,
    tile: constexpr,
) -> None:
    """Compute patches of the input's gradient: over the taps, the sum of the output's gradient times weight.

    The sides of a patch are multiples of the stride, so a pixel's place in its patch says which taps reach it.
    """
    IN_SIZE: constexpr = conv.in_size
    OUT_SIZE: constexpr = conv.out_size
    channel, part = _share(conv, tile)
    taken, image, row, column = _patches(part, patches, channel, IN_SIZE, conv, tile)
    top = row // conv.stride[0]
    left = column // conv.stride[1]
    xs = grad_x + _offset(image, row, column, channel, IN_SIZE, conv)
    ys = grad_output + _offset(image, top, left, channel, OUT_SIZE, conv)

    sums = ()
    for i in tl.static_range(constexpr(tile.patch[0])):
        for j in tl.static_range(constexpr(tile.patch[1])):
            total = tl.full((tile.patches, tile.channels), 0.0, tl.float32)
            for u in tl.static_range(constexpr(conv.kernel_size[0])):
                if (i + conv.pads[0][0] - u * conv.dilation[0]) % conv.stride[0] == 0:
                    r = (i + conv.pads[0][0] - u * conv.dilation[0]) // conv.stride[0]
                    in_row = taken & ((top + r >= 0) & (top + r < OUT_SIZE[0]))[:, None]
                    for v in tl.static_range(constexpr(conv.kernel_size[1])):
                        if (j + conv.pads[1][0] - v * conv.dilation[1]) % conv.stride[1] == 0:
                            c = (j + conv.pads[1][0] - v * conv.dilation[1]) // conv.stride[1]
                            there = in_row & ((left + c >= 0) & (left + c < OUT_SIZE[1]))[:, None]
                            slope = tl.load(
                                ys + (r * OUT_SIZE[1] + c) * conv.in_channels, there, 0.0
                            )
                            at = (u * conv.kernel_size[1] + v) * conv.in_channels
                            tap = tl.load(weight + at + channel, channel < conv.in_channels, 0.0)
                            total += slope.to(tl.float32) * tap.to(tl.float32)[None, :]
            sums += (total,)
    _store(xs, sums, row, column, taken, IN_SIZE, conv, tile)


@triton.jit
def weight_gradient(
    partial: tensor,
    x: tensor,
    grad_output: tensor,
    patches: int,
    rounds: int,
    conv: constexpr,
    tile: constexpr,
) -> None:
    """Sum input times the output's gradient, for every tap, over `rounds` times tile.patches patches of the output.

    The sums of each program get a place of their own in `partial` (parts, taps, channels): nothing depends on which
    program ends first.
    """
    IN_SIZE: constexpr = conv.in_size
    OUT_SIZE: constexpr = conv.out_size
    channel, part = _share(conv, tile)
    taps: constexpr = conv.kernel_size[0] * conv.kernel_size[1]
    sums = ()
    for _ in tl.static_range(taps):
        sums += (tl.full((tile.patches, tile.channels), 0.0, tl.float32),)
    for number in range(rounds):
        share = part * rounds + number
        taken, image, row, column = _patches(share, patches, channel, OUT_SIZE, conv, tile)
        top = row * conv.stride[0] - conv.pads[0][0]
        left = column * conv.stride[1] - conv.pads[1][0]
        xs = x + _offset(image, top, left, channel, IN_SIZE, conv)
        ys = grad_output + _offset(image, row, column, channel, OUT_SIZE, conv)
        longer = ()
        for u in tl.static_range(constexpr(conv.kernel_size[0])):
            for v in tl.static_range(constexpr(conv.kernel_size[1])):
                total: tensor = sums[u * conv.kernel_size[1] + v]
                for i in tl.static_range(constexpr(tile.patch[0])):
                    r = i * conv.stride[0] + u * conv.dilation[0]
                    in_row = taken & ((top + r >= 0) & (top + r < IN_SIZE[0]))[:, None]
                    out_row = taken & (row + i < OUT_SIZE[0])[:, None]
                    for j in tl.static_range(constexpr(tile.patch[1])):
                        c = j * conv.stride[1] + v * conv.dilation[1]
                        there = in_row & ((left + c >= 0) & (left + c < IN_SIZE[1]))[:, None]
                        pixel = tl.load(xs + (r * IN_SIZE[1] + c) * conv.in_channels, there, 0.0)
                        there = out_row & (column + j < OUT_SIZE[1])[:, None]
                        slope = tl.load(ys + (i * OUT_SIZE[1] + j) * conv.in_channels, there, 0.0)
                        total += pixel.to(tl.float32) * slope.to(tl.float32)
                longer += (total,)
        sums = longer
    for tap in tl.static_range(taps):
        at = partial + (part * taps + tap) * conv.in_channels + channel
        tl.store(at, tl.sum(sums[tap], axis=0), channel < conv.in_channels)


@triton.jit
def _share(conv: constexpr, tile: constexpr) -> tensor:
    """Return this program's channels, and its number among the programs that have the same ones."""
    blocks = (conv.in_channels + tile.channels - 1) // tile.channels
    program = tl.program_id(0)
    return program % blocks * tile.channels + tl.arange(0, tile.channels), program // blocks


@triton.jit
def _patches(
    share: tensor, patches: int, channel: tensor, SIZE: constexpr, conv: constexpr, tile: constexpr
) -> tensor:
    """Return which numbers (patches, channels) this share of the work has, and image, row and column of its patches."""
    patch = share * tile.patches + tl.arange(0, tile.patches)
    taken = (patch < patches)[:, None] & (channel < conv.in_channels)[None, :]
    down = (SIZE[0] + tile.patch[0] - 1) // tile.patch[0]
    across = (SIZE[1] + tile.patch[1] - 1) // tile.patch[1]
    image = patch // (down * across)
    return taken, image, patch // across % down * tile.patch[0], patch % across * tile.patch[1]


@triton.jit
def _offset(
    image: tensor, row: tensor, column: tensor, channel: tensor, SIZE: constexpr, conv: constexpr
) -> tensor:
    """Return the places (patches, channels) of these pixels in a map."""
    pixel = (image * SIZE[0] + row) * SIZE[1] + column
    return pixel[:, None] * conv.in_channels + channel[None, :]


@triton.jit
def _store(
    at: tensor,
    sums: tensor,
    row: tensor,
    column: tensor,
    taken: tensor,
    SIZE: constexpr,
    conv: constexpr,
    tile: constexpr,
) -> None:
    """Store patches whose first pixels are `at`, as far as the map has their rows and columns."""
    for i in tl.static_range(constexpr(tile.patch[0])):
        for j in tl.static_range(constexpr(tile.patch[1])):
            there = taken & ((row + i < SIZE[0]) & (column + j < SIZE[1]))[:, None]
            value = sums[i * tile.patch[1] + j].to(at.dtype.element_ty)
            tl.store(at + (i * SIZE[1] + j) * conv.in_channels, value, there)
