"""What a student reads while working: `check("depthwise", depthwise_conv2d)` and a diagnosis.

Needs NumPy alone, so that it runs wherever a student opens the notebook.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dsconv_lib.classroom.question import PUBLIC_SEED, Case, Exercise, Mistake, Question, load, same

Answer = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One case put to a function: what came out, or what it raised, and which arguments it changed."""

    number: int
    case: Case
    expected: Answer
    answer: Answer = None
    error: Exception | SystemExit | None = None
    changed: Sequence[str] = ()
    right: bool


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one exercise: call it with a question's name and your function."""

    exercise: Exercise

    def __call__(self, name: str, function: object = None) -> None:
        """Run the public cases of a question and print what they say; never raises."""
        question = self.exercise.questions.get(name)
        if question is None:
            names = ", ".join(self.exercise.questions)
            print(f"There is no question {name!r} here: expected one of {names}.")
            return
        if function is None:
            print(f'Your function is missing: type check("{name}", {question.function})')
            return
        print(diagnose(question, function))

    def case(self, name: str, number: int) -> Case:
        """Return a public case as the function gets it, counted from 1, to try it by hand."""
        return self.exercise.questions[name].draw(PUBLIC_SEED)[number - 1]


def checks_of(name: str) -> Checks:
    """Return the checks of an exercise, from the folder `exercises` beside the library.

    Raises:
        ExerciseError: if it is not there.
    """
    return Checks(load(Path(__file__).resolve().parents[2] / "exercises" / name))


def diagnose(question: Question, function: object) -> str:
    """Put the public cases of a question to a function, and say what is wrong with the first that fails."""
    if not callable(function):
        kind = _a(type(function).__name__)
        return f"{question.name}: given {kind}, expected your function {question.function}."
    trials = []
    for number, case in enumerate(question.draw(PUBLIC_SEED), start=1):
        trials.append(_try(question, function, number, case))
        if isinstance(trials[-1].error, NotImplementedError):
            return f"{question.name}: {question.function} is not written yet."
    failed = [trial for trial in trials if not trial.right]
    if not failed:
        changed = next((trial for trial in trials if trial.changed), None)
        verdict = (
            f"{question.name}: public checks passed, {len(trials)} of {len(trials)} cases. "
            f"Marks are given on other cases."
            if changed is None
            else f"{question.name}: the answers are right, but your function changes "
            f"{_listed(changed.changed)} in place. Work on a copy: x = x.copy()."
        )
        return "\n".join([verdict, *_name_lines(question, function)])
    first = failed[0]
    lines = [
        f"{question.name}: {len(trials) - len(failed)} of {len(trials)} public cases are right. "
        f"Case {first.number} is not:",
        *(f"    {name} = {_shown(value)}" for name, value in first.case.items()),
        *_what_came_out(question, first),
    ]
    recognised = _recognise(question, trials)
    if recognised:
        lines.append(recognised)
    if first.changed:
        lines.append(f"Your function changes {_listed(first.changed)} in place. Work on a copy.")
    lines.append(f'To try this case by hand: case = check.case("{question.name}", {first.number})')
    return "\n".join([*lines, *_name_lines(question, function)])


def _try(question: Question, function: Callable[..., Any], number: int, case: Case) -> Trial:
    expected = question.reference(**copy.deepcopy(case))
    given = copy.deepcopy(case)
    try:
        with np.errstate(all="ignore"):
            answer = function(**given)
    except (Exception, SystemExit) as error:
        return Trial(number=number, case=case, expected=expected, error=error, right=False)
    changed = [name for name in case if not _unchanged(given[name], case[name])]
    right = question.right(answer, expected)
    return Trial(
        number=number, case=case, expected=expected, answer=answer, changed=changed, right=right
    )


def _unchanged(now: object, before: object) -> bool:
    return same(now, before, rtol=0, atol=0) or bool(
        isinstance(now, np.ndarray) and np.array_equal(now, np.asarray(before), equal_nan=True)
    )


def _recognise(question: Question, trials: Sequence[Trial]) -> str | None:
    """The message of the known mistake that explains every answer, or else the first wrong one."""
    for mistake in question.mistakes:
        made = [_made(question, mistake, trial) for trial in trials]
        if all(made) and any(trial.error is None for trial in trials):
            return mistake.message
    first = next(trial for trial in trials if not trial.right)
    if first.error is None and _telling(first.expected):
        for mistake in question.mistakes:
            if _made(question, mistake, first):
                return mistake.message
    return None


def _made(question: Question, mistake: Mistake, trial: Trial) -> bool:
    try:
        with np.errstate(all="ignore"):
            wrong = mistake.wrong(**copy.deepcopy(trial.case))
    except Exception:  # where the mistake leads to an error, whoever makes it gets one too
        return trial.error is not None
    with np.errstate(all="ignore"):
        return trial.error is None and question.right(_with_marks(trial.answer), _with_marks(wrong))


