"""The floor that memory sets, and steps timed in turns."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import Layer, mobilenet_v1_layers
from dsconv_lib.spec import depthwise, pointwise
from dsconv_lib.throughput import WAYS, check_alike, measure, training_bytes
from dsconv_lib.train import RECIPES, TrainingError


def test_the_bytes_of_two_layers_by_hand() -> None:
    """2 channels of 4x4, to 2 channels of 4x4, to 3 channels of 4x4; the classifier is left out."""
    network = [
        Layer("a", "depthwise", depthwise(2, 4, 3, padding=1)),
        Layer("b", "pointwise", pointwise(2, 3, 4)),
        Layer("c", "linear", pointwise(3, 10, 1)),
    ]
    first = 1 + 1 + 1 + 2 + 2 + 3 + 2  # passes over a tensor of 32 elements that read or write O
    assert first + 2 == 3 + 11
    assert training_bytes(network, element=2) == 2 * ((3 * 32 + 11 * 32) + (3 * 32 + 11 * 48))
    assert training_bytes(network, element=4) == 2 * training_bytes(network)


def test_the_separable_network_moves_more_than_its_twin() -> None:
    small = {"resolution": 32, "num_classes": 10, "stem": "small"}
    ours = training_bytes(mobilenet_v1_layers(**small))
    twin = training_bytes(mobilenet_v1_layers(separable=False, **small))
    assert ours == 2 * (3 * 410_624 + 11 * 411_648)
    assert 1.5 < ours / twin < 2


def test_a_step_is_timed_beside_a_copy() -> None:
    arguments = {"alpha": 0.25, "num_classes": 10, "stem": "small", "shallow": True}
    model = MobileNetV1(**arguments)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measured = measure(
        model,
        mobilenet_v1_layers(resolution=32, **arguments),
        replace(RECIPES["cifar10"], batch_size=64),
        WAYS["cpu"],
        repeats=1,
    )
    assert list(measured.images_per_second) == list(measured.first_losses) == ["eager"]
    losses = measured.first_losses["eager"]
    assert losses[-1] < 0.95 * losses[0]
    assert measured.images_per_second["eager"] > 0
    network = mobilenet_v1_layers(resolution=32, **arguments)
    assert measured.floor == pytest.approx(measured.bandwidth / training_bytes(network, 4))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_way_that_learns_otherwise_is_not_timed() -> None:
    falling = [2.3, 2.2, 2.5, 2.0, 1.7]
    check_alike({"eager": falling, "compiled": [2.31, 2.21, 2.2, 1.9, 1.85]})
    wrong = {
        "another network": [2.4, 2.2, 2.5, 2.0, 1.7],
        "another gradient": [2.3, 2.3, 2.5, 2.0, 1.7],
        "weights left alone from the third step on": [2.3, 2.2, 2.2, 2.2, 2.2],
        "not a number": [math.nan] * 5,
        "not a number in the end": [2.3, 2.2, 2.5, 2.0, math.nan],
    }
    for (name, losses), step in zip(wrong.items(), (1, 2, 5, 1, 5), strict=True):
        with pytest.raises(TrainingError, match=f"^{name}: loss .* in step {step}: expected"):
            check_alike({"eager": falling, name: losses})
    with pytest.raises(TrainingError, match="expected it to fall"):
        check_alike({"eager": [2.3] * 5, "recorded": [2.3] * 5})
