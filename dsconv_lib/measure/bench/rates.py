"""The machine's own rates, and what share of them a matrix product in NumPy reaches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dsconv_lib import cost, ops, spec
from dsconv_lib.measure.bench.setting import Setting, reading
from dsconv_lib.roofline import LARGEST, Probe, Readings
from dsconv_lib.spec import Array

SMALL = 2**21  # bytes of the largest copy in a quick look
SIDE = 1024  # of the matrices whose product is NumPy's own rate


def names(setting: Setting) -> list[str]:
    """What to time."""
    return ["roofline", "pointwise in NumPy"]


def measured(setting: Setting, told: Callable[[str], object]) -> dict[str, Any]:
    """Measure the machine as `roofline.Probe` does, and time `ops.pointwise` beside a product of large matrices."""
    told("roofline")
    probe = probe_of(setting)
    found = said(probe.read(setting.timed(probe.calls)))
    if setting.place.type == "cpu":
        told("pointwise in NumPy")
        found["pointwise in NumPy"] = _pointwise(setting)
    return found


def probe_of(setting: Setting, batch: int = 1) -> Probe:
    """What tells the rates of the setting's machine, and the efficiencies of layers with so many images."""
    largest = SMALL if setting.quick else LARGEST
    return Probe(setting.threads, setting.place.type, batch=batch, largest=largest)


def said(readings: Readings) -> dict[str, Any]:
    """Readings as a file of results holds them."""
    return {
        "device": readings.device.record(),
        "ridge": readings.device.ridge(),
        "curve": [{"bytes": size, "bandwidth": rate} for size, rate in readings.curve.items()],
        "noisy": readings.noisy,
    }


def _pointwise(setting: Setting) -> dict[str, Any]:
    random = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return random.standard_normal(shape, np.float32)

    calls: dict[str, Callable[[], Any]] = {
        "product": partial(np.matmul, draw(SIDE, SIDE), draw(SIDE, SIDE))
    }
    macs = {"product": SIDE**3}
    for size, m, n in setting.blocks:
        name, conv = f"{size}x{size}, {m} to {n}", spec.pointwise(m, n, size)
        x = draw(setting.batch, size, size, m).transpose(0, 3, 1, 2)
        calls[name] = partial(ops.pointwise, x, draw(*conv.weight_shape))
        macs[name] = cost.of(conv, setting.batch).macs
    taken = setting.timed(calls)
    rate = {name: 2 * macs[name] / timing.median for name, timing in taken.items()}
    rows = [
        {"layer": name, "reading": reading(taken[name]), "share": rate[name] / rate["product"]}
        for name in list(calls)[1:]
    ]
    return {"FLOP per second of a product": rate["product"], "rows": rows}
