"""Whose file is whose, in folders and zip files that nobody should trust."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from dsconv_lib.classroom.grading import GradingError
from dsconv_lib.classroom.grading.notebook import MAX_BYTES, NotebookError, read
from dsconv_lib.classroom.grading.submissions import Class
from tests.classroom.grading.corpus import GOOD, notebook

PLAIN = notebook(GOOD)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for time, (name, raw) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        os.utime(path, (time, time))
    return folder


def write_zip(file: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return file


def seen(found: Class) -> dict[str, str]:
    return {each.student: each.file for each in found.submissions}


CANVAS = {
    "curiemarie_101_9001_conv.ipynb": PLAIN,
    "noetheremmy_LATE_102_9002_conv-1.ipynb": PLAIN,
    "curiemarie_101_9003_conv-2.ipynb": PLAIN,
    "turingalan_103_9004_report.pdf": b"%PDF",
}
MOODLE = {
    "Marie Curie_101_assignsubmission_file_/a.ipynb": PLAIN,
    "Emmy Noether_102_assignsubmission_file_/deep/er/b.ipynb": PLAIN,
    "Emmy Noether_103_assignsubmission_file_/b.ipynb": PLAIN,
}


@pytest.mark.parametrize("zipped", [False, True])
def test_canvas(tmp_path: Path, zipped: bool) -> None:
    place = write_zip(tmp_path / "a.zip", CANVAS) if zipped else write(tmp_path / "a", CANVAS)
    found = Class(place)
    assert seen(found) == {
        "curiemarie (101)": "curiemarie_101_9003_conv-2.ipynb",
        "noetheremmy (102)": "noetheremmy_LATE_102_9002_conv-1.ipynb",
    }
    assert [each.late for each in found.submissions] == [False, True]
    assert [each.system for each in found.submissions] == ["canvas", "canvas"]
    assert found.submissions[0].notes == [
        "2 notebooks were handed in: the latest, curiemarie_101_9003_conv-2.ipynb, was marked"
    ]
    assert found.others == ["turingalan_103_9004_report.pdf"]
    assert found.read("curiemarie_101_9003_conv-2.ipynb") == PLAIN


@pytest.mark.parametrize(
    ("files", "students"),
    [
        (["class/ada.ipynb", "class/bob.ipynb"], ["ada", "bob"]),
        (["a/b/ada/x.ipynb", "a/b/ada/y.ipynb", "a/b/bob/x.ipynb"], ["ada", "bob"]),
        (["ada/x.ipynb", "bob/x.ipynb"], ["ada", "bob"]),
        (
            ["export/submission_1/x.ipynb", "export/submission_2/x.ipynb"],
            ["submission_1", "submission_2"],
        ),
        (["ada/x.ipynb"], ["ada"]),
        (
            ["A B_7_assignsubmission_file_/x.ipynb", "A B_7_assignsubmission_file_/y.ipynb"],
            ["A B (7)"],
        ),
    ],
)
def test_a_folder_around_the_class_in_a_zip_file_is_nobody(
    tmp_path: Path, files: list[str], students: list[str]
) -> None:
    found = Class(write_zip(tmp_path / "a.zip", dict.fromkeys(files, PLAIN)))
    assert list(seen(found)) == students
    assert all(found.read(each.file) == PLAIN for each in found.submissions)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        ["anna/hw_2_1_final.ipynb", "ben/hw_2_1_final.ipynb"],
        ["lab_2_1_anna.ipynb", "lab_2_1_ben.ipynb"],
        ["submissions/anna.ipynb", "submissions/ben.ipynb", "submissions/cem.ipynb"],
        ["Anna_1_1_x.ipynb", "ben/Anna_1_2_x.ipynb"],
    ],
)
def test_no_two_students_become_one(tmp_path: Path, files: list[str], zipped: bool) -> None:
    class_ = dict.fromkeys(files, PLAIN)
    found = Class(
        write_zip(tmp_path / "a.zip", class_) if zipped else write(tmp_path / "a", class_)
    )
    assert sorted(each.file for each in found.submissions) == sorted(files)


@pytest.mark.parametrize(
    "typed",
    [
        "### Answer: why\n\nBecause.",
        "## answer: why\nBecause.",
        "###Answer: why (Max)\nBecause.",
        "### Answer:\u00a0why\r\nBecause.",
        "### Answer: why\n\n*2 points, marked by hand.*\n\nBecause.",
        "### Answer: why\n\nBecause.\n\n### Answer: else\n\nNo.",
    ],
)
def test_an_answer_is_found_as_people_type_it(typed: str) -> None:
    cells = [{"cell_type": "markdown", "source": typed}]
    empty = {"cell_type": "markdown", "source": "### Answer: why\n\nWrite your answer here."}
    raw = json.dumps({"cells": [*cells, empty], "nbformat": 4}).encode()
    assert read(raw).written["why"] == "Because."


@pytest.mark.parametrize("zipped", [False, True])
def test_moodle(tmp_path: Path, zipped: bool) -> None:
    place = write_zip(tmp_path / "a.zip", MOODLE) if zipped else write(tmp_path / "a", MOODLE)
    found = Class(place)
    assert list(seen(found)) == ["Emmy Noether (102)", "Emmy Noether (103)", "Marie Curie (101)"]
    assert {each.system for each in found.submissions} == {"moodle"}


def test_files_and_folders_by_name(tmp_path: Path) -> None:
    files = {
        "ada.ipynb": PLAIN,
        "grace/old.ipynb": PLAIN,
        "grace/.ipynb_checkpoints/old-checkpoint.ipynb": PLAIN,
        "grace/new.IPYNB": notebook([]),
        "__MACOSX/._ada.ipynb": PLAIN,
        ".hidden.ipynb": PLAIN,
        "notes.txt": b"",
    }
    found = Class(write(tmp_path, files))
    assert seen(found) == {"ada": "ada.ipynb", "grace": "grace/new.IPYNB"}
    assert found.others == ["notes.txt"]


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(PLAIN)
    place = write(tmp_path / "class", {"ada.ipynb": PLAIN})
    (place / "eve.ipynb").symlink_to(tmp_path / "secret.txt")
    (place / "folder").symlink_to(tmp_path)
    (place / "loop").symlink_to(place)
    os.mkfifo(place / "pipe.ipynb")
    found = Class(place)
    assert seen(found) == {"ada": "ada.ipynb"}
    assert sorted(found.others) == ["eve.ipynb", "pipe.ipynb"]
    # Nor one that takes a file's place after it was listed.
    (place / "ada.ipynb").unlink()
    (place / "ada.ipynb").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(GradingError, match=r"ada.ipynb cannot be read: .*symbolic links"):
        found.read("ada.ipynb")


def test_names_in_a_zip_lead_nowhere(tmp_path: Path) -> None:
    files = {"../../up.ipynb": PLAIN, "/etc/absolute.ipynb": PLAIN, "dir/../../x.ipynb": PLAIN}
    place = write_zip(
        tmp_path / "in" / "a.zip" if (tmp_path / "in").mkdir() is None else tmp_path, files
    )
    with zipfile.ZipFile(place, "a") as archive:
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = Class(place)
    assert list(seen(found)) == ["dir", "etc", "up"]
    assert found.others == ["link.ipynb"]
    assert [found.read(each.file) for each in found.submissions] == [PLAIN] * 3
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "in"]


def test_a_zip_bomb_is_read_only_so_far(tmp_path: Path) -> None:
    found = Class(write_zip(tmp_path / "a.zip", {"bomb.ipynb": bytes(20 * MAX_BYTES)}))
    raw = found.read("bomb.ipynb")
    assert len(raw) == MAX_BYTES + 1
    with pytest.raises(NotebookError, match="larger than"):
        read(raw)


def test_a_damaged_member_is_nobody_elses_trouble(tmp_path: Path) -> None:
    place = write_zip(tmp_path / "a.zip", {"ada.ipynb": PLAIN, "eve.ipynb": PLAIN * 9})
    raw = bytearray(place.read_bytes())
    start = raw.index(b"eve.ipynb") + 9
    raw[start + 20 : start + 40] = bytes(20)
    place.write_bytes(raw)
    found = Class(place)
    assert found.read("ada.ipynb") == PLAIN
    assert found.read("eve.ipynb") == b""


def test_names_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.ipynb")).write_bytes(PLAIN)
    found = Class(tmp_path)
    assert seen(found) == {"caf\\xe9": "caf\\xe9.ipynb"}
    assert found.read("caf\\xe9.ipynb") == PLAIN


def test_what_is_no_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    (tmp_path / "empty").mkdir()
    for place, message in (
        (tmp_path / "text", "neither a folder nor a zip file"),
        (tmp_path / "missing", "neither a folder nor a zip file"),
        (tmp_path / "empty", "has no notebooks"),
    ):
        with pytest.raises(GradingError, match=message):
            Class(place)


def answers(*cells: tuple[str, str]) -> dict[str, str]:
    found = [{"cell_type": kind, "source": text} for kind, text in cells]
    return read(json.dumps({"cells": found}).encode()).written


def test_written_answers() -> None:
    assert answers(
        ("markdown", "### Answer: why\nBecause.\n\n### Really"),
        ("markdown", "And more."),
        ("code", "x"),
        ("markdown", "Not this."),
        ("markdown", "###  Answer:  how \r\nSo."),
        ("markdown", "## Next"),
        ("markdown", "Nor this."),
        ("markdown", "### Answer: empty"),
        ("markdown", "text ### Answer: no"),
    ) == {
        "why": "Because.\n\n### Really\n\nAnd more.",
        "how": "So.",
        "empty": "text ### Answer: no",
    }


def test_a_byte_order_mark_is_no_error() -> None:
    assert read(b"\xef\xbb\xbf" + PLAIN).cells == GOOD
