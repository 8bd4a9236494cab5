"""The rates of this machine, read off a clock: a peak, the bandwidth of each cache, an efficiency for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from dsconv_lib import machine
from dsconv_lib.roofline.device import Device
from dsconv_lib.roofline.floor import floor
from dsconv_lib.roofline.levels import caches, levels
from dsconv_lib.roofline.work import Work
from dsconv_lib.timing import Timing, timed

if TYPE_CHECKING:
    import torch

SMALLEST, LARGEST = 2**15, 2**30  # bytes of a copy and its source
LEAST = 2**20  # where several threads, or a GPU, share a copy: below, starting it takes longer
MOVED = (
    2**27
)  # bytes in one reading, so that finding its data far off, the first time, does not count
SIDES = (512, 1024, 2048)  # of the matrices: the rate no longer grows
# Times that the kinds take turns in one round: each finds its data where a network does, neither in the memory, where
# the copies have left them, nor all in the first cache, where it would have left them itself.
TURNS = 5
STARTED = 50  # times that a program with nothing to do is called in one reading


@dataclass(frozen=True)
class Readings:
    """A measured `device`, and what it was read from.

    `curve` is the bandwidth of a copy in bytes per second, by the bytes of it and its source; `timings` those of all
    calls, by name.
    """

    device: Device
    curve: Mapping[int, float]
    timings: Mapping[str, Timing]

    @property
    def noisy(self) -> list[str]:
        """Names of the calls whose rounds scatter by more than `timing.NOISY`."""
        return [name for name, timing in self.timings.items() if timing.noisy]


class Probe:
    """Calls that tell what a machine can do, to be timed beside others: `read` turns their timings into readings.

    Args:
        threads: CPU threads; torch is set to them.
        device: "cpu", or "cuda" for the first GPU.
        batch: images that the calibrated layers are given: as many as the network that is to be predicted.
        channels_last: lay the maps of the calibrated layers out with their channels innermost.
        largest: bytes of the largest copy and its source; it should be far more than the caches hold.
    """

    def __init__(
        self,
        threads: int = 1,
        device: str = "cpu",
        *,
        batch: int = 1,
        channels_last: bool = False,
        largest: int = LARGEST,
    ) -> None:
        import torch  # here, as the model needs no torch

        from dsconv_lib.roofline import calls

        torch.set_num_threads(threads)
        self.threads, self.place = threads, torch.device(device)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        least = SMALLEST if (threads, device) == (1, "cpu") else LEAST
        doubled = (2**n for n in range(least.bit_length() - 1, largest.bit_length()))
        self.times = {size: max(1, MOVED // size) for size in doubled}
        kinds = calls.programs(calls.LAYERS, batch, self.place, layout).items()
        made: dict[str, calls.Call] = {
            **{
                f"copy of {size} bytes": calls.copies(size, times, self.place, threads)
                for size, times in self.times.items()
            },
            **{f"product of {side}": calls.product(side, self.place) for side in SIDES},
            **{f"{kind}, turn {turn}": call for turn in range(TURNS) for kind, call in kinds},
            **{
                f"start of {kind}": calls.repeated(call, STARTED)
                for kind, call in calls.programs(calls.STARTS, 1, self.place, layout).items()
            },
        }
        self.work = calls.work(batch)
        self.calls = {name: calls.exact()(call) for name, call in made.items()}

    def read(self, taken: Mapping[str, Timing]) -> Readings:
        """Read the device off what `timed` made of `calls`; other names in it are left alone."""
        timings = {name: taken[name] for name in self.calls}
        starts = {kind: timings[f"start of {kind}"].median / STARTED for kind in self.work}
        curve = {
            size: size * times / timings[f"copy of {size} bytes"].median
            for size, times in self.times.items()
        }
        peak = max(2 * side**3 / timings[f"product of {side}"].median for side in SIDES)
        device = Device(
            machine.facts(self.place)["name"],
            peak,
            levels(curve, _caches(self.place)),
            self.threads,
            latency=min(starts.values()),
            latencies=starts,
        )
        shares = {
            kind: efficiency(
                work,
                median(timings[f"{kind}, turn {turn}"].median for turn in range(TURNS)),
                device,
            )
            for kind, work in self.work.items()
        }
        return Readings(replace(device, efficiencies=shares), curve, timings)


def measure(threads: int = 1, device: str = "cpu") -> Device:
    """Measure a device: its peak, its bandwidths, and the efficiency of torch's program for each kind of layer.

    Args:
        threads: CPU threads; torch is set to them.
        device: "cpu", or "cuda" for the first GPU.

    Returns:
        Medians of rounds in which all calls take turns, of random float32 numbers. `readings` also tells how far the
        rounds scatter.
    """
    return readings(Probe(threads, device)).device


def readings(
    probe: Probe, *, rounds: int = 9, clock: Callable[[], float] = perf_counter
) -> Readings:
    """Measure a device as `measure` does, and keep the readings.

    Args:
        probe: what to time.
        rounds: timed rounds.
        clock: as in `timing.timed`.
    """
    return probe.read(timed(probe.calls, repeats=rounds, clock=clock))


def efficiency(work: Work, seconds: float, device: Device) -> float:
    """Share of what peak and memory allow that some work has reached in so many seconds, the start taken off them.

    >>> import math
    >>> laptop = Device("laptop", flops=1e11, levels=(("memory", math.inf, 1e10),))
    >>> efficiency(Work("depthwise", 10**6, 10**6), 4e-4, laptop)
    0.25
    """
    memory = replace(device, levels=device.levels[-1:])
    # A call shorter than its start can only be a slip of the clock.
    return floor(work, memory).seconds / max(seconds - device.start(work.kind), seconds / 10)


def _caches(place: torch.device) -> dict[str, int]:
    if place.type == "cpu":
        return caches()
    import torch

    return {"L2": torch.cuda.get_device_properties(place).L2_cache_size}
