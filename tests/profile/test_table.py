"""The rows of a profile: one for each run of a layer, and their sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib import cost
from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.profile import by_type, profile
from dsconv_lib.spec import SpecError
from tests.profile.models import Call, columns, small
from tests.strategies import message_of


def test_every_row() -> None:
    model = small()
    found = profile(model, (4, 8, 6))
    rows = [
        ("0", "Conv2d", "grouped", "6x4x3", 6 * 12 * 2 * 9, 6 * 2 * 9 + 6, 4 * 48, 72),
        ("1", "BatchNorm2d", "normalisation", "6x4x3", 0, 12, 0, 0),
        ("2.depthwise", "Conv2d", "depthwise", "6x4x3", 6 * 12 * 9, 6 * 9, 72, 72),
        ("2.depthwise_norm", "BatchNorm2d", "normalisation", "6x4x3", 0, 12, 0, 0),
        ("2.pointwise", "Conv2d", "pointwise", "5x4x3", 5 * 12 * 6, 5 * 6, 72, 60),
        ("2.pointwise_norm", "BatchNorm2d", "normalisation", "5x4x3", 0, 10, 0, 0),
        ("4", "Linear", "linear", "7", 7 * 60, 7 * 60 + 7, 60, 7),
    ]
    names = ["layer", "type", "operation", "output", "macs", "params", "reads", "writes"]
    assert list(found.columns) == [*names, "bytes"]
    assert columns(found, *names) == rows
    weights = [108, 0, 54, 0, 30, 0, 420]
    expected = [4 * (r[6] + w + r[7]) for r, w in zip(rows, weights, strict=True)]
    assert found["bytes"].tolist() == expected
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())


def test_a_batch_multiplies_all_but_the_weights() -> None:
    one, five = profile(small(), (4, 8, 6)), profile(small(), (4, 8, 6), batch=5)
    for name in ("macs", "reads", "writes"):
        assert five[name].tolist() == (5 * one[name]).tolist()
    for name in ("layer", "type", "operation", "output", "params"):
        assert five[name].tolist() == one[name].tolist()


@pytest.mark.parametrize("batch", [0, 1.5, True])
def test_a_batch_is_a_positive_integer(batch: Any) -> None:
    assert "batch" in message_of(lambda: profile(small(), (4, 8, 6), batch=batch), SpecError)


@pytest.mark.parametrize("size", [torch.zeros(1, 4, 8, 6), (torch.zeros(1), 3)])
def test_tensors_come_alone_and_with_their_batch(size: Any) -> None:
    message = message_of(lambda: profile(small(), size, batch=2), SpecError)
    assert message.startswith("input_size=('Tensor'")
    assert "batch=2" in message


class Shared(nn.Module):
    """Runs `second` first, `first` twice, and `idle` never."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, padding=1)
        self.second = nn.Conv2d(1, 2, 1)
        self.idle = nn.Conv2d(2, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(self.first(self.second(x)))


def test_rows_are_the_runs_in_their_order() -> None:
    found = profile(Shared(), (1, 4, 4))
    assert found["layer"].tolist() == ["second", "first", "first"]
    assert found["macs"].tolist() == [2 * 16, 2 * 16 * 18, 2 * 16 * 18]
    assert found["params"].tolist() == [4, 2 * 9 * 2 + 2, 0], "shared weights exist once"


def test_one_layer_under_two_names_runs_twice() -> None:
    conv = nn.Conv2d(2, 2, 1)
    found = profile(nn.Sequential(conv, nn.ReLU(), conv), (2, 3, 3))
    assert found["macs"].tolist() == [36, 36]

    assert found["params"].tolist() == [6, 0]


def test_a_product_shows_the_shape_of_its_layer() -> None:
    assert profile(nn.Linear(5, 3), (2, 4, 5))["output"].tolist() == ["2x4x3"]


def test_what_a_hook_of_the_user_runs_belongs_to_its_layer() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].register_forward_pre_hook(lambda _, inputs: inputs[0] @ torch.eye(4))
    found = profile(model, (4,))
    assert columns(found, "layer", "operation") == [("0", "matmul"), ("0", "linear")]


def test_sums_by_type() -> None:
    found = by_type(profile(small(), (4, 8, 6), backward=True))
    assert found.index.tolist() == ["grouped", "normalisation", "depthwise", "pointwise", "linear"]
    assert found["rows"].tolist() == [1, 3, 1, 1, 1]
    assert found["macs"].tolist() == [1296, 0, 648, 360, 420]
    assert found["backward"].tolist() == [1296, 0, 1296, 720, 840]
    assert found["total"].tolist() == [2592, 0, 1944, 1080, 1260]
    assert found["params"].tolist() == [114, 34, 54, 30, 427]
    assert "backward" not in by_type(profile(small(), (4, 8, 6)))


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_mobilenet_by_type(alpha: float) -> None:
    table = mobilenet_v1_layers(alpha, 64)
    with torch.device("meta"):
        model = MobileNetV1(alpha)
    found = profile(model, (3, 64, 64), batch=2, backward=True)
    sums = by_type(found)
    for kind in ("standard", "depthwise", "pointwise", "linear"):
        expected = cost.of((layer for layer in table if layer.kind == kind), 2)
        got = sums.loc[kind]
        assert (got["macs"], got["reads"], got["writes"]) == (
            expected.macs,
            expected.reads,
            expected.writes,
        )
        assert got["bytes"] == expected.bytes()
        assert got["backward"] == (1 if kind == "standard" else 2) * expected.macs
    assert sums["bytes"].sum() == cost.of(table, 2).bytes()


@pytest.mark.parametrize("written", ["modules", "functions"])
def test_one_count_where_six_counters_differ(written: str) -> None:
    """The true count of the network whose readings the notation page prints, in both ways of writing it."""

    def as_function(x: Tensor, *weights: Tensor) -> Tensor:
        convolutions = [layer.spec for layer in mobilenet_v1_layers()[:-1]]
        for spec_, weight in zip(convolutions, weights[:-2], strict=True):
            zeros, ones = torch.zeros(len(weight)), torch.ones(len(weight))
            x = F.conv2d(
                x, weight, stride=spec_.stride, padding=1 % weight.shape[-1], groups=spec_.groups
            )
            x = F.relu(F.batch_norm(x, zeros, ones, ones, zeros))
        return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), *weights[-2:])

    with torch.device("meta"):
        model: nn.Module = MobileNetV1()
        if written == "functions":
            shapes = [layer.spec.weight_shape for layer in mobilenet_v1_layers()]
            model = Call(as_function, *shapes[:-1], (1000, 1024), (1000,))
        found = profile(model, (3, 224, 224), backward=True)
    macs = int(found["macs"].sum())
    assert macs == 568_740_352
    stem = int(found["macs"][0])
    assert found["total"].sum() == 3 * macs - stem
    path = Path(__file__).parents[2] / "results" / "counters.json"
    readings = json.loads(path.read_text())[written]
    # The nearest two add the classifier's 1,000 biases, and perhaps what normalisation holds.
    over = {tool: reading - macs for tool, reading in readings.items()}
    assert over.pop("FlopCounterMode") == macs
    assert over.pop("ptflops aten") == 1000
    assert over.pop("torchinfo") == 1000 + (21_888 if written == "modules" else 0)
    assert min(over.values()) > 50_000
