"""What all answers to a question say together, whoever asks."""

import numpy as np
import pytest

from dsconv_lib.classroom.diagnose import Diagnoser, Incomparable, Raised, difference
from dsconv_lib.classroom.question import Mistake, Question, question

ONES, NAN = np.ones((2, 2)), float("nan")


def asked(reference, *mistakes):
    return Question(
        name="made",
        function="answer",
        points=1,
        cases=lambda rng: ({"n": n} for n in (2, 3, 4)),
        reference=reference,
        shape="as many rows as columns",
        mistakes=[Mistake(f"mistake {place}", wrong) for place, wrong in enumerate(mistakes, 1)],
    )


def said(reference, answers, *mistakes):
    return Diagnoser(asked(reference, *mistakes), 0).diagnose(answers)


def full(n):
    return np.full((2, 2), float(n))


def fails(n):
    return [][n]


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (None, ONES, "It returns None: is a return statement missing?"),
        (1, ONES, "It returns an int, expected a numpy array of shape (2, 2)."),
        (
            np.ones((1, 2)),
            ONES,
            "It returns shape (1, 2), expected (2, 2): as many rows as columns.",
        ),
        (ONES > 2, ONES, "It returns an array of dtype bool, expected float64."),
        (ONES.astype(int), ONES > 0, "It returns an array of dtype int64, expected bool."),
        (
            2 * ONES.astype(int),
            ONES,
            "It returns an array of dtype int64, expected float64: an array of integers cuts off what "
            "comes after the point. Make it with np.zeros(shape, x.dtype).",
        ),
        (
            ONES * NAN,
            ONES,
            "It returns 4 of 4 entries that are infinite or not a number (NaN).",
        ),
        (
            3 * ONES,
            ONES,
            "The shape is right, and 4 of 4 entries are not. The first is at (0, 0). Every entry is 3 "
            "times what is expected.",
        ),
        (3.5, 2.5, "It returns another value than expected."),
        (2.5 + 1e-4, 2.5, "It returns another value than expected. It is nearly right: somewhere"),
        (np.float64(3), 2.5, "It returns another value than expected."),
        (3.0, 2, "It returns a float, expected an integer. // divides integers."),
        ("two", 2, "It returns a str, expected a number."),
        ("two", "three", "It returns another value than expected."),
        (2, True, "It returns an int, expected a bool."),
        (2, None, "It returns an int, expected None."),
        (False, True, "It returns another value than expected."),
        ((1, 2), (1, 3), "Value 2 of 2: It returns another value than expected."),
        (Raised("ValueError"), 2, "raised ValueError"),
        (Incomparable("a dict"), 2, "returned a dict, which cannot be compared"),
    ],
)
def test_differences_name_no_number_of_the_answer(answer, expected, words):
    found = difference(asked(lambda n: expected), answer, expected)
    assert found.startswith(words)


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize("expected", [2, 2.5, True, "two", None, (1, 2), ONES, ONES > 2])
@pytest.mark.parametrize(
    "answer",
    [
        *(10**400, NAN, 1j, np.complex128(1j), np.str_("x"), np.datetime64(0, "s"), np.array("x")),
        *({}, [[1], [1, 2]], [], (), (None, [()]), "", b"", ONES[:0], ONES.astype(int)),
        np.array(None),
    ],
    ids=lambda answer: repr(answer)[:30],
)
def test_no_answer_is_too_odd(answer, expected, values):
    question = asked(lambda n: expected)
    assert difference(question, answer, expected, values=values)
    assert Diagnoser(question, 0).diagnose([answer] * 3).message == ""


def test_a_mistake_explains_all_answers_the_right_ones_and_the_errors_too():
    def sometimes(n):
        return full(n) if n == 2 else fails(n)

    everything = said(full, [full(2), Raised("IndexError"), Raised("KeyError")], sometimes)
    assert everything.message == "mistake 1"
    assert everything.problems == ["", "mistake 1", "mistake 1"]
    assert said(full, [full(2), Raised("IndexError"), full(3)], sometimes).message == ""


def test_errors_alone_are_no_mistake():
    assert said(full, [Raised("IndexError")] * 3, fails).message == ""


def test_what_is_not_written_yet_is_no_mistake():
    def sometimes(n):
        return full(n) if n == 2 else fails(n)

    answers = [full(2), *[Raised("NotImplementedError")] * 2]
    assert said(full, answers, sometimes).message == ""


def test_one_number_tells_nothing_and_an_array_does():
    def wrong(n):
        return 4 * n

    by_chance = said(lambda n: n, [8, 7, 7], wrong)
    assert by_chance.message == ""
    assert by_chance.problems == ["It returns another value than expected."] * 3
    telling = said(full, [full(8), full(7), Raised("IndexError")], lambda n: full(wrong(n)))
    assert telling.message == "mistake 1"
    assert [each.partition(".")[0] for each in telling.problems] == [
        "mistake 1",
        "The shape is right, and 4 of 4 entries are not",
        "raised IndexError",
    ]


def test_what_came_is_weighed_where_the_rest_is_lost():
    assert said(full, [], full).problems == []
    found = said(full, [full(4), full(6)], lambda n: full(9), lambda n: full(2 * n))
    assert found.problems == ["mistake 2", "mistake 2"]


def test_a_mistake_is_made_once_for_everybody():
    made = []

    def wrong(n):
        made.append(n)
        return full(2 * n)

    diagnoser = Diagnoser(asked(full, wrong), 0)
    for _ in range(3):
        assert diagnoser.diagnose([full(4), full(6), full(8)]).message == "mistake 1"
    assert made == [2, 3, 4]


def test_cases_and_references_that_are_changed_harm_nobody():
    def changing(x):
        x *= 2
        return x

    @question("q", function="f", points=1, reference=changing, mistakes=[Mistake("m", changing)])
    def cases(rng):
        yield {"x": np.ones(3)}

    diagnoser = Diagnoser(cases, 0)
    assert diagnoser.diagnose([2 * np.ones(3)]).problems == [""]
    assert "entries are not" in diagnoser.diagnose([np.ones(3)]).problems[0]
    np.testing.assert_array_equal(diagnoser.cases[0]["x"], np.ones(3))
