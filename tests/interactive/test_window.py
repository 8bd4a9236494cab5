"""What Python says about the sliding window: its sentence, its steps, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from traitlets import TraitError

from dsconv_lib import loops, ops
from dsconv_lib.interactive.window import ARRAYS, HALVES, SlidingWindow


def test_the_first_state_makes_the_point():
    assert SlidingWindow().sentence == (
        "Standard, step 1 of 36: output channel 0, row 0, column 0 is 13 + 4 + 4 = 21, from 27 products. "
        "27 of 972 multiplications."
    )
    assert repr(SlidingWindow()) == "SlidingWindow(operation='standard', step=1)"


@pytest.mark.parametrize("operation", HALVES)
def test_the_last_step_has_made_all_of_the_loops_multiplications(operation):
    made = [getattr(loops, half)(*ARRAYS[half]) for half in HALVES[operation]]
    steps = sum(y.size for y, _ in made)
    figure = SlidingWindow(operation=operation, step=steps)
    assert figure.steps == steps
    macs = sum(macs for _, macs in made)
    value = f"{made[-1][0][0, -1, -1, -1]:.0f}".replace("-", "−")
    assert figure.sentence.endswith(f"{macs} of {macs} multiplications.")
    assert f" {value}, from" in figure.sentence


def test_the_two_halves_are_the_separable_convolution():
    (x, depthwise), (filtered, pointwise) = ARRAYS["depthwise"], ARRAYS["pointwise"]
    assert x is ARRAYS["standard"][0]
    assert np.array_equal(
        ops.pointwise(filtered, pointwise), ops.separable(x, depthwise, pointwise)
    )


def test_every_number_fits_its_cell():
    """Two characters are what a cell has room for on a phone."""
    for half, (x, weight) in ARRAYS.items():
        y = getattr(ops, half)(x, weight)
        channels = range(3)
        filters = weight[:, 0] if half == "depthwise" else weight.swapaxes(0, 1)
        products = [np.multiply.outer(x[0, m], filters[m]) for m in channels]
        assert all(a.min() > -10 and a.max() < 100 for a in (x, weight, y, *products))


@pytest.mark.parametrize("step", [0, -1, 37])
def test_a_step_that_is_not_there_is_refused(step):
    with pytest.raises(TraitError, match=f"step={step}: expected 1 to 36, .* operation='standard'"):
        SlidingWindow(step=step)
    figure = SlidingWindow(step=36)
    with pytest.raises(TraitError, match="expected 1 to 36"):
        figure.step = step
    assert figure.step == 36


def test_an_operation_that_is_not_there_is_refused():
    with pytest.raises(TraitError, match="operation"):
        SlidingWindow(operation="transposed")


def test_fewer_steps_go_back_to_the_first():
    figure = SlidingWindow(operation="separable", step=63)
    figure.operation = "standard"
    assert (figure.operation, figure.step) == ("standard", 1)
    figure.step = 20
    figure.operation = "depthwise"
    assert figure.step == 20


def test_what_the_reader_chose_arrives_at_once():
    figure = SlidingWindow(operation="separable", step=63)
    figure.set_state({"step": 27, "operation": "depthwise"})
    assert figure.sentence.startswith("Depthwise, step 27 of 27: output channel 2, row 2, column 2")
