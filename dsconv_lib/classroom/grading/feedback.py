"""What leaves the gradebook: tables for other systems, a page for each student, two for teachers.

A student's page has marks, the sizes of the cases that failed, the diagnosis, and hints. It never has anything that
the submission printed, returned or raised.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dsconv_lib.classroom.grading.gradebook import DIGITS, Assignment, Gradebook, Result, plain
from dsconv_lib.files import replace_file

BINS = 10  # of the distribution of marks


def export(book: Gradebook) -> None:
    """Write every table and page of a gradebook into its folder."""
    here = book.assignment
    results, most = book.results(), sum(here.points.values())

    def write(name: str, text: str) -> None:
        replace_file(book.folder / name, text.encode(errors="replace"))

    write("marks.csv", _csv(_marks(here, results)))
    write("results.json", json.dumps(_gradescope(here, results), indent=1) + "\n")
    for system, table in (("canvas", _canvas), ("moodle", _moodle)):
        theirs = [each for each in results if each.submission.system == system]
        if theirs:
            write(f"{system}.csv", _csv(table(here, theirs)))
    loader = PackageLoader("dsconv_lib.classroom.grading")
    blocks: Any = {"trim_blocks": True, "lstrip_blocks": True}
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, **blocks)
    pages.filters["points"] = points
    pages.globals |= {"assignment": here, "most": most, "results": results, "page_name": page_name}

    def page(name: str, template: str, **shown: Any) -> None:
        write(name, pages.get_template(template).render(shown))

    (book.folder / "students").mkdir(exist_ok=True)
    for each in results:
        page(f"students/{page_name(each)}", "student.html", result=each)
    figures = {"distribution": _distribution(results, most), "hardest": _hardest(here, results)}
    median = statistics.median(each.total for each in results)
    unmarked = [most - each.marked(here.points) for each in results if each.marks]
    waiting_for = round(max(unmarked, default=0.0), DIGITS)
    page("index.html", "class.html", median=median, waiting_for=waiting_for, **figures)
    if here.written:
        page("review.html", "review.html", table=book.folder / "review.csv")


def review_table(here: Assignment, results: Iterable[Result]) -> str:
    """Make the table to fill in: a row for each written answer, with the points it has by now."""
    rows: list[list[str]] = [["student", "question", "points", "comment"]]
    for name in here.written:
        for each in results:
            given, comment = each.manual.get(name, (None, ""))
            rows.append([plain(each.submission.student), name, points(given), plain(comment)])
    return _csv(rows)


def points(value: float | None) -> str:
    """Write points with the digits they need, and none where there are none."""
    return "" if value is None else f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")


def page_name(result: Result) -> str:
    """Name a student's page: nothing of a file name that a path could trip over."""
    student = result.submission.student
    digest = hashlib.sha256(student.encode(errors="replace")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', student).strip('-')[:60]}-{digest}.html"


def _marks(here: Assignment, results: Iterable[Result]) -> Iterable[list[str]]:
    pairs = [column for name in here.points for column in (name, f"{name} (manual)")]
    head = ["student", "id", "late", "file", "graded"]
    yield [*head, *pairs, "total", "out of", "notes", "to look at"]
    most = points(sum(here.points.values()))
    for each in results:
        who, graded = each.submission, "yes" if each.marks else "no"
        row = [plain(who.student), who.id, "late" if who.late else "", plain(who.file), graded]
        for name in here.points:
            row += [points(each.automatic(name)), points(each.manual.get(name, (None,))[0])]
        notes, suspicious = (plain("; ".join(texts)) for texts in (each.notes, each.suspicious))
        yield [*row, points(each.total), most, notes, suspicious]


def _gradescope(here: Assignment, results: Iterable[Result]) -> dict[str, Any]:
    submissions = [
        {
            "student": each.submission.student,
            "id": each.submission.id,
            "graded": each.marks is not None,
            "score": each.total,
            "max_score": sum(here.points.values()),
            "output": "\n".join(each.notes),
            "tests": [_test(here, each, name) for name in here.points],
        }
        for each in results
    ]
    head = {"assignment": here.name, "seed": here.seed, "version": here.version}
    return {**head, "submissions": submissions}


def _test(here: Assignment, result: Result, name: str) -> dict[str, Any]:
    found = result.marks["questions"].get(name, {}) if result.marks else {}
    lines = [f"{each['sizes']}: {each['problem']}" for each in found.get("failures", ())]
    if name in result.manual:
        lines.append(result.manual[name][1])
    return {
        "name": name,
        "score": result.score(name),
        "max_score": here.points[name],
        "manual": name in result.manual,
        "output": "\n".join(line for line in lines if line),
    }


def _canvas(here: Assignment, results: Iterable[Result]) -> Iterable[list[str]]:
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", plain(here.name)]
    yield ["    Points Possible", "", "", "", "", points(sum(here.points.values()))]
    for each in results:
        mark = points(each.total) if each.marks else ""
        yield [plain(each.submission.student), each.submission.id, "", "", "", mark]


def _moodle(here: Assignment, results: Iterable[Result]) -> Iterable[list[str]]:
    yield ["Identifier", "Full name", "Grade", "Maximum grade"]
    most = points(sum(here.points.values()))
    for each in results:
        mark = points(each.total) if each.marks else ""
        who = each.submission
        yield [f"Participant {who.id}", plain(who.student), mark, most]


def _distribution(results: Sequence[Result], most: float) -> list[tuple[str, int]]:
    counts = [0] * BINS
    for each in results:
        share = each.total / most if most else 0.0
        counts[min(int(BINS * share), BINS - 1)] += 1
    edges = [points(round(most * n / BINS, 2)) for n in range(BINS + 1)]
    return [(f"{edges[n]} to {edges[n + 1]}", count) for n, count in enumerate(counts)]


def _hardest(here: Assignment, results: Sequence[Result]) -> list[tuple[str, float]]:
    """Give the share of its points that each question earned, the smallest first."""
    shares = {}
    for name, most in here.points.items():
        marked = [each for each in results if each.has(name)]
        if marked and most:
            shares[name] = statistics.fmean(each.score(name) for each in marked) / most
    return sorted(shares.items(), key=lambda each: each[1])


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
