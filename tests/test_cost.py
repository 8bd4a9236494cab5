"""The closed forms agree with the loops, with torch's counter and with the course's numbers."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from dsconv_lib import cost, loops, spec
from dsconv_lib.cost import Cost
from dsconv_lib.networks import Layer
from dsconv_lib.spec import SpecError
from tests.strategies import Window, message_of, windows

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
counts = st.integers(1, 6)


# --- the ratio -------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data())
def test_the_ratio_is_exact(ndim: int, data: st.DataObject) -> None:
    window: Window = data.draw(windows(ndim=ndim, high=7))
    in_channels, multiplier, batch = (data.draw(counts) for _ in range(3))
    out_channels = data.draw(st.integers(1, 600))
    sizes = (in_channels, out_channels, window.in_size, window.kernel_size)
    separable = cost.of(spec.separable(*sizes, multiplier=multiplier, **window.arguments), batch)
    standard = cost.of(spec.standard(*sizes, **window.arguments), batch)
    ratio = cost.ratio(out_channels, window.kernel_size, multiplier=multiplier)
    assert Fraction(separable.macs, standard.macs) == ratio
    assert Fraction(separable.params, standard.params) == ratio
    taps = prod(window.kernel_size)
    assert ratio == Fraction(multiplier * (taps + out_channels), taps * out_channels)


def test_an_int_kernel_is_square_in_the_ratio() -> None:
    assert cost.ratio(8, 3) == cost.ratio(8, (3, 3)) == Fraction(1, 8) + Fraction(1, 9)
    assert cost.ratio(8, (3,)) == Fraction(1, 8) + Fraction(1, 3)
    assert cost.ratio(8, (3, 3, 3)) == Fraction(1, 8) + Fraction(1, 27)
    assert cost.ratio(np.int64(8), np.int64(3), multiplier=np.int8(2)) == 2 * cost.ratio(8, 3)
    assert isinstance(cost.ratio(8, 3), Fraction)


def test_the_ratio_of_a_kernel_of_512() -> None:
    ratio = cost.ratio(100, 512)
    assert ratio == Fraction(1, 100) + Fraction(1, 262_144)
    assert round(float(ratio), 10) == 0.0100038147
    assert round(float(1 / ratio), 3) == 99.962


def test_what_a_hundredfold_saving_takes() -> None:
    assert cost.ratio(577, 11) <= Fraction(1, 100) < cost.ratio(576, 11)
    assert cost.ratio(10**12, 10) > Fraction(1, 100)
    affordable = [k for k in range(1, 20) if cost.ratio(10**9, k) <= Fraction(1, 100)]
    assert affordable[0] == 11


@given(out_channels=st.integers(1, 10**9))
def test_a_three_by_three_kernel_saves_less_than_nine_times(out_channels: int) -> None:
    assert cost.ratio(out_channels, 3) > Fraction(1, 9)


@given(out_channels=st.integers(1, 1000), in_channels=counts)
def test_a_kernel_of_one_pixel_saves_nothing(out_channels: int, in_channels: int) -> None:
    assert cost.ratio(out_channels, 1) == 1 + Fraction(1, out_channels)
    separable = cost.of(spec.separable(in_channels, out_channels, 8, 1))
    standard = cost.of(spec.standard(in_channels, out_channels, 8, 1))
    assert separable.macs > standard.macs
    assert separable.params > standard.params


@given(kernel_size=st.integers(1, 9), in_channels=counts)
def test_one_output_channel_costs_more(kernel_size: int, in_channels: int) -> None:
    separable = cost.of(spec.separable(in_channels, 1, 9, kernel_size))
    standard = cost.of(spec.standard(in_channels, 1, 9, kernel_size))
    assert separable.params - standard.params == in_channels
    assert separable.macs > standard.macs


def test_sixteen_weights_against_thirteen() -> None:
    first, second = spec.separable(3, 1, 8, 2)
    separable = cost.of(first) + cost.of(second, bias=True)
    assert separable.params == 16
    assert cost.of(spec.standard(3, 1, 8, 2), bias=True).params == 13


@given(kernel_size=st.integers(1, 6), sizes=st.tuples(counts, counts))
def test_separable_has_more_weights_than_depthwise(kernel_size: int, sizes: Any) -> None:
    depthwise = cost.of(spec.depthwise(sizes[0], 8, kernel_size))
    separable = cost.of(spec.separable(*sizes, 8, kernel_size))
    assert separable.params == depthwise.params + sizes[0] * sizes[1]


# --- the closed forms ------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data())
def test_closed_form_trips_and_torch_agree(ndim: int, data: st.DataObject) -> None:
    window: Window = data.draw(windows(ndim=ndim))
    groups, per_group, wide, batch = (data.draw(counts) for _ in range(4))
    channels = (groups * per_group, groups * wide)
    arguments = {**window.arguments, "groups": groups}
    made = spec.standard(*channels, window.in_size, window.kernel_size, **arguments)
    found = cost.of(made, batch)
    assert found.macs == loops.trips(made, batch)
    assert found == cost.of(
        spec.standard(*channels, window.in_size, window.kernel_size, **arguments), batch
    )

    x = torch.empty(batch, channels[0], *window.in_size, device="meta")
    weight = torch.empty(channels[1], per_group, *window.kernel_size, device="meta")
    with FlopCounterMode(display=False) as counter:
        y = CONV[ndim](x, weight, **arguments)
    assert found.flops == counter.get_total_flops()
    assert found.params == weight.numel()
    assert (found.reads, found.writes) == (x.numel(), y.numel())
    assert found.bytes() == x.nbytes + weight.nbytes + y.nbytes
    assert found.bytes(2) == found.bytes(4) // 2
    assert found.intensity(8) == found.flops / (2 * found.bytes())


@given(
    window=windows(),
    channels=st.tuples(counts, counts),
    multiplier=counts,
    batch=st.integers(1, 3),
)
def test_the_four_names_cost_what_their_specs_cost(
    window: Window, channels: tuple[int, int], multiplier: int, batch: int
) -> None:
    m, n = channels
    halves = spec.separable(
        m, n, window.in_size, window.kernel_size, multiplier=multiplier, **window.arguments
    )
    first = cost.of(
        spec.depthwise(
            m, window.in_size, window.kernel_size, multiplier=multiplier, **window.arguments
        ),
        batch,
    )
    second = cost.of(spec.pointwise(m * multiplier, n, halves.depthwise.out_size), batch)
    assert first == cost.of(halves.depthwise, batch)
    assert second == cost.of(halves.pointwise, batch)
    assert first + second == cost.of(
        spec.separable(
            m, n, window.in_size, window.kernel_size, multiplier=multiplier, **window.arguments
        ),
        batch,
    )
    positions, taps = batch * prod(halves.depthwise.out_size), prod(window.kernel_size)
    assert first.macs == multiplier * m * taps * positions
    assert first.params == multiplier * m * taps
    assert second.macs == multiplier * m * n * positions
    assert second.params == multiplier * m * n
    assert first.writes == second.reads, "the map between the halves"


def test_strided_pointwise() -> None:
    assert cost.of(spec.pointwise(4, 8, (9, 7), stride=(2, 3))).macs == 4 * 8 * 5 * 3


def test_costs_add_up_field_by_field() -> None:
    added = Cost(macs=1, params=20, reads=300, writes=4000) + Cost(
        macs=5, params=60, reads=700, writes=8000
    )
    assert added == Cost(macs=6, params=80, reads=1000, writes=12_000)
    assert added.flops == 12
    assert added.bytes(1) == 13_080


def test_a_list_costs_what_its_parts_cost() -> None:
    first, second = spec.separable(3, 8, 9, 3, stride=2)
    both = cost.of(first, 2) + cost.of(second, 2)
    assert cost.of([first, second], 2) == cost.of(iter([first, second]), 2) == both
    assert cost.of([first, [second]], 2) == both, "a network of branches"
    layers = [Layer("a", "depthwise", first), Layer("b", "pointwise", second, bias=True)]
    assert cost.of(layers, 2) == both
    assert cost.of(layers[1]) == cost.of(second), "a bias counts only where asked for"
    assert cost.of([]) == Cost(macs=0, params=0, reads=0, writes=0)


def test_a_bias_is_one_parameter_per_output_channel_and_no_mac() -> None:
    made = spec.standard(3, 8, 8, 3)
    without, with_bias = cost.of(made), cost.of(made, bias=True)
    assert with_bias.params - without.params == 8
    assert with_bias.macs == without.macs


# --- the course's numbers --------------------------------------------------------------------


def test_the_worked_example() -> None:
    standard = cost.of(spec.standard(3, 256, 8, 5, padding="same"))
    depthwise = cost.of(spec.depthwise(3, 8, 5, padding="same"))
    pointwise = cost.of(spec.pointwise(3, 256, 8))
    separable = cost.of(spec.separable(3, 256, 8, 5, padding="same"))
    assert standard.macs == 1_228_800
    assert depthwise.macs == 4_800
    assert pointwise.macs == 49_152
    assert separable.macs == 53_952
    assert round(standard.macs / separable.macs, 3) == 22.776
    assert round(float(1 / cost.ratio(256, 5)), 3) == 22.776


def test_the_worked_example_without_padding() -> None:
    assert cost.of(spec.standard(3, 256, 8, 5)).macs == 307_200
    assert cost.of(spec.separable(3, 256, 8, 5)).macs == 13_488


def test_three_filters_of_three_by_three() -> None:
    assert cost.of(spec.depthwise(3, 8, 3, padding=1)).macs == 1_728
    assert cost.of(spec.depthwise(3, 8, 3)).macs == 972
    assert cost.of(spec.depthwise(3, 8, 3)).params == 27


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (cost.of(spec.depthwise(512, 14, 3, padding=1)), 2.2),
        (cost.of(spec.pointwise(512, 512, 14)), 55.5),
        (cost.of(spec.standard(512, 512, 14, 3, padding=1)), 90.3),
    ],
    ids=["depthwise", "pointwise", "standard"],
)
def test_arithmetic_intensity_at_512_channels(found: Cost, expected: float) -> None:
    assert round(found.intensity(), 1) == expected


def test_one_layer_of_the_mobilenets_paper() -> None:
    """Table 3: millions of multiply-adds and of weights, as printed."""
    standard = cost.of(spec.standard(512, 512, 14, 3, padding=1))
    assert (round(standard.macs / 1e6), round(standard.params / 1e6, 2)) == (462, 2.36)
    for channels, side, macs, params in (
        (512, 14, 52.3, 0.27),
        (384, 14, 29.6, 0.15),
        (384, 10, 15.1, 0.15),
    ):
        separable = cost.of(spec.separable(channels, channels, side, 3, padding=1))
        assert round(separable.macs / 1e6, 1) == macs
        assert round(separable.params / 1e6, 2) == params


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [0, -2, 0.5, True, None])
@pytest.mark.parametrize(
    "call",
    [
        lambda batch: cost.of(spec.standard(3, 4, 8, 3), batch),
        lambda batch: cost.of(spec.depthwise(3, 8, 3), batch),
        lambda batch: cost.of(spec.pointwise(3, 4, 8), batch),
        lambda batch: cost.of(spec.separable(3, 4, 8, 3), batch),
    ],
    ids=["standard", "depthwise", "pointwise", "separable"],
)
def test_a_batch_is_a_count(call: Any, batch: Any) -> None:
    with pytest.raises(SpecError, match=f"batch={batch!r}: expected a positive integer"):
        call(batch)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: cost.ratio(0, 3), "out_channels=0: expected a positive integer"),
        (lambda: cost.ratio(8.0, 3), "out_channels=8.0: expected a positive integer"),
        (lambda: cost.ratio(8, 0), "kernel_size=0: expected a positive integer"),
        (lambda: cost.ratio(8, (3, -1)), r"kernel_size=\(3, -1\): expected a positive integer"),
        (lambda: cost.ratio(8, ()), r"kernel_size=\(\): expected 1 to 3 integers"),
        (lambda: cost.ratio(8, 3, multiplier=0), "multiplier=0: expected a positive integer"),
        (
            lambda: cost.of(spec.standard(3, 4, 8, 9)),
            r"kernel_size=\(9, 9\).*expected a smaller kernel",
        ),
        (
            lambda: cost.of(spec.depthwise(3, 8, 3, stride=0)),
            "stride=0: expected a positive integer",
        ),
        (lambda: cost.of(spec.pointwise(3, 0, 8)), "out_channels=0: expected a positive integer"),
        (
            lambda: cost.of(spec.separable(3, 4, 8, 3, padding="full")),
            "padding='full': expected 'same'",
        ),
        (
            lambda: cost.of(spec.standard(3, 4, 8, 3, groups=2)),
            "groups=2 does not divide in_channels=3",
        ),
    ],
)
def test_bad_arguments(call: Any, expected: str) -> None:
    message = message_of(call, SpecError)
    assert re.match(expected, message), message


@pytest.mark.parametrize("what", [3, None, "standard", ["standard"], {"macs": 1}, torch.nn.ReLU()])
def test_what_is_no_convolution(what: Any) -> None:
    message = message_of(lambda: cost.of(what), SpecError)
    assert "expected a convolution made by spec.standard" in message


def test_numpy_counts_do_not_overflow() -> None:
    big = np.int32(100_000)
    assert cost.of(spec.standard(big, big, 8, 3)).macs == 100_000**2 * 9 * 36
    assert cost.of(spec.standard(3, 4, 8, 3), np.int8(100)).macs == 100 * 3 * 4 * 9 * 36
