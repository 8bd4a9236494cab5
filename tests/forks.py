"""A copy of the course as somebody's fork, for the tests of what an address leads to."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = {"_build", "build", "runs", "data", "tests"}  # or not needed


def copy_of_the_course(folder):
    """What a fork would be, without its tests."""

    def left_out(at, names):
        here = MADE if Path(at) == ROOT else {"__pycache__"}
        return {n for n in names if n in here or n.startswith(".") or n.endswith(".egg-info")}

    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


def point(folder, url, *options):
    """Run what `make repo` runs, and with ``--check TAG`` what `make publishable` runs."""
    command = [sys.executable, "-m", "book_builder.address", url, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
