"""How long `dsconv grade` takes for a class, and nbgrader for the same one.

Both grade the same notebooks: two NumPy functions, five cases. In nbgrader's the cases stand in the notebook's
test cells, as it wants them; `dsconv grade` does not look at those.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from dsconv_lib.errors import UserError
from dsconv_lib.measure import record

ROUNDS = 2
WHAT = (
    f"seconds to grade notebooks with two NumPy functions, five cases; the quickest of {ROUNDS} rounds "
    "in which the two take turns"
)
STUDENTS = 300
FEWER = 30  # that nbgrader grades: it is slower
QUESTIONS = """
import numpy as np
from dsconv_lib.classroom.question import question

@question("scale", function="scale", points=3, reference=lambda x, weight: x * weight[:, None, None])
def scale(rng):
    for size in (1, 4, 6):
        yield {"x": rng.normal(size=(3, size, size)), "weight": rng.normal(size=3)}

@question("size", function="out_size", points=2, reference=lambda n, k: n - k + 1)
def size(rng):
    for k in (3, 5):
        yield {"n": int(rng.integers(8, 99)), "k": k}
"""
SCALE = "def scale(x, weight):\n    return x * weight[:, None, None]"
SIZE = "def out_size(n, k):\n    return n - k + 1"
TEST_SCALE = """rng = np.random.default_rng(0)
for size in (1, 4, 6):
    x, weight = rng.normal(size=(3, size, size)), rng.normal(size=3)
    np.testing.assert_allclose(scale(x, weight), x * weight[:, None, None])"""
TEST_SIZE = """for n, k in ((8, 3), (50, 5)):
    assert out_size(n, k) == n - k + 1"""


def notebook() -> str:
    """Write a student's notebook, with the metadata that nbgrader wants."""

    def cell(source: str, name: str = "", **points: int) -> dict[str, Any]:
        graded = bool(points)
        marked = {"schema_version": 3, "grade_id": name, "task": False, "grade": graded, **points}
        marked |= {"locked": graded, "solution": not graded, "cell_type": "code"}
        metadata = {"nbgrader": marked} if name else {}
        shared = {"id": name or "imports", "metadata": metadata, "source": source}
        return {"cell_type": "code", "execution_count": None, "outputs": [], **shared}

    cells = [cell("import numpy as np"), cell(SCALE, "scale")]
    cells += [cell(TEST_SCALE, "test-scale", points=3), cell(SIZE, "size")]
    cells += [cell(TEST_SIZE, "test-size", points=2)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def ours(students: int) -> float:
    """Grade so many notebooks with `dsconv grade`; return the seconds, and check the marks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "exercises" / "toy").mkdir(parents=True)
        (folder / "exercises" / "toy" / "questions.py").write_text(QUESTIONS, encoding="utf-8")
        (folder / "class").mkdir()
        for number in range(students):
            (folder / "class" / f"s{number}.ipynb").write_text(notebook(), encoding="utf-8")
        options = ["class", "--assignment", "toy", "--out", "marks"]
        seconds = timed([sys.executable, "-m", "dsconv_lib", "grade", *options], folder)
        found = json.loads((folder / "marks" / "results.json").read_text(encoding="utf-8"))
        assert [each["score"] for each in found["submissions"]] == [5.0] * students
        return seconds


def theirs(binaries: Path, students: int) -> float:
    """Grade so many notebooks with nbgrader's autograde; return the seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = [folder / "source" / "toy"]
        places += [folder / "submitted" / f"s{number}" / "toy" for number in range(students)]
        for place in places:
            place.mkdir(parents=True)
            (place / "toy.ipynb").write_text(notebook(), encoding="utf-8")
        config = f"c = get_config()\nc.CourseDirectory.root = {name!r}\n"
        (folder / "nbgrader_config.py").write_text(config, encoding="utf-8")
        timed([str(binaries / "nbgrader"), "generate_assignment", "toy"], folder)
        seconds = timed([str(binaries / "nbgrader"), "autograde", "toy"], folder)
        assert len(list((folder / "autograded").glob("*/toy/toy.ipynb"))) == students
        return seconds


def timed(command: list[str], folder: Path) -> float:
    """Run a command in a folder; return the seconds that it took."""
    # nbgrader starts programs of its environment by name.
    path = {"PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}"}
    started = perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=os.environ | path)
    return perf_counter() - started


def measure_grading(nbgrader: Path, out: Path, *, commit: str | None = None) -> None:
    """Let the two take turns, and write the quickest round of each to grading.json, in the folder `out`.

    `nbgrader` is the bin folder of a virtual environment that has nbgrader, numpy and ipykernel; `commit` the commit,
    where git cannot tell.

    Raises:
        UserError: if there is no nbgrader in that folder, or no bubblewrap on this machine.
    """
    nbgrader = nbgrader.absolute()
    bwrap = shutil.which("bwrap")
    if not (nbgrader / "nbgrader").exists() or bwrap is None:
        wanted = "expected an environment with nbgrader, and bubblewrap"
        raise UserError(f"{nbgrader}/nbgrader or bwrap is not there: {wanted}")
    load = os.getloadavg()[0]
    rounds = [(ours(STUDENTS), theirs(nbgrader, FEWER)) for _ in range(ROUNDS)]
    mine, its = (list(times) for times in zip(*rounds, strict=True))
    version = [str(nbgrader / "python"), "-c", "import nbgrader; print(nbgrader.__version__)"]
    versions = {
        "nbgrader": subprocess.check_output(version, text=True).strip(),
        "bubblewrap": subprocess.check_output([bwrap, "--version"], text=True).split()[-1],
    }
    content = {
        **record.head(WHAT, commit=commit, versions=versions),
        "others' load before": round(load, 1),
        "dsconv grade": timings(mine, STUDENTS, os.cpu_count()),
        "nbgrader autograde": timings(its, FEWER, 1),
        "times faster": round(min(its) / FEWER / (min(mine) / STUDENTS), 1),
    }
    record.write(out / "grading.json", content)


def timings(seconds: list[float], submissions: int, at_a_time: int | None) -> dict[str, Any]:
    """What the file says of a grader that took so many seconds in each round for so many submissions.

    >>> timings([36.84, 31.66], 300, 2)["seconds each"]
    0.106
    """
    return {
        "submissions": submissions,
        "at a time": at_a_time,
        "seconds": round(min(seconds), 1),
        "seconds each": round(min(seconds) / submissions, 3),
        "all rounds": [round(each, 1) for each in seconds],
    }
