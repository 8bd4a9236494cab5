"""What the bench times is what it says: wrong candidates are refused, right ones agree, absent ones are named."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from dsconv_lib import cost, roofline, spec
from dsconv_lib.measure import bench
from dsconv_lib.measure.bench import BenchError, Setting, ladder, network, onnx_graph, setting
from dsconv_lib.measure.bench.ratios import geometric_mean, means, ratios
from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.timing import Timing

RECORDED = Path(__file__).parents[2] / "results/bench-cpu.json"


def test_a_candidate_that_computes_something_else_is_not_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dsconv_lib.ops.depthwise", lambda x, weight, **_: x)
    with pytest.raises(BenchError, match=r"^tiled rows differs from torch by .*something else$"):
        bench.bench(Setting(quick=True, rounds=1), ["ladder"])


def test_agreement_is_relative_to_the_largest_number() -> None:
    expected = torch.tensor([1000.0, 1.0])
    setting.agree({"close": np.array([1000.5, 1.5], np.float32)}, expected)
    with pytest.raises(BenchError, match="far differs from torch by 2"):
        setting.agree({"far": torch.tensor([1002.0, 1.0])}, expected)
    with pytest.raises(BenchError, match="nan differs"):
        setting.agree({"nan": torch.tensor([math.nan, 1.0])}, expected)
    with pytest.raises(BenchError, match=r"flat has shape \(1, 2\), torch's \(2,\)"):
        setting.agree({"flat": expected[None]}, expected)


def test_a_part_that_needs_a_cpu() -> None:
    with pytest.raises(BenchError, match="ladder does not run on cuda: expected layers or"):
        bench.bench(Setting(torch.device("cuda")), ["ladder"])


def test_ratios_and_their_mean() -> None:
    rows = [{"ratio": ratios({"a": 2.0, "b": 1.0, "mine": 4.0}, "ab")} for _ in range(2)]
    assert rows[0]["ratio"] == {"a": 2, "b": 1, "mine": 4}
    rows[1]["ratio"]["mine"] = 1
    assert means(rows) == {"a": 2, "b": 1, "mine": 2}
    assert geometric_mean([4, 0.25]) == pytest.approx(1)


def test_nested_loops_are_scaled_by_macs() -> None:
    whole, corner = ladder.Problem.of(2, 8, 10, 3), ladder.Problem.of(1, 2, 5, 3)
    assert whole.macs() == cost.of(spec.depthwise(8, 10, 3, padding=1), 2).macs
    assert whole.macs() / corner.macs() == 2 * 8 * 10 * 10 / (2 * 5 * 5)


def test_what_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        setting, "find_spec", lambda name: None if name in ("numba", "onnx") else find_spec(name)
    )
    assert Setting().missing() == {
        "compiled loops; compiled, blocked; compiled, fused": "Numba is not installed",
        "ONNX Runtime": "the package onnx is not installed",
        "torch.compile": "it was not asked for with --compile",
    }
    assert "numba" not in Setting.versions()
    content = bench.bench(Setting(quick=True, rounds=1, batch=1), ["ladder"])
    assert not any(
        name.startswith("compiled") for name in content["ladder"]["depthwise"][0]["mean"]
    )
    assert list(content["ladder"]["separable"]["mean"]) == ["torch, two layers"]


def test_groups_are_those_that_are_told() -> None:
    told: list[str] = []
    quick = Setting(quick=True, rounds=1, batch=1)
    bench.bench(quick, ["layers", "roofline"], told.append)
    assert len(told) == bench.groups(quick, ["layers", "roofline"]) == 4


def test_the_onnx_graph_is_the_network() -> None:
    torch.manual_seed(0)
    model = network.lively(MobileNetV1(0.25, num_classes=10).eval())
    folded = network.folded(model)
    convolutions = [part for part in folded if isinstance(part, nn.Conv2d)]
    graph = onnx_graph.graph_of(convolutions, folded[-1])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 32, 32), (2, 3, 64, 48)):
        x = torch.randn(shape)
        with torch.inference_mode():
            expected = model(x)
        assert expected.std() > 1e-3
        torch.testing.assert_close(folded(x), expected, rtol=1e-4, atol=1e-5)
        (scores,) = session.run(None, {"images": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(scores), expected, rtol=1e-4, atol=1e-5)


def test_layers_are_clocked_one_by_one() -> None:
    model = MobileNetV1(0.25, num_classes=10).eval()
    ticks = iter(range(1000))
    x = torch.randn(1, 3, 32, 32)
    clocked = network.LayerClock(model, x, lambda: float(next(ticks)))
    with torch.inference_mode():
        for _ in range(3):
            torch.testing.assert_close(clocked(), model(x))
    names = [layer.name for layer in mobilenet_v1_layers(0.25, 32, num_classes=10)]
    assert clocked.seconds == {name: [1.0] * 3 for name in names}


def test_errors_of_a_prediction() -> None:
    device = roofline.Device("one", 1e9, (("memory", math.inf, 1e9),))
    layers = mobilenet_v1_layers()[:3]
    predicted = roofline.predict(layers, device)
    twice = {name: [1e9, 2 * seconds, 2 * seconds] for name, seconds in predicted.layers.items()}
    twice["stem"] = [1e9, predicted.layers["stem"], predicted.layers["stem"]]
    found = network.compared(predicted, twice, rounds=2)
    assert [row["ratio"] for row in found["layers"]] == pytest.approx([1, 0.5, 0.5], rel=1e-3)
    assert found["error"]["layer"] == pytest.approx(0.5, rel=1e-3)
    total = sum(twice[name][-1] for name in twice)
    assert found["error"]["total"] == pytest.approx(predicted.total / total - 1, rel=1e-3)


def test_a_reading_says_how_far_its_rounds_scatter() -> None:
    assert setting.reading(Timing((1.0, 2.0, 3.0)), scale=2) == {
        "seconds": 4.0,
        "quartiles": [3.0, 5.0],
        "noisy": True,
    }


def recorded() -> list[dict[str, Any]]:
    """MobileNetV1 at each batch size, as it was measured layer by layer, eager."""
    content = json.loads(RECORDED.read_text(encoding="utf-8"))
    batches: list[dict[str, Any]] = content["network"]["batches"]
    return batches


@pytest.mark.parametrize("found", recorded(), ids=lambda found: f"batch {found['batch']}")
def test_the_prediction_holds_against_what_was_recorded(found: dict[str, Any]) -> None:
    """From the rates of one layer of each kind, none of them the network's."""
    device = roofline.Device.recorded(found["roofline"]["device"])
    predicted = roofline.predict(mobilenet_v1_layers(), device, found["batch"])
    measured = {row["layer"]: row["seconds"] for row in found["layers"]}
    assert measured.keys() == predicted.layers.keys()
    off = sorted(abs(predicted.layers[name] / measured[name] - 1) for name in measured)
    assert off[len(off) // 2] < 0.25
    assert abs(predicted.total / sum(measured.values()) - 1) < 0.15
