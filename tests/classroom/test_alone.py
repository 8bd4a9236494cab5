"""Each student's notebook alone in an empty folder, with NumPy and nothing else: from the first cell to the last."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.classroom.exercise_files import EXERCISES, FOLDERS, code, solved

# An interpreter without site-packages: neither the library nor torch can be imported there.
RUN = """
import json, sys
sys.path.append(sys.argv[1])
cells = json.load(open("student.ipynb", encoding="utf-8"))["cells"]
names = {"__name__": "__main__"}
for cell in cells * int(sys.argv[2]):
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
import dsconv_lib
print("library from", dsconv_lib.__file__)
print("torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def numpy_alone(tmp_path_factory):
    """A folder with NumPy in it, and the libraries that its wheel brings."""
    folder = tmp_path_factory.mktemp("packages")
    package = Path(np.__file__).parent
    for part in (package, package.with_name("numpy.libs")):
        if part.exists():
            (folder / part.name).symlink_to(part)
    return folder


def run_alone(folder, packages, *, times=1):
    (folder / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-S", "-c", RUN, str(packages), str(times)]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def paste(source, target):
    (target / "student.ipynb").write_text(json.dumps(solved(source)), encoding="utf-8")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_solved_notebook_passes_every_check(folder, numpy_alone, tmp_path):
    paste(folder, tmp_path)
    done = run_alone(tmp_path, numpy_alone)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for name in EXERCISES[folder.name].questions:
        assert f"{name}: public checks passed" in done.stdout
    assert f"library from {tmp_path / 'tmp'}" in done.stdout
    assert done.stdout.endswith("False\n")


def test_set_up_may_run_twice(numpy_alone, tmp_path):
    paste(FOLDERS[0], tmp_path)
    done = run_alone(tmp_path, numpy_alone, times=2)
    assert done.returncode == 0, done.stderr
    for name in EXERCISES[FOLDERS[0].name].questions:
        assert done.stdout.count(f"{name}: public checks passed") == 2
    assert len(list((tmp_path / "tmp").iterdir())) == 1, "unpacked once"


def test_unsolved_notebook_says_that_nothing_is_written(numpy_alone, tmp_path):
    notebook = json.loads((FOLDERS[0] / "student.ipynb").read_text(encoding="utf-8"))
    notebook["cells"] = [c for c in notebook["cells"] if not c["id"].startswith("cell-")]
    (tmp_path / "student.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    done = run_alone(tmp_path, numpy_alone)
    assert done.returncode == 0, done.stderr
    assert "passed" not in done.stdout
    for question in EXERCISES[FOLDERS[0].name].questions.values():
        assert f"{question.name}: {question.function} is not written yet." in done.stdout


def test_another_exercise_in_the_same_kernel_finds_its_own_questions(numpy_alone, tmp_path):
    first, second = (code(folder, "student.ipynb")["set-up"] for folder in FOLDERS[:2])
    cells = [
        {"cell_type": "code", "id": str(number), "source": [source]}
        for number, source in enumerate([first, "one = check", second, "assert check is not one"])
    ]
    shown = {"cell_type": "code", "id": "shown", "source": ["print(check.exercise.name)"]}
    (tmp_path / "student.ipynb").write_text(json.dumps({"cells": [*cells, shown]}))
    done = run_alone(tmp_path, numpy_alone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(FOLDERS[1].name)


def test_set_up_uses_the_library_that_is_there():
    names = {}
    exec(code(FOLDERS[0], "student.ipynb")["set-up"], names)
    assert names["check"].exercise.name == FOLDERS[0].name
    assert Path(sys.modules["dsconv_lib"].__file__).parents[1] == FOLDERS[0].parents[1]
