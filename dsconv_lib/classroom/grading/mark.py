"""Marks one submission: draws the cases, asks the sandbox, compares what comes back."""

from __future__ import annotations

import builtins
from contextlib import closing
from math import inf
from pathlib import Path
from time import monotonic

import numpy as np

from dsconv_lib.classroom.diagnose import Answer, Diagnoser, Incomparable, Raised, with_article
from dsconv_lib.classroom.grading import GradingError, notebook, protocol
from dsconv_lib.classroom.grading.protocol import MAX_ARRAYS, Json, ProtocolError, UnsupportedError
from dsconv_lib.classroom.grading.sandbox import STARTING, Died, Process, Sandbox
from dsconv_lib.classroom.question import ExerciseError, Question, load

FAILURES = 3  # told of one question
NUMPY_ERRORS = ("AxisError", "LinAlgError")
MISSING = {"ModuleNotFoundError", "ImportError"}
ALONE = "an import failed: marks are given with NumPy and Python's own modules alone"


class LostError(Exception):
    """A case that took its question with it: the process is gone, or the time is up."""


class Paper:
    """An exercise with the cases of one seed: drawn, encoded and answered once for the whole class.

    `points` has the questions in their order, and then those answered in words, of WRITTEN in questions.py.

    Raises:
        ExerciseError: if there is no question, or one that cannot be marked.
    """

    def __init__(self, folder: str | Path, seed: int) -> None:
        exercise = load(folder)
        self.name = exercise.name
        self.questions = [Prepared(each, seed) for each in exercise.questions.values()]
        self.written = exercise.written
        automatic = {each.question.name: float(each.question.points) for each in self.questions}
        self.points = automatic | {name: float(each) for name, each in self.written.items()}
        if not self.points:
            raise ExerciseError(f"{folder} has no questions: expected at least one")


class Prepared:
    """One question: its cases as they are sent, and who diagnoses the answers to them."""

    def __init__(self, question: Question, seed: int) -> None:
        self.question = question
        self.diagnoser = Diagnoser(question, seed)
        name, cases = f"question {question.name!r}", self.diagnoser.cases
        self.sizes = [", ".join(_size(*each) for each in case.items()) for case in cases]
        try:
            self.sent = [_encoded(case) for case in cases]
            # What cannot be sent cannot be answered.
            expected = [_encoded({"answer": each}) for each in self.diagnoser.expected]
        except UnsupportedError as error:
            kinds = "expected arrays, numbers, strings, None, and tuples or lists of them"
            raise ExerciseError(f"{name} has a case with a {error}: {kinds}") from None
        if not self.sent:
            raise ExerciseError(f"{name} draws no cases: expected at least one")
        largest = max(len(arrays) for _, arrays in expected)
        if max(largest, *(len(arrays) for _, arrays in self.sent)) > MAX_ARRAYS:
            most = f"{MAX_ARRAYS >> 20} MiB"
            raise ExerciseError(f"{name} has a case of more than {most}: make it smaller")
        # Bytes of an answer: all are kept, to be weighed together.
        self.most = (1 << 20) + 8 * largest


def _encoded(case: Json) -> tuple[Json, bytes]:
    arrays: list[bytes] = []
    tree = {name: protocol.encode(value, arrays) for name, value in case.items()}
    return tree, b"".join(arrays)


def mark(raw: bytes, paper: Paper, sandbox: Sandbox) -> Json:
    """Mark a submission.

    Args:
        raw: the bytes of its notebook.
        paper: the exercise and its cases.
        sandbox: where its code runs.

    Returns:
        For each question its score, how many cases were right and what was wrong with the first others; the written
        answers; notes for the student; what the instructor should look at.

    Raises:
        GradingError: if the sandbox fails: the submission is not to blame and has no mark yet.
    """
    notes: list[str] = []
    try:
        submission = notebook.read(raw)
    except notebook.NotebookError as error:
        notes, submission = [str(error)], notebook.Notebook([], {}, [])
    with closing(Session(submission.cells, sandbox)) as session:
        questions = {each.question.name: _mark(each, session) for each in paper.questions}
    absent = {f"no function {each.question.function} was found" for each in paper.questions}
    failures = [found["failures"] for found in questions.values()]
    if failures and all(each and each[0]["problem"] in absent for each in failures):
        notes.append(f"none of the functions of {paper.name} is here: is it another exercise's?")
    return {
        "questions": questions,
        "written": {name: submission.written.get(name, "") for name in paper.written},
        "notes": notes + session.notes,
        "suspicious": submission.suspicious + session.suspicious,
    }


def _mark(prepared: Prepared, session: Session) -> Json:
    question, cases = prepared.question, len(prepared.sent)
    answers: list[Answer] = []
    lost: list[str] = []
    for tree, arrays in prepared.sent:
        try:
            answers.append(session.call(question.function, tree, arrays, prepared.most))
        except LostError as error:
            lost.append(str(error))
            break
    problems = prepared.diagnoser.diagnose(answers).problems
    right = problems.count("")
    score = question.score(right, cases)
    told = zip(prepared.sizes, problems + lost, strict=False)
    failures = [{"sizes": sizes, "problem": problem} for sizes, problem in told if problem]
    return {"score": score, "right": right, "cases": cases, "failures": failures[:FAILURES]}


