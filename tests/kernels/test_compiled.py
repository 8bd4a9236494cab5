"""What becomes of the programs when they are compiled for a GPU that is not here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("compile_for_hopper.py")


def test_hopper_keeps_all_sums_in_registers_and_loads_16_bytes_at_a_time(tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        # One layer with stride 1, one with stride 2.
        [sys.executable, SCRIPT, "block3.depthwise", "block4.depthwise"],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 6
    for each in found:
        assert each["stack"] == each["spills"] == 0, each
        assert set(each["loads"]) == {"LDG.E.128"}, each
    # Of the 4 * 9 numbers and 9 weights that a patch of 2 x 2 needs, each different one is loaded once.
    stride_1 = {each["program"]: len(each["loads"]) for each in found if each["stride"] == [1, 1]}
    assert stride_1 == {"forward": 16 + 9, "input_gradient": 16 + 9, "weight_gradient": 16 + 4}
