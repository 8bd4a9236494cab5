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

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dsconv_lib.kernels import launch, programs
from dsconv_lib.kernels.tiles import Tile, forward_tile, input_tile, weight_tile
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.spec import ConvSpec

TILES = {"forward": forward_tile, "input_gradient": input_tile, "weight_gradient": weight_tile}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


def compiled(name: str, spec: ConvSpec, tile: Tile) -> dict[str, object]:
    """Compile one program for bfloat16."""
    program = getattr(programs, name)
    constants = launch.constants(spec, tile)
    warps = constants.pop("num_warps")
    kinds = {"patches": "i32", "rounds": "i32", "partial": "*fp32"}
    kinds |= dict.fromkeys(constants, "constexpr")
    signature = {argument: kinds.get(argument, "*bf16") for argument in program.arg_names}
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
        "registers": int(use["REG"]),
        "stack": int(use["STACK"]),
        "spills": len(re.findall(r"\b(?:LDL|STL)\b", sass)),
        "loads": re.findall(r"\bLDG\S*", sass),
        "instructions": len(re.findall(r"^\s+/\*[0-9a-f]{4,5}\*/(?!\s+NOP)", sass, re.MULTILINE)),
    }


if __name__ == "__main__":
    # The layers named, or all that differ.
    layers = mobilenet_v1_layers(resolution=32, stem="small")
    names = sys.argv[1:] or [layer.name for layer in layers if layer.kind == "depthwise"]
    for spec in dict.fromkeys(layer.spec for layer in layers if layer.name in names):
        for name, tile in TILES.items():
            print(json.dumps(compiled(name, spec, tile(spec))), flush=True)
