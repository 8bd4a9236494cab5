"""`dsconv grade` and `dsconv review`: marks for a class."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer import Argument, Option, echo

from dsconv_lib.classroom.grading import GradingError, batch
from dsconv_lib.classroom.grading.gradebook import FILE, Gradebook, opened, read_manual
from dsconv_lib.classroom.grading.sandbox import Limits
from dsconv_lib.classroom.grading.submissions import Class
from dsconv_lib.cli.console import one_line_errors, open_console
from dsconv_lib.errors import need

MAX_SEED = 2**63 - 1  # the largest whole number of a gradebook

Out = Annotated[Path, Option(metavar="FOLDER", help="Where the gradebook is.")]
Exercises = Annotated[Path, Option(metavar="FOLDER", help="Where the exercises are.")]
COLUMNS = "Enter points from columns student, question, points, comment."
Marks = Annotated[Path | None, Option(metavar="FILE.csv", help=COLUMNS)]
SEED = "Draws the cases (at random, and stored); 0 would draw those students see."
JOBS = "Submissions at a time (one for each core)."
RESUME = "Go on: grade what has no marks in --out yet."
DASK = "Grade on the workers of this scheduler."
UNSAFE = "Without a sandbox: submissions run with your own rights."


# A parameter for each option, as typer reads them.
def grade_command(
    place: Annotated[Path, Argument(metavar="DIR", help="A folder or zip file of notebooks.")],
    assignment: Annotated[str, Option(metavar="NAME", help="The exercise: its folder's name.")],
    out: Out,
    exercises: Exercises = Path("exercises"),
    seed: Annotated[int | None, Option(min=1, max=MAX_SEED, help=SEED)] = None,
    jobs: Annotated[int | None, Option(min=1, help=JOBS)] = None,
    resume: Annotated[bool, Option("--resume", help=RESUME)] = False,
    dask: Annotated[str | None, Option(metavar="ADDRESS", help=DASK)] = None,
    unsafe: Annotated[bool, Option("--unsafe", help=UNSAFE)] = False,
    call_limit: Annotated[float, Option(min=0.1, help="Seconds for one call.")] = 10.0,
    cell_limit: Annotated[float, Option(min=0.1, help="Seconds for one cell.")] = 20.0,
    total_limit: Annotated[float, Option(min=1, help="Seconds for a submission.")] = 120.0,
    memory: Annotated[int, Option(min=512, help="MiB of address space.")] = 1024,
) -> None:
    """Grade the notebooks of a class: each in a sandbox, on cases that nobody has seen."""
    with one_line_errors():
        need("jinja2", "grading", extra="grading")
        handed_in = Class(place)
        folder = exercises / assignment
        if not (folder / "questions.py").is_file():
            known = sorted(each.parent.name for each in exercises.glob("*/questions.py"))
            names = ", ".join(known) or "none"
            raise GradingError(f"{folder} is no exercise: expected one of {names}")
        limits = Limits(call_limit, cell_limit, total_limit, memory << 20)
        name = folder.resolve().name
        with opened(out) as book:
            text = (folder / "questions.py").read_text(encoding="utf-8")
            hidden = tuple(str(each.resolve()) for each in (folder, place, out))
            job = batch.Job(name, text, _seed(book, name, seed, resume), limits, unsafe, hidden)
            _grade(handed_in, book, job, jobs or _cores(), dask)


def review_command(out: Out, marks: Marks = None) -> None:
    """Collect the written answers by question, and enter marks given by hand."""
    with one_line_errors():
        need("jinja2", "grading", extra="grading")
        from dsconv_lib.classroom.grading import feedback

        if not (out / FILE).is_file():
            raise GradingError(f"{out} has no marks: run dsconv grade first")
        with opened(out) as book:
            if marks is not None:
                entries = read_manual(marks, book)
                entered = book.enter(entries)
                echo(f"{entered:,} marks entered")
                if left := len(entries) - entered:
                    echo(f"{left:,} comments without points were not: they are in {marks} alone")
            feedback.export(book)
            if marks is None:
                _hand_out(book)


def _hand_out(book: Gradebook) -> None:
    """Write the table in which points are given for written answers."""
    from dsconv_lib.classroom.grading.feedback import review_table

    here, table = book.assignment, book.folder / "review.csv"
    if not here.written:
        raise GradingError(f"{here.name} has no written answers: there is nothing to review")
    if table.exists() and not book.holds(read_manual(table, book)):
        how = f"add --marks {table}, or move it away"
        why = "a comment without points is not entered: give it points"
        raise GradingError(f"{table} has points that were not entered: {how} ({why})")
    table.write_text(review_table(here, book.results()), encoding="utf-8")
    echo(f"Answers: {book.folder / 'review.html'}")
    echo(f"Points to fill in: {table}")


def _grade(handed_in: Class, book: Gradebook, job: batch.Job, jobs: int, dask: str | None) -> None:
    from dsconv_lib.classroom.grading import feedback

    # The questions are tried here, whoever grades: a mistake in them is the instructor's.
    paper = batch.read(job)
    count = len(handed_in.submissions)
    columns = TextColumn("grading"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=open_console(), transient=True)
    with batch.workers(job, jobs, dask) as (executor, at_a_time), bar:
        if not book.empty and book.assignment.version != job.version:
            echo("The library, the questions or the limits changed: all are graded again")
        book.begin(batch.assignment(job, paper, handed_in.others), handed_in.submissions)
        waiting = len(book.missing())
        if waiting < count:
            echo(f"{count - waiting:,} of {count:,} are graded")
        line = bar.add_task("", total=count, completed=count - waiting)
        problems = batch.grade(handed_in, book, job, executor, at_a_time, lambda: bar.advance(line))
    feedback.export(book)
    echo(f"{count - len(problems):,} submissions, seed {job.seed}")
    echo(f"Marks: {book.folder / 'marks.csv'}")
    echo(f"Overview: {book.folder / 'index.html'}")
    if problems:
        again = f"{len(problems)} of {count} could not be graded, add --resume to try them again"
        raise GradingError(f"{again}: {'; '.join(problems[:5])}")


def _seed(book: Gradebook, name: str, given: int | None, resume: bool) -> int:
    """Choose the seed: that of the marks there are, or the given one, or one drawn at random."""
    if not book.begun or (book.empty and not resume):
        return 1 + secrets.randbelow(MAX_SEED) if given is None else given
    here = book.assignment
    held = f"{book.folder} holds marks of {here.name!r}"
    if not resume:
        raise GradingError(f"{held}: add --resume to go on with them, or name another --out")
    if here.name != name:
        raise GradingError(f"{held}: name another --out")
    if given not in (None, here.seed):
        drawn = f"the marks in {book.folder} were drawn with {here.seed}"
        raise GradingError(f"--seed {given}: {drawn}; leave --seed out, or name another --out")
    return here.seed


def _cores() -> int:
    """Count those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
