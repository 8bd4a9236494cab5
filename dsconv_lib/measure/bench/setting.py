"""Where the candidates run, how often, on how many threads; and how a timing is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from time import perf_counter, process_time
from typing import Any, TypeVar

import torch

from dsconv_lib.errors import UserError
from dsconv_lib.timing import NOISY, Timing, timed

Name = TypeVar("Name", bound=str)
# D_F, M, N of MobileNetV1's blocks
BLOCKS = ((112, 32, 64), (56, 128, 128), (28, 256, 256), (14, 512, 512), (7, 1024, 1024))
QUICK = ((8, 16, 24), (5, 32, 16))
OPTIONAL = "numba", "onnx", "onnxruntime"
# The candidates that need them.
NEEDED = {
    "compiled loops; compiled, blocked; compiled, fused": {"numba": "Numba"},
    "ONNX Runtime": {"onnxruntime": "ONNX Runtime", "onnx": "the package onnx"},
}
# Of the largest number: float32 rounds by less, and another convolution differs by more.
CLOSE = 1e-3
CPU = torch.device("cpu")


class BenchError(UserError, ValueError):
    """A bench that cannot be run, or that would time something else than it says."""


@dataclass(frozen=True)
class Setting:
    """How to time.

    Args:
        place: torch's device.
        batch: images at a time in the layers and the ladder.
        rounds: timed rounds.
        threads: CPU threads of every library.
        cpu_time: count the processor time of this process, which leaves out what other programs take.
        quick: tiny sizes, for a look at whether all runs.
        compile: time torch.compile, too.

    Raises:
        BenchError: if processor time is asked for where it is not the time that passes.
    """

    place: torch.device = CPU
    batch: int = 8
    rounds: int = 9
    threads: int = 1
    cpu_time: bool = False
    quick: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.cpu_time and (self.threads, self.place.type) != (1, "cpu"):
            given = f"{self.threads} threads on {self.place.type}"
            raise BenchError(f"--cpu-time with {given}: expected one thread of a CPU")

    @property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """D_F, M and N of the blocks to time."""
        return QUICK if self.quick else BLOCKS

    @property
    def clock(self) -> Callable[[], float]:
        """What is read before and after each call."""
        return process_time if self.cpu_time else perf_counter

    def timed(self, calls: Mapping[Name, Callable[[], object]]) -> dict[Name, Timing]:
        """Time calls in turns."""
        warmup = 1 if self.quick else 3
        with torch.inference_mode():
            return timed(calls, repeats=self.rounds, warmup=warmup, clock=self.clock)

    @contextmanager
    def limited(self) -> Iterator[dict[str, str]]:
        """Set the threads of every library, and yield how many each one says that it has."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        said = {"torch": str(torch.get_num_threads())}
        if find_spec("numba"):
            numba = import_module("numba")
            numba.set_num_threads(min(self.threads, numba.config.NUMBA_NUM_THREADS))
            said["Numba"] = str(numba.get_num_threads())
        if find_spec("onnxruntime"):
            said["ONNX Runtime"] = str(self.threads)
        try:
            if find_spec("threadpoolctl") is None:
                yield {**said, "NumPy": "not set: threadpoolctl is not installed"}
                return
            pools = import_module("threadpoolctl")
            with pools.threadpool_limits(self.threads):
                for pool in pools.threadpool_info():
                    if pool["user_api"] == "blas":
                        kernel = pool.get("architecture", "")
                        library = f"{pool['internal_api']} {pool['version']} {kernel}".strip()
                        said["NumPy"] = f"{pool['num_threads']} ({library})"
                yield said
        finally:
            torch.set_num_threads(before)

    def said(self) -> dict[str, Any]:
        """The setting as a file of results holds it."""
        return {
            "batch": self.batch,
            "rounds": self.rounds,
            "threads": self.threads,
            "clock": "processor time of the process" if self.cpu_time else "time that passes",
            "noisy": f"middle half of the rounds further apart than {NOISY:.0%} of the median",
            "quick": self.quick,
        }

    def missing(self) -> dict[str, str]:
        """What was not measured, and why."""
        missing = {
            candidates: f"{name} is not installed"
            for candidates, modules in NEEDED.items()
            for module, name in modules.items()
            if find_spec(module) is None
        }
        if not self.compile:
            missing["torch.compile"] = "it was not asked for with --compile"
        return missing

    @staticmethod
    def versions() -> dict[str, str]:
        """Versions of what took part, besides torch."""
        there = [name for name in OPTIONAL if find_spec(name)]
        return {name: version(name) for name in ("numpy", *there)}


def compiled() -> Any:
    """The compiled loops, or None where Numba is not installed."""
    there = find_spec("numba")
    return import_module("dsconv_lib.compiled") if there else None


def reading(timing: Timing, scale: float = 1.0) -> dict[str, Any]:
    """A timing as a file of results holds it: seconds, the quartiles around them, and whether they mean little."""
    low, median, high = (float(f"{scale * seconds:.4g}") for seconds in timing.quartiles)
    return {"seconds": median, "quartiles": [low, high], "noisy": timing.noisy}


def agree(results: Mapping[str, Any], expected: torch.Tensor) -> None:
    """Raise BenchError unless all results, tensors or arrays, are the expected one but for rounding.

    >>> agree({"mine": torch.ones(2, 2).numpy()}, torch.zeros(2, 2))
    Traceback (most recent call last):
    dsconv_lib.measure.bench.setting.BenchError: mine differs from torch by 1: it computes something else
    """
    for name, result in results.items():
        tensor = torch.as_tensor(result)
        if tensor.shape != expected.shape:
            shapes = f"{tuple(tensor.shape)}, torch's {tuple(expected.shape)}"
            raise BenchError(f"{name} has shape {shapes}: it computes something else")
        apart = (tensor - expected).abs().max().item()
        if not apart <= CLOSE * max(1.0, expected.abs().max().item()):
            raise BenchError(
                f"{name} differs from torch by {apart:.3g}: it computes something else"
            )
