"""Compile the programs for MobileNetV1's layers on a Hopper GPU, and print as JSON lines what comes out.

It takes no GPU, but a process of its own: where the interpreter is on, there is nothing to compile.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dsconv_lib.kernels import launch, plan, programs
from dsconv_lib.kernels.tiles import (
    SeparableTile,
    Tile,
    forward_tile,
    input_tile,
    separable_tile,
    weight_tile,
)
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.spec import ConvSpec, separable

TILES = {"forward": forward_tile, "input_gradient": input_tile, "weight_gradient": weight_tile}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
FLOAT32 = "partial", "taps", "shift", "bias"
TYPES = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32"}
# With the proportions of a large one in bfloat16: what a plan chooses is compiled, but not run.
GPU = plan.Gpu(memory=4e12, cache=6e12, matrix=8e14, vector=6e13, multiprocessors=132, launch=2e-6)


def compiled(name: str, spec: ConvSpec, tile: Tile) -> dict[str, object]:
    """Compile one program for bfloat16."""
    return compiled_with(name, spec, tile, launch.constants(spec, tile), torch.bfloat16)


def compiled_separable(
    conv: ConvSpec, out_channels: int, dtype: torch.dtype, tile: SeparableTile
) -> dict[str, object]:
    """Compile the fused program."""
    constants = launch.separable_constants(conv, out_channels, dtype, tile)
    return compiled_with("separable", conv, tile, constants, dtype)


def compiled_with(
    name: str, spec: ConvSpec, tile: Tile, constants: dict[str, object], dtype: torch.dtype
) -> dict[str, object]:
    """Compile one program for maps of a type."""
    program = getattr(programs, name)
    warps = constants.pop("num_warps")
    kinds = {"patches": "i32", "rounds": "i32", **dict.fromkeys(FLOAT32, "*fp32")}
    kinds |= dict.fromkeys(constants, "constexpr")
    signature = {argument: kinds.get(argument, TYPES[dtype]) for argument in program.arg_names}
    # torch's tensors begin at multiples of 16 bytes.
    aligned = {
        (n,): [["tt.divisibility", 16]]
        for n, kind in enumerate(signature.values())
        if kind.startswith("*")
    }
    source = ASTSource(program, signature, constants, aligned)
    result = triton.compile(source, GPUTarget("cuda", 90, 32), {"num_warps": warps})
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(result.asm["cubin"])
        command = [CUOBJDUMP, "-res-usage", file.name]
        usage = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        command[1] = "-sass"
        sass = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    use = dict(re.findall(r"(\w+):(\d+)", usage))
    return {
        "program": name,
        "in_size": spec.in_size,
        "channels": spec.in_channels,
        "stride": spec.stride,
        "dtype": str(dtype),
        "tile": str(tile),
        "registers": int(use["REG"]),
        "stack": int(use["STACK"]),
        "spills": len(re.findall(r"\b(?:LDL|STL)\b", sass)),
        "loads": re.findall(r"\bLDG\S*", sass),
        "matrix": len(re.findall(r"\bHG?MMA\S*", sass)),
        "maxima": sorted(set(re.findall(r"\bmax\S*", result.asm["ptx"]))),
        "instructions": len(re.findall(r"^\s+/\*[0-9a-f]{4,5}\*/(?!\s+NOP)", sass, re.MULTILINE)),
    }


def depthwise_programs(names: list[str]) -> None:
    """Compile those of the layers named, or of all that differ."""
    layers = mobilenet_v1_layers(resolution=32, stem="small")
    names = names or [layer.name for layer in layers if layer.kind == "depthwise"]
    for spec in dict.fromkeys(layer.spec for layer in layers if layer.name in names):
        for name, tile in TILES.items():
            print(json.dumps(compiled(name, spec, tile(spec))), flush=True)


def separable_programs() -> None:
    """Compile the fused program with the tile that a plan chooses for a large batch, and with the usual one."""
    for in_channels, out_channels, side, kernel_size, stride, dtype in (
        (32, 64, 112, 3, 1, torch.bfloat16),
        (128, 256, 56, 5, 2, torch.float16),
        (96, 80, 28, 5, 1, torch.float32),
    ):
        padding = (kernel_size - 1) // 2
        conv = separable(
            in_channels, out_channels, side, kernel_size, stride=stride, padding=padding
        )
        planned = plan.of(conv, GPU, batch=512, itemsize=dtype.itemsize).tile
        usual = separable_tile(conv.depthwise, out_channels, dtype.itemsize)
        for tile in dict.fromkeys((planned, usual)):
            done = compiled_separable(conv.depthwise, out_channels, dtype, tile)
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["separable"]:
        separable_programs()
    else:
        depthwise_programs(sys.argv[1:])
