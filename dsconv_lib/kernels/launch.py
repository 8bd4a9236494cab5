"""Run the Triton programs on tensors: check, allocate, share out the work.

Weights come as (taps, channels), so that neighbouring channels are neighbours in memory. Maps have torch's shape
(B, C, H, W) and are copied to channels-last memory if they are not there. Nothing here waits for the GPU, so all of it
can be recorded as a CUDA graph.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from dsconv_lib.kernels import programs
from dsconv_lib.kernels.errors import KernelError
from dsconv_lib.kernels.tiles import (
    PROGRAMS,
    SeparableTile,
    Tile,
    forward_tile,
    input_tile,
    separable_tile,
    weight_tile,
)
from dsconv_lib.spec import ConvSpec

# Triton decides when the programs are defined: with TRITON_INTERPRET=1 they are run by Python.
INTERPRETED = not isinstance(programs.forward, triton.JITFunction)

OPERANDS = {
    torch.float32: tl.float32,
    torch.float16: tl.float16,
    # The interpreter would multiply bfloat16's bits as if they were integers; in float32 the products are the same.
    torch.bfloat16: tl.float32 if INTERPRETED else tl.bfloat16,
}


class Weights(NamedTuple):
    """A separable convolution's weights, batch normalisation folded into them, as its program reads them.

    `taps` (taps, C) and `shift` (C,) of the depthwise half; `matrix` (C, N) and `bias` (N,) of the pointwise half. The
    matrix has the type of the maps, the others are float32.
    """

    taps: Tensor
    shift: Tensor
    matrix: Tensor
    bias: Tensor


def forward(x: Tensor, weight: Tensor, spec: ConvSpec, tile: Tile | None = None) -> Tensor:
    """Return the output (B, C, *spec.out_size) of a depthwise convolution, with as many zeros before as after.

    `x` has shape (B, C, *spec.in_size), `weight` (taps, C), the same type and device; `tile` is the share of one
    program, if not the usual one.

    Raises:
        KernelError: if these kernels cannot take the tensors.
    """
    shape = spec.output_shape(len(x))
    return _write_map(programs.forward, shape, x, weight, spec, tile or forward_tile(spec))


def input_gradient(
    grad_output: Tensor, weight: Tensor, spec: ConvSpec, tile: Tile | None = None
) -> Tensor:
    """Return the gradient (B, C, *spec.in_size) with respect to the input.

    Arguments and errors are those of `forward`; `grad_output` has shape (B, C, *spec.out_size), and the sides of
    `tile.patch` are multiples of the stride.
    """
    program, shape = programs.input_gradient, spec.input_shape(len(grad_output))
    return _write_map(program, shape, grad_output, weight, spec, tile or input_tile(spec))


def weight_gradient(
    grad_output: Tensor,
    x: Tensor,
    spec: ConvSpec,
    tile: Tile | None = None,
    at_most: int = PROGRAMS,
) -> Tensor:
    """Return the gradient (taps, C) with respect to the weight, in float32.

    Arguments and errors are those of `forward` and `input_gradient`. At most `at_most` programs share the work, or one
    for each block of channels. Sums are made in an order that depends on the sizes alone: the same numbers give the
    same gradient, bit for bit.
    """
    _check(x.device, spec.input_shape(len(x)), spec.output_shape(len(x)))
    tile = tile or weight_tile(spec)
    blocks = triton.cdiv(spec.in_channels, tile.channels)
    patches = tile.count(spec.out_size, len(x))
    rounds = triton.cdiv(patches, tile.patches * max(1, at_most // blocks))
    parts = triton.cdiv(patches, tile.patches * rounds)
    sums = parts, prod(spec.kernel_size), spec.in_channels
    partial = x.new_empty(sums, dtype=torch.float32)
    run, maps = programs.weight_gradient[(parts * blocks,)], map(_channels_last, (x, grad_output))
    with torch.cuda.device_of(x):
        run(partial, *maps, patches, rounds, **constants(spec, tile))
    return partial.sum(dim=0)


def separable(
    x: Tensor, weights: Weights, conv: ConvSpec, tile: SeparableTile | None = None
) -> Tensor:
    """Return ReLU(pointwise(ReLU(depthwise(x)))), shape (B, N, *conv.out_size), for inference.

    `x` has shape (B, C, *conv.in_size), `conv` is the depthwise half; `tile` is the share of one program, if not the
    usual one. Sums are made in float32; the numbers between the halves are rounded to the type of `x`.

    Raises:
        KernelError: if these kernels cannot take the tensors.
    """
    out_channels = len(weights.bias)
    shape = len(x), out_channels, *conv.out_size
    _check(x.device, conv.input_shape(len(x)), shape)
    y, tile = new_map(x, shape), tile or separable_tile(conv, out_channels, x.itemsize)
    patches = tile.count(conv.out_size, len(x))
    blocks = triton.cdiv(out_channels, tile.outputs)
    run = programs.separable[(blocks * triton.cdiv(patches, tile.patches),)]
    fixed = separable_constants(conv, out_channels, x.dtype, tile)
    with torch.cuda.device_of(x):
        run(y, _channels_last(x), *weights, patches, **fixed)
    return y


def check_device(device: torch.device) -> None:
    """Raise KernelError unless the kernels run on this device."""
    if device.type != "cuda" and not INTERPRETED:
        raise KernelError(
            f"device {device}: expected a CUDA GPU, which the kernels are for; move model and data there, "
            f"go on without the kernels, or set TRITON_INTERPRET=1 before Python starts and let "
            f"Triton's interpreter run them slowly"
        )


def new_map(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor for a map (B, C, H, W) in channels-last memory, of the type and on the device of `like`."""
    last = torch.channels_last
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=last)


def constants(spec: ConvSpec, tile: Tile) -> dict[str, Any]:
    """Return what a program is compiled for."""
    return {"conv": spec, "tile": tile, "num_warps": tile.warps}


def separable_constants(
    conv: ConvSpec, out_channels: int, dtype: torch.dtype, tile: SeparableTile
) -> dict[str, Any]:
    """Return what `programs.separable` is compiled for, with maps of this type."""
    operand = OPERANDS[dtype]
    return {"out_channels": out_channels, "operand": operand, **constants(conv, tile)}


def _write_map(
    program: Any, shape: tuple[int, ...], x: Tensor, weight: Tensor, spec: ConvSpec, tile: Tile
) -> Tensor:
    """Let a program write a map of this shape, patch by patch."""
    _check(x.device, spec.input_shape(len(x)), spec.output_shape(len(x)))
    y = new_map(x, shape)
    patches = tile.count(shape[2:], len(x))
    blocks = triton.cdiv(spec.in_channels, tile.channels)
    run = program[(blocks * triton.cdiv(patches, tile.patches),)]
    with torch.cuda.device_of(x):
        run(y, _channels_last(x), weight, patches, **constants(spec, tile))
    return y


def _check(device: torch.device, *shapes: tuple[int, ...]) -> None:
    # The programs count places with 32 bits.
    for shape in shapes:
        if not 0 < prod(shape) < 2**31:
            raise KernelError(
                f"a map of shape {shape} has {prod(shape)} numbers: expected at least one and "
                f"fewer than 2^31; change the size of the batch"
            )
    check_device(device)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
