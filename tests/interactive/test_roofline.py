"""What Python says about the interactive roofline: its sentence, its machine, and what it refuses."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError

from dsconv_lib.interactive.roofline import RooflineFigure

SIZES = {
    "in_size": st.integers(1, 224),
    "kernel_size": st.integers(1, 11),
    "in_channels": st.integers(1, 1024),
    "out_channels": st.integers(1, 1024),
    "batch": st.integers(1, 512),
}
RATES = dict.fromkeys(["peak", "memory", "cache"], st.integers(1, 70_000))


def ratios(sentence):
    return [float(n.replace(",", "")) for n in re.findall(r"([\d,]+\.\d) times", sentence)]


def test_the_first_state_makes_the_point():
    """Eight times the multiplications, five and a half times the time: the depthwise half waits for its bytes."""
    assert RooflineFigure().sentence == (
        "The standard convolution makes 7.9 times the multiplications of the separable one. "
        "The least time that it takes is 5.5 times that of the two halves in two passes, "
        "and 7.9 times that of both in one pass, fused."
    )


@given(**SIZES, **RATES, cache_size=st.integers(0, 1024))
def test_the_sentence_has_the_ratios_of_the_closed_forms(batch, cache_size, **values):
    figure = RooflineFigure(batch=batch, cache_size=cache_size, **values)
    channels, filters = values["in_channels"], values["out_channels"]
    taps, pixels = values["kernel_size"] ** 2, batch * values["in_size"] ** 2

    def least(macs, numbers):
        rate = values["cache"] if 4 * numbers <= cache_size * 2**20 else values["memory"]
        return max(2 * macs / values["peak"], 4 * numbers / rate)

    image, output = channels * pixels, filters * pixels
    macs = [taps * channels * output, taps * image, channels * output]
    weights = [taps * channels * filters, taps * channels, channels * filters]
    standard = least(macs[0], image + weights[0] + output)
    passes = least(macs[1], 2 * image + weights[1]) + least(macs[2], image + weights[2] + output)
    fused = least(macs[1] + macs[2], image + weights[1] + weights[2] + output)
    wanted = [macs[0] / (macs[1] + macs[2]), standard / passes, standard / fused]
    assert ratios(figure.sentence) == pytest.approx(wanted, abs=0.0500001)


def test_without_a_cache_all_bytes_come_from_the_memory():
    device = RooflineFigure(cache_size=0, memory=7).device
    assert device.bandwidth(1) == device.bandwidth(math.inf) == 7e9
    assert RooflineFigure(cache_size=3, cache=9).device.bandwidth(3 * 2**20) == 9e9


@pytest.mark.parametrize(
    ("name", "value"), [("kernel_size", 12), ("batch", 0), ("peak", 0), ("memory", -1)]
)
def test_a_machine_or_a_layer_that_cannot_be_is_refused(name, value):
    with pytest.raises(TraitError, match=name):
        RooflineFigure(**{name: value})
