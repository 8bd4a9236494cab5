"""A roofline: how long a layer takes at least, standard and separable, on a machine that the reader moves."""

from __future__ import annotations

import math

from traitlets import Int, Unicode

from dsconv_lib import spec as specs
from dsconv_lib.interactive.figure import InteractiveFigure, module
from dsconv_lib.roofline import Device, Level, Work, floor, fused, of

GIGA, MEBI = 1e9, 2**20


def _times(longer: float, shorter: float) -> str:
    """How many times one is the other, a tie rounded up as the script does."""
    return f"{math.floor(10 * longer / shorter + 0.5) / 10:,.1f}"


class RooflineFigure(InteractiveFigure):
    """Floors in time of the standard convolution, of both halves of the separable one, and of these in one pass.

    The layer is `in_size` pixels wide and high, with padding that keeps it so, for `batch` images of float32; it begins
    with MobileNet's first block. The machine has a `peak` in GFLOP/s, a `memory` in GB/s, and a cache of `cache_size`
    MiB, 0 for none, with `cache` in GB/s; it begins with about one core of a CPU. Counts and floors are those of
    `roofline`.
    """

    _esm = module("table.js", "roofline.js")
    label = Unicode("Roofline of a layer").tag(sync=True)
    in_size = Int(112, min=1, max=224).tag(sync=True)
    kernel_size = Int(3, min=1, max=11).tag(sync=True)
    in_channels = Int(32, min=1, max=1024).tag(sync=True)
    out_channels = Int(64, min=1, max=1024).tag(sync=True)
    batch = Int(1, min=1, max=512).tag(sync=True)
    peak = Int(100, min=1, max=70_000).tag(sync=True)
    memory = Int(10, min=1, max=70_000).tag(sync=True)
    cache_size = Int(1, min=0, max=1024).tag(sync=True)
    cache = Int(60, min=1, max=70_000).tag(sync=True)

    @property
    def device(self) -> Device:
        """The machine."""
        memory = Level("memory", math.inf, GIGA * self.memory)
        cache = Level("cache", MEBI * self.cache_size, GIGA * self.cache)
        return Device("this machine", GIGA * self.peak, (cache, memory))

    @property
    def works(self) -> dict[str, Work]:
        """What each pass asks of the machine: "standard", "depthwise", "pointwise" and "fused"."""
        window = (self.in_size, self.kernel_size)
        channels = (self.in_channels, self.out_channels)
        halves = specs.separable(*channels, *window, padding="same")
        return {
            "standard": of(specs.standard(*channels, *window, padding="same"), self.batch),
            "depthwise": of(halves.depthwise, self.batch),
            "pointwise": of(halves.pointwise, self.batch),
            "fused": fused(*halves, self.batch),
        }

    @property
    def sentence(self) -> str:
        """How many times the separable convolution's multiplications, and its least time, the standard one's are."""
        works = self.works
        seconds = {name: floor(work, self.device).seconds for name, work in works.items()}
        passes = seconds["depthwise"] + seconds["pointwise"]
        macs = _times(works["standard"].flops, works["fused"].flops)
        return (
            f"The standard convolution makes {macs} times the multiplications of the separable one. "
            f"The least time that it takes is {_times(seconds['standard'], passes)} times that of the two halves "
            f"in two passes, and {_times(seconds['standard'], seconds['fused'])} times that of both in one pass, fused."
        )
