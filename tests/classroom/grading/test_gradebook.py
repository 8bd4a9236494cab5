"""Marks: kept, counted, entered by hand and passed on."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dsconv_lib.classroom.grading import GradingError
from dsconv_lib.classroom.grading.feedback import export, page_name, review_table
from dsconv_lib.classroom.grading.gradebook import FILE, Assignment, Gradebook, opened, read_manual
from dsconv_lib.classroom.grading.submissions import Submission

TOY = Assignment(
    name="toy",
    seed=2**63 - 1,
    version="v1",
    points={"scale": 3.0, "size": 1.0, "why": 2.0},
    written=["why"],
    hints={"scale": ["Look at <x>."]},
    others=["report.pdf"],
)
EVE = "<script>alert(1)</script>"


def submission(student: str, sha256: str = "", **options: Any) -> Submission:
    given = {"id": "", "system": "", "file": f"{student}.ipynb", "late": False} | options
    return Submission(student, sha256=sha256 or student, **given)


def marks(scale: float = 3.0, size: float = 1.0, **others: Any) -> dict[str, Any]:
    def found(score: float, most: int) -> dict[str, Any]:
        right = int(score == most)
        failures = [] if right else [{"sizes": "x 1×2", "problem": EVE}]
        return {"score": score, "right": right, "cases": 1, "failures": failures}

    questions = {"scale": found(scale, 3), "size": found(size, 1)}
    written = {"why": f"It is {EVE}"}
    return {"questions": questions, "written": written, "notes": [], "suspicious": []} | others


CLASS = [
    submission("ada", system="canvas", id="101"),
    submission("eve", late=True, notes=["2 notebooks"]),
    submission("=HYPERLINK(1)", system="moodle", id="7"),
    submission(EVE),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with opened(tmp_path / "marks") as book:
        book.begin(TOY, CLASS)
        book.save(CLASS[0], marks())
        book.save(CLASS[1], marks(scale=1.5, notes=["cell 1"], suspicious=["mentions socket"]))
        book.save(CLASS[2], marks(scale=0.3333))
        export(book)
    return tmp_path / "marks"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def enter(folder: Path, text: str) -> None:
    file = folder / "in.csv"
    file.write_text(text)
    with opened(folder) as book:
        book.enter(read_manual(file, book))
        export(book)


def test_the_table(folder: Path) -> None:
    rows = {row["student"]: row for row in table(folder / "marks.csv")}
    assert list(rows) == sorted(rows, key=lambda name: name.lstrip("'"))
    eve = rows["eve"]
    assert (eve["scale"], eve["size"], eve["why"], eve["total"]) == ("1.5", "1", "", "2.5")
    assert (eve["out of"], eve["late"], eve["graded"]) == ("6", "late", "yes")
    assert (eve["notes"], eve["to look at"]) == ("2 notebooks; cell 1", "mentions socket")
    assert rows[EVE]["graded"] == "no"
    assert rows[EVE]["scale"] == ""
    # A spreadsheet would run a name that begins like a formula.
    assert rows["'=HYPERLINK(1)"]["total"] == "1.3333"


def test_tables_for_other_systems(folder: Path) -> None:
    canvas, moodle = table(folder / "canvas.csv"), table(folder / "moodle.csv")
    assert canvas[0]["Student"] == "    Points Possible"
    assert {name: canvas[1][name] for name in ("Student", "ID", "toy")} == {
        "Student": "ada",
        "ID": "101",
        "toy": "4",
    }
    assert (moodle[0]["Identifier"], moodle[0]["Grade"]) == ("Participant 7", "1.3333")
    found = json.loads((folder / "results.json").read_text())
    ada = next(each for each in found["submissions"] if each["student"] == "ada")
    assert (found["seed"], ada["score"], ada["max_score"]) == (2**63 - 1, 4.0, 6.0)
    assert [(each["name"], each["score"], each["max_score"]) for each in ada["tests"]] == [
        ("scale", 3.0, 3.0),
        ("size", 1.0, 1.0),
        ("why", 0.0, 2.0),
    ]


def test_pages_escape_everything(folder: Path) -> None:
    enter(folder, f'student,question,points,comment\neve,why,1,"{EVE}"\n')
    pages = [*folder.glob("*.html"), *(folder / "students").glob("*.html")]
    assert len(pages) == 2 + len(CLASS)
    for page in pages:
        assert "<script" not in page.read_text()
    assert "&lt;script&gt;" in (folder / "review.html").read_text()
    overview = (folder / "index.html").read_text()
    assert "mentions socket" in overview
    assert "report.pdf" in overview
    assert "Not graded yet: &lt;script" in overview


def test_the_hardest_question_is_among_those_that_were_marked(folder: Path) -> None:
    def shares() -> list[tuple[str, str]]:
        page = (
            (folder / "index.html").read_text().partition("hardest first")[2].partition("<h2>")[0]
        )
        return re.findall(r'row">(\w+)</th><td class="number">(\d+)%', page)

    assert shares() == [("scale", "54"), ("size", "100")]  # (3 + 1.5 + 0.3333) / 9
    enter(folder, "student,question,points\neve,why,0.5\n")
    assert shares() == [("why", "25"), ("scale", "54"), ("size", "100")]


def test_a_students_page(folder: Path) -> None:
    with opened(folder) as book:
        names = {each.submission.student: page_name(each) for each in book.results()}
    eve = (folder / "students" / names["eve"]).read_text()
    assert "<strong>2.5 of 4</strong> points so far; 2 more are marked by hand" in eve
    assert "Look at &lt;x&gt;." in eve
    assert "x 1×2" in eve
    assert "It is" not in eve  # a student's own words
    assert "mentions socket" not in eve
    assert "Look at" not in (folder / "students" / names["ada"]).read_text()
    assert all(
        set(name) <= set("abcdefghijklmnopqrstuvwxyzHYPERLINK0123456789-.")
        for name in names.values()
    )


def review(folder: Path) -> list[tuple[str, str, float | None, str]]:
    """Write the table to fill in, and read it back."""
    with opened(folder) as book:
        here = book.assignment
        (folder / "review.csv").write_text(review_table(here, book.results()))
        entries = read_manual(folder / "review.csv", book)
        assert book.holds(entries)
    return entries


@pytest.mark.parametrize(
    "comment", ["-1: sign missing", "=1+1", "'tis so", "''", "'-1", "@", "a, b"]
)
def test_a_comment_comes_back_as_it_was_entered(folder: Path, comment: str) -> None:
    enter(folder, f'student,question,points,comment\nada,why,1,"{comment}"\n')
    with opened(folder) as book:
        stored = book.results()[2].manual["why"]
    for _ in range(2):
        assert review(folder) == [("ada", "why", *stored)]
        enter(folder, (folder / "review.csv").read_text())
    assert stored[1] in (comment, comment[1:])  # the spreadsheet's own mark of text
    assert stored[1] == comment or comment.startswith("'")


def test_points_are_stored_as_they_are_written(folder: Path) -> None:
    enter(folder, "student,question,points\nada,why,1.33333333333\neve,why,2.00000001\n")
    assert review(folder) == [("ada", "why", 1.3333, ""), ("eve", "why", 2.0, "")]


def test_a_comment_without_points_is_not_entered(folder: Path) -> None:
    file = folder / "in.csv"
    file.write_text("student,question,points,comment\nada,why,,Nearly\neve,why,1,\n")
    with opened(folder) as book:
        entries = read_manual(file, book)
        assert not book.holds(entries)
        assert book.enter(entries) == 1
        assert not book.holds(entries)
        assert book.holds(entries[1:])
        assert [each.manual for each in book.results() if each.manual] == [{"why": (1.0, "")}]


def test_a_mark_for_a_question_that_is_gone_does_not_count(folder: Path) -> None:
    enter(folder, "student,question,points\nada,why,1.5\n")
    with opened(folder) as book:
        book.begin(replace(TOY, points={"scale": 3.0, "size": 1.0}, written=[]), CLASS)
        export(book)
        ada = book.results()[2]
    assert (ada.total, ada.manual) == (4.0, {})
    assert ada.suspicious == ["why was marked by hand, and is no question any more"]
    assert json.loads((folder / "results.json").read_text())["submissions"][2]["score"] == 4.0


def test_a_mark_above_a_new_maximum_is_noted(folder: Path) -> None:
    enter(folder, "student,question,points\nada,why,1.5\neve,why,1\n")
    with opened(folder) as book:
        book.begin(replace(TOY, points=TOY.points | {"why": 1.0}), CLASS)
        found = {each.submission.student: each.suspicious for each in book.results()}
    assert found["ada"] == ["why was marked by hand with more points than it has now"]
    assert found["eve"] == ["mentions socket"]


def test_a_mark_for_an_earlier_file_is_noted(folder: Path) -> None:
    text = "student,question,points\nada,why,1.5\n"
    enter(folder, text)
    with opened(folder) as book:
        assert book.results()[2].suspicious == []
        book.begin(TOY, [replace(CLASS[0], sha256="other"), *CLASS[1:]])
        ada = book.results()[2]
    assert ada.manual == {"why": (1.5, "")}
    assert ada.suspicious == ["why was marked by hand in an earlier file"]
    enter(folder, text)
    with opened(folder) as book:
        assert book.results()[2].suspicious == []


def test_a_table_of_a_spreadsheet_that_writes_semicolons(folder: Path) -> None:
    enter(folder, "student;question;points;comment\nada;why;1,5;Good, but short\n")
    (ada,) = [row for row in table(folder / "marks.csv") if row["student"] == "ada"]
    assert ada["why (manual)"] == "1.5"


def test_manual_marks_have_a_column_of_their_own(folder: Path) -> None:
    enter(
        folder, "student,question,points,comment\nada,why,1.5,Good\nada,scale,2,\neve,why,,later\n"
    )
    rows = {row["student"]: row for row in table(folder / "marks.csv")}
    ada = rows["ada"]
    assert (ada["scale"], ada["scale (manual)"], ada["why (manual)"]) == ("3", "2", "1.5")
    assert ada["total"] == "4.5"
    assert rows["eve"]["why (manual)"] == ""
    with opened(folder) as book:
        book.save(CLASS[0], marks(scale=0.0))  # graded again
        export(book)
    ada = {row["student"]: row for row in table(folder / "marks.csv")}["ada"]
    assert (ada["scale"], ada["scale (manual)"], ada["total"]) == ("0", "2", "4.5")


def test_the_table_to_fill_in_can_be_read_back(folder: Path) -> None:
    with opened(folder) as book:
        here = book.assignment
        text = review_table(here, book.results())
        lines = [f"{line[:-1]}2," if line else line for line in text.split("\n")]
        (folder / "in.csv").write_text(
            "\n".join([text.split("\n")[0], *lines[1:]]).replace(",,2", ",2")
        )
        entries = read_manual(folder / "in.csv", book)
    assert sorted(entries) == sorted((each.student, "why", 2.0, "") for each in CLASS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("student,points\nada,1", "expected the columns"),
        ("student,question,points\nbob,why,1", "line 2: nobody is called 'bob'"),
        (
            "student,question,points\nada,what,1",
            "question 'what': expected one of scale, size, why",
        ),
        ("student,question,points\nada,why,2.5", "points '2.5': expected 0 to 2"),
        ("student,question,points\nada,why,-1", "points '-1'"),
        ("student,question,points\nada,why,nan", "points 'nan'"),
        ("student,question,points\nada,why,two", "points 'two'"),
        ("student,question,points\nada,why,1\neve,why,9", "line 3"),
    ],
)
def test_wrong_manual_marks_change_nothing(folder: Path, text: str, message: str) -> None:
    with pytest.raises(GradingError, match=message):
        enter(folder, text)
    with opened(folder) as book:
        assert [each.manual for each in book.results()] == [{}] * len(CLASS)


@pytest.mark.parametrize(
    "change", [{"version": "v2"}, {"seed": 5}, {"name": "other"}], ids=["version", "seed", "name"]
)
def test_marks_are_those_of_one_version_and_seed(folder: Path, change: dict[str, Any]) -> None:
    with opened(folder) as book:
        assert [each.student for each in book.missing()] == [EVE]
        book.begin(replace(TOY, **change), CLASS)
        assert len(book.missing()) == len(CLASS)
        book.begin(TOY, CLASS)
        assert [each.student for each in book.missing()] == [EVE]


def test_a_changed_file_has_no_marks_yet(folder: Path) -> None:
    with opened(folder) as book:
        book.begin(TOY, [replace(CLASS[0], sha256="other"), *CLASS[1:]])
        assert [each.student for each in book.missing()] == [EVE, "ada"]


def test_the_same_file_twice_is_marked_twice_and_noted(tmp_path: Path) -> None:
    everybody = [submission(name, "same") for name in "abcdef"]
    with opened(tmp_path) as book:
        book.begin(TOY, everybody)
        assert len(book.missing()) == 6
        for each in everybody:
            book.save(each, marks())
        first = book.results()[0]
    assert first.suspicious == ["the same file, byte for byte, as b, c, d and 2 others"]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(GradingError, match="another dsconv is writing"):
        Gradebook(tmp_path)
    Gradebook(tmp_path).close()


def test_a_commit_is_there_for_others_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        book.begin(TOY, CLASS)
        book.save(CLASS[0], marks())
        other = sqlite3.connect(tmp_path / FILE)
        assert other.execute("SELECT count(*) FROM automatic").fetchone() == (1,)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()


def test_what_is_no_gradebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(GradingError, match="is no gradebook"):
        Gradebook(tmp_path)
    (tmp_path / FILE).unlink()
    with opened(tmp_path) as book, pytest.raises(GradingError, match="has no marks"):
        book.results()
