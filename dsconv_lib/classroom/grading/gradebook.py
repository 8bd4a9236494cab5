"""The marks of one assignment, in a SQLite file that only the grader's own process writes.

Each submission is one transaction. It is kept under all that its marks depend on: the assignment, the student, the
notebook's bytes, the seed, and the version of the grader and of the questions. So a run that goes on finds what is
done, and marks again what has changed. Marks given by hand have a table of their own; no automatic mark ever
replaces one.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from dsconv_lib.classroom.grading import GradingError
from dsconv_lib.classroom.grading.submissions import Submission

FILE = "gradebook.sqlite"
NAMED = 3  # of those who handed in the same file
DIGITS = 4  # of points, after the decimal point
SCHEMA = """
CREATE TABLE IF NOT EXISTS assignment (
    name TEXT, seed INTEGER, version TEXT, points TEXT, written TEXT, hints TEXT, others TEXT);
CREATE TABLE IF NOT EXISTS roster (
    student TEXT PRIMARY KEY, id TEXT, system TEXT, file TEXT, sha256 TEXT, late INTEGER, notes TEXT);
CREATE TABLE IF NOT EXISTS automatic (
    assignment TEXT, student TEXT, sha256 TEXT, version TEXT, seed INTEGER, marks TEXT,
    PRIMARY KEY (assignment, student, sha256, version, seed));
CREATE TABLE IF NOT EXISTS manual (
    assignment TEXT, student TEXT, question TEXT, points REAL, comment TEXT, sha256 TEXT,
    PRIMARY KEY (assignment, student, question));
"""
# A mark given by hand: student, question, points (None: a comment alone), comment.
Entry = tuple[str, str, float | None, str]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all marks share. `points` are in the order of the questions; `others` are files that are no notebooks."""

    name: str
    seed: int
    version: str
    points: dict[str, float]
    written: list[str]
    hints: dict[str, list[str]]
    others: list[str]


@dataclass(frozen=True, slots=True)
class Result:
    """One student's marks; `marks` is None until the submission has been graded.

    `manual` has points and a comment for each question marked by hand. They count instead of the automatic points.
    """

    submission: Submission
    marks: dict[str, Any] | None
    manual: dict[str, tuple[float, str]]
    suspicious: list[str]

    def automatic(self, question: str) -> float | None:
        """Points that the grader gave: None for a written answer, or if there are no marks yet."""
        found = self.marks["questions"].get(question) if self.marks else None
        return found["score"] if found else None

    def has(self, question: str) -> bool:
        """Tell whether anybody has marked a question."""
        return question in self.manual or self.automatic(question) is not None

    def score(self, question: str) -> float:
        """Points that count."""
        if question in self.manual:
            return self.manual[question][0]
        return self.automatic(question) or 0.0

    @property
    def total(self) -> float:
        """Points in all."""
        questions = {*self.manual, *(self.marks["questions"] if self.marks else ())}
        return round(sum(self.score(name) for name in questions), DIGITS)

    def marked(self, points: Mapping[str, float]) -> float:
        """Points that could be had so far: those of questions that somebody has marked."""
        return sum(most for name, most in points.items() if self.has(name))

    @property
    def notes(self) -> list[str]:
        """What the student should know."""
        return self.submission.notes + (self.marks["notes"] if self.marks else [])


