"""A class of many: killed and resumed, on one machine or several, the marks are the same."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dsconv_lib.classroom.grading import batch
from dsconv_lib.classroom.grading.gradebook import FILE, opened
from dsconv_lib.classroom.grading.submissions import Class
from dsconv_lib.classroom.question import PUBLIC_SEED
from tests.classroom.grading.corpus import GOOD, hand_in, notebook
from tests.classroom.grading.traces import gone
from tests.commands import dsconv, refused

COUNT = 20
EXERCISES = Path(__file__).parent / "exercises"
MEMORY = 512 + os.getpid() % 400  # MiB, as no other test process
BYTES = MEMORY << 20
OPTIONS = ("--assignment", "toy", "--exercises", str(EXERCISES), "--memory", str(MEMORY))
QUICK = (*OPTIONS, "--call-limit", "3", "--cell-limit", "3", "--jobs", "2")
COMMAND = (sys.executable, "-m", "dsconv_lib", "grade")


def done(result: Any) -> str:
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def tables(out: Path) -> dict[str, bytes]:
    """Everything that is exported, byte for byte but for the folder's own name."""
    return {
        str(path.relative_to(out)): path.read_bytes().replace(bytes(out), b"marks")
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith(FILE)
    }


def stored(out: Path) -> list[tuple[int, str]]:
    """Rows of the gradebook: a row that was written again has another number."""
    if not (out / FILE).exists():
        return []
    with sqlite3.connect(f"file:{out / FILE}?mode=ro", uri=True) as data:
        try:
            found = data.execute("SELECT rowid, marks FROM automatic ORDER BY rowid").fetchall()
        except sqlite3.OperationalError:  # not made yet
            found = []
    data.close()
    return found


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "class"
    hand_in(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def undisturbed(many: Path) -> dict[str, bytes]:
    out = many.parent / "marks"
    text = done(dsconv("grade", many, *QUICK, "--out", out, "--seed", 7))
    assert f"{COUNT} submissions, seed 7" in text
    return tables(out)


def test_a_run_killed_three_times_ends_with_the_same_marks(
    many: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "marks"
    before: list[tuple[int, str]] = []
    for count in (3, 8, 13):
        command = ["grade", str(many), *QUICK, "--out", str(out), "--seed", "7", "--resume"]
        grader = subprocess.Popen([*COMMAND, *command[1:]], stdout=subprocess.DEVNULL)
        while grader.poll() is None and len(stored(out)) < count:
            time.sleep(0.02)
        assert grader.poll() is None, "it was done before it could be killed"
        grader.send_signal(signal.SIGKILL)
        grader.wait()
        assert gone(BYTES)
        after = stored(out)
        assert after[: len(before)] == before
        before = after
    text = done(dsconv("grade", many, *QUICK, "--out", out, "--resume"))
    assert f"{len(before)} of {COUNT} are graded" in text
    assert stored(out)[: len(before)] == before
    assert len(stored(out)) == COUNT
    assert tables(out) == undisturbed


def test_nothing_is_graded_twice(many: Path, undisturbed: dict[str, bytes]) -> None:
    out = many.parent / "marks"
    before = stored(out)
    assert f"{COUNT} of {COUNT} are graded" in done(
        dsconv("grade", many, *QUICK, "--out", out, "--resume")
    )
    assert stored(out) == before
    assert tables(out) == undisturbed


def test_an_interrupted_run_ends_at_once_and_can_go_on(tmp_path: Path) -> None:
    folder, out = tmp_path / "class", tmp_path / "marks"
    folder.mkdir()
    (folder / "ada.ipynb").write_bytes(notebook(GOOD))
    (folder / "slow.ipynb").write_bytes(notebook(["import time\ntime.sleep(10_000)"]))
    options = (str(folder), *OPTIONS, "--jobs", "2", "--out", str(out))
    # A run of the tests in the background, under nohup say, leaves its children deaf to this signal.
    hearing = ("env", "--default-signal=INT")
    grader = subprocess.Popen(
        [*hearing, *COMMAND, *options, "--cell-limit", "3600", "--total-limit", "3600"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while grader.poll() is None and not stored(out):
        time.sleep(0.02)
    grader.send_signal(signal.SIGINT)
    assert grader.wait(timeout=60) != 0
    assert gone(BYTES)
    done(dsconv("grade", *options, "--cell-limit", "1", "--resume"))
    assert len((out / "marks.csv").read_text().splitlines()) == 3


def test_other_commands_do_not_wait_for_the_grader() -> None:
    script = (
        "import sys; import dsconv_lib.cli; "
        "print({'jinja2', 'sqlite3', 'distributed'} & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"


@pytest.fixture
def scheduler() -> Iterator[str]:
    """A scheduler and two workers, each a process of its own with one thread."""
    started = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    try:
        first = start(
            "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1"
        )
        assert first.stderr is not None
        found = None
        while found is None:
            line = first.stderr.readline().decode()
            assert line, "the scheduler ended"
            found = re.search(r"tcp://127\.0\.0\.1:\d+", line)
        for _ in range(2):
            start(
                "distributed.cli.dask_worker", found[0], "--nthreads", "1", "--no-nanny",
                "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", "0",
            )  # fmt: skip
        yield found[0]
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def test_two_workers_of_a_cluster_give_the_same_marks(
    many: Path, undisturbed: dict[str, bytes], tmp_path: Path, scheduler: str
) -> None:
    from distributed import Client

    with Client(scheduler) as client:
        client.wait_for_workers(2, timeout=60)
    done(dsconv("grade", many, *QUICK, "--out", tmp_path, "--seed", 7, "--dask", scheduler))
    assert tables(tmp_path) == undisturbed
    assert gone(BYTES)


def test_a_file_that_changes_meanwhile_is_not_graded(one: Path, tmp_path: Path) -> None:
    """It would be kept under the digest of another."""
    everybody = Class(one)
    (one / "ada.ipynb").write_bytes(notebook([]))
    job = batch.Job("toy", (EXERCISES / "toy" / "questions.py").read_text(), seed=1)
    with opened(tmp_path / "marks") as book, batch.workers(job, 1, None) as (executor, jobs):
        book.begin(batch.assignment(job, batch.read(job), []), everybody.submissions)
        problems = batch.grade(everybody, book, job, executor, jobs, lambda: None)
        assert len(book.missing()) == 1
    assert problems == ["ada.ipynb has changed since the class was listed"]


def test_a_task_that_fails_costs_nobody_else_the_marks(one: Path, tmp_path: Path) -> None:
    (one / "bad.ipynb").write_bytes(notebook(["'bad'"]))
    (one / "eve.ipynb").write_bytes(notebook(GOOD))

    class Failing(ThreadPoolExecutor):
        def submit(self, task, /, raw, job):
            return super().submit(*((int, "x") if b"'bad'" in raw else (task, raw, job)))

    everybody = Class(one)
    job = batch.Job("toy", (EXERCISES / "toy" / "questions.py").read_text(), seed=1)
    with opened(tmp_path / "marks") as book, batch.workers(job, 1, None), Failing(1) as executor:
        book.begin(batch.assignment(job, batch.read(job), []), everybody.submissions)
        (problem,) = batch.grade(everybody, book, job, executor, 1, lambda: None)
        assert [each.student for each in book.missing()] == ["bad"]
    assert problem.startswith("bad.ipynb: ValueError: invalid literal")


def test_a_node_with_another_library_is_refused() -> None:
    job = batch.Job("toy", (EXERCISES / "toy" / "questions.py").read_text(), seed=1)
    assert "another dsconv_lib" in batch.check(job, "another")


def test_a_scheduler_that_is_not_there(many: Path, tmp_path: Path) -> None:
    refused(
        dsconv("grade", many, *QUICK, "--out", tmp_path, "--dask", "nonsense://x"),
        "no dask scheduler answers at nonsense://x",
    )


@pytest.fixture
def one(tmp_path: Path) -> Path:
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "ada.ipynb").write_bytes(notebook(GOOD, {"why": "It is cheaper."}))
    return folder


def test_a_seed_is_drawn_and_kept(one: Path, tmp_path: Path) -> None:
    seeds = []
    for name in ("a", "b"):
        text = done(dsconv("grade", one, *QUICK, "--out", tmp_path / name))
        seeds.append(re.search(r"seed (\d+)", text)[1])
        text = done(dsconv("grade", one, *QUICK, "--out", tmp_path / name, "--resume"))
        assert f"seed {seeds[-1]}\n" in text
        assert "1 of 1 are graded" in text
    assert seeds[0] != seeds[1]


def test_the_seed_of_the_cases_that_students_see_is_refused(one: Path, tmp_path: Path) -> None:
    out = tmp_path / "marks"
    result = dsconv("grade", one, *QUICK, "--out", out, "--seed", PUBLIC_SEED)
    assert result.exit_code == 2
    assert "--seed" in result.stderr
    assert not out.exists()


def test_written_answers_are_marked_by_hand(one: Path, tmp_path: Path) -> None:
    out = tmp_path / "marks"
    done(dsconv("grade", one, *QUICK, "--out", out))
    assert "Points to fill in" in done(dsconv("review", "--out", out))
    assert "It is cheaper." in (out / "review.html").read_text()
    table = out / "review.csv"
    assert table.read_text() == "student,question,points,comment\nada,why,,\n"
    table.write_text("student,question,points,comment\nada,why,1.5,Say how much.\n")
    refused(dsconv("review", "--out", out), "has points that were not entered: add --marks")
    unfinished = "student,question,points,comment\nada,why,,Say how much.\n"
    table.write_text(unfinished)
    refused(dsconv("review", "--out", out), "a comment without points")
    assert "1 comments without points" in done(dsconv("review", "--out", out, "--marks", table))
    refused(dsconv("review", "--out", out), "a comment without points")
    assert table.read_text() == unfinished
    table.write_text("student,question,points,comment\nada,why,1.5,Say how much.\n")
    assert "1 marks entered" in done(dsconv("review", "--out", out, "--marks", table))
    assert "ada,,,ada.ipynb,yes,3,,1,,,1.5,5.5,6,," in (out / "marks.csv").read_text()
    done(dsconv("review", "--out", out))
    assert table.read_text() == "student,question,points,comment\nada,why,1.5,Say how much.\n"
    assert "Say how much." in next((out / "students").glob("ada-*.html")).read_text()
    # Graded again, with other questions: what was given by hand stays.
    text = done(dsconv("grade", one, *QUICK, "--out", out, "--resume", "--call-limit", 4))
    assert "the limits changed: all are graded again" in text
    assert ",1.5,5.5," in (out / "marks.csv").read_text()


def test_marks_are_not_overwritten(one: Path, tmp_path: Path) -> None:
    out = tmp_path / "marks"
    done(dsconv("grade", one, *QUICK, "--out", out, "--seed", 1))
    before = tables(out)
    again = ("grade", one, *QUICK, "--out", out)
    refused(dsconv(*again), "holds marks of 'toy': add --resume")
    refused(dsconv(*again, "--resume", "--seed", 2), "--seed 2: the marks in .* with 1")
    other = tmp_path / "exercises" / "other"
    other.mkdir(parents=True)
    (other / "questions.py").write_text((EXERCISES / "toy" / "questions.py").read_text())
    options = ("--assignment", "other", "--exercises", other.parent, "--resume")
    refused(dsconv("grade", one, *options, "--out", out), "holds marks of 'toy'")
    assert tables(out) == before


def test_refusals_say_what_to_do(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ("--out", tmp_path / "marks")
    options = ("--exercises", EXERCISES, *out)
    refused(dsconv("grade", one, "--assignment", "x", *options), "no exercise: expected one of toy")
    refused(dsconv("grade", tmp_path / "no", *QUICK, *out), "neither a folder nor a zip file")
    refused(dsconv("review", *out), "has no marks: run dsconv grade first")
    monkeypatch.setenv("PATH", "/nonexistent")
    refused(dsconv("grade", one, *QUICK, *out), "bwrap is not on the PATH.*--unsafe")
    done(dsconv("grade", one, *QUICK, *out, "--unsafe"))
    assert "ada,,,ada.ipynb,yes,3,,1,," in (tmp_path / "marks" / "marks.csv").read_text()
