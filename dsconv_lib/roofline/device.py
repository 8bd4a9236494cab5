"""A machine, as a layer sees it: a rate of multiplications, and a rate of bytes for each place that data can lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dsconv_lib.errors import UserError

# Whose efficiency a kind has that was not measured itself.
STANDS_FOR = {"fused": "pointwise", "norm": "elementwise"}


class RooflineError(UserError, ValueError):
    """A machine or a form of network that cannot be; the message says what would do."""


class Level(NamedTuple):
    """A cache, or the memory behind all caches.

    `capacity` in bytes, infinite for the memory; `bandwidth` of a copy in bytes per second, those read and those
    written.
    """

    name: str
    capacity: float
    bandwidth: float


@dataclass(frozen=True)
class Device:
    """A machine, described by hand or measured.

    Args:
        name: what to call it.
        flops: peak FLOP per second of a matrix product; a multiply-add is 2 FLOP.
        levels: caches from the smallest to the memory, whose capacity is `math.inf`; plain tuples will do.
        threads: CPU threads that these rates belong to.
        efficiencies: by kind of work, the speed that its program reaches, as a share of what the peak and the memory
            allow: a ceiling under the roof. A cache lifts the roof, not the ceiling: a program that is slow for another
            reason than its bytes stays so where they are near. Kinds left out reach the roof, but "fused" is as
            "pointwise", where its products are, and "norm" as "elementwise". More than 1 where a cache served it.
        latency: seconds that starting one operation takes, however small it is.
        latencies: the same by kind of work, for the kinds that take longer to start.

    Raises:
        RooflineError: naming what was given and what was expected.

    >>> laptop = Device("laptop", flops=1e11, levels=(("L2", 2**20, 8e10), ("memory", math.inf, 1e10)))
    >>> laptop.level(500_000).name, laptop.bandwidth(5_000_000), laptop.ridge(5_000_000)
    ('L2', 10000000000.0, 10.0)
    """

    name: str
    flops: float
    levels: tuple[Level, ...]
    threads: int = 1
    efficiencies: Mapping[str, float] = field(default_factory=dict, hash=False)
    latency: float = 0.0
    latencies: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # The setter goes round `frozen`, so that plain tuples and lists will do.
        object.__setattr__(self, "levels", tuple(Level(*level) for level in self.levels))
        capacities = [level.capacity for level in self.levels]
        if capacities[-1:] != [math.inf] or sorted(set(capacities)) != capacities:
            raise RooflineError(
                f"levels of {capacities} bytes: expected ever larger ones, the last math.inf: the memory"
            )
        rates = {f"bandwidth of {level.name}": level.bandwidth for level in self.levels}
        rates |= {f"efficiency of {kind}": share for kind, share in self.efficiencies.items()}
        for what, rate in {"flops": self.flops, "threads": self.threads, **rates}.items():
            if not rate > 0:
                raise RooflineError(f"{what} is {rate}: expected a number greater than 0")
        starts = {f"latency of {kind}": start for kind, start in self.latencies.items()}
        for what, start in {"latency": self.latency, **starts}.items():
            if not 0 <= start < math.inf:
                raise RooflineError(f"{what} is {start}: expected seconds, 0 or more")

    def level(self, working_set: float) -> Level:
        """The smallest level that holds so many bytes."""
        return next(level for level in self.levels if working_set <= level.capacity)

    def bandwidth(self, working_set: float) -> float:
        """Bytes per second of a copy, where it and its source take `working_set` bytes together."""
        return self.level(working_set).bandwidth

    def ridge(self, working_set: float = math.inf) -> float:
        """FLOP per byte from which on the multiplications take longer than the bytes; of the memory by default."""
        return self.flops / self.bandwidth(working_set)

    def efficiency(self, kind: str) -> float | None:
        """Speed that a kind of work reaches, as a share of what peak and memory allow; None for the roof itself."""
        return self.efficiencies.get(kind, self.efficiencies.get(STANDS_FOR.get(kind, kind)))

    def start(self, kind: str) -> float:
        """Seconds until a kind of work begins."""
        return self.latencies.get(kind, self.latency)

    def record(self) -> dict[str, Any]:
        """The same as JSON can hold it: a capacity of None is the memory's."""
        levels = [
            {**level._asdict(), "capacity": None if math.isinf(level.capacity) else level.capacity}
            for level in self.levels
        ]
        return {
            **vars(self),
            "levels": levels,
            "efficiencies": dict(self.efficiencies),
            "latencies": dict(self.latencies),
        }

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Device:
        """Make the device that `record` wrote down.

        >>> one = Device("one", 1e11, (("memory", math.inf, 1e10),), efficiencies={"depthwise": 0.4})
        >>> Device.recorded(one.record()) == one
        True
        """
        levels = tuple(
            Level(each["name"], each["capacity"] or math.inf, each["bandwidth"])
            for each in record["levels"]
        )
        return cls(**{**record, "levels": levels})
