"""How many rows of a map a fused block takes at a time: what it touches should stay in the cache."""

from __future__ import annotations

from pathlib import Path

CACHE = 1 << 20  # bytes: assumed of a second-level cache where the system does not say
SHARE = 0.5  # of it, for the rows: weights and input want the rest
FEWEST = 128  # pixels: with fewer, a product spends its time on reading the matrix


def cache_size() -> int:
    """Return the bytes of this processor's second-level cache, which one core has for itself.

    >>> cache_size() >= 1 << 17
    True
    """
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (cache / "level").read_text().strip() == "2":
            return int((cache / "size").read_text().strip().removesuffix("K")) << 10
    return CACHE


def rows_at_a_time(
    rows: int, width: int, channels: int, *, itemsize: int = 4, cache: int = 0, threads: int = 1
) -> int:
    """Choose how many rows of the map a fused block filters before it mixes them.

    Args:
        rows: of the output, of all images.
        width: pixels of a row.
        channels: of the two maps that a row is part of, together: M + N.
        itemsize: bytes of a number.
        cache: bytes; this processor's second-level cache if left out.
        threads: that share the rows.

    Returns:
        Rows, 1 to `rows`.

    >>> rows_at_a_time(112, 112, 32 + 64, cache=1 << 20)
    12
    """
    fitting = int(SHARE * (cache or cache_size())) // (width * channels * itemsize)
    enough = -(-FEWEST // width)
    return max(1, min(max(fitting, enough), -(-rows // threads)))
