"""What `check` says about answers of any kind: it recognises them, and it never raises."""

import functools

import numpy as np
import pytest

from dsconv_lib.classroom.check import checks_of, feedback
from dsconv_lib.classroom.question import ExerciseError, Mistake, question
from tests.classroom.exercise_files import EXERCISES, FOLDERS

ARRAY = [[1.0, -2.0, 3.5], [4.0, 5.25, -6.0]]


def asked(reference, **options):
    @question("made", function="answer", points=1, reference=reference, **options)
    def cases(rng):
        yield {"x": np.array(ARRAY), "n": 2}
        yield {"x": np.array(ARRAY[::-1]) + 7, "n": 3}

    return cases


def said(reference, function, **options):
    return feedback(asked(reference, **options), function)


def twice(x, n):
    return 2 * x


GENERIC = {
    "nothing returned": (lambda x, n: None, "It returns None: is a return statement missing?"),
    "a list": (lambda x, n: (2 * x).tolist(), "It returns a list, expected a numpy array of shape"),
    "a number": (lambda x, n: 3, "It returns an int, expected a numpy array of shape (2, 3)."),
    "a shape": (lambda x, n: x[:1], "It returns shape (1, 3), expected (2, 3)"),
    "integers": (
        lambda x, n: (2 * x).astype(int),
        "It returns an array of dtype int64, expected float64: an array of integers cuts off",
    ),
    "text": (lambda x, n: x.astype(str), "It returns an array of dtype <U32, expected float64."),
    "NaN": (lambda x, n: x * np.nan, "It returns 6 of 6 entries that are infinite or not a number"),
    "infinity": (lambda x, n: x / 0, "It returns 6 of 6 entries that are infinite or not a number"),
    "nearly right": (
        lambda x, n: (2 * x + 1e-5).astype(np.float32),
        "It is nearly right: somewhere precision is lost in float32, or a small term.",
    ),
    "a factor": (lambda x, n: 6 * x, "Every entry is 3 times what is expected."),
    "a sign": (lambda x, n: -2 * x, "Every entry is -1 times what is expected."),
    "one entry": (
        lambda x, n: 2 * x + np.eye(2, 3),
        "2 of 6 entries are not. The first is at (0, 0): 3, expected 2.",
    ),
    "an exception": (lambda x, n: x[5], "It raises IndexError: index 5 is out of bounds"),
    "an exit": (lambda x, n: exit(3), "It raises SystemExit: 3"),
    "no recursion's end": (lambda x, n: GENERIC["no recursion's end"][0](x, n), "RecursionError"),
    "other arguments": (lambda image, n: 2 * image, "It is called as answer(x, n), by name."),
    "an assertion": (lambda x, n: [][0] if n else x, "It raises IndexError: list index"),
    "an object": (lambda x, n: object(), "It returns an object, expected a numpy array"),
    "objects": (lambda x, n: x.astype(object), "It returns an array of dtype object"),
}


@pytest.mark.parametrize(("function", "sentence"), GENERIC.values(), ids=GENERIC)
def test_generic_mistakes(function, sentence):
    assert sentence in said(twice, function)


@pytest.mark.parametrize(
    ("reference", "function", "sentence"),
    [
        (lambda x, n: (n, n * n), lambda x, n: n, "It returns an int, expected 2 values, as in"),
        (
            lambda x, n: (n, n * n),
            lambda x, n: np.array([n, n * n]),
            "It returns an array of shape (2,), expected 2 values, as in `return a, b`.",
        ),
        (lambda x, n: n * 1.0, lambda x, n: -0.0, "It returns 0, expected 2."),
        (lambda x, n: (n, n * n), lambda x, n: (n, 1, 2), "It returns 3 values, expected 2."),
        (lambda x, n: (n, n * n), lambda x, n: (n, 2 * n + 1), "Value 2 of 2: It returns 5"),
        (lambda x, n: (n, x), lambda x, n: (n, x[0]), "Value 2 of 2: It returns shape (3,)"),
        (lambda x, n: n * 3, lambda x, n: n * 3.0, "a float; expected the integer 6. // divides"),
        (lambda x, n: n * 0.5, lambda x, n: n * 1.5, "It returns 3, expected 1."),
        (lambda x, n: n / 3, lambda x, n: n / 3 + 1e-4, "It is nearly right"),
        (lambda x, n: n * 3, lambda x, n: n * 3 + 1, "It returns 7, expected 6."),
        (lambda x, n: n == 2, lambda x, n: n, "It returns 2, expected True."),
        (lambda x, n: n == 2, lambda x, n: n != 2, "It returns False, expected True."),
        (lambda x, n: None, lambda x, n: n, "It returns 2, expected None."),
        (
            lambda x, n: n * 3,
            lambda x, n: x,
            "It returns an array of shape (2, 3), expected a number.",
        ),
        (lambda x, n: n * 3, lambda x, n: "6", "It returns a str, expected a number."),
        (lambda x, n: x.astype(int), lambda x, n: x, "expected integers, int64."),
    ],
)
def test_numbers_and_tuples(reference, function, sentence):
    assert sentence in said(reference, function)


