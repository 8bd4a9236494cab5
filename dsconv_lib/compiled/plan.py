"""How many rows of a map a fused block takes at a time: what it touches should stay in the cache.

Taken in parts, the map between the two halves is never written to memory and read back. In exchange the pointwise
matrix is read again for each part. So parts pay where the map is large and the matrix small, early in a network, and
lose at its end.
"""

from __future__ import annotations

from pathlib import Path

CACHE = 1 << 20  # bytes: assumed of a second-level cache where the system does not say
SHARE = 0.5  # of it, for the rows: the matrix and the input want the rest
FEWEST = 128  # pixels: with fewer, a product spends its time on reading the matrix
LEFT = 0.25  # of the map that would have been written: still in the cache when it is read


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
    rows: int,
    width: int,
    channels: tuple[int, int],
    *,
    itemsize: int = 4,
    cache: int = 0,
    threads: int = 1,
) -> int:
    """Choose how many rows of the map a fused block filters before it mixes them.

    Args:
        rows: of the output, of all images.
        width: pixels of a row.
        channels: M and N, of the map that is mixed and of the one that it is mixed to.
        itemsize: bytes of a number.
        cache: bytes; this processor's second-level cache if left out.
        threads: that share the rows.

    Returns:
        Rows, 1 to `rows`. All of a thread's rows where parts do not pay: where everything fits, or where reading the
        matrix once for each part moves more bytes than writing the map and reading it back.

    >>> rows_at_a_time(112, 112, (32, 64), cache=1 << 20), rows_at_a_time(28, 7, (1024, 1024), cache=1 << 20)
    (12, 28)
    """
    cache = cache or cache_size()
    mine = -(-rows // threads)
    row, matrix = width * sum(channels) * itemsize, channels[0] * channels[1] * itemsize
    if mine * row + matrix <= cache:
        return mine
    fitting = max(int(SHARE * cache) // row, -(-FEWEST // width))
    again = (-(-mine // fitting) - 1) * matrix
    moved = (2 - 2 * LEFT) * mine * width * channels[0] * itemsize
    return mine if again > moved else min(fitting, mine)