def _telling(value: object) -> bool:
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


def _what_came_out(question: Question, trial: Trial) -> list[str]:
    if trial.error is not None:
        error = trial.error
        place = _line_of(error)
        where = f" in line {place} of its cell" if place else ""
        lines = [f"It raises {type(error).__name__}{where}: {error}"]
        if isinstance(error, TypeError) and "argument" in str(error):
            lines.append(f"It is called as {question.function}({', '.join(trial.case)}), by name.")
        return lines
    return [_difference(question, trial.answer, trial.expected)]


def _line_of(error: BaseException) -> int | None:
    """Line of the student's own cell in which the error arose, the innermost one."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if "ipykernel" in trace.tb_frame.f_code.co_filename or "<ipython" in str(
            trace.tb_frame.f_code.co_filename
        ):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _difference(question: Question, answer: object, expected: object) -> str:
    """One sentence or two: how the answer differs, in the first way that applies."""
    if answer is None and expected is not None:
        return "It returns None: is a return statement missing?"
    if isinstance(expected, (tuple, list)):
        if not isinstance(answer, (tuple, list)):
            pair = ", as in `return a, b`" if len(expected) == 2 else ""
            return f"It returns {_kind(answer)}, expected {len(expected)} values{pair}."
        if len(answer) != len(expected):
            return f"It returns {len(answer)} values, expected {len(expected)}."
        for place, (ours, theirs) in enumerate(zip(answer, expected, strict=True), start=1):
            if not question.right(ours, theirs):
                return f"Value {place} of {len(expected)}: {_difference(question, ours, theirs)}"
    if isinstance(expected, np.ndarray):
        if not isinstance(answer, np.ndarray):
            return f"It returns {_kind(answer)}, expected a numpy array of shape {expected.shape}."
        return _difference_of_arrays(question, answer, expected)
    if type(expected) in (bool, str) or expected is None:
        return f"It returns {_shown(answer)}, expected {_shown(expected)}."
    if not isinstance(answer, (bool, int, float, np.generic, np.ndarray)) or np.ndim(answer):
        return f"It returns {_kind(answer)}, expected a number."
    if isinstance(expected, int) and np.asarray(answer).dtype.kind == "f":
        return f"It returns {_shown(answer)}, a float; expected the integer {expected}. // divides integers."
    return f"It returns {_shown(answer)}, expected {_shown(expected)}.{_relation(answer, expected)}"


def _difference_of_arrays(question: Question, answer: np.ndarray, expected: np.ndarray) -> str:
    if answer.shape != expected.shape:
        reason = f": {question.shape}" if question.shape else ""
        return f"It returns shape {answer.shape}, expected {expected.shape}{reason}."
    if answer.dtype.kind not in "biuf":
        return f"It returns an array of dtype {answer.dtype}, expected {expected.dtype}."
    if expected.dtype.kind == "f" and answer.dtype.kind in "biu":
        return (
            f"It returns an array of dtype {answer.dtype}, expected {expected.dtype}: an array of integers "
            f"cuts off what comes after the point. Make it with np.zeros(shape, x.dtype)."
        )
    if expected.dtype.kind in "biu" and answer.dtype.kind == "f":
        return f"It returns an array of dtype {answer.dtype}, expected integers, {expected.dtype}."
    if not np.isfinite(answer).all():
        count = np.count_nonzero(~np.isfinite(answer))
        return (
            f"It returns {count} of {answer.size} entries that are infinite or not a number (NaN)."
        )
    wrong = ~np.isclose(answer, expected, rtol=question.rtol, atol=question.atol)
    index = tuple(int(each) for each in np.argwhere(wrong)[0])
    return (
        f"The shape is right, and {np.count_nonzero(wrong)} of {wrong.size} entries are not. "
        f"The first is at {index if len(index) != 1 else index[0]}: {_shown(answer[index])}, "
        f"expected {_shown(expected[index])}.{_relation(answer, expected)}"
    )


def _relation(answer: Any, expected: Any) -> str:
    """How wrong numbers hang together with the right ones, where they do."""
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


def _shown(value: object) -> str:
    """A value in one short line: arrays of more than a few entries by shape and dtype."""
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
        text = ", ".join(map(_shown, value[:8])) + (", ..." if len(value) > 8 else "")
        return f"[{text}]" if isinstance(value, list) else f"({text})"
    return _kind(value)


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return _a(type(value).__name__)


def _a(noun: str) -> str:
    return f"{'an' if noun.lower().startswith(('a', 'e', 'i', 'o', 'u', 'nd')) else 'a'} {noun}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _name_lines(question: Question, function: Callable[..., Any]) -> list[str]:
    name = getattr(function, "__name__", question.function)
    if name == question.function or not inspect.isfunction(function):
        return []
    return [f"Marks go by the function's name: call it {question.function}, not {name}."]
