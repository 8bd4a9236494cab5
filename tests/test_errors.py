"""What a message says is missing can be had as it says: its extra is there, and brings that package."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dsconv_lib.errors import MissingError, need

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def needed() -> list[tuple[str, str]]:
    """Extra and package of each call of `need`; no extra means that the library itself brings it."""
    found = set()
    for path in (ROOT / "dsconv_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "need":
                given = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
                module = ast.literal_eval(node.args[0])
                found.add((given.get("extra", ""), given.get("package", module)))
    return sorted(found)


@pytest.mark.parametrize(("extra", "package"), needed())
def test_the_extra_brings_the_package(extra: str, package: str) -> None:
    brought = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    names = [re.split(r"[\[>;]", each)[0] for each in brought]
    progress = package == "tqdm" and "pooch[progress]>=1.8" in brought
    assert package in names or progress


def test_the_commands_can_be_typed() -> None:
    wanted = ",".join(sorted({extra for extra, _ in needed() if extra}))
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, f".[{wanted}]"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


def test_nothing_names_a_package_that_is_on_no_index() -> None:
    for path in (ROOT / "dsconv_lib").rglob("*.py"):
        assert not re.search(r"install '?dsconv", path.read_text(encoding="utf-8")), path


def test_a_missing_package_is_said_in_one_line() -> None:
    with pytest.raises(MissingError) as caught:
        need("no_such_module", "a part", package="a-package", extra="cifar")
    says = "a part needs a-package: in a clone of the course, type pip install '.[cifar]'"
    assert str(caught.value) == says
    assert need("json", "a part").loads("1") == 1
