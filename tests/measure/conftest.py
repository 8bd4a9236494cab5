"""Images of noise in CIFAR-10's place, and `dsconv measure` as it is typed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet

from dsconv_lib.measure.runs import SMALL
from tests.commands import dsconv
from tests.photographs import encoded, table

Measure = Callable[..., Any]


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of noise: an eighth of what the small version takes, as it is run here to see that it runs."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name, count in (("train", SMALL["subset"] // 8), ("test", 50)):
        images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        labels = rng.integers(0, 10, count).tolist()
        content = table([encoded(image) for image in images], labels)
        parquet.write_table(content, folder / f"{name}.parquet")
    return folder


@pytest.fixture
def measure(noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """`dsconv measure WHAT` on noise, on the CPU, in an empty folder, which is where it writes."""
    monkeypatch.chdir(tmp_path)

    def run(what: str, *options: str) -> Any:
        typed = ["measure", what, "--data", str(noise), "--device", "cpu", *options]
        monkeypatch.setattr(sys, "argv", ["dsconv", *typed])  # which a file of results repeats
        torch.set_num_threads(2)  # as a process may begin
        return dsconv(*typed)

    return run
