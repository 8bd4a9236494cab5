"""The schema of results/, and the files that are there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dsconv_lib
from dsconv_lib import machine
from dsconv_lib.errors import UserError
from dsconv_lib.measure.counters import TOOLS, measure_counters
from dsconv_lib.measure.grading import measure_grading
from dsconv_lib.measure.record import (
    NOT_RECORDED,
    SCHEMA,
    Measured,
    RecordError,
    check,
    head,
    write,
)

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "results").glob("*.json"))


def whole() -> dict[str, Any]:
    return {**head("numbers", command="make numbers", commit="abc"), "numbers": [1, 2]}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_what_is_recorded_follows_the_schema(path: Path) -> None:
    check(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [each for each in FILES if each.stem.startswith("cifar10-")])
def test_what_is_recorded_of_training_names_its_machine(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["machine"]["name"]
    assert content["machine"]["torch"]
    assert {run["network"] for run in content["runs"]} == {"separable", "twin"}
    assert content["small"] == (content["machine"].get("driver") is None)


def test_there_is_something_recorded() -> None:
    assert {"cifar10-cpu", "counters", "grading", "lighthouse"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("key", list(SCHEMA))
def test_a_field_that_is_missing_or_of_another_kind(key: str, tmp_path: Path) -> None:
    content = whole()
    check(content)
    for wrong in (None, "", 5):
        with pytest.raises(RecordError, match=rf"'{key}' is {wrong!r}: expected a "):
            check({**content, key: wrong})
    del content[key]
    with pytest.raises(RecordError, match=f"'{key}' is None"):
        write(tmp_path / "a.json", content)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_says_too_little() -> None:
    content = whole()
    with pytest.raises(RecordError, match="machine has cores: expected name"):
        check({**content, "machine": {"cores": 2}})
    with pytest.raises(RecordError, match="machine has name: expected name, and cores or driver"):
        check({**content, "machine": {"name": "a GPU"}})
    check({**content, "machine": {"name": "a GPU", "driver": "1.2"}})
    check({**content, "machine": {"name": "a CPU", "cores": NOT_RECORDED}})
    with pytest.raises(ValueError, match="isoformat"):
        check({**content, "date": "yesterday"})
    del content["numbers"]
    with pytest.raises(RecordError, match="no measurements"):
        check(content)


def test_a_file_is_gone_on_with_unless_something_else_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "made" / "numbers.json"
    about = head("numbers", command="make numbers", commit="abc")
    first = Measured(path, about, {"numbers": []})
    first.content["numbers"].append(1.5)
    first.write()
    assert json.loads(path.read_text()) == {**about, "numbers": [1.5]}
    again = Measured(path, {**about, "date": "2099-01-01", "command": "make"}, {"numbers": []})
    assert again.content == first.content
    for key, other in (("commit", "def"), ("machine", {"name": "another"}), ("width", 3)):
        with pytest.raises(RecordError, match=rf"holds measurements with {key} .*name another"):
            Measured(path, {**about, key: other}, {"numbers": []})


def test_the_head_says_where_it_was(tmp_path: Path) -> None:
    made = head("numbers", versions={"counter": "1.2"})
    assert made["machine"] == machine.facts()
    assert made["versions"] == {"dsconv_lib": dsconv_lib.__version__, "counter": "1.2"}
    shutil.copytree(ROOT / "dsconv_lib", tmp_path / "dsconv_lib")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "numbers.json").write_text("{}")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    subprocess.run(["git", *author, "commit", "-qm", "-"], cwd=tmp_path, check=True)
    says = ["-c", "from dsconv_lib.measure.record import head; print(head('numbers')['commit'])"]

    def commit() -> str:
        return subprocess.run(
            [sys.executable, *says],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    asked = ["git", "rev-parse", "--short=10", "HEAD"]
    now = subprocess.run(asked, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert commit() == now.strip()
    (tmp_path / "results" / "numbers.json").write_text("[]")
    assert commit() == now.strip()
    (tmp_path / "dsconv_lib" / "__init__.py").write_text('__version__ = "changed"\n')
    assert commit() == f"{now.strip()}-dirty"
    # Installed inside a checkout of something else, the library has no commit.
    subprocess.run(["git", "rm", "-rq", "--cached", "dsconv_lib"], cwd=tmp_path, check=True)
    assert commit() == "unknown: not a git checkout"


def test_a_record_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from dsconv_lib.measure.record import head\n"
        "assert 'torch' not in head('numbers')['machine']\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_what_is_measured_with_other_programs_names_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"is not installed: pip install {' '.join(TOOLS)}"):
        measure_counters(tmp_path)
    with pytest.raises(UserError, match="nbgrader or bwrap is not there: expected"):
        measure_grading(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []
