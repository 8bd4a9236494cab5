"""The command that runs the notebooks, and the gate that keeps them honest."""

import json
import re
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import nbformat
import pytest

from book_builder import execute

ROOT = Path(__file__).resolve().parents[2]


def write_notebook(path, *cells):
    """A notebook of markdown cells (strings beginning with #) and code cells, never executed."""
    new = nbformat.v4
    notebook = new.new_notebook(
        cells=[new.new_markdown_cell(c) if c[0] == "#" else new.new_code_cell(c) for c in cells]
    )
    path.parent.mkdir(exist_ok=True)
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    return path


def run_script(root, *arguments):
    command = [sys.executable, "-m", "book_builder.execute", *arguments, "--root", root]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_executes_what_changed_and_nothing_else(tmp_path):
    path = write_notebook(
        tmp_path / "chapters/01-a.ipynb",
        "# Title\n\n**Time:** unknown\n",
        "for i in range(3):\n    print(i, flush=True)",
        "import ipywidgets\nipywidgets.IntSlider()",
        "2 + 2",
    )
    first = run_script(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "executed" in first.stdout
    text = path.read_text()
    stored = execute.read(path)
    assert [c.get("execution_count") for c in stored.cells] == [None, 1, 2, 3]
    assert [o.text for o in stored.cells[1].outputs] == ["0\n1\n2\n"]
    assert execute.WIDGET_VIEW not in text
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert "**Time:** 1 minute to read, under a minute to run on two CPU cores" in text
    entry = json.loads((path.parent / "executed.json").read_text())["01-a.ipynb"]
    assert set(entry) == {"sources", "seconds", "day", "minutes_to_read"}
    assert entry["day"] == date.today().isoformat()

    written = path.stat().st_mtime_ns
    second = run_script(tmp_path)
    assert "unchanged" in second.stdout
    assert path.stat().st_mtime_ns == written
    assert run_script(tmp_path, "--check").returncode == 0

    assert "executed" in run_script(tmp_path, "--force").stdout
    assert path.read_text() == text

    path.write_text(text.replace("2 + 2", "2 + 3"))
    stale = run_script(tmp_path, "--check")
    assert stale.returncode == 1
    assert "stale" in stale.stdout
    assert "executed" in run_script(tmp_path).stdout
    assert '"5"' in path.read_text()

    # A change of the text alone is stored anew without running anything.
    path.write_text(path.read_text().replace("# Title", "# Another title"))
    path.write_text(path.read_text().replace('"cells"', ' "cells"'))
    record = path.parent / "executed.json"
    record.write_text(record.read_text().replace(date.today().isoformat(), "2020-02-29"))
    assert "not normalised" in run_script(tmp_path, "--check").stdout
    assert "normalised" in run_script(tmp_path).stdout
    assert json.loads(record.read_text())["01-a.ipynb"]["day"] == "2020-02-29"


def test_a_folded_cell_takes_no_time_to_read():
    cell = nbformat.v4.new_code_cell("\n".join("x" * 10 * execute.CODE_LINES_PER_MINUTE))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert execute.minutes_to_read(notebook) == 10
    cell.metadata["cellView"] = "form"
    assert execute.minutes_to_read(notebook) == 1


def test_a_failing_cell_leaves_the_file_as_it_was(tmp_path):
    path = write_notebook(tmp_path / "chapters/01-a.ipynb", "print(1)", "1 / 0")
    before = path.read_bytes()
    done = run_script(tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert path.read_bytes() == before
    assert sorted(f.name for f in path.parent.iterdir()) == ["01-a.ipynb"]


def test_only_notebooks_standing_on_a_changed_file_are_stale(tmp_path):
    library = tmp_path / "dsconv_lib"
    (library / "models").mkdir(parents=True)
    (library / "__init__.py").write_text("from .spec import Spec\nfrom . import cost\n")
    (library / "spec.py").write_text("class Spec: ...\n")
    (library / "cost.py").write_text("from dsconv_lib.spec import Spec\n")
    (library / "layers.py").write_text("def layer(): ...\n")
    (library / "models/__init__.py").write_text("from .mobilenet import net\n")
    (library / "models/mobilenet.py").write_text("from ..layers import layer\nFILE = 'net.js'\n")
    (library / "models/net.js").write_text("")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/gpu.json").write_text("{}")
    code = {
        "spec": "%matplotlib inline\nfrom dsconv_lib import spec",
        "cost": "from dsconv_lib import cost as c",
        "net": "import dsconv_lib.models",
        "data": "import json\njson.load(open('../results/gpu.json'))",
    }
    made = {n: write_notebook(tmp_path / f"chapters/{n}.ipynb", c) for n, c in code.items()}

    def hashes():
        return {n: execute.sources_hash(execute.read(p), tmp_path) for n, p in made.items()}

    def stale_after_changing(name):
        before = hashes()
        with (tmp_path / name).open("a") as file:
            file.write("\n")
        return {n for n, h in hashes().items() if h != before[n]}

    assert stale_after_changing("dsconv_lib/spec.py") == {"spec", "cost"}
    assert stale_after_changing("dsconv_lib/cost.py") == {"cost"}
    assert stale_after_changing("dsconv_lib/layers.py") == {"net"}
    assert stale_after_changing("dsconv_lib/models/mobilenet.py") == {"net"}
    assert stale_after_changing("dsconv_lib/models/net.js") == {"net"}
    assert stale_after_changing("dsconv_lib/__init__.py") == {"spec", "cost", "net"}
    assert stale_after_changing("results/gpu.json") == {"data"}

    # The package's own `__init__` is not followed, so nobody can tell where it has such a name from.
    path = write_notebook(tmp_path / "chapters/name.ipynb", "from dsconv_lib import Spec")
    with pytest.raises(ImportError, match=r"dsconv_lib\.Spec is no module"):
        execute.sources_hash(execute.read(path), tmp_path)


# ---- The gate: a stored number that is wrong must fail -------------------------------------------


def test_the_gate_can_fail(tmp_path):
    makefile = (ROOT / "Makefile").read_text()
    assert "$(NBVAL) $(NOTEBOOKS)" in makefile
    options = shlex.split(re.search(r"^NBVAL := (.*)", makefile, re.MULTILINE)[1])

    def gate(path):
        command = [sys.executable, "-m", "pytest", *options, path, f"--rootdir={ROOT}"]
        command += ["-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    path = write_notebook(tmp_path / "a.ipynb", "print('MACs:', 3 * 3 * 512)")
    assert run_script(tmp_path, path).returncode == 0
    honest = gate(path)
    assert honest.returncode == 0, honest.stdout + honest.stderr

    changed, replaced = re.subn("MACs: 4608", "MACs: 4609", path.read_text())
    assert replaced == 1
    path.write_text(changed)
    lying = gate(path)
    assert lying.returncode == 1, lying.stdout + lying.stderr
    assert "4609" in lying.stdout
