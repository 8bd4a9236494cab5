"""One depthwise convolution, from nested loops in Python to compiled blocks, against torch in both layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from dsconv_lib import cost, loops, ops, spec
from dsconv_lib.measure.bench import blocks
from dsconv_lib.measure.bench.ratios import means, ratios
from dsconv_lib.measure.bench.setting import Setting, agree, compiled, reading
from dsconv_lib.spec import Array

KERNELS = (3, 5)
TASKS = ("forward", "weight gradient", "input gradient", "both gradients")
TORCH = ("torch", "torch, channels-last")
# Nested loops would take hours: they are timed on a corner of this side, of so many channels, and scaled by MACs.
CORNER = 6
FEW = 4
Call = Callable[[], Any]


@dataclass(frozen=True)
class Problem:
    """A depthwise convolution of random numbers, stride 1, padded to keep its size.

    `x` and `grad` are channels-last in memory, as most candidates like it best; each is shaped (B, M, H, W).
    """

    x: Array
    weight: Array
    grad: Array
    padding: int

    @staticmethod
    def of(batch: int, channels: int, size: int, kernel_size: int) -> Problem:
        """Draw one."""
        random = np.random.default_rng(0)

        def draw(*shape: int) -> Array:
            return random.standard_normal(shape, np.float32)

        x, grad = (draw(batch, size, size, channels).transpose(0, 3, 1, 2) for _ in range(2))
        return Problem(x, draw(channels, 1, kernel_size, kernel_size), grad, kernel_size // 2)

    def macs(self) -> int:
        """MACs of its forward pass."""
        batch, channels, size, _ = self.x.shape
        kernel_size = self.weight.shape[-1]
        conv = spec.depthwise(channels, size, kernel_size, padding=self.padding)
        return cost.of(conv, batch).macs


def names(setting: Setting) -> list[str]:
    """What to time."""
    depthwise = [
        f"{size}x{size}x{channels}, {kernel}x{kernel}, {task}"
        for kernel, task, (size, channels, _) in product(KERNELS, TASKS, setting.blocks)
    ]
    return depthwise + blocks.names(setting)


def measured(setting: Setting, told: Callable[[str], object]) -> dict[str, Any]:
    """Time every form of the depthwise convolution, and the fused block.

    Returns:
        `depthwise`: for each kernel and task, the rows, a reading for each candidate and size, and the ratio to the
        faster of torch's layouts; and the geometric mean of these ratios over the sizes. `separable`: the same of
        `blocks`.
    """
    found = []
    for kernel, task in product(KERNELS, TASKS):
        rows = []
        for size, channels, _ in setting.blocks:
            told(f"{size}x{size}x{channels}, {kernel}x{kernel}, {task}")
            problem = Problem.of(setting.batch, channels, size, kernel)
            rows.append({"layer": f"{size}x{size}x{channels}", **_row(setting, problem, task)})
        found.append({"kernel": kernel, "task": task, "rows": rows, "mean": means(rows)})
    return {"depthwise": found, "separable": blocks.measured(setting, told)}


def _row(setting: Setting, problem: Problem, task: str) -> dict[str, Any]:
    calls = dict(_torch(problem, task))
    reference = calls["torch"]()
    calls |= dict(_ours(problem, task))
    for name, call in calls.items():
        _compare(name, call(), reference)
    scale = {}
    if task == "forward":
        corner = Problem.of(1, FEW, CORNER, problem.weight.shape[-1])
        window = {"padding": corner.padding}
        calls["nested loops"] = partial(loops.depthwise, corner.x, corner.weight, **window)
        scale["nested loops"] = problem.macs() / corner.macs()
    taken = setting.timed(calls)
    readings = {name: reading(timing, scale.get(name, 1)) for name, timing in taken.items()}
    seconds = {name: each["seconds"] for name, each in readings.items()}
    return {"readings": readings, "ratio": ratios(seconds, TORCH)}


def _compare(name: str, result: Any, reference: Any) -> None:
    """Compare one result, or both gradients."""
    if isinstance(result, tuple):
        for part, expected in zip(result, reference, strict=True):
            agree({name: part}, expected)
    else:
        agree({name: result}, reference)


def _torch(problem: Problem, task: str) -> Iterator[tuple[str, Call]]:
    """Torch's own programs, with the channels outermost and innermost."""
    mask = [task != "weight gradient", task != "input gradient", False]
    for name, layout in zip(TORCH, (torch.contiguous_format, torch.channels_last), strict=True):
        x, weight, grad = (
            torch.from_numpy(array).contiguous(memory_format=layout)
            for array in (problem.x, problem.weight, problem.grad)
        )
        padding, groups = [problem.padding] * 2, len(weight)
        if task == "forward":
            yield name, partial(torch.conv2d, x, weight, padding=padding, groups=groups)
            continue
        given = (grad, x, weight, None, [1, 1], padding, [1, 1], False, [0, 0], groups, mask)
        yield name, partial(_gradients, *given)


def _gradients(*given: Any) -> Any:
    made = [each for each in torch.ops.aten.convolution_backward(*given) if each is not None]
    return tuple(made) if len(made) == 2 else made[0]


def _ours(problem: Problem, task: str) -> Iterator[tuple[str, Call]]:
    """The course's programs for a task, where their packages are installed."""
    x, weight, grad = problem.x, problem.weight, problem.grad
    window: Any = {"padding": problem.padding}
    fast = compiled()
    if task == "forward":
        yield "shift and add", partial(ops.shift_and_add, np.ascontiguousarray(x), weight, **window)
        yield "tiled rows", partial(ops.depthwise, x, weight, **window)
        if fast:
            yield "compiled loops", partial(fast.nested, x, weight, **window)
            yield "compiled, blocked", partial(fast.depthwise, x, weight, **window)
        return
    if task == "both gradients":
        yield "tiled rows", partial(ops.depthwise_backward, grad, x, weight, **window)
    if fast:
        gradient = {
            "weight gradient": fast.weight_gradient,
            "input gradient": fast.input_gradient,
            "both gradients": fast.depthwise_backward,
        }[task]
        yield "compiled, blocked", partial(gradient, grad, x, weight, **window)
