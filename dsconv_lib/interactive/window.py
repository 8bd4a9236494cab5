"""The sliding window: an operation one output number at a time, with all numbers, its loops and its count."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
from traitlets import Bunch, Enum, Int, TraitError, Unicode, observe, validate

from dsconv_lib import cost, ops
from dsconv_lib import spec as specs
from dsconv_lib.interactive.figure import InteractiveFigure, module
from dsconv_lib.spec import Array


def _numbers(least: int, most: int, *shape: int) -> Array:
    """Whole numbers from `least` to `most` without a pattern that meets the eye: fifth powers modulo a prime.

    From 48 on they are such that no input, product or output has more than two characters.
    """
    powers = np.arange(48, 48 + prod(shape)) ** 5 % 113
    return (powers % (most - least + 1) + least).reshape(shape).astype(np.float64)


_X = _numbers(0, 4, 1, 3, 5, 5)
_DEPTHWISE = _numbers(-1, 2, 3, 1, 3, 3)

# Input and weight of each operation: 3 channels of 5x5 pixels, 3x3 kernels, 4 outputs. The pointwise operation reads
# what the depthwise one writes, so that the two after each other are the separable convolution.
ARRAYS = {
    "standard": (_X, _numbers(-1, 2, 4, 3, 3, 3)),
    "depthwise": (_X, _DEPTHWISE),
    "pointwise": (ops.depthwise(_X, _DEPTHWISE), _numbers(-1, 2, 4, 3, 1, 1)),
}
SPECS = {
    "standard": specs.of_arrays(*ARRAYS["standard"]),
    "depthwise": specs.of_depthwise(*ARRAYS["depthwise"]),
    "pointwise": specs.of_pointwise(*ARRAYS["pointwise"]),
}
HALVES = {name: (name,) for name in ARRAYS} | {"separable": ("depthwise", "pointwise")}


def _script() -> str:
    """The arrays as the script's constants: what it multiplies is what Python multiplies."""
    arrays = {
        name: {"x": x[0].astype(int).tolist(), "weight": weight.astype(int).tolist()}
        for name, (x, weight) in ARRAYS.items()
    }
    ours = (json.dumps(value, separators=(",", ":")) for value in (arrays, HALVES))
    return "const ARRAYS = {};\nconst HALVES = {};\n".format(*ours)


def _signed(number: float) -> str:
    return f"{number:z.0f}".replace("-", "−")


class SlidingWindow(InteractiveFigure):
    """One operation, step by step: what each output number is made of, and how many multiplications that takes.

    `operation` is "standard", "depthwise", "pointwise" or "separable", the second and the third after each other. A
    step writes one output number, in the order of `loops`; `step` counts from 1. A change to an operation with fewer
    steps goes back to the first.

    Raises:
        TraitError: if the operation does not have that step.
    """

    _esm = _script() + module("window.js")
    label = Unicode("The sliding window").tag(sync=True)
    operation = Enum(list(HALVES), "standard").tag(sync=True)
    step = Int(1).tag(sync=True)

    @property
    def steps(self) -> int:
        """The number of output numbers, those of both halves for a separable convolution."""
        return cost.of(SPECS[half] for half in HALVES[self.operation]).writes

    @validate("step")
    def _check_step(self, proposal: Bunch) -> Any:
        step, expected = proposal["value"], f"1 to {self.steps}, one for each output number"
        if not 1 <= step <= self.steps:
            raise TraitError(f"step={step}: expected {expected} of operation={self.operation!r}")
        return step

    @observe("operation")
    def _return_to_start(self, change: Bunch) -> None:
        if self.step > self.steps:
            self.step = 1

    @property
    def sentence(self) -> str:
        """The present output number, the sums that it is made of, and the multiplications so far."""
        before, done = 0, self.step
        total = cost.of(SPECS[half] for half in HALVES[self.operation]).macs
        for half in HALVES[self.operation]:
            spec = SPECS[half]
            outputs = prod(spec.output_shape())
            if done <= outputs:
                break
            before, done = before + cost.of(spec).macs, done - outputs
        x, weight = ARRAYS[half]
        n, i, j = (int(k) for k in np.unravel_index(done - 1, spec.output_shape()[1:]))
        rows, columns = spec.kernel_size
        window = x[0, n : n + 1] if half == "depthwise" else x[0]
        products = weight[n] * window[:, i : i + rows, j : j + columns]
        first, *more = products.sum(axis=(1, 2))
        terms = _signed(first) + "".join(f" {'−' if s < 0 else '+'} {abs(s):.0f}" for s in more)
        result = f"{terms} = {_signed(products.sum())}" if more else terms
        name = half.capitalize() + (" half" if self.operation == "separable" else "")
        return (
            f"{name}, step {self.step} of {self.steps}: output channel {n}, row {i}, column {j} "
            f"is {result}, from {products.size} products. "
            f"{before + done * products.size} of {total} multiplications."
        )
