"""What the answers to all cases of a question say together: a known mistake, or the difference in words.

The student who works and the marks of a class get the same diagnosis. Needs NumPy alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dsconv_lib.classroom.question import Mistake, Question

Answer = Any


@dataclass(frozen=True, slots=True)
class Raised:
    """In place of an answer: the kind of exception that came instead, in words that may be shown."""

    kind: str


@dataclass(frozen=True, slots=True)
class Incomparable:
    """In place of an answer: the kind of object that came and answers no question, in words that may be shown."""

    kind: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a function: the message of the known mistake that explains its answers, or nothing.

    `problems` has a text for each answer: empty if it is right, the message if that mistake explains it, else how it
    differs.
    """

    message: str
    problems: list[str]


class Diagnoser:
    """The cases of a question under one seed, and what answers to them tell.

    What a known mistake makes of a case is worked out once, however many students are diagnosed.

    >>> from dsconv_lib.classroom.question import question
    >>> doubled = Mistake("The side is doubled: square it.", lambda side: 2 * side)
    >>> @question("area", function="area", points=1, reference=lambda side: side**2, mistakes=[doubled])
    ... def area(rng):
    ...     yield from ({"side": 2}, {"side": 5})
    >>> Diagnoser(area, seed=0).diagnose([4, 10])
    Diagnosis(message='The side is doubled: square it.', problems=['', 'The side is doubled: square it.'])
    """

    def __init__(self, question: Question, seed: int) -> None:
        self.question = question
        self.cases = question.draw(seed)
        self._made: dict[tuple[Mistake, int], Answer] = {}

    @cached_property
    def expected(self) -> list[Answer]:
        """What the reference answers, case by case."""
        return [self.question.reference(**copy.deepcopy(case)) for case in self.cases]

    def diagnose(self, answers: Sequence[Answer]) -> Diagnosis:
        """Weigh what a function answered to all cases, in their order, or to the first of them.

        `Raised` or `Incomparable` stand where it returned nothing that can be compared.
        """
        with np.errstate(all="ignore"):
            pairs = enumerate(zip(answers, self.expected, strict=False))
            wrong = [n for n, pair in pairs if not self.question.right(*pair)]
            mistake = self._recognise(answers, wrong)
            problems = [""] * len(answers)
            for n in wrong:
                if mistake and self._explains(mistake, n, answers[n]):
                    problems[n] = mistake.message
                else:
                    problems[n] = difference(self.question, answers[n], self.expected[n])
        return Diagnosis(mistake.message if mistake else "", problems)

    def _recognise(self, answers: Sequence[Answer], wrong: Sequence[int]) -> Mistake | None:
        """Find the known mistake that explains every answer, or else the first wrong one."""
        raised = [answer.kind for answer in answers if isinstance(answer, Raised)]
        if not wrong or len(raised) == len(answers) or NotImplementedError.__name__ in raised:
            return None
        known, first = self.question.mistakes, wrong[0]
        for mistake in known:
            if all(self._explains(mistake, n, answer) for n, answer in enumerate(answers)):
                return mistake
        if isinstance(answers[first], Raised) or not _telling(self.expected[first]):
            return None
        return next((each for each in known if self._explains(each, first, answers[first])), None)

    def _explains(self, mistake: Mistake, number: int, answer: Answer) -> bool:
        if (mistake, number) not in self._made:
            try:
                made = mistake.wrong(**copy.deepcopy(self.cases[number]))
            except Exception as error:  # whoever makes this mistake gets an exception too
                made = Raised(type(error).__name__)
            self._made[mistake, number] = _with_marks(made)
        made = self._made[mistake, number]
        if Raised in (type(made), type(answer)):
            return type(made) is type(answer)
        return self.question.right(_with_marks(answer), made)


