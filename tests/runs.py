"""Short training runs on the digits, for every test that needs one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dsconv_lib.data import ImageData
from dsconv_lib.train import RECIPES, EpochRecord, StepRecord, Way, build, fit

ARGUMENTS: dict[str, Any] = {
    "alpha": 0.25,
    "num_classes": 10,
    "in_channels": 1,
    "stem": "small",
    "shallow": True,
}
CPU = Way("cpu")
SHORT = replace(RECIPES["digits"], epochs=2)


class Run:
    """A short run on all digits, and what it has left behind."""

    def __init__(self, data: ImageData, folder: Path) -> None:
        self.folder = folder
        self.steps: list[StepRecord] = []
        self.epochs: list[EpochRecord] = []
        self.model = build(ARGUMENTS, seed=0)
        self.records = fit(self.model, data, SHORT, way=CPU, folder=folder, report=self._report)

    def _report(self, record: StepRecord | EpochRecord) -> None:
        (self.steps if isinstance(record, StepRecord) else self.epochs).append(record)


def untimed(records: list[EpochRecord]) -> list[EpochRecord]:
    return [replace(record, images_per_second=0, seconds=0) for record in records]


def same(model: nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
