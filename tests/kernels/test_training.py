"""A training run whose depthwise layers compute with the kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dsconv_lib.data import load
from dsconv_lib.kernels import launch
from dsconv_lib.train import Way, build, fit
from tests.runs import ARGUMENTS, SHORT


def test_a_run_on_the_kernels_learns_the_same(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    plain = launch.forward
    monkeypatch.setattr(launch, "forward", lambda *each: called.append(each) or plain(*each))
    digits = load("digits").subset(8)
    few = replace(digits, test_images=digits.test_images[:2], test_labels=digits.test_labels[:2])
    recipe = replace(SHORT, epochs=1, batch_size=4, warmup=0.0, learning_rate=0.01)
    records, models = [], []
    for kernels in (False, True):
        models.append(build(ARGUMENTS))
        records += fit(models[-1], few, recipe, way=Way(device, kernels=kernels))
    torchs, ours = records
    assert len(called) == 8 * 3  # layers; two steps and a test
    assert ours.train_loss == pytest.approx(
        torchs.train_loss, rel=0.02 if device == "cuda" else 1e-4
    )
    # Afterwards the network is torch's own again.
    assert [type(each) for each in models[1].modules()] == [
        type(each) for each in models[0].modules()
    ]
