"""Times to compare: the candidates take turns, so that a slow moment falls on all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import quantiles
from time import perf_counter
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
NOISY = 0.15  # of the median: where half of the rounds lie further apart, a difference of a tenth says nothing


@dataclass(frozen=True)
class Timing:
    """Seconds of one call, one number for each round.

    >>> Timing((3.0, 1.0, 2.0)).quartiles
    (1.5, 2.0, 2.5)
    """

    rounds: tuple[float, ...]

    @cached_property
    def quartiles(self) -> tuple[float, float, float]:
        """The seconds that a quarter, half and three quarters of the rounds stayed below."""
        doubled = self.rounds * 2 if len(self.rounds) == 1 else self.rounds
        low, median, high = quantiles(doubled, n=4, method="inclusive")
        return low, median, high

    @property
    def median(self) -> float:
        """Seconds of the middle round."""
        return self.quartiles[1]

    @property
    def spread(self) -> float:
        """How far the middle half of the rounds lies apart, as a share of the median."""
        low, median, high = self.quartiles
        return (high - low) / median if median else 0.0

    @property
    def noisy(self) -> bool:
        """Whether the rounds scatter by more than `NOISY`."""
        return self.spread > NOISY


def timed(
    candidates: Mapping[Name, Callable[[], object]],
    *,
    repeats: int = 20,
    warmup: int = 3,
    clock: Callable[[], float] = perf_counter,
) -> dict[Name, Timing]:
    """Time each candidate `repeats` times, in turns.

    Args:
        candidates: what to call, by name: a string, or a tuple such as (layer, size).
        repeats: timed rounds; each round calls every candidate once.
        warmup: rounds before them that do not count, in which caches fill and algorithms are chosen.
        clock: `time.process_time` leaves out what other programs take of the processor; it adds up the threads of this
            one, so it is for calls that use one.

    Returns:
        Seconds of one call in each round, by name. Where CUDA is in use the clock waits for the GPU before each
        reading: a call only queues its work.

    Raises:
        ValueError: if there is no candidate, `repeats` is below 1 or `warmup` below 0.

    >>> timed({"sum": lambda: sum(range(1_000))}, repeats=5)["sum"].spread >= 0
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
            start = clock()
            call()
            _wait()
            if round_ >= warmup:
                seconds[name].append(clock() - start)
    return {name: Timing(tuple(taken)) for name, taken in seconds.items()}


def medians(
    candidates: Mapping[Name, Callable[[], object]], *, repeats: int = 20, warmup: int = 3
) -> dict[Name, float]:
    """Time each candidate as `timed` does, and return the median seconds of one call, by name.

    >>> short, long = list(range(10)), list(range(10_000))
    >>> seconds = medians({"short": lambda: sum(short), "long": lambda: sum(long)})
    >>> seconds["short"] < seconds["long"]
    True
    """
    taken = timed(candidates, repeats=repeats, warmup=warmup)
    return {name: timing.median for name, timing in taken.items()}


def _wait() -> None:
    torch = sys.modules.get("torch")  # if nobody has loaded it, nobody has queued work either
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
