"""How many times another's time each candidate takes, for one size and over several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean in which twice as long and half as long cancel.

    >>> geometric_mean([0.5, 2, 8])
    2.0
    """
    return exp(sum(map(log, ratios)) / len(ratios))


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The geometric mean over rows of each candidate's ratio."""
    candidates = rows[0]["ratio"]
    return {name: geometric_mean([row["ratio"][name] for row in rows]) for name in candidates}


def ratios(seconds: Mapping[str, float], best: Sequence[str]) -> dict[str, float]:
    """Each time over the shortest of those named in `best`.

    >>> ratios({"torch": 2.0, "torch, channels-last": 1.0, "mine": 0.5}, ["torch", "torch, channels-last"])["mine"]
    0.5
    """
    shortest = min(seconds[name] for name in best)
    return {name: float(f"{taken / shortest:.4g}") for name, taken in seconds.items()}
