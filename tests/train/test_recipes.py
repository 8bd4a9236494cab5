"""The settings of a run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dsconv_lib.data import DATASETS
from dsconv_lib.train import (
    RECIPES,
    TrainingError,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", 1),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "fast"),
        ("momentum", 1),
        ("weight_decay", -1e-4),
        ("label_smoothing", 1),
        ("warmup", 1),
        ("shift", -1),
        ("schedule", "linear"),
        ("flip", True),
        ("cutout", 1.5),
        ("average", 1),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_setting_that_makes_no_sense(name: str, value: object) -> None:
    with pytest.raises(TrainingError, match=f"^{name}={value!r}: expected "):
        replace(RECIPES["digits"], **{name: value})


def test_the_recipes_mirror_what_may_be_mirrored() -> None:
    assert set(RECIPES) == set(DATASETS)
    assert RECIPES["cifar10"].flip != "no"
    assert RECIPES["digits"].flip == "no"  # a mirrored 2 is no digit
