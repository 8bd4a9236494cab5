"""What pre-commit looks at, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forks import copy_of_the_course

PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
HOOKS = Path(__file__).resolve().parents[2] / ".pre-commit-config.yaml"
NOTEBOOK = "chapters/01-normal-convolution.ipynb"


@pytest.fixture
def clone(tmp_path):
    """A clone of the course with this environment; hidden files are not part of the copy."""
    folder = copy_of_the_course(tmp_path / "course")
    (folder / HOOKS.name).write_bytes(HOOKS.read_bytes())
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / ".gitignore").write_text(".venv\n__pycache__\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    ("file", "right", "wrong", "hook"),
    [
        ("book_builder/__init__.py", "from pathlib", "import os\nfrom pathlib", "style"),
        ("book_builder/__init__.py", "ROOT =", "ROOT  =", "layout"),
        (NOTEBOOK, '"cells"', '"cells" ', "notebooks are run, and in their stored form"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(clone, tmp_path, file, right, wrong, hook):
    own = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache")}

    def look():
        subprocess.run(["git", "add", "-A"], cwd=clone, check=True)
        command = [PRE_COMMIT, "run", "--files", file]
        return subprocess.run(command, cwd=clone, env=own, capture_output=True, text=True)

    before = look()
    assert before.returncode == 0, before.stdout + before.stderr
    assert hook in before.stdout
    path = clone / file
    path.write_text(path.read_text(encoding="utf-8").replace(right, wrong, 1), encoding="utf-8")
    after = look()
    assert after.returncode == 1
    failed = [line for line in after.stdout.splitlines() if line.endswith("Failed")]
    assert any(line.startswith(hook) for line in failed), after.stdout
