"""Standard against separable convolutions in torch, beside their counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib import cost, spec
from dsconv_lib import layers as torch_layers
from dsconv_lib.measure.bench.setting import Setting, reading
from dsconv_lib.timing import Timing

# The standard one in both layouts: which is faster depends on the size.
CANDIDATES = ("standard", "standard, channels first", "separable", "depthwise", "pointwise")


def names(setting: Setting) -> list[str]:
    """The layers to time."""
    return [f"{size}x{size}, {m} to {n}" for size, m, n in setting.blocks]


def measured(setting: Setting, told: Callable[[str], object]) -> list[dict[str, Any]]:
    """Time each layer: the ratio of the counts and of the times, and a reading for each of `CANDIDATES`.

    The time of the standard convolution is that of its faster layout.
    """
    rows = []
    for name, sizes in zip(names(setting), setting.blocks, strict=True):
        told(name)
        taken = _timed(setting, *sizes)
        standard = min(taken[each].median for each in CANDIDATES[:2])
        rows.append(
            {
                "layer": name,
                "count ratio": float(1 / cost.ratio(sizes[2], 3)),
                "time ratio": standard / taken["separable"].median,
                **{each: reading(timing) for each, timing in taken.items()},
            }
        )
    return rows


def _timed(setting: Setting, size: int, in_channels: int, out_channels: int) -> dict[str, Timing]:
    sizes = in_channels, out_channels, size, 3
    standard, separable = spec.standard(*sizes, padding=1), spec.separable(*sizes, padding=1)

    def placed(what: Any, layout: torch.memory_format = torch.channels_last) -> Any:
        return what.to(setting.place, memory_format=layout)

    image = torch.randn(standard.input_shape(setting.batch))
    x: Tensor = placed(image)
    one = torch_layers.of(standard)
    halves: nn.Sequential = placed(torch_layers.of(separable))
    first = placed(torch_layers.of(standard), torch.contiguous_format)
    calls = (
        partial(placed(one), x),
        partial(first, placed(image, torch.contiguous_format)),
        partial(halves, x),
        partial(halves[0], x),
        partial(halves[1], x),
    )
    return setting.timed(dict(zip(CANDIDATES, calls, strict=True)))
