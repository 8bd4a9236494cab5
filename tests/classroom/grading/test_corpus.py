"""Honest and hostile submissions, graded as one class: each gets what it deserves, and leaves nothing."""

from __future__ import annotations

import gc
import os
import secrets
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dsconv_lib.classroom.grading import batch
from dsconv_lib.classroom.grading.feedback import export, page_name
from dsconv_lib.classroom.grading.gradebook import Result, opened
from dsconv_lib.classroom.grading.sandbox import Limits
from dsconv_lib.classroom.grading.submissions import Class
from tests.classroom.grading.corpus import CASES, contents
from tests.classroom.grading.traces import processes, unique_memory

TOY = Path(__file__).parent / "exercises" / "toy"
LIMITS = Limits(call=3.0, cell=5.0, total=60.0, memory=unique_memory(), scratch=4 << 20)


@dataclass
class Graded:
    """What was seen of the class, and around it."""

    results: dict[str, Result]
    problems: list[str]
    outside: Path
    before: dict[str, Any]
    after: dict[str, Any]
    token: str
    connections: int


def surroundings(outside: Path) -> dict[str, Any]:
    """Everything that a submission might have touched."""
    files = {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(outside.rglob("*"))
        if "marks" not in path.parts
    }
    gc.collect()
    return {"files": files, "descriptors": len(os.listdir("/proc/self/fd"))}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    outside, token = tmp_path_factory.mktemp("outside"), f"token-{secrets.token_hex(8)}"
    handed_in = outside / "class"
    handed_in.mkdir()
    (outside / "canary").write_text("as it was")
    connections = 0
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        local.bind(str(outside / "socket"))
        abstract.bind(f"\0{token}")
        listening = [server, local, abstract]
        for each in listening:
            each.listen()
            each.settimeout(0)
        names = {"outside": outside, "token": token, "port": server.getsockname()[1]}
        for name, case in CASES.items():
            (handed_in / f"{name}.ipynb").write_bytes(contents(case, **names))
        job = batch.Job(
            name="toy",
            questions=(TOY / "questions.py").read_text(),
            seed=20,
            limits=LIMITS,
            hidden=(str(outside), str(TOY)),
        )
        everybody = Class(handed_in)
        before = surroundings(outside)
        # Four at a time: those that loop or sleep until their time is up wait together.
        with opened(outside / "marks") as book, batch.workers(job, 4, None) as (executor, jobs):
            book.begin(batch.assignment(job, batch.read(job), []), everybody.submissions)
            problems = batch.grade(everybody, book, job, executor, jobs, lambda: None)
            export(book)
            results = {each.submission.student: each for each in book.results()}
        after = surroundings(outside)
        for each in listening:
            try:
                each.accept()[0].close()
                connections += 1
            except BlockingIOError:
                pass
    return Graded(results, problems, outside, before, after, token, connections)


@pytest.mark.parametrize("name", CASES)
def test_each_gets_what_it_deserves(graded: Graded, name: str) -> None:
    case, result = CASES[name], graded.results[name]
    assert (result.automatic("scale"), result.automatic("size")) == case.points, result.marks
    assert case.note in "; ".join(result.notes), result.notes
    assert case.suspicious in "; ".join(result.suspicious), result.suspicious
    assert result.marks["written"] == {"why": case.answers.get("why", "")}


def test_a_note_is_made_once(graded: Graded) -> None:
    notes = graded.results["syntax_error_and_loop"].notes
    assert notes == ["code cell 1 is not Python: it was left out (it begins: def broken(:)"]


def test_nobody_stops_the_batch(graded: Graded) -> None:
    assert graded.problems == []
    assert graded.results.keys() == CASES.keys()


def test_nothing_is_left_behind(graded: Graded) -> None:
    assert graded.after == graded.before
    assert processes(LIMITS.memory) == []
    assert graded.connections == 0
    places = [
        Path(tempfile.gettempdir()),
        Path("/dev/shm"),
        Path.home(),
        Path.cwd(),
        Path("/"),
        graded.outside,
    ]
    assert [place for place in places if graded.token in os.listdir(place)] == []


def test_no_page_shows_what_a_submission_wrote(graded: Graded) -> None:
    result = graded.results["a_name_in_html"]
    page = (graded.outside / "marks" / "students" / page_name(result)).read_text()
    assert "raised an exception of its own" in page
    for path in (graded.outside / "marks").rglob("*.html"):
        assert "<script" not in path.read_text()
        assert "alert(1)" not in path.read_text()


def test_a_known_mistake_is_named(graded: Graded) -> None:
    failures = graded.results["summed"].marks["questions"]["scale"]["failures"]
    assert {each["problem"] for each in failures} == {"it was summed over channels"}
    page = (graded.outside / "marks/students" / page_name(graded.results["summed"])).read_text()
    assert "One weight for each channel." in page
    assert "it was summed over channels" in page


def test_an_answer_that_is_too_large_is_not_kept(graded: Graded) -> None:
    failures = graded.results["large_answer"].marks["questions"]["scale"]["failures"]
    problem = "returned a value that is too large, which cannot be compared"
    assert [each["problem"] for each in failures] == [problem] * 3


def test_honest_submissions_look_honest(graded: Graded) -> None:
    from tests.classroom.grading.corpus import HONEST

    assert {name: each for name in HONEST if (each := graded.results[name].suspicious)} == {}
