"""Grades a class: in threads of this process, or on the workers of a dask cluster.

A task is a notebook's bytes and a `Job`; it gives plain JSON, and the same JSON wherever and however often it runs.
Only the process that hands out the tasks writes.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dsconv_lib.classroom.grading import GradingError
from dsconv_lib.classroom.grading.gradebook import Assignment, Gradebook
from dsconv_lib.classroom.grading.mark import Paper, mark
from dsconv_lib.classroom.grading.protocol import Json
from dsconv_lib.classroom.grading.sandbox import Limits, Sandbox, preflight
from dsconv_lib.classroom.grading.submissions import Class, Submission
from dsconv_lib.errors import need

LIBRARY = Path(__file__).parents[2]
Done = Callable[[], None]  # called after each submission


@dataclass(frozen=True, slots=True)
class Job:
    """All that a mark depends on, but for the submission: it can be sent to another machine.

    `questions` is the text of the exercise's questions.py, which must need no file beside it. `hidden` are paths that
    the sandbox is proved not to show.
    """

    name: str
    questions: str
    seed: int
    limits: Limits = field(default_factory=Limits)
    unsafe: bool = False
    hidden: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """A digest of the library, the questions and how they run: marks of one version agree."""
        found = hashlib.sha256(repr((self.name, self.questions, self.limits, self.unsafe)).encode())
        for path in sorted(LIBRARY.rglob("*.py")):
            found.update(path.relative_to(LIBRARY).as_posix().encode() + path.read_bytes())
        return found.hexdigest()[:12]


def read(job: Job) -> Paper:
    """Draw and answer the cases of a job.

    Raises:
        ExerciseError: if a question cannot be marked.
    """
    with tempfile.TemporaryDirectory() as folder:
        exercise = Path(folder, job.name)
        exercise.mkdir()
        (exercise / "questions.py").write_text(job.questions, encoding="utf-8")
        return Paper(exercise, job.seed)


_benches: dict[Job, tuple[Paper, Sandbox]] = {}
_building = threading.Lock()


def bench(job: Job) -> tuple[Paper, Sandbox]:
    """Give what this process needs for a job: the paper, and a sandbox that was proved to hold.

    Raises:
        ExerciseError: if the questions cannot be marked.
        GradingError: if the sandbox does not hold on this machine.
    """
    with _building:
        if job not in _benches:
            paper, sandbox = read(job), Sandbox(job.limits, unsafe=job.unsafe)
            preflight(sandbox, job.hidden)
            _benches[job] = paper, sandbox
        return _benches[job]


def task(raw: bytes, job: Job) -> Json:
    """Mark one submission, on any machine."""
    return mark(raw, *bench(job))


def check(job: Job, version: str) -> str:
    """Try this machine; return what is wrong with it, or nothing."""
    if job.version != version:
        return "has another dsconv_lib than this machine: install the same"
    try:
        bench(job)
    except GradingError as error:
        return str(error)
    return ""


def assignment(job: Job, paper: Paper, others: list[str]) -> Assignment:
    """Describe a job for the gradebook."""
    hints = {each.question.name: list(each.question.hints) for each in paper.questions}
    written = list(paper.written)
    return Assignment(job.name, job.seed, job.version, paper.points, written, hints, others)


def grade(
    handed_in: Class, book: Gradebook, job: Job, executor: Executor, at_a_time: int, done: Done
) -> list[str]:
    """Grade every submission that has no marks yet, and store each as it comes.

    Args:
        handed_in: the submissions, whose roster the gradebook has.
        book: where the marks go.
        job: the assignment.
        executor: who does the tasks.
        at_a_time: how many it does.
        done: called after each submission.

    Returns:
        What went wrong, for each submission that has no marks because of it.
    """
    waiting = iter(book.missing())
    running: dict[Future[Json], Submission] = {}
    problems: list[str] = []
    while True:
        # A few ahead, so that nobody waits; not all, so that a class need not fit into memory.
        while len(running) < 2 * at_a_time and (each := next(waiting, None)) is not None:
            try:
                raw = handed_in.read(each.file)
                if hashlib.sha256(raw).hexdigest() != each.sha256:
                    raise GradingError(f"{each.file} has changed since the class was listed")
            except GradingError as problem:
                problems.append(str(problem))
                done()
            else:
                running[executor.submit(task, raw, job)] = each
        if not running:
            return problems
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            submission = running.pop(future)
            if error := future.exception():
                problems.append(f"{submission.file}: {type(error).__name__}: {error}")
            else:
                book.save(submission, future.result())
            done()


@contextmanager
def workers(job: Job, jobs: int, dask: str | None) -> Iterator[tuple[Executor, int]]:
    """Give an executor, and how many tasks it does at a time.

    Args:
        job: the assignment; wherever its tasks will run, the sandbox is tried first.
        jobs: threads of this process. They only wait for sandboxes.
        dask: the address of a scheduler, whose workers are taken instead.

    Raises:
        GradingError: if the sandbox does not hold, or the cluster does not answer.
    """
    if dask is not None:
        with _cluster(job, dask) as found:
            yield found
        return
    _, sandbox = bench(job)
    executor = ThreadPoolExecutor(jobs)
    try:
        yield executor, jobs
    except BaseException:
        sandbox.stop()  # interrupted: nobody waits for the submissions in flight
        raise
    finally:
        executor.shutdown(cancel_futures=True)
        del _benches[job]


@contextmanager
def _cluster(job: Job, address: str) -> Iterator[tuple[Executor, int]]:
    distributed = need("distributed", "--dask", extra="cluster")
    try:
        client = distributed.Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise GradingError(f"no dask scheduler answers at {address}: {error}") from None
    with client:
        for worker, problem in client.run(check, job, job.version).items():
            if problem:
                raise GradingError(f"worker {worker}: {problem}")
        threads = sum(client.nthreads().values())
        if not threads:
            raise GradingError(f"the cluster at {address} has no workers: start some")
        yield client.get_executor(pure=False), threads