def difference(
    question: Question, answer: Answer, expected: Answer, *, values: bool = False
) -> str:
    """Say how an answer differs from what was expected, in the first way that applies.

    >>> from dsconv_lib.classroom.question import Question
    >>> square = Question(name="", function="", points=1, cases=list, reference=np.square)
    >>> difference(square, np.array([1.0, 5.0]), np.array([1.0, 4.0]))
    'The shape is right, and 1 of 2 entries are not. The first is at 1.'
    >>> difference(square, np.array([1.0, 5.0]), np.array([1.0, 4.0]), values=True)
    'The shape is right, and 1 of 2 entries are not. The first is at 1: 5, expected 4.'

    Args:
        question: whose tolerance counts, and whose words say what decides the shape.
        answer: what a function returned, or `Raised` or `Incomparable`.
        expected: what the reference returns; something else.
        values: name the numbers of both: for the student who works, and on no page with marks.
    """
    if isinstance(answer, Raised):
        return f"raised {answer.kind}"
    if isinstance(answer, Incomparable):
        return f"returned {answer.kind}, which cannot be compared"
    if answer is None and expected is not None:
        return "It returns None: is a return statement missing?"
    if isinstance(expected, (tuple, list)):
        return _of_several(question, answer, expected, values)
    if isinstance(expected, np.ndarray):
        if not isinstance(answer, np.ndarray):
            return f"It returns {kind(answer)}, expected a numpy array of shape {expected.shape}."
        return _of_arrays(question, answer, expected, values)
    return _of_one(answer, expected, values)


def _of_several(question: Question, answer: Answer, expected: Answer, values: bool) -> str:
    if not isinstance(answer, (tuple, list)):
        two = ", as in `return a, b`" if len(expected) == 2 else ""
        return f"It returns {kind(answer)}, expected {len(expected)} values{two}."
    if len(answer) != len(expected):
        return f"It returns {len(answer)} values, expected {len(expected)}."
    pairs = list(zip(answer, expected, strict=True))
    place = next(n for n, pair in enumerate(pairs) if not question.right(*pair))
    text = difference(question, *pairs[place], values=values)
    return f"Value {place + 1} of {len(expected)}: {text}"


def _of_one(answer: Answer, expected: Answer, values: bool) -> str:
    relation = ""
    if type(expected) not in (bool, str) and expected is not None:
        if not isinstance(answer, (bool, int, float, np.generic, np.ndarray)) or np.ndim(answer):
            return f"It returns {kind(answer)}, expected a number."
        if isinstance(expected, int) and np.asarray(answer).dtype.kind == "f":
            both = f"{shown(answer)}, a float; expected the integer {expected}"
            return f"It returns {both if values else 'a float, expected an integer'}. // divides integers."
        relation = _relation(answer, expected)
    if values:
        return f"It returns {shown(answer)}, expected {shown(expected)}.{relation}"
    if _sort(answer) != _sort(expected):
        return f"It returns {kind(answer)}, expected {kind(expected)}."
    return f"It returns another value than expected.{relation}"


def _of_arrays(question: Question, answer: np.ndarray, expected: np.ndarray, values: bool) -> str:
    if answer.shape != expected.shape:
        reason = f": {question.shape}" if question.shape else ""
        return f"It returns shape {answer.shape}, expected {expected.shape}{reason}."
    dtypes = f"It returns an array of dtype {answer.dtype}, expected"
    ours, theirs = answer.dtype.kind, expected.dtype.kind
    if ours not in "biuf" or (ours == "b") != (theirs == "b"):
        return f"{dtypes} {expected.dtype}."
    if theirs == "f" and ours != "f":
        cuts = "an array of integers cuts off what comes after the point"
        return f"{dtypes} {expected.dtype}: {cuts}. Make it with np.zeros(shape, x.dtype)."
    if theirs != "f" and ours == "f":
        return f"{dtypes} integers, {expected.dtype}."
    if not np.isfinite(answer).all():
        some = f"{np.count_nonzero(~np.isfinite(answer))} of {answer.size} entries"
        return f"It returns {some} that are infinite or not a number (NaN)."
    wrong = ~np.isclose(answer, expected, rtol=question.rtol, atol=question.atol)
    index = tuple(int(each) for each in np.argwhere(wrong)[0])
    both = f": {shown(answer[index])}, expected {shown(expected[index])}" if values else ""
    first = f"The first is at {index if len(index) != 1 else index[0]}{both}"
    some = f"{np.count_nonzero(wrong)} of {wrong.size} entries"
    return f"The shape is right, and {some} are not. {first}.{_relation(answer, expected)}"


