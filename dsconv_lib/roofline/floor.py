"""The least time that a machine needs for some work: its roofline."""

from __future__ import annotations

from typing import Literal, NamedTuple

from dsconv_lib.roofline.device import Device
from dsconv_lib.roofline.work import Work


class Floor(NamedTuple):
    """Seconds that the multiplications of some work take alone, and those that its bytes take alone."""

    compute: float
    memory: float

    @property
    def seconds(self) -> float:
        """The longer of both, as they go on at the same time."""
        return max(self)

    @property
    def bound(self) -> Literal["compute", "memory"]:
        """Which of the two takes longer; at the ridge, where both take the same, the multiplications."""
        return "compute" if self.compute >= self.memory else "memory"


def floor(work: Work, device: Device) -> Floor:
    """The time below which no program does this work on this machine: max(FLOP / peak, bytes / bandwidth).

    The bandwidth is that of the smallest level that holds all that the work touches.

    >>> import math
    >>> from dsconv_lib import spec
    >>> from dsconv_lib.roofline import of
    >>> laptop = Device("laptop", flops=1e11, levels=(("memory", math.inf, 1e10),))
    >>> for conv in spec.separable(512, 512, 14, 3, padding=1):
    ...     bound = floor(of(conv), laptop)
    ...     print(f"{1e6 * bound.seconds:.0f} us, {bound.bound}")
    82 us, memory
    1028 us, compute
    """
    return Floor(work.flops / device.flops, work.bytes / device.bandwidth(work.bytes))
