"""What becomes of the programs when they are compiled for a GPU that is not here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("compile_for_hopper.py")


def compiled(cache: Path, *arguments: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "TRITON_CACHE_DIR": str(cache)}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_hopper_keeps_all_sums_in_registers_and_loads_16_bytes_at_a_time(tmp_path: Path) -> None:
    # One layer with stride 1, one with stride 2.
    found = compiled(tmp_path, "block3.depthwise", "block4.depthwise")
    assert len(found) == 6
    for each in found:
        assert each["stack"] == each["spills"] == 0, each
        assert set(each["loads"]) == {"LDG.E.128"}, each
    # Of the 4 * 9 numbers and 9 weights that a patch of 2 x 2 needs, each different one is loaded once.
    stride_1 = {each["program"]: len(each["loads"]) for each in found if each["stride"] == [1, 1]}
    assert stride_1 == {"forward": 16 + 9, "input_gradient": 16 + 9, "weight_gradient": 16 + 4}


def test_hopper_multiplies_what_it_has_just_computed(tmp_path: Path) -> None:
    found = compiled(tmp_path, "separable")
    assert {each["dtype"] for each in found} == {"torch.bfloat16", "torch.float16", "torch.float32"}
    assert len({each["tile"] for each in found}) >= 3
    for each in found:
        assert each["stack"] == each["spills"] == 0, each
        # All but the bias and the shift of a channel, straight into registers and several at a time.
        wide = [load for load in each["loads"] if load in ("LDG.E.128", "LDG.E.64")]
        assert len(wide) >= len(each["loads"]) - 2, each
        # float32 is not cut down to what matrix units take.
        assert (each["matrix"] > 0) == (each["dtype"] != "torch.float32"), each
        assert each["maxima"] == ["max.NaN.f32"], each
