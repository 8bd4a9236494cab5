"""Rates as they are read off timings; no clock runs but in the last test, which asserts no time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dsconv_lib import roofline
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.roofline import Level, Probe, calls
from dsconv_lib.roofline.levels import caches, levels
from dsconv_lib.timing import Timing

STARTS = {"depthwise": 1e-4, "norm": 2e-5}  # seconds until they begin; 1 us for other kinds


def timings_of(probe: Probe, rates: dict[int, float], flops: float) -> dict[str, Timing]:
    """What the probe's calls would take on a machine of these bandwidths by capacity."""
    taken = {"another's": Timing((1.0,))}
    for size, times in probe.times.items():
        rate = next(rate for capacity, rate in rates.items() if size <= capacity)
        taken[f"copy of {size} bytes"] = Timing((times * size / rate,))
    for side in (512, 1024, 2048):
        taken[f"product of {side}"] = Timing((2 * side**3 / flops,))
    slowest = list(rates.values())[-1]
    for kind, work in probe.work.items():
        floor = max(work.flops / flops, work.bytes / slowest)
        start = STARTS.get(kind, 1e-6)
        taken[f"start of {kind}"] = Timing((50 * start,))
        for turn in range(5):  # the first finds its data far off
            slow = 3 if turn == 0 else 1
            taken[f"{kind}, turn {turn}"] = Timing((slow * (start + 2 * floor),))
    return taken


def test_a_machine_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "dsconv_lib.roofline.clock.caches", lambda: {"L1": 2**16, "L2": 2**20, "L3": 2**22}
    )
    probe = Probe(largest=2**24)
    rates = {2**16: 4e11, 2**20: 1e11, 2**22: 3e10, math.inf: 1e10}
    found = probe.read(timings_of(probe, rates, 1e11))
    assert found.device.levels == (
        Level("L1", 2**16, pytest.approx(4e11)),
        Level("L2", 2**20, pytest.approx(1e11)),
        Level("L3", 2**22, pytest.approx(3e10)),
        Level("memory", math.inf, pytest.approx(1e10)),
    )
    assert found.device.flops == pytest.approx(1e11)
    assert found.device.latency == pytest.approx(1e-6)
    assert found.device.start("depthwise") == pytest.approx(1e-4)
    assert found.device.efficiencies == {
        kind: pytest.approx(0.5)
        for kind in ("standard", "depthwise", "pointwise", "linear", "norm", "elementwise")
    }
    for kind in calls.LAYERS:  # a prediction of the calibrated layers gives their own times
        work = probe.work[kind]
        expected = STARTS.get(kind, 1e-6) + 2 * max(work.flops / 1e11, work.bytes / 1e10)
        assert roofline.expected(work, found.device) == pytest.approx(expected)
    assert found.noisy == []


def test_levels_without_names_end_where_the_bandwidth_drops() -> None:
    curve = {2**15: 9e10, 2**16: 8e10, 2**17: 5e10, 2**18: 5e10, 2**19: 1e10}
    assert levels(curve, {}) == (
        Level("up to 64 KiB", 2**16, 9e10),
        Level("up to 256 KiB", 2**18, 5e10),
        Level("memory", math.inf, 1e10),
    )
    assert levels({2**15: 9e10}, {}) == (Level("memory", math.inf, 9e10),)


def test_a_cache_that_nothing_overflows_passes_for_the_memory() -> None:
    found = levels({2**15: 9e10, 2**17: 5e10}, {"L1": 2**15, "L2": 2**20, "L3": 2**25})
    assert found == (Level("L1", 2**15, 9e10), Level("memory", math.inf, 5e10))


def test_caches_as_linux_lists_them(tmp_path: Path) -> None:
    listed = [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("2", "Unified", "2048K")]
    for number, each in enumerate(listed):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, text in zip(("level", "type", "size"), each, strict=True):
            (folder / name).write_text(f"{text}\n")
    assert caches(tmp_path) == {"L1": 48 * 1024, "L2": 2048 * 1024}
    assert caches(tmp_path / "nowhere") == {}


def test_a_copy_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(np, "copyto", lambda target, source: made.append((target, source)))
    call = calls.copies(2**15, 7, torch.device("cpu"), threads=1)
    call()
    (target, source), *_ = made
    assert target.shape == source.shape == (7,)
    assert target.nbytes / 7 + source.nbytes / 7 == 2**15
    assert not np.shares_memory(target[:1], source[:1])


def test_this_machine() -> None:
    for threads in (1, 2):
        found = roofline.readings(Probe(threads, largest=2**21), rounds=1)
        assert found.device.threads == torch.get_num_threads() == threads
        assert set(found.curve) <= set(found_sizes := [2**n for n in range(15, 22)])
        assert max(found.curve) == found_sizes[-1]
        assert all(share > 0 for share in found.device.efficiencies.values())
        predicted = roofline.predict(mobilenet_v1_layers(), found.device)
        assert 0 < predicted.total < math.inf
    torch.set_num_threads(1)
    assert torch.get_float32_matmul_precision() == "highest"
