"""Setting up: one at a time in a folder, clear words where it cannot go on, and a wheel of what is there alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON_OF_ANOTHER_AGE = "#!/bin/sh\nexit 1\n"


def script(name: str, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    """Start one of the set-up scripts in a folder."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([ROOT / "scripts" / name, *arguments], cwd=folder, **pipes)  # type: ignore[call-overload,no-any-return]


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    with script("alone.sh", "sh", "-c", "echo in; sleep 1; echo 1 >>log", folder=tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"  # it has the lock
        second = script("alone.sh", "sh", "-c", "echo 2 >>log", folder=tmp_path)
        said = second.communicate(timeout=30)[0]
    assert said == f"Another make is at work in {tmp_path}: waiting until it is done\n"
    assert (tmp_path / "log").read_text() == "1\n2\n"
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_killed_one_leaves_no_lock_and_its_exit_code_is_the_command_s(tmp_path: Path) -> None:
    with script("alone.sh", "sh", "-c", "echo in; sleep 2 >&-", folder=tmp_path) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        killed.kill()
    after = script("alone.sh", "sh", "-c", "exit 7", folder=tmp_path)
    assert (after.communicate(timeout=30)[0], after.returncode) == ("", 7)


def test_without_a_python_that_suits_it_names_those_that_do(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text(PYTHON_OF_ANOTHER_AGE)
    old.chmod(0o755)
    done = script("venv.sh", "book", ".venv", str(old), folder=tmp_path)
    said = done.communicate(timeout=30)[0]
    assert done.returncode == 1
    assert said == (
        f"The book needs Python 3.11, 3.12, 3.13 or 3.14; none found as {old}. "
        "Name one: make book PYTHON=/path/to/python3.12\n"
    )


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line() -> None:
    nobody = 65534 if os.getuid() == 0 else None  # root writes everywhere
    with tempfile.TemporaryDirectory() as name:
        own = shutil.copy(ROOT / "scripts/venv.sh", name)
        Path(name).chmod(0o555)
        done = subprocess.run(
            [own, "book", ".venv"], cwd=name, user=nobody, capture_output=True, text=True
        )
        Path(name).chmod(0o755)
    assert done.returncode == 1
    assert done.stderr == f"{name} cannot be written to, and the book is built in it: " + (
        "copy it to a folder of your own, and type make there.\n"
    )


def test_a_module_that_was_deleted_does_not_come_back_in_a_wheel(tmp_path: Path) -> None:
    course = tmp_path / "course"
    course.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, course)
    shutil.copytree(ROOT / "dsconv_lib", course / "dsconv_lib")
    left = course / "build/lib/dsconv_lib/gone.py"  # as an older way to build left them
    left.parent.mkdir(parents=True)
    left.touch()
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
    ]
    subprocess.run([*pip, course], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "dsconv_lib/interactive/window.js" in names
    assert "dsconv_lib/classroom/grading/templates/student.html" in names
    assert not any("gone" in name or "book_builder" in name for name in names)
    assert not (course / "dist").exists()
