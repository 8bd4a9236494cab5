"""Questions, how their cases are drawn, and when an answer is right."""

import numpy as np
import pytest

from dsconv_lib.classroom.question import ExerciseError, load, question, same

NAN = float("nan")


def agree(answer, expected):
    return same(answer, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (3, 3),
        (np.int64(3), 3),
        (3, 3.0),
        (0.1 + 0.2, 0.3),
        (np.float32(0.1), 0.1),
        (np.array(2.0), 2.0),
        ("a", "a"),
        (None, None),
        (True, True),
        (np.bool_(True), True),
        ((1, 2.0), [1, 2.0]),
        (np.ones((2, 3)), np.ones((2, 3), np.float32)),
        (np.ones((2, 3), int), np.ones((2, 3))),
        (np.arange(3, dtype=np.uint8), np.arange(3)),
    ],
)
def test_right(answer, expected):
    assert agree(answer, expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (4, 3),
        (3.0, 3),
        (True, 1),
        (True, 1.0),
        (1, True),
        ("3", 3),
        (None, 3),
        (3, None),
        (NAN, 3.0),
        ([1, 2], 3),
        ((1, 2, 3), (1, 2)),
        ((1, 5), (1, 2)),
        ([1.0, 1.0], np.ones(2)),
        (np.ones(2), [1.0, 1.0]),
        (np.ones((2, 3)), np.ones((3, 2))),
        (np.ones(1), 1.0),
        (np.ones(2) * 1j, np.ones(2)),
        (np.ones(2, object), np.ones(2)),
        (np.array([NAN, 1.0]), np.ones(2)),
        (object(), 3),
    ],
)
def test_wrong(answer, expected):
    assert not agree(answer, expected)


def test_cases_depend_on_the_seed_and_on_the_question():
    def cases(rng):
        yield {"x": int(rng.integers(10**9))}

    def made(name):
        return question(name, function=name, points=1, reference=abs)(cases)

    first, second = made("first"), made("second")
    assert first.draw(1) == first.draw(1) != first.draw(2)
    assert first.draw(1) != second.draw(1)


QUESTIONS = """
from dsconv_lib.classroom.question import question

@question("{}", function="{}", points=1, reference=abs)
def one(rng):
    yield {{"x": 1}}

@question("second", function="write_second", points=1, reference=abs)
def two(rng):
    yield {{"x": 1}}

WRITTEN = {{"{}": 3}}
"""


def test_an_exercise_is_read_from_its_folder(tmp_path):
    (tmp_path / "questions.py").write_text(QUESTIONS.format("first", "write_first", "why"))
    exercise = load(tmp_path)
    assert exercise.name == tmp_path.name
    assert list(exercise.questions) == ["first", "second"]
    assert exercise.written == {"why": 3}


@pytest.mark.parametrize(
    ("names", "twice"),
    [
        (("second", "write_first", "why"), "'second' twice"),
        (("first", "write_second", "why"), "'write_second' twice"),
        (("first", "write_first", "second"), "'second' twice"),
    ],
)
def test_names_are_unique(tmp_path, names, twice):
    (tmp_path / "questions.py").write_text(QUESTIONS.format(*names))
    with pytest.raises(ExerciseError, match=twice):
        load(tmp_path)


def test_a_folder_without_questions_is_refused(tmp_path):
    with pytest.raises(ExerciseError, match="expected the folder of an exercise"):
        load(tmp_path)
