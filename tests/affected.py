"""Run the tests that a change can affect, nearest first, for as long as there is patience: `make check`.

Changed is what differs from the last commit, or, where nothing does, what that commit changed. A test file is affected
if it imports a changed file, directly or not, or names one. What the time does not suffice for, `make test` runs.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from modulefinder import ModuleFinder
from pathlib import Path
from time import monotonic

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 70.0  # seconds of tests; style and types, and a long one that has begun, take the rest of two minutes
# They need a built site, or an environment of their own.
LEFT_TO_ALL = ("tests/site", "tests/colab", "tests/book_builder/site")


def changed() -> set[str]:
    """The changed files, by their paths from the root."""

    def git(*arguments: str) -> set[str]:
        command = ["git", "-C", str(ROOT), *arguments]
        return set(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        )

    now = git("diff", "--name-only", "HEAD") | git("ls-files", "--others", "--exclude-standard")
    return (now - {""}) or git("diff", "--name-only", "HEAD~1", "HEAD") - {""}


@cache
def behind(test: Path) -> set[str]:
    """The files of the course that a test file imports, itself and its folders' conftest.py included."""
    finder = ModuleFinder(
        path=[str(ROOT)]
    )  # where other people's packages are not found, nor followed
    files = [test, *(folder / "conftest.py" for folder in test.parents)]
    own = [file for file in files if file.is_file() and ROOT in file.parents]
    for file in own:
        code = compile(file.read_text(encoding="utf-8"), str(file), "exec")
        finder.scan_code(code, finder.add_module(f"file {file}"))
    found = [Path(module.__file__) for module in finder.modules.values() if module.__file__]
    found = [path / "__init__.py" if path.is_dir() else path for path in found]
    return {path.relative_to(ROOT).as_posix() for path in [*own, *found]}


def affected(files: set[str]) -> list[str]:
    """The test files that these can affect: those that import the fewest others first, as they are the nearest."""
    names = {Path(file).name for file in files} - {"__init__.py"}
    found = []
    for test in sorted(ROOT.glob("tests/**/test_*.py")):
        path, imports = test.relative_to(ROOT).as_posix(), behind(test)
        named = any(name in test.read_text(encoding="utf-8") for name in names)
        if (imports & files or named) and not path.startswith(LEFT_TO_ALL):
            found.append((path not in files, len(imports), path))
    return [path for *_, path in sorted(found)]


class Patience:
    """Ends the session when the time is up."""

    def __init__(self) -> None:
        self.until = monotonic() + PATIENCE
        self.session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Remember what to stop."""
        self.session = session

    def pytest_runtest_logfinish(self) -> None:
        """Look at the clock after each test; it is the plugin of the two processes that can be told to stop."""
        if self.session and monotonic() > self.until:
            processes = self.session.config.pluginmanager.getplugin("dsession")
            processes.shouldstop = f"{PATIENCE:.0f} s are up: make test runs the rest"


def main() -> int:
    """Run them, and return pytest's exit code; 0 where the time was up and nothing had failed."""
    files = changed()
    tests = affected(files)
    print(f"{len(files)} files changed, {len(tests)} test files can be affected")
    if not tests:
        return 0
    patience = Patience()
    options = [
        "-q",
        "-n",
        "2",
        "--maxschedchunk",
        "1",
        "--maxfail",
        "5",
    ]  # one at a time: it can end at once
    code = pytest.main([*options, *tests], plugins=[patience])
    up = code == pytest.ExitCode.INTERRUPTED and monotonic() > patience.until
    failed = patience.session.testsfailed if patience.session else 0
    return 0 if up and not failed else int(code)


if __name__ == "__main__":
    sys.exit(main())
