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

`separable` multiplies the numbers between the two halves of a separable convolution where it has computed them: they
are never in the GPU's memory.
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
    channel, part = _share(conv.in_channels, tile.channels)
    inside, image, row, column = _patches(part, patches, OUT_SIZE, tile)
    taken = inside[:, None] & (channel < conv.in_channels)[None, :]
    top = row * conv.stride[0] - conv.pads[0][0]
    left = column * conv.stride[1] - conv.pads[1][0]
    xs = x + _offset(image, top, left, channel, IN_SIZE, conv.in_channels)
    ys = y + _offset(image, row, column, channel, OUT_SIZE, conv.in_channels)

    sums = ()
    for i in tl.static_range(constexpr(tile.patch[0])):
        for j in tl.static_range(constexpr(tile.patch[1])):
            total = tl.full((tile.patches, tile.channels), 0.0, tl.float32)
            for u in tl.static_range(constexpr(conv.kernel_size[0])):
                r = i * conv.stride[0] + u * conv.dilation[0]
                in_row = taken & ((top + r >= 0) & (top + r < IN_SIZE[0]))[:, None]
                total = _add_taps(total, xs, weight, channel, in_row, left, r, u, j, conv)
            sums += (total,)
    _store(ys, sums, row, column, taken, OUT_SIZE, conv.in_channels, tile)


@triton.jit
def separable(
    y: tensor,
    x: tensor,
    taps: tensor,
    shift: tensor,
    weight: tensor,
    bias: tensor,
    patches: int,
    conv: constexpr,
    out_channels: constexpr,
    operand: constexpr,
    tile: constexpr,
) -> None:
    """Compute patches of y = ReLU(weight · ReLU(taps * x + shift) + bias), as many input channels at a time.

    `weight` is (in_channels, out_channels). The numbers in between are rounded to the type of x, as on their way
    through memory, and multiplied as `operand`s.
    """
    IN_SIZE: constexpr = conv.in_size
    OUT_SIZE: constexpr = conv.out_size
    output, part = _share(out_channels, tile.outputs)
    inside, image, row, column = _patches(part, patches, OUT_SIZE, tile)
    top = row * conv.stride[0] - conv.pads[0][0]
    left = column * conv.stride[1] - conv.pads[1][0]

    sums = ()
    for _ in tl.static_range(constexpr(tile.patch[0] * tile.patch[1])):
        sums += (tl.full((tile.patches, tile.outputs), 0.0, tl.float32),)
    for first in range(0, conv.in_channels, tile.channels):
        channel = first + tl.arange(0, tile.channels)
        present = channel < conv.in_channels
        xs = x + _offset(image, top, left, channel, IN_SIZE, conv.in_channels)
        taken = inside[:, None] & present[None, :]
        before = tl.load(shift + channel, present, 0.0)[None, :]
        mixed = weight + channel[:, None] * out_channels + output[None, :]
        factor = tl.load(mixed, present[:, None] & (output < out_channels)[None, :], 0.0)
        longer = ()
        for i in tl.static_range(constexpr(tile.patch[0])):
            totals = ()
            for _ in tl.static_range(constexpr(tile.patch[1])):
                totals += (tl.full((tile.patches, tile.channels), 0.0, tl.float32),)
            # Not unrolled: the compiler would fetch each tap's pixels into shared memory for the product, past the
            # cache from which neighbouring taps can have them.
            for u in range(constexpr(conv.kernel_size[0])):
                r = i * conv.stride[0] + u * conv.dilation[0]
                in_row = taken & ((top + r >= 0) & (top + r < IN_SIZE[0]))[:, None]
                added = ()
                for j in tl.static_range(constexpr(tile.patch[1])):
                    total: tensor = totals[j]
                    added += (_add_taps(total, xs, taps, channel, in_row, left, r, u, j, conv),)
                totals = added
            for j in tl.static_range(constexpr(tile.patch[1])):
                between = _relu(totals[j] + before).to(x.dtype.element_ty).to(operand)
                so_far: tensor = sums[i * tile.patch[1] + j]
                longer += (tl.dot(between, factor.to(operand), so_far, input_precision="ieee"),)
        sums = longer

    after = tl.load(bias + output, output < out_channels, 0.0)[None, :]
    results = ()
    for place in tl.static_range(constexpr(tile.patch[0] * tile.patch[1])):
        results += (_relu(sums[place] + after),)
    ys = y + _offset(image, row, column, output, OUT_SIZE, out_channels)
    taken = inside[:, None] & (output < out_channels)[None, :]
    _store(ys, results, row, column, taken, OUT_SIZE, out_channels, tile)


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
    channel, part = _share(conv.in_channels, tile.channels)
    inside, image, row, column = _patches(part, patches, IN_SIZE, tile)
    taken = inside[:, None] & (channel < conv.in_channels)[None, :]
    top = row // conv.stride[0]
    left = column // conv.stride[1]
    xs = grad_x + _offset(image, row, column, channel, IN_SIZE, conv.in_channels)
    ys = grad_output + _offset(image, top, left, channel, OUT_SIZE, conv.in_channels)

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
    _store(xs, sums, row, column, taken, IN_SIZE, conv.in_channels, tile)


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
    channel, part = _share(conv.in_channels, tile.channels)
    taps: constexpr = conv.kernel_size[0] * conv.kernel_size[1]
    sums = ()
    for _ in tl.static_range(taps):
        sums += (tl.full((tile.patches, tile.channels), 0.0, tl.float32),)
    for number in range(rounds):
        share = part * rounds + number
        inside, image, row, column = _patches(share, patches, OUT_SIZE, tile)
        taken = inside[:, None] & (channel < conv.in_channels)[None, :]
        top = row * conv.stride[0] - conv.pads[0][0]
        left = column * conv.stride[1] - conv.pads[1][0]
        xs = x + _offset(image, top, left, channel, IN_SIZE, conv.in_channels)
        ys = grad_output + _offset(image, row, column, channel, OUT_SIZE, conv.in_channels)
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
def _share(CHANNELS: constexpr, BLOCK: constexpr) -> tensor:
    """Return this program's channels, and its number among the programs that have the same ones."""
    blocks = (CHANNELS + BLOCK - 1) // BLOCK
    program = tl.program_id(0)
    return program % blocks * BLOCK + tl.arange(0, BLOCK), program // blocks