class Gradebook:
    """The gradebook in a folder, open for this process alone.

    Raises:
        GradingError: if another process has it open, or the file is no gradebook.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            busy = f"another dsconv is writing to {folder}: wait until it is done"
            raise GradingError(busy) from None
        self._data = sqlite3.connect(folder / FILE)
        try:
            self._data.execute("PRAGMA journal_mode=WAL")
            self._data.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            self.close()
            other = f"{folder / FILE} is no gradebook ({error}): name another --out"
            raise GradingError(other) from None

    def close(self) -> None:
        """Close the file and let others write."""
        self._data.close()
        os.close(self._lock)

    @property
    def begun(self) -> bool:
        """Whether an assignment is here, with or without marks."""
        return self._data.execute("SELECT 1 FROM assignment").fetchone() is not None

    @property
    def assignment(self) -> Assignment:
        """The assignment whose marks are here.

        Raises:
            GradingError: if there is none yet.
        """
        if not self.begun:
            raise GradingError(f"{self.folder} has no marks: run dsconv grade first")
        name, seed, version, *rest = self._data.execute("SELECT * FROM assignment").fetchone()
        return Assignment(name, seed, version, *(json.loads(each) for each in rest))

    @property
    def empty(self) -> bool:
        """Whether no mark is here yet, of whatever assignment."""
        marks = "SELECT 1 FROM automatic UNION ALL SELECT 1 FROM manual"
        return self._data.execute(marks).fetchone() is None

    def begin(self, assignment: Assignment, submissions: Sequence[Submission]) -> None:
        """Store the assignment and who handed in what; marks that are here stay."""
        name, seed, version, *lists = astuple(assignment)
        here = (name, seed, version, *map(json.dumps, lists))
        roster = [(*astuple(each)[:-1], json.dumps(each.notes)) for each in submissions]
        with self._data:
            self._data.execute("DELETE FROM assignment")
            self._data.execute("DELETE FROM roster")
            self._data.execute("INSERT INTO assignment VALUES (?, ?, ?, ?, ?, ?, ?)", here)
            self._data.executemany("INSERT INTO roster VALUES (?, ?, ?, ?, ?, ?, ?)", roster)

    def save(self, submission: Submission, marks: dict[str, Any]) -> None:
        """Store the marks of one submission."""
        here, each = self.assignment, submission
        key = (here.name, each.student, each.sha256, here.version, here.seed)
        insert = "INSERT OR REPLACE INTO automatic VALUES (?, ?, ?, ?, ?, ?)"
        with self._data:
            self._data.execute(insert, (*key, json.dumps(marks)))

    def enter(self, entries: Sequence[Entry]) -> int:
        """Store marks given by hand, all or none, for the files that are here now; return how many they are.

        A comment without points is not stored.
        """
        name = self.assignment.name
        rows = [(name, *each, each[0]) for each in entries if each[2] is not None]
        sha256 = "(SELECT sha256 FROM roster WHERE student = ?)"
        insert = f"INSERT OR REPLACE INTO manual VALUES (?, ?, ?, ?, ?, {sha256})"
        with self._data:
            self._data.executemany(insert, rows)
        return len(rows)

    def holds(self, entries: Sequence[Entry]) -> bool:
        """Tell whether these have all been entered, comments without points too."""
        manual = {each.submission.student: each.manual for each in self.results()}
        return all(manual[who].get(question) == tuple(mark) for who, question, *mark in entries)

    def results(self) -> list[Result]:
        """Read everybody's marks, in the order of the roster's names."""
        here = self.assignment
        manual: dict[str, dict[str, tuple[float, str]]] = defaultdict(dict)
        outdated: dict[str, list[str]] = defaultdict(list)
        for student, question, points, comment, changed in self._data.execute(
            "SELECT student, question, points, comment, manual.sha256 != roster.sha256 "
            "FROM manual JOIN roster USING (student) WHERE assignment = ? ORDER BY question",
            (here.name,),
        ):
            marked = f"{question} was marked by hand"
            most = here.points.get(question)
            if most is None:  # kept, should the question come back
                outdated[student].append(f"{marked}, and is no question any more")
                continue
            manual[student][question] = (points, comment)
            if points > round(most, DIGITS):
                outdated[student].append(f"{marked} with more points than it has now")
            if changed:
                outdated[student].append(f"{marked} in an earlier file")
        roster: list[tuple[Submission, dict[str, Any] | None]] = []
        copies: dict[str, list[str]] = defaultdict(list)
        for student, number, system, file, sha256, late, notes, marks in self._data.execute(
            "SELECT roster.*, marks FROM roster LEFT JOIN (SELECT * FROM automatic WHERE "
            "assignment = ? AND version = ? AND seed = ?) USING (student, sha256) ORDER BY student",
            (here.name, here.version, here.seed),
        ):
            each = Submission(student, number, system, file, sha256, bool(late), json.loads(notes))
            roster.append((each, json.loads(marks or "null")))
            copies[each.sha256].append(each.student)
        results = []
        for each, found in roster:
            suspicious = (found["suspicious"] if found else []) + outdated[each.student]
            same = [name for name in copies[each.sha256][: NAMED + 1] if name != each.student]
            if same:
                more = len(copies[each.sha256]) - 1 - len(same[:NAMED])
                others = f" and {more} others" if more else ""
                names = ", ".join(same[:NAMED])
                suspicious.append(f"the same file, byte for byte, as {names}{others}")
            results.append(Result(each, found, manual[each.student], suspicious))
        return results

    def missing(self) -> list[Submission]:
        """List the submissions without marks."""
        return [each.submission for each in self.results() if each.marks is None]


def opened(folder: Path) -> closing[Gradebook]:
    """Open a gradebook, and close it whatever happens."""
    return closing(Gradebook(folder))


def read_manual(file: Path, book: Gradebook) -> list[Entry]:
    """Read marks given by hand from a CSV file with the columns student, question, points, comment.

    Rows without points and comment are left out.

    Raises:
        GradingError: if a column, student or question is unknown, or points are not from 0 to the question's.
    """
    points = book.assignment.points
    students = {each.submission.student for each in book.results()}
    entries: list[Entry] = []
    try:
        text = file.read_bytes().decode("utf-8-sig")
        # In many countries a spreadsheet writes semicolons, and a comma in decimals.
        local = ";" in text.partition("\n")[0]
        rows = list(csv.DictReader(io.StringIO(text), delimiter=";" if local else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GradingError(f"{file} cannot be read: {error}") from None
    for line, row in enumerate(rows, start=2):
        here = f"{file}, line {line}"
        if not {"student", "question", "points"} <= row.keys():
            raise GradingError(f"{file}: expected the columns student, question, points, comment")
        student, question, given = (row[name] or "" for name in ("student", "question", "points"))
        student, comment = _as_meant(student), _as_meant(row.get("comment") or "")
        if not given.strip() and not comment.strip():
            continue
        if student not in students:
            raise GradingError(f"{here}: nobody is called {student!r}")
        if question not in points:
            raise GradingError(
                f"{here}: question {question!r}: expected one of {', '.join(points)}"
            )
        if not given.strip():
            entries.append((student, question, None, comment))
            continue
        try:
            value = round(float(given.replace(",", ".") if local else given), DIGITS)
        except ValueError:
            value = -1.0
        if not 0 <= value <= round(points[question], DIGITS):
            most = f"{points[question]:g}, with a decimal point"
            raise GradingError(f"{here}: points {given!r}: expected 0 to {most}")
        entries.append((student, question, value, comment))
    return entries


def plain(text: str) -> str:
    """Make text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else text


def _as_meant(text: str) -> str:
    """Undo `plain`."""
    return text[1:] if text.startswith("'") and plain(text[1:]) != text[1:] else text