class Session:
    """A submission's process, started again without the cell that ended it.

    A call that ends the process, or takes too long, ends its question; the next one has a new process, in which the
    cells have run again.
    """

    def __init__(self, cells: list[str], sandbox: Sandbox) -> None:
        self.cells = dict(enumerate(cells, start=1))
        self.sandbox = sandbox
        self.notes: list[str] = []
        self.suspicious: list[str] = []
        self._process: Process | None = None
        self._until = inf
        self._over = "" if cells else "there is no code to run"
        self._restarts = 0
        self._slow = False

    def call(self, function: str, tree: Json, arrays: bytes, most: int) -> Answer:
        """Call a function of the submission; return what it returns, or what a diagnosis has in its place.

        An answer of more than `most` bytes is not looked at.

        Raises:
            LostError: if there is no answer, and the next case will have none either.
        """
        process = self._running()
        limit = self.sandbox.limits.call
        try:
            asked = {"call": function, "arguments": tree}
            reply, decoder = process.ask(asked, arrays, seconds=min(limit, self._left()))
            if len(decoder.rest) > most:
                return Incomparable("a value that is too large")
            answer = decoder.value(reply["answer"]) if "answer" in reply else None
            decoder.done()
        except TimeoutError:
            self.close()
            problem = self._over or f"took longer than {limit:g} s: its other cases are lost"
            raise LostError(problem) from None
        except (Died, ProtocolError) as error:
            self.close()
            problem = str(error) if isinstance(error, Died) else "wrote into the grader's pipe"
            self.suspicious.append(f"{function} {problem}")
            raise LostError(f"{problem}: its other cases are lost") from None
        if "answer" in reply:
            return answer
        if "missing" in reply:
            raise LostError(f"no function {function} was found")
        if "unsupported" in reply:
            return Incomparable(_kind(reply["unsupported"]))
        return Raised(_exception(reply.get("raised")))

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self.sandbox.end(self._process)
            self._process = None

    def _running(self) -> Process:
        """Start a process and run the cells in it, unless there is one; drop a cell that ends it."""
        while self._process is None:
            if self._over:
                raise LostError(self._over)
            self._process = self._start()
            for number, source in list(self.cells.items()):
                problem = self._run(self._process, source, f"code cell {number}")
                if problem:
                    self._drop(number, problem)
                    break
        return self._process

    def _start(self) -> Process:
        process = self.sandbox.start()
        try:
            process.ask({"run": ""}, seconds=STARTING)
        except (Died, TimeoutError):
            self.sandbox.end(process)
            raise GradingError("the sandbox did not start: grade again with --resume") from None
        self._until = min(self._until, monotonic() + self.sandbox.limits.total)
        return process

    def _run(self, process: Process, source: str, name: str) -> str:
        """Run a cell; say what was wrong if the process did not survive it."""
        # Time is kept for the functions: after one endless loop the other cells get less.
        limit = self.sandbox.limits.cell / (4 if self._slow else 1)
        try:
            reply, _ = process.ask({"run": source}, seconds=min(limit, self._left()))
        except TimeoutError:
            self._slow = True
            return f"took longer than {limit:g} s"
        except Died as error:
            self.suspicious.append(f"{name} {error}")
            return str(error)
        note = f"{name} is not Python: it was left out{_beginning(source)}"
        if reply.get("problems") == ["SyntaxError"] and note not in self.notes:
            self.notes.append(note)
        if ALONE not in self.notes and MISSING & set(reply.get("problems", ())):
            self.notes.append(ALONE)
        return ""

    def _drop(self, number: int, problem: str) -> None:
        self.close()
        if self._over:
            return
        source = self.cells.pop(number)
        self.notes.append(f"code cell {number} {problem}: it was left out{_beginning(source)}")
        self._restarts += 1
        if self._restarts > self.sandbox.limits.restarts:
            self._over = f"more than {self.sandbox.limits.restarts} cells ended the process"

    def _left(self) -> float:
        """Seconds left for this submission."""
        left = self._until - monotonic()
        if left <= 0:
            self._over = f"the submission took longer than {self.sandbox.limits.total:g} s in all"
            raise TimeoutError
        return left


def _beginning(source: str) -> str:
    """How a cell begins, so that its author finds it: Jupyter shows no numbers of cells."""
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return f" (it begins: {first[:40]})"


def _size(name: str, value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{name} {'×'.join(map(str, value.shape)) or 'scalar'} {value.dtype.name}"
    if isinstance(value, (tuple, list)):
        return f"{name} ({', '.join(_size('', each).strip() for each in value)})"
    return f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}"


def _exception(name: object) -> str:
    """Repeat the name of an exception only if it is one everybody has."""
    return str(name) if _builtin(name) or name in NUMPY_ERRORS else "an exception of its own"


def _kind(name: object) -> str:
    if isinstance(name, str) and name.startswith("array of "):
        return "an array that does not hold numbers"
    return with_article(str(name)) if _builtin(name) else "an object"


def _builtin(name: object) -> bool:
    return isinstance(name, str) and isinstance(getattr(builtins, name, None), type)
