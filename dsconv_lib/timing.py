"""Times to compare: the candidates take turns, so that a slow moment falls on all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from statistics import median
from time import perf_counter
from typing import TypeVar

import torch

Name = TypeVar("Name", bound=Hashable)


def medians(
    candidates: Mapping[Name, Callable[[], object]], *, repeats: int = 20, warmup: int = 3
) -> dict[Name, float]:
    """Time each candidate `repeats` times, in turns, and take its median.

    Args:
        candidates: what to call, by name: a string, or a tuple such as (layer, size).
        repeats: timed rounds; each round calls every candidate once.
        warmup: rounds before them that do not count, in which caches fill and algorithms are chosen.

    Returns:
        Median seconds of one call, by name. Where CUDA is in use the clock waits for the GPU before each reading: a
        call only queues its work.

    Raises:
        ValueError: if there is no candidate, `repeats` is below 1 or `warmup` below 0.

    >>> short, long = list(range(10)), list(range(10_000))
    >>> seconds = medians({"short": lambda: sum(short), "long": lambda: sum(long)})
    >>> seconds["short"] < seconds["long"]
    True
    """
    if not candidates:
        raise ValueError("candidates is empty: expected at least one function to time")
    if repeats < 1 or warmup < 0:
        raise ValueError(f"repeats={repeats}, warmup={warmup}: expected at least 1 and 0")
    seconds: dict[Name, list[float]] = {name: [] for name in candidates}
    for round_ in range(warmup + repeats):
        for name, call in candidates.items():
            _wait()
            start = perf_counter()
            call()
            _wait()
            if round_ >= warmup:
                seconds[name].append(perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
