"""An exercise: questions whose cases are drawn from a seed, for feedback and for marks alike.

Needs NumPy alone, so that it runs wherever a student opens the notebook.
"""

from __future__ import annotations

import runpy
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dsconv_lib.errors import UserError

PUBLIC_SEED = 0  # of the cases a student sees; those of the marks come from the instructor's seed

Case = dict[str, Any]
Cases = Callable[[np.random.Generator], Iterable[Case]]


class ExerciseError(UserError, ValueError):
    """An exercise that cannot be read or makes no sense; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A known wrong answer: whoever returns what `wrong` returns has made it, and reads `message`."""

    message: str
    wrong: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One function to write, and everything that checks it.

    `function` is the name the student's function must have; it is called with each case as keyword arguments, and right
    if it returns what `reference` returns. `points` are shared out equally over the cases; where the question is
    `whole`, they are for all cases together, so that answering yes to every one earns nothing. `hints` unfold one at a
    time. `shape` says what decides the answer's shape, for whoever gets it wrong.
    """

    name: str
    function: str
    points: int
    cases: Cases
    reference: Callable[..., Any]
    rtol: float = 1e-6
    atol: float = 1e-9
    shape: str = ""
    hints: Sequence[str] = ()
    mistakes: Sequence[Mistake] = ()
    whole: bool = False

    def draw(self, seed: int) -> list[Case]:
        """Draw the cases of a seed: the same ones each time, others for another question."""
        return list(self.cases(np.random.default_rng([seed, zlib.crc32(self.name.encode())])))

    def right(self, answer: object, expected: object) -> bool:
        """Tell whether an answer is what the reference gave, within the question's tolerance."""
        return same(answer, expected, rtol=self.rtol, atol=self.atol)

    def score(self, right: int, cases: int) -> float:
        """Return the points for so many right answers, of so many cases."""
        if self.whole:
            return float(self.points if right == cases else 0)
        return round(self.points * right / cases, 4)


@dataclass(frozen=True, slots=True)
class Exercise:
    """The questions of one chapter, in the order of the notebook, and the points of each answer marked by hand."""

    name: str
    questions: dict[str, Question]
    written: dict[str, int]


def question(name: str, **options: Any) -> Callable[[Cases], Question]:
    """Make a question of a generator of cases: arguments as in `Question`."""
    return lambda cases: Question(name=name, cases=cases, **options)


def whole(rng: np.random.Generator, *shape: int, dtype: Any = float) -> np.ndarray:
    """Small whole numbers: sums of them are exact in any order, in float32 too.

    >>> bool(np.abs(whole(np.random.default_rng(0), 2, 3)).max() <= 4)
    True
    """
    return rng.integers(-4, 5, size=shape).astype(dtype)


def load(folder: str | Path) -> Exercise:
    """Read the questions of the exercise in a folder, from its questions.py.

    Each `Question` there is one; `WRITTEN`, if it is there, is the points of the written answers.

    Raises:
        ExerciseError: if there is no such file, or two questions share a name or a function.
    """
    path = Path(folder) / "questions.py"
    if not path.is_file():
        raise ExerciseError(f"{path} is not there: expected the folder of an exercise")
    names = runpy.run_path(str(path))
    found = [each for each in names.values() if isinstance(each, Question)]
    written: dict[str, int] = names.get("WRITTEN", {})
    for taken in ([*(each.name for each in found), *written], [each.function for each in found]):
        for each in taken:
            if taken.count(each) > 1:
                raise ExerciseError(f"{path} has {each!r} twice: expected each name once")
    return Exercise(Path(folder).resolve().name, {each.name: each for each in found}, written)


def same(answer: object, expected: object, *, rtol: float, atol: float) -> bool:
    """Tell whether two values agree: kind and shape exactly, floating-point numbers nearly.

    Args:
        answer: an array, number, bool, string, None, or a tuple or list of such.
        expected: the value to agree with. Where it is an integer, a float is wrong; where it is a float, an integer
            will do. A tuple and a list of the same values agree.
        rtol, atol: relative and absolute tolerance.
    """
    if isinstance(expected, (tuple, list)):
        if not isinstance(answer, (tuple, list)) or len(answer) != len(expected):
            return False
        pairs = zip(answer, expected, strict=True)
        return all(same(*pair, rtol=rtol, atol=atol) for pair in pairs)
    if expected is None or isinstance(expected, str):
        return type(answer) is type(expected) and answer == expected
    if not isinstance(answer, (bool, int, float, np.generic, np.ndarray)):
        return False
    ours, theirs = np.asarray(answer), np.asarray(expected)
    if isinstance(expected, np.ndarray) != isinstance(answer, np.ndarray) and ours.ndim:
        return False
    if ours.shape != theirs.shape or ours.dtype.kind not in "biuf":
        return False
    if theirs.dtype.kind == "f":
        return ours.dtype.kind != "b" and bool(np.allclose(ours, theirs, rtol=rtol, atol=atol))
    if (theirs.dtype.kind == "b") != (ours.dtype.kind == "b") or ours.dtype.kind == "f":
        return False
    return bool(np.array_equal(ours, theirs))