def test_right_answers_pass_and_marks_are_said_to_be_elsewhere():
    def answer(x, n):
        return x + x

    text = said(twice, answer)
    assert text == ("made: public checks passed, 2 of 2 cases. Marks are given on other cases.")


def test_an_input_changed_in_place_is_named():
    def answer(x, n):
        x *= 2
        return x

    text = said(twice, answer)
    assert "passed" not in text
    assert "the answers are right, but your function changes x in place" in text

    def worse(x, n):
        x += 1
        return x

    assert "Your function changes x in place. Work on a copy." in said(twice, worse)


def test_another_name_is_noticed():
    def other(x, n):
        return 2 * x

    assert "call it answer, not other." in said(twice, other)
    assert "call it" not in said(twice, functools.partial(other))


def test_not_written_yet():
    def answer(x, n):
        raise NotImplementedError("write answer")

    assert said(twice, answer) == "made: answer is not written yet."


def test_no_function_at_all():
    assert said(twice, 3) == "made: given an int, expected your function answer."
    assert said(twice, np.ones(2)) == "made: given an ndarray, expected your function answer."


def test_a_check_without_a_function_says_what_to_type(capsys):
    checks_of("02-depthwise-convolution")("depthwise")
    assert capsys.readouterr().out.endswith(': type check("depthwise", depthwise_conv2d)\n')


def test_the_case_is_shown_and_can_be_had():
    text = said(twice, lambda x, n: x)
    assert "Case 1 is not:" in text
    assert "    x = array [[ 1.  , -2.  ,  3.5 ], [ 4.  ,  5.25, -6.  ]]" in text
    assert "    n = 2" in text
    check = checks_of(FOLDERS[0].name)
    first = next(iter(EXERCISES[FOLDERS[0].name].questions.values()))
    assert str(check.case(first.name, 1)) == str(first.draw(0)[0])


def test_the_shape_s_reason_is_said():
    text = said(twice, lambda x, n: x[:1], shape="one row for each row")
    assert "It returns shape (1, 3), expected (2, 3): one row for each row." in text


def test_a_mistake_that_explains_all_cases_comes_before_one_that_explains_the_first():
    mistakes = [
        Mistake("Right for n = 2 alone.", lambda x, n: x * 9 if n == 2 else x * 8),
        Mistake("Always.", lambda x, n: x * 9),
        Mistake("Fails.", lambda x, n: x[n + 5]),
    ]
    assert "Always." in said(twice, lambda x, n: x * 9, mistakes=mistakes)
    assert "Right for n = 2" not in said(twice, lambda x, n: x * 9, mistakes=mistakes)
    # Two mistakes at once: the first failing case is explained.
    both = said(twice, lambda x, n: x * 9 if n == 2 else x * 7, mistakes=mistakes[1:])
    assert "Always." in both


def test_one_number_is_not_recognised_by_chance():
    mistakes = [Mistake("The square.", lambda x, n: n * n)]
    text = said(lambda x, n: 10 * n, lambda x, n: n + 2, mistakes=mistakes)
    assert "The square." not in text  # 4 for n = 2, and 5 for n = 3


def test_an_unknown_question_is_named(capsys):
    check = checks_of(FOLDERS[0].name)
    check("nothing", len)
    names = ", ".join(EXERCISES[FOLDERS[0].name].questions)
    assert capsys.readouterr().out == (
        f"There is no question 'nothing' here: expected one of {names}.\n"
    )


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ExerciseError, match="expected the folder of an exercise"):
        checks_of("99-nothing")
