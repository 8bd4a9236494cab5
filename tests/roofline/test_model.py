"""The pure model against closed forms: no clock here."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv_lib import cost, roofline, spec
from dsconv_lib.networks import Layer, mobilenet_v1_layers, vgg16_layers
from dsconv_lib.roofline import FORMS, Device, RooflineError, Work, floor, predict, steps
from tests.strategies import message_of

H200 = Device("H200", 790e12, (("memory", math.inf, 4.3e12),))
CPU = Device(
    "a CPU",
    1e11,
    (("L1", 2**15, 2e11), ("L2", 2**20, 8e10), ("memory", math.inf, 1e10)),
    efficiencies={"standard": 0.9, "depthwise": 0.25, "pointwise": 0.8, "elementwise": 0.5},
    latency=5e-6,
)
sizes = st.integers(1, 64)


@given(sizes, sizes, sizes, st.integers(1, 8), st.sampled_from((2, 4)))
def test_a_separable_block_in_closed_form(
    in_channels: int, out_channels: int, side: int, batch: int, itemsize: int
) -> None:
    first, second = spec.separable(in_channels, out_channels, side, 3, padding=1)
    map_in, map_out = (batch * side**2 * channels for channels in (in_channels, out_channels))
    depthwise = roofline.of(first, batch, itemsize=itemsize)
    # With one channel there is nothing to tell a depthwise convolution from a standard one.
    kind = "depthwise" if in_channels > 1 else "standard"
    assert depthwise == Work(kind, 18 * map_in, itemsize * (2 * map_in + 9 * in_channels))
    pointwise = roofline.of(second, batch, itemsize=itemsize)
    weights = in_channels * out_channels
    moved = itemsize * (map_in + weights + map_out)
    assert pointwise == Work("pointwise", 2 * batch * side**2 * weights, moved)
    both = roofline.fused(first, second, batch, itemsize=itemsize)
    assert both.kind == "fused"
    assert both.flops == depthwise.flops + pointwise.flops
    assert both.bytes == itemsize * (map_in + 9 * in_channels + weights + map_out)
    assert both.bytes == depthwise.bytes + pointwise.bytes - itemsize * 2 * map_in


def test_kinds() -> None:
    of = roofline.of
    assert of(spec.standard(8, 16, 8, 3)).kind == "standard"
    assert of(spec.standard(8, 16, 8, 3, groups=2)).kind == "standard"
    assert of(spec.depthwise(8, 8, 3, multiplier=2)).kind == "depthwise"
    assert of(spec.pointwise(8, 16, 8)).kind == "pointwise"
    assert of(mobilenet_v1_layers()[-1]).kind == "linear"


works = st.builds(Work, st.just("standard"), st.integers(1, 10**12), st.integers(1, 10**9))


@given(works)
def test_the_floor_is_the_scarcer_rate(work: Work) -> None:
    bound = floor(work, CPU)
    bandwidth = 2e11 if work.bytes <= 2**15 else 8e10 if work.bytes <= 2**20 else 1e10
    assert bound.compute == work.flops / 1e11
    assert bound.memory == work.bytes / bandwidth
    assert bound.seconds == max(bound)
    if work.intensity > 1.001 * CPU.ridge(work.bytes):
        assert bound.bound == "compute"
    if work.intensity < 0.999 * CPU.ridge(work.bytes):
        assert bound.bound == "memory"


def test_the_ridge_is_where_both_take_the_same() -> None:
    assert CPU.ridge() == 10
    assert CPU.ridge(2**15) == 0.5
    assert floor(Work("standard", 10 * 2**21, 2**21), CPU).bound == "compute"
    assert floor(Work("standard", 10 * 2**21 - 1, 2**21), CPU).bound == "memory"


def test_a_level_holds_what_fits_exactly() -> None:
    assert [CPU.level(size).name for size in (1, 2**15, 2**15 + 1, 2**20, 2**20 + 1)] == [
        *("L1", "L1", "L2", "L2", "memory")
    ]


def test_kilo_images_a_second_of_a_gpu_by_hand() -> None:
    """Bfloat16, batch 512: what its floor allows, from a calculation of its own."""
    networks = mobilenet_v1_layers(), mobilenet_v1_layers(resolution=32, stem="small")
    by_hand = (69, 103, 199, 312), (853, 1266, 2457, 3872)
    for network, expected in zip(networks, by_hand, strict=True):
        found = [512 / predict(network, H200, 512, form, itemsize=2).total for form in FORMS]
        assert [1e-3 * each for each in found] == pytest.approx(expected, rel=0.02)
        trained = 512 / floor(roofline.training(network, 512), H200).seconds
        assert 1e-3 * trained == pytest.approx({69: 30, 853: 373}[expected[0]], rel=0.02)


def test_each_form_moves_less_and_multiplies_the_same() -> None:
    network = mobilenet_v1_layers()
    made = {form: steps(network, 4, form) for form in FORMS}
    moved = [sum(step.work.bytes for step in each) for each in made.values()]
    assert all(more > less for more, less in pairwise(moved))
    assert moved[2] == cost.of(network, 4).bytes()
    between = sum(cost.of(layer, 4).writes for layer in network if layer.kind == "depthwise")
    assert moved[2] - moved[3] == 2 * 4 * between
    for each in made.values():
        kinds = [step.work.kind for step in each]
        products = [
            step.work.flops for step in each if step.work.kind not in ("norm", "elementwise")
        ]
        assert sum(products) == cost.of(network, 4).flops
        assert kinds[-1] == "linear"
    assert [step.operation for step in made["eager"][:3]] == ["standard", "norm", "relu"]
    assert [step.operation for step in made["compiled"][:3]] == ["standard", "relu", "depthwise"]


def test_layers_without_normalisation_have_no_pass_for_it() -> None:
    operations = [step.operation for step in steps(vgg16_layers())]
    assert operations == ["standard", "relu"] * 13 + ["linear"] * 3


def test_a_prediction_stays_under_roof_and_ceiling() -> None:
    """Its maps of 400 KB lie in L2, from which ReLU is fed as fast as it may be; the depthwise layer is not."""
    layer = Layer("one", "depthwise", spec.depthwise(512, 14, 3, padding=1))
    size = 4 * 14 * 14 * 512
    given = {**CPU.efficiencies, "norm": 0.1, "elementwise": 20}
    predicted = predict([layer], replace(CPU, efficiencies=given, latencies={"norm": 2e-5}))
    expected = [
        5e-6 + (2 * size + 4 * 9 * 512) / 1e10 / 0.25,
        2e-5 + 2 * size / 1e10 / 0.1,
        5e-6 + 2 * size / 8e10,
    ]
    assert predicted.seconds == pytest.approx(expected)
    assert predicted.layers == {"one": pytest.approx(sum(expected))}
    assert predicted.total == pytest.approx(sum(expected))


@given(works)
def test_without_efficiencies_a_prediction_is_the_floor(work: Work) -> None:
    bare = replace(CPU, efficiencies={}, latency=0.0)
    assert roofline.expected(work, bare) == floor(work, bare).seconds
    assert roofline.expected(work, CPU) >= 5e-6 + floor(work, CPU).seconds
    compute = work.flops / 1e11 / 0.9
    assert roofline.expected(work, CPU) >= 5e-6 + compute


def test_kinds_that_were_not_measured() -> None:
    assert CPU.efficiency("fused") == CPU.efficiency("pointwise") == 0.8
    assert CPU.efficiency("norm") == CPU.efficiency("elementwise") == 0.5
    assert CPU.efficiency("linear") is None
    measured = replace(CPU, efficiencies={"pointwise": 0.8, "fused": 0.6})
    assert measured.efficiency("fused") == 0.6
    layers = mobilenet_v1_layers()
    predicted = predict(layers, measured, form="fused")
    assert list(predicted.layers) == [layer.name for layer in layers if layer.kind != "depthwise"]


def test_a_device_survives_json() -> None:
    text = json.dumps(CPU.record(), allow_nan=False)
    assert Device.recorded(json.loads(text)) == CPU
    assert hash(Device.recorded(json.loads(text))) == hash(CPU)


def test_machines_that_cannot_be() -> None:
    def message(**changed: object) -> str:
        given = {"name": "x", "flops": 1e11, "levels": CPU.levels} | changed
        return message_of(lambda: Device(**given), RooflineError)  # type: ignore[arg-type]

    assert message(levels=()) == (
        "levels of [] bytes: expected ever larger ones, the last math.inf: the memory"
    )
    assert "expected ever larger" in message(levels=CPU.levels[:2])
    assert "expected ever larger" in message(levels=(CPU.levels[1], *CPU.levels))
    assert message(flops=0) == "flops is 0: expected a number greater than 0"
    assert message(flops=math.nan) == "flops is nan: expected a number greater than 0"
    assert "bandwidth of memory is -1" in message(levels=(("memory", math.inf, -1),))
    assert "efficiency of linear is 0" in message(efficiencies={"linear": 0})
    assert "latency is -1" in message(latency=-1)
    assert "latency of norm is inf" in message(latencies={"norm": math.inf})
    expected = "form='quick': expected one of 'eager', 'compiled', 'folded', 'fused'"
    assert message_of(lambda: steps([], form="quick"), RooflineError) == expected  # type: ignore[arg-type]
