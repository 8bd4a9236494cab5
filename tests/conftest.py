"""What every test shares: reproducible draws, one thread, no window, and the helpers beside this file."""

from __future__ import annotations

import os
import random

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=100, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=1000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

torch.set_num_threads(1)
mpl.use("Agg")


# The longest first: begun last, one process would wait for it while the other had nothing to do.
LONG = ["colab", "site/test_quality", "site", "compiled", "train", "classroom/grading", "measure"]
LONG += ["kernels", "book_builder", "data", "cli"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next(
            (n for n, start in enumerate(LONG) if item.nodeid.startswith(f"tests/{start}")),
            len(LONG),
        )

    if config.args == ["tests"]:  # all of them; who names some has an order in mind
        items.sort(key=place)


def pytest_configure(config: pytest.Config) -> None:
    # torch's own remark on speed, once a process, where an even kernel meets padding="same"
    ignored = "ignore:Using padding='same' with even kernel lengths:UserWarning"
    config.addinivalue_line("filterwarnings", ignored)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
