"""Images of noise in CIFAR-10's place, and `dsconv measure` as it is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from dsconv_lib.measure.runs import SMALL
from tests.photographs import encoded, table

Measure = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of noise: a quarter of what the small version takes, as it is run here to see that it runs."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name, count in (("train", SMALL["subset"] // 4), ("test", 50)):
        images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        labels = rng.integers(0, 10, count).tolist()
        content = table([encoded(image) for image in images], labels)
        parquet.write_table(content, folder / f"{name}.parquet")
    return folder


@pytest.fixture
def measure(noise: Path, tmp_path: Path) -> Measure:
    """`dsconv measure WHAT` on noise, on the CPU, in an empty folder, which is where it writes."""

    def run(what: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dsconv_lib", "measure", what, "--data", str(noise)]
        return subprocess.run(
            [*command, "--device", "cpu", *options],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=900,
        )

    return run
