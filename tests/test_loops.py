"""The loops agree with torch, and the number they count is the number the formulas give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsconv_lib import cost, loops, spec
from tests.strategies import OPERATIONS, Case, array, as_tensors, cases, tolerance


def specs_of(case: Case) -> list[spec.ConvSpec]:
    """The convolutions that a case makes, one after the other."""
    found = getattr(spec, f"of_{'arrays' if case.operation == 'standard' else case.operation}")(
        *case.arrays, **case.arguments
    )
    return list(found) if case.operation == "separable" else [found]


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=settings.default.max_examples // 3)
@given(data=st.data())
def test_output_and_count(operation: str, data: st.DataObject) -> None:
    case = data.draw(cases(operation, dtypes=(np.float64, np.float32), high=3))
    batch, dtype = len(case.arrays[0]), case.arrays[0].dtype
    y, macs = getattr(loops, operation)(*case.arrays, **case.arguments)
    expected = case.torch(*as_tensors(case.arrays)).numpy()
    assert y.shape == expected.shape
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, **tolerance(dtype))

    parts = specs_of(case)
    assert macs == sum(loops.trips(part, batch) for part in parts)
    assert macs == sum(cost.of(part, batch).macs for part in parts)
    assert sum(w.size for w in case.arrays[1:]) == sum(cost.of(part).params for part in parts)


@settings(max_examples=settings.default.max_examples // 5)
@given(case=cases("separable", high=2))
def test_the_counters_have_the_exact_ratio(case: Case) -> None:
    x, first, second = case.arrays
    full = array((len(second), x.shape[1], *first.shape[2:]))
    _, separable = loops.separable(*case.arrays, **case.arguments)
    _, standard = loops.standard(x, full, **case.arguments)
    multiplier = len(first) // x.shape[1]
    ratio = cost.ratio(len(second), first.shape[2:], multiplier=multiplier)
    assert separable == ratio * standard


def test_one_pass_through_the_innermost_line_is_one_mac() -> None:
    x, filters = array((1, 3, 8, 8)), array((3, 1, 3, 3))
    assert filters.size == 27
    assert loops.depthwise(x, filters, padding=1)[1] == 1_728
    assert loops.depthwise(x, filters)[1] == 972


def test_the_worked_example_counted() -> None:
    x, first, second = array((1, 3, 8, 8)), array((3, 1, 5, 5)), array((256, 3, 1, 1))
    filtered, macs = loops.depthwise(x, first, padding="same")
    assert macs == 4_800
    assert loops.pointwise(filtered, second)[1] == 49_152
    assert loops.separable(x, first, second, padding="same")[1] == 53_952
    assert loops.separable(x, first, second)[1] == 13_488
    assert loops.standard(x, array((256, 3, 5, 5)))[1] == 307_200


def test_taps_on_padding_zeros_count() -> None:
    x, weight = array((1, 1, 1, 1)), array((1, 1, 3, 3))
    assert loops.standard(x, weight, padding=1)[1] == 9


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_each_image_counts(batch: int) -> None:
    x, first, second = array((batch, 2, 4, 4)), array((2, 1, 3, 3)), array((5, 2, 1, 1))
    assert loops.standard(x, array((5, 2, 3, 3)))[1] == 360 * batch
    assert loops.depthwise(x, first)[1] == 72 * batch
    assert loops.pointwise(x, second)[1] == 160 * batch
    assert loops.separable(x, first, second)[1] == 112 * batch
    assert loops.trips(spec.standard(2, 5, 4, 3), batch) == 360 * batch


@pytest.mark.parametrize("batch", [0, -1, 1.0, True, "2"])
def test_trips_refuses_a_batch_that_is_no_count(batch: object) -> None:
    with pytest.raises(spec.SpecError, match=f"batch={batch!r}: expected a positive integer"):
        loops.trips(spec.standard(2, 5, 4, 3), batch)


def test_trips_in_one_and_three_dimensions() -> None:
    assert loops.trips(spec.standard(2, 5, (10,), 3)) == 5 * 8 * 2 * 3
    assert loops.trips(spec.depthwise(2, (4, 5, 6), 3, multiplier=2)) == 4 * (2 * 3 * 4) * 27
