"""What counts are worth in seconds on this machine: four parts, in each of which all candidates take turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dsconv_lib.measure import record
from dsconv_lib.measure.bench import ladder, layers, network, rates
from dsconv_lib.measure.bench.setting import BenchError as BenchError
from dsconv_lib.measure.bench.setting import Setting as Setting

WHAT = "seconds of convolutions and of MobileNetV1, forward, float32, medians of interleaved rounds"
PARTS: dict[str, Any] = {
    "layers": layers,
    "ladder": ladder,
    "roofline": rates,
    "network": network,
}
ON_GPU = "layers", "roofline"  # what the others hold against torch runs on a CPU


def groups(setting: Setting, parts: Sequence[str]) -> int:
    """How often `bench` says what it is timing."""
    return sum(len(PARTS[part].names(setting)) for part in parts)


def bench(
    setting: Setting, parts: Sequence[str] = tuple(PARTS), told: Callable[[str], object] = str
) -> dict[str, Any]:
    """Time the parts of a setting, and return what a file of results holds.

    Args:
        setting: where, how often, how large.
        parts: of `PARTS`.
        told: called with the name of each group of candidates before it is timed.

    Raises:
        BenchError: if a part does not run on this device, or a candidate computes something else than torch.
    """
    for part in parts:
        if setting.place.type != "cpu" and part not in ON_GPU:
            expected = f"expected {' or '.join(ON_GPU)}, or --device cpu"
            raise BenchError(f"{part} does not run on {setting.place.type}: {expected}")
    with setting.limited() as libraries:
        head = record.head(WHAT, device=setting.place, versions=setting.versions())
        found = {part: PARTS[part].measured(setting, told) for part in parts}
    said = {**setting.said(), "threads of": libraries}
    return {**head, "setting": said, "missing": setting.missing(), **found}
