"""Which caches a machine has, and how fast each is: read off a curve of copies of ever larger arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from dsconv_lib.roofline.device import Level

FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")  # Linux alone has it
DROP = (
    0.7  # of a level's first bandwidth: where the system names no caches, less begins another level
)


def caches(folder: Path = FOLDER) -> dict[str, int]:
    """Bytes of each cache of a CPU that holds data, by name, the smallest first; none where it tells of none."""
    found = {}
    for index in sorted(folder.glob("index*")):
        kind, level, size = (
            (index / name).read_text().strip() for name in ("type", "level", "size")
        )
        if kind != "Instruction":
            found[f"L{level}"] = 1024 * int(size.removesuffix("K"))
    return found


def levels(curve: Mapping[int, float], caches: Mapping[str, int]) -> tuple[Level, ...]:
    """Read the bandwidth of each level off the curve: the best of the sizes that it holds and the one before not.

    The best, as a floor must hold for every program. A virtual machine may be told of a cache that it has little of.

    Args:
        curve: bandwidth of a copy in bytes per second, by the bytes of it and its source.
        caches: bytes by name, the smallest first; where none are known, a level ends where the bandwidth drops.

    Returns:
        The levels that a size of the curve fits; the last one is the memory, whose capacity is infinite.

    >>> found = levels({2**15: 9e10, 2**16: 6e10, 2**17: 5e10, 2**20: 1e10}, {"L1": 48_000, "L2": 2**19})
    >>> for level in found:
    ...     print(*level)
    L1 48000 90000000000.0
    L2 524288 60000000000.0
    memory inf 10000000000.0
    """
    if not caches:
        caches = {f"up to {size // 1024:,} KiB": size for size in _ends(curve)}
    found, below = [], 0.0
    for name, capacity in {**caches, "memory": math.inf}.items():
        held = [rate for size, rate in curve.items() if below < size <= capacity]
        if held:
            found.append(Level(name, capacity, max(held)))
            below = capacity
    # If the largest copy fits into a cache, nothing slower is known.
    return (*found[:-1], Level("memory", math.inf, found[-1].bandwidth))


def _ends(curve: Mapping[int, float]) -> list[int]:
    """The last size of each level but the slowest."""
    ends, before, first = [], 0, 0.0
    for size, rate in sorted(curve.items()):
        if before and rate < DROP * first:
            ends.append(before)
            first = rate
        first = first or rate
        before = size
    return ends
