"""A separable block, bias and ReLU in both halves: torch's two layers, and one fused pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dsconv_lib import layers, spec
from dsconv_lib.measure.bench.ratios import means, ratios
from dsconv_lib.measure.bench.setting import Setting, agree, compiled, reading

TORCH = "torch, two layers"


def names(setting: Setting) -> list[str]:
    """What to time."""
    return [f"separable block, {size}x{size}, {m} to {n}" for size, m, n in setting.blocks]


def measured(setting: Setting, told: Callable[[str], object]) -> dict[str, Any]:
    """Time each block: a reading for each candidate, and its ratio to torch's two channels-last layers.

    A bias in each layer stands for batch normalisation, folded.
    """
    rows = []
    for name, sizes in zip(names(setting), setting.blocks, strict=True):
        told(name)
        taken = setting.timed(_calls(setting, *sizes))
        readings = {each: reading(timing) for each, timing in taken.items()}
        seconds = {each: found["seconds"] for each, found in readings.items()}
        ratio = ratios(seconds, [TORCH])
        rows.append({"layer": name.partition(", ")[2], "readings": readings, "ratio": ratio})
    return {"rows": rows, "mean": means(rows)}


def _calls(setting: Setting, size: int, m: int, n: int) -> dict[str, Callable[[], Any]]:
    conv = spec.separable(m, n, size, 3, padding=1)
    halves = [layers.of(half, bias=True) for half in conv]
    modules: list[nn.Module] = []
    for half in halves:
        modules += [half, nn.ReLU(inplace=True)]
    block = nn.Sequential(*modules).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    shape = conv.depthwise.input_shape(setting.batch)
    x: Tensor = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    calls: dict[str, Callable[[], Any]] = {TORCH: partial(block, x)}
    if fast := compiled():
        given = [dict(half.named_parameters()) for half in halves]
        weights = [each["weight"].detach().numpy() for each in given]
        biases = (each["bias"].detach().numpy() for each in given)
        calls["compiled, fused"] = partial(
            fast.Block(*weights, *biases, relu=True), x.numpy(), padding=1
        )
        with torch.inference_mode():
            agree({"compiled, fused": calls["compiled, fused"]()}, block(x))
    return calls
