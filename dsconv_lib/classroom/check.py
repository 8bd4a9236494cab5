"""What a student reads while working: `check("depthwise", depthwise_conv2d)` and what is wrong, if anything.

Needs NumPy alone, so that it runs wherever a student opens the notebook.
"""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dsconv_lib.classroom import diagnose
from dsconv_lib.classroom.diagnose import Answer, Diagnoser, Diagnosis, Raised
from dsconv_lib.classroom.question import PUBLIC_SEED, Case, Exercise, Question, load, same


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one exercise: call them with a question's name and your function."""

    exercise: Exercise

    def __call__(self, name: str, function: object = None) -> None:
        """Run the public cases of a question and print what they say; never raises."""
        question = self.exercise.questions.get(name)
        if question is None:
            names = ", ".join(self.exercise.questions)
            print(f"There is no question {name!r} here: expected one of {names}.")
        elif function is None:
            print(f'Your function is missing: type check("{name}", {question.function})')
        else:
            print(feedback(question, function))

    def case(self, name: str, number: int) -> Case:
        """Return a public case as the function gets it, counted from 1, to try it by hand."""
        return self.exercise.questions[name].draw(PUBLIC_SEED)[number - 1]


def checks_of(name: str) -> Checks:
    """Return the checks of an exercise, from the folder `exercises` beside the library.

    >>> check = checks_of("02-depthwise-convolution")
    >>> check("depthwise")
    Your function is missing: type check("depthwise", depthwise_conv2d)

    Raises:
        ExerciseError: if it is not there.
    """
    return Checks(load(Path(__file__).resolve().parents[2] / "exercises" / name))


def feedback(question: Question, function: object) -> str:
    """Put the public cases of a question to a function, and say what is wrong with the first that fails.

    >>> from dsconv_lib.classroom.question import question
    >>> @question("area", function="area", points=1, reference=lambda side: side**2)
    ... def asked(rng):
    ...     yield from ({"side": 2}, {"side": 5})
    >>> print(feedback(asked, lambda side: 2 * side))
    area: 1 of 2 public cases are right. Case 2 is not:
        side = 5
    It returns 10, expected 25.
    To try this case by hand: case = check.case("area", 2)
    Marks go by the function's name: call it area, not <lambda>.
    """
    if not callable(function):
        given = diagnose.with_article(type(function).__name__)
        return f"{question.name}: given {given}, expected your function {question.function}."
    diagnoser = Diagnoser(question, PUBLIC_SEED)
    runs = []
    for case in diagnoser.cases:
        runs.append(_run(function, case))
        if isinstance(runs[-1].error, NotImplementedError):
            return f"{question.name}: {question.function} is not written yet."
    diagnosis = diagnoser.diagnose([run.answer for run in runs])
    failed = any(diagnosis.problems)
    lines = _failure(diagnoser, runs, diagnosis) if failed else [_success(question, runs)]
    name = getattr(function, "__name__", question.function)
    if name != question.function and inspect.isfunction(function):
        lines.append(f"Marks go by the function's name: call it {question.function}, not {name}.")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Run:
    """What became of one case: the answer, or the exception, and the arguments that were changed."""

    answer: Answer
    error: BaseException | None = None
    changed: Sequence[str] = ()


def _run(function: Callable[..., Any], case: Case) -> _Run:
    given = copy.deepcopy(case)
    try:
        with np.errstate(all="ignore"):
            answer = function(**given)
    except (Exception, SystemExit) as error:
        return _Run(Raised(type(error).__name__), error)
    return _Run(answer, changed=[n for n in case if not _unchanged(given[n], case[n])])


def _unchanged(now: object, before: object) -> bool:
    return same(now, before, rtol=0, atol=0) or bool(
        isinstance(now, np.ndarray) and np.array_equal(now, np.asarray(before), equal_nan=True)
    )


def _success(question: Question, runs: Sequence[_Run]) -> str:
    for run in runs:
        if run.changed:
            changes = f"your function changes {' and '.join(run.changed)} in place"
            return f"{question.name}: the answers are right, but {changes}. Work on a copy: x = x.copy()."
    passed = f"public checks passed, {len(runs)} of {len(runs)} cases"
    return f"{question.name}: {passed}. Marks are given on other cases."


def _failure(diagnoser: Diagnoser, runs: Sequence[_Run], diagnosis: Diagnosis) -> list[str]:
    question, problems = diagnoser.question, diagnosis.problems
    first = next(n for n, problem in enumerate(problems) if problem)
    run, case = runs[first], diagnoser.cases[first]
    right = f"{problems.count('')} of {len(runs)} public cases are right"
    lines = [f"{question.name}: {right}. Case {first + 1} is not:"]
    lines += [f"    {name} = {diagnose.shown(value)}" for name, value in case.items()]
    if run.error is None:
        expected = diagnoser.expected[first]
        lines.append(diagnose.difference(question, run.answer, expected, values=True))
    else:
        place = _line_of(run.error)
        where = f" in line {place} of its cell" if place else ""
        lines.append(f"It raises {type(run.error).__name__}{where}: {run.error}")
        if isinstance(run.error, TypeError) and "argument" in str(run.error):
            lines.append(f"It is called as {question.function}({', '.join(case)}), by name.")
    if diagnosis.message:
        lines.append(diagnosis.message)
    if run.changed:
        lines.append(f"Your function changes {' and '.join(run.changed)} in place. Work on a copy.")
    lines.append(f'To try this case by hand: case = check.case("{question.name}", {first + 1})')
    return lines


def _line_of(error: BaseException) -> int | None:
    """Line of the student's own cell in which the error arose, the innermost one."""
    line = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if any(each in frame.f_code.co_filename for each in ("ipykernel", "<ipython")):
            line = number
    return line
