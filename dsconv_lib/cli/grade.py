"""`dsconv grade` and `dsconv review`: marks for a class.

Only what every command needs is imported here: `dsconv train` should not wait for a template engine.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dsconv_lib.classroom.grading import GradingError
from dsconv_lib.cli.console import one_line_errors, open_console

if TYPE_CHECKING:
    from dsconv_lib.classroom.grading.batch import Job
    from dsconv_lib.classroom.grading.gradebook import Gradebook
    from dsconv_lib.classroom.grading.submissions import Class

MAX_SEED = 2**63 - 1  # the largest whole number of a gradebook

Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the gradebook is.")]


# A parameter for each option, as typer reads them.
def grade_command(
    place: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder or zip file of notebooks.")
    ],
    assignment: Annotated[
        str, typer.Option(metavar="NAME", help="The exercise: its folder's name.")
    ],
    out: Out,
    exercises: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the exercises are.")
    ] = Path("exercises"),
    seed: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SEED,
            help="Draws the cases (at random, and stored); 0 would draw those students see.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Submissions at a time (one for each core).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: grade what has no marks in --out yet.")
    ] = False,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Grade on the workers of this scheduler.")
    ] = None,
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe", help="Without a sandbox: submissions run with your own rights."),
    ] = False,
    call_limit: Annotated[float, typer.Option(min=0.1, help="Seconds for one call.")] = 10.0,
    cell_limit: Annotated[float, typer.Option(min=0.1, help="Seconds for one cell.")] = 20.0,
    total_limit: Annotated[float, typer.Option(min=1, help="Seconds for a submission.")] = 120.0,
    memory: Annotated[int, typer.Option(min=512, help="MiB of address space.")] = 1024,
) -> None:
    """Grade the notebooks of a class: each in a sandbox, on cases that nobody has seen."""
    with one_line_errors():
        _need_jinja()
        from dsconv_lib.classroom.grading.batch import Job, default_jobs
        from dsconv_lib.classroom.grading.gradebook import opened
        from dsconv_lib.classroom.grading.sandbox import Limits
        from dsconv_lib.classroom.grading.submissions import Class

        handed_in = Class(place)
        folder = exercises / assignment
        if not (folder / "questions.py").is_file():
            known = sorted(each.parent.name for each in exercises.glob("*/questions.py"))
            raise GradingError(
                f"{folder} is no exercise: expected one of {', '.join(known) or 'none'}"
            )
        limits = Limits(call=call_limit, cell=cell_limit, total=total_limit, memory=memory << 20)
        name, hidden = folder.resolve().name, (folder, place, out)
        with opened(out) as book:
            job = Job(
                name=name,
                questions=(folder / "questions.py").read_text(encoding="utf-8"),
                seed=_seed(book, name, seed, resume),
                limits=limits,
                unsafe=unsafe,
                hidden=tuple(str(each.resolve()) for each in hidden),
            )
            _grade(handed_in, book, job, jobs or default_jobs(), dask)


def review_command(
    out: Out,
    marks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="Enter points from columns student, question, points, comment."
        ),
    ] = None,
) -> None:
    """Collect the written answers by question, and enter marks given by hand."""
    with one_line_errors():
        _need_jinja()
        from dsconv_lib.classroom.grading import feedback
        from dsconv_lib.classroom.grading.gradebook import FILE, opened, read_manual

        if not (out / FILE).is_file():
            raise GradingError(f"{out} has no marks: run dsconv grade first")
        with opened(out) as book:
            if marks is not None:
                entries = read_manual(marks, book)
                entered = book.enter(entries)
                typer.echo(f"{entered:,} marks entered")
                if entered < len(entries):
                    typer.echo(
                        f"{len(entries) - entered:,} comments without points were not: they are in "
                        f"{marks} alone"
                    )
            feedback.export(book)
            if marks is None:
                _hand_out(book)


def _hand_out(book: Gradebook) -> None:
    """Write the table in which points are given for written answers."""
    from dsconv_lib.classroom.grading.feedback import review_table
    from dsconv_lib.classroom.grading.gradebook import read_manual

    here, table = book.assignment, book.folder / "review.csv"
    if not here.written:
        raise GradingError(f"{here.name} has no written answers: there is nothing to review")
    if table.exists() and not book.holds(read_manual(table, book)):
        raise GradingError(
            f"{table} has points that were not entered: add --marks {table}, or move it "
            f"away (a comment without points is not entered: give it points)"
        )
    table.write_text(review_table(here, book.results()), encoding="utf-8")
    typer.echo(f"Answers: {book.folder / 'review.html'}")
    typer.echo(f"Points to fill in: {table}")


def _grade(handed_in: Class, book: Gradebook, job: Job, jobs: int, dask: str | None) -> None:
    from dsconv_lib.classroom.grading import batch, feedback

    # The questions are tried here, whoever grades: a mistake in them is the instructor's.
    paper = batch.read(job)
    count = len(handed_in.submissions)
    columns = (
        TextColumn("grading"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=open_console(), transient=True)
    with batch.workers(job, jobs, dask) as (executor, at_a_time), bar:
        if not book.empty and book.assignment.version != job.version:
            typer.echo("The library, the questions or the limits changed: all are graded again")
        book.begin(batch.assignment(job, paper, handed_in.others), handed_in.submissions)
        waiting = len(book.missing())
        if waiting < count:
            typer.echo(f"{count - waiting:,} of {count:,} are graded")
        line = bar.add_task("", total=count, completed=count - waiting)
        problems = batch.grade(handed_in, book, job, executor, at_a_time, lambda: bar.advance(line))
    feedback.export(book)
    typer.echo(f"{count - len(problems):,} submissions, seed {job.seed}")
    typer.echo(f"Marks: {book.folder / 'marks.csv'}")
    typer.echo(f"Overview: {book.folder / 'index.html'}")
    if problems:
        raise GradingError(
            f"{len(problems)} of {count} could not be graded, add --resume to try them again: "
            + "; ".join(problems[:5])
        )


def _seed(book: Gradebook, name: str, given: int | None, resume: bool) -> int:
    """Choose the seed: that of the marks there are, or the given one, or one drawn at random."""
    if not book.begun or (book.empty and not resume):
        return 1 + secrets.randbelow(MAX_SEED) if given is None else given
    here = book.assignment
    if not resume:
        raise GradingError(
            f"{book.folder} holds marks of {here.name!r}: add --resume to go on with them, or name "
            f"another --out"
        )
    if here.name != name:
        raise GradingError(f"{book.folder} holds marks of {here.name!r}: name another --out")
    if given not in (None, here.seed):
        raise GradingError(
            f"--seed {given}: the marks in {book.folder} were drawn with {here.seed}; leave --seed "
            f"out, or name another --out"
        )
    return here.seed


def _need_jinja() -> None:
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise GradingError("grading needs jinja2: pip install 'dsconv-lib[grading]'") from None
