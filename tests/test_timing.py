"""Medians of calls that take turns."""

from __future__ import annotations

import time

import pytest

from dsconv_lib.timing import Timing, medians, timed


def test_candidates_take_turns_and_warm_up() -> None:
    calls: list[str] = []
    taken = medians(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3, warmup=2
    )
    assert calls == ["a", "b"] * 5
    assert list(taken) == ["a", "b"]


def test_seconds_of_one_call() -> None:
    taken = medians(
        {"short": lambda: time.sleep(0.01), "long": lambda: time.sleep(0.05)}, repeats=5, warmup=0
    )
    assert 0.01 <= taken["short"] < taken["long"]
    assert 0.05 <= taken["long"] < 0.5


def test_one_slow_call_does_not_move_the_median() -> None:
    pauses = iter([0.3, *[0.001] * 6])
    assert medians({"a": lambda: time.sleep(next(pauses))}, repeats=7, warmup=0)["a"] < 0.2


def test_the_warm_up_does_not_count() -> None:
    pauses = iter([0.6, 0.001])
    assert medians({"a": lambda: time.sleep(next(pauses))}, repeats=1, warmup=1)["a"] < 0.2


def test_an_error_in_a_candidate_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        medians({"a": lambda: 1 / 0})


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="candidates is empty"):
        medians({})
    for repeats, warmup in ((0, 1), (1, -1)):
        with pytest.raises(ValueError, match=f"repeats={repeats}, warmup={warmup}: expected"):
            medians({"a": int}, repeats=repeats, warmup=warmup)


def test_quartiles_and_spread() -> None:
    timing = Timing((5.0, 1.0, 4.0, 2.0, 3.0))
    assert timing.quartiles == (2.0, 3.0, 4.0)
    assert timing.median == 3.0
    assert timing.spread == pytest.approx(2 / 3)
    assert timing.noisy
    assert not Timing((1.0, 1.1, 1.05)).noisy
    assert Timing((2.0,)).quartiles == (2.0, 2.0, 2.0)


def test_one_slow_round_makes_no_reading_noisy() -> None:
    assert not Timing((1.0,) * 8 + (100.0,)).noisy


def test_each_round_is_kept_and_read_off_the_given_clock() -> None:
    now = iter(range(100))
    taken = timed({"a": int, "b": int}, repeats=4, warmup=1, clock=lambda: float(next(now)))
    assert taken == {"a": Timing((1.0,) * 4), "b": Timing((1.0,) * 4)}


def test_sleeping_takes_no_time_of_the_process() -> None:
    taken = timed({"a": lambda: time.sleep(0.05)}, repeats=3, clock=time.process_time)
    assert taken["a"].median < 0.04
