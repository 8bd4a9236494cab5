"""The house is as the README draws it: every room is there, and imports go one way, upwards."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PICTURE = re.search(
    r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
)
assert PICTURE
ROOMS = re.findall(r"^  (\w+) ", PICTURE[1], re.MULTILINE)
# Every other module may use these: the error that users can put right, a file written whole, the package's own names.
SHARED = {"errors", "files", "__init__", "__main__"}


def room(path: Path) -> str:
    return path.relative_to(ROOT / "dsconv_lib").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The rooms that a file imports from, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if re.match(r"dsconv_lib\.\w", name)}
    return found - SHARED


def test_every_room_is_drawn() -> None:
    there = {room(path) for path in (ROOT / "dsconv_lib").rglob("*.py")}
    assert there - SHARED == set(ROOMS)
    folders = re.findall(r"^(\w+)/", PICTURE[1], re.MULTILINE)
    assert all((ROOT / folder).is_dir() for folder in folders)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_from_those_above_it(name: str) -> None:
    above = set(ROOMS[: ROOMS.index(name) + 1])
    for path in (ROOT / "dsconv_lib").rglob("*.py"):
        if room(path) == name:
            assert imported(path) <= above, path.name