def _relation(answer: Answer, expected: Answer) -> str:
    """How wrong numbers hang together with the right ones, where they do."""
    if any(np.asarray(each).dtype.kind not in "biuf" for each in (answer, expected)):
        return ""
    ours, theirs = np.asarray(answer, float), np.asarray(expected, float)
    scale = float(np.abs(theirs).max(initial=0))
    if not np.isfinite(ours).all() or scale == 0:
        return ""
    if np.abs(ours - theirs).max() <= 1e-3 * scale and np.asarray(expected).dtype.kind == "f":
        dtype = f" in {answer.dtype}" if isinstance(answer, np.ndarray) else ""
        return f" It is nearly right: somewhere precision is lost{dtype}, or a small term."
    large = np.abs(theirs) > 1e-6 * scale
    factor = float((ours[large] / theirs[large]).flat[0])
    if ours.size > 1 and factor not in (0, 1) and np.allclose(ours, factor * theirs):
        return f" Every entry is {factor:g} times what is expected."
    return ""


def _telling(value: Answer) -> bool:
    """One number can be hit by chance; an array of several cannot."""
    if isinstance(value, (tuple, list)):
        return any(map(_telling, value))
    return isinstance(value, np.ndarray) and value.size > 2


def _with_marks(value: Answer) -> Answer:
    """The value with a large number for each NaN, so that two answers with the same NaNs agree."""
    if isinstance(value, (tuple, list)):
        return tuple(map(_with_marks, value))
    if isinstance(value, (float, np.floating)):
        return float(np.nan_to_num(value, nan=1e300))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.nan_to_num(value.astype(float), nan=1e300)
    return value


def shown(value: Answer) -> str:
    """A value in one short line: arrays of more than a few entries by shape and dtype.

    >>> shown((2.0, np.zeros((3, 4))))
    '(2, array of shape (3, 4), float64)'
    """
    if isinstance(value, np.ndarray):
        if value.size <= 6:
            return f"array {np.array2string(value, precision=4, separator=', ')}".replace("\n", "")
        return f"array of shape {value.shape}, {value.dtype}"
    if isinstance(value, (bool, np.bool_, str)) or value is None:
        return repr(value.item() if isinstance(value, np.bool_) else value)
    if isinstance(value, (float, np.floating)):
        return f"{float(value) + 0:.7g}"  # + 0 makes 0 of -0
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (tuple, list)):
        text = ", ".join(map(shown, value[:8])) + (", ..." if len(value) > 8 else "")
        return f"[{text}]" if isinstance(value, list) else f"({text})"
    return kind(value)


def kind(value: Answer) -> str:
    """What a value is, and nothing of what it holds.

    >>> kind(3), kind(np.zeros((3, 4))), kind(None)
    ('an int', 'an array of shape (3, 4)', 'None')
    """
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return "None" if value is None else with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """The noun, and a or an before it.

    >>> with_article("ndarray"), with_article("list")
    ('an ndarray', 'a list')
    """
    return f"{'an' if noun.lower().startswith(('a', 'e', 'i', 'o', 'u', 'nd')) else 'a'} {noun}"


def _sort(value: Answer) -> str:
    """The name of a value's type, one for all numbers."""
    one = value[()] if isinstance(value, np.ndarray) else value
    number = isinstance(one, (int, float, np.number)) and not isinstance(one, bool)
    return "number" if number else type(one).__name__