@triton.jit
def _patches(share: tensor, patches: int, SIZE: constexpr, tile: constexpr) -> tensor:
    """Return which patches of this share of the work there are, and the image, row and column of each."""
    patch = share * tile.patches + tl.arange(0, tile.patches)
    down = (SIZE[0] + tile.patch[0] - 1) // tile.patch[0]
    across = (SIZE[1] + tile.patch[1] - 1) // tile.patch[1]
    row, column = patch // across % down * tile.patch[0], patch % across * tile.patch[1]
    return patch < patches, patch // (down * across), row, column


@triton.jit
def _offset(
    image: tensor,
    row: tensor,
    column: tensor,
    channel: tensor,
    SIZE: constexpr,
    CHANNELS: constexpr,
) -> tensor:
    """Return the places (patches, channels) of these pixels in a map."""
    pixel = (image * SIZE[0] + row) * SIZE[1] + column
    return pixel[:, None] * CHANNELS + channel[None, :]


@triton.jit
def _add_taps(
    total: tensor,
    xs: tensor,
    weight: tensor,
    channel: tensor,
    in_row: tensor,
    left: tensor,
    r: tensor,
    u: tensor,
    j: constexpr,
    conv: constexpr,
) -> tensor:  # All that a load's address and mask are made of.
    """Add input times weight, over row u of the taps, which is row r from `xs` on, for column j of the patches."""
    for v in tl.static_range(constexpr(conv.kernel_size[1])):
        c = j * conv.stride[1] + v * conv.dilation[1]
        there = in_row & ((left + c >= 0) & (left + c < conv.in_size[1]))[:, None]
        pixel = tl.load(xs + (r * conv.in_size[1] + c) * conv.in_channels, there, 0.0)
        at = (u * conv.kernel_size[1] + v) * conv.in_channels
        tap = tl.load(weight + at + channel, channel < conv.in_channels, 0.0)
        total += pixel.to(tl.float32) * tap.to(tl.float32)[None, :]
    return total


@triton.jit
def _relu(x: tensor) -> tensor:
    """Return x or zero, whichever is greater; like torch's, it lets NaN be seen."""
    return tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _store(
    at: tensor,
    sums: tensor,
    row: tensor,
    column: tensor,
    taken: tensor,
    SIZE: constexpr,
    CHANNELS: constexpr,
    tile: constexpr,
) -> None:
    """Store patches whose first pixels are `at`, as far as the map has their rows and columns."""
    for i in tl.static_range(constexpr(tile.patch[0])):
        for j in tl.static_range(constexpr(tile.patch[1])):
            there = taken & ((row + i < SIZE[0]) & (column + j < SIZE[1]))[:, None]
            value = sums[i * tile.patch[1] + j].to(at.dtype.element_ty)
            tl.store(at + (i * SIZE[1] + j) * CHANNELS, value, there)
