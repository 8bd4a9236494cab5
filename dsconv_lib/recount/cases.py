"""Small layers with drawn sizes, on which statements about every layer are tried by running the loops."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from dsconv_lib import loops, ops
from dsconv_lib.recount.arrays import random
from dsconv_lib.spec import SpecError, Window, standard


class Case(NamedTuple):
    """One small layer: M, N, D_F, D_K, padding and stride."""

    M: int
    N: int
    DF: int
    DK: int
    p: int
    s: int

    @property
    def DG(self) -> int:
        """Side of the output."""
        return (self.DF + 2 * self.p - self.DK) // self.s + 1


class Run(NamedTuple):
    """What a run of the loops shows: the output's shape (channels, rows, columns), and the MACs made."""

    shape: tuple[int, ...]
    macs: int


_drawn = np.random.default_rng(0).integers((1, 1, 4, 1, 0, 1), (5, 6, 8, 5, 3, 4), (16, 6))
CASES = [Case(*sizes) for sizes in _drawn.tolist()]


def for_all(holds: Callable[[Case], bool]) -> bool:
    """Say whether something holds for each of sixteen drawn layers.

    >>> for_all(lambda c: run_loops("standard", c).macs == c.N * c.DG**2 * c.DK**2 * c.M)
    True
    """
    return all(map(holds, CASES))


def one_position(case: Case) -> Case:
    """Return the layer with one filter that fits its input at one position."""
    return case._replace(N=1, DF=case.DK, p=0, s=1)


@cache
def run_loops(kind: str, case: Case) -> Run:
    """Run the loops of a standard, depthwise, pointwise or separable convolution.

    The pointwise one reads what the depthwise one writes, and its MACs alone are counted.
    """
    x = random(1, case.M, case.DF, case.DF)
    depthwise, pointwise = random(case.M, 1, case.DK, case.DK), random(case.N, case.M, 1, 1)
    window: Window = {"stride": case.s, "padding": case.p}
    match kind:
        case "standard":
            y, macs = loops.standard(x, random(case.N, case.M, case.DK, case.DK), **window)
        case "depthwise":
            y, macs = loops.depthwise(x, depthwise, **window)
        case "pointwise":
            y, macs = loops.pointwise(ops.depthwise(x, depthwise, **window), pointwise)
        case "separable":
            y, macs = loops.separable(x, depthwise, pointwise, **window)
        case _:
            raise SpecError(f"kind={kind!r}: expected standard, depthwise, pointwise or separable")
    return Run(y.shape[1:], macs)


def refused(kernel: int) -> bool:
    """Say whether the library refuses a kernel of this side.

    >>> refused(-1)
    True
    """
    try:
        standard(3, 4, 8, kernel)
    except SpecError:
        return True
    return False
