"""The notebooks as they are stored, and the script and the gate that keep them honest."""

import ast
import importlib
import inspect
import json
import re
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import nbformat
import notebooks as script
import pytest
from IPython.core.inputtransformer2 import TransformerManager

TO_PYTHON = TransformerManager().transform_cell
ROOT = Path(__file__).resolve().parents[2]
STORED = script.all_notebooks(ROOT)
each_notebook = pytest.mark.parametrize(
    "path", STORED, ids=[p.relative_to(ROOT).as_posix() for p in STORED]
)


# ---- The stored notebooks ------------------------------------------------------------------------


def test_there_are_notebooks():
    assert STORED


@each_notebook
def test_stored_outputs_are_complete_and_clean(path):
    for number, cell in enumerate(script.code_cells(script.read(path)), start=1):
        where = f"code cell {number}: {cell.source.splitlines()[0]}"
        assert cell.execution_count == number, f"{where}: not executed in order"
        # nbval does not honour a closing semicolon: it compares the value with nothing stored.
        last = cell.source.splitlines()[-1]
        if last.endswith(";") and not last.startswith("plt.show("):
            value = isinstance(ast.parse(TO_PYTHON(cell.source)).body[-1], ast.Expr)
            assert not value, f"{where}: write `_ = ...` and drop the semicolon"
        for output in cell.outputs:
            assert output.output_type != "error", f"{where}: stores an error"
            assert script.WIDGET_VIEW not in output.get("data", {}), f"{where}: stores a live view"
            # Warnings name folders of the machine that ran the cell; a page should show none.
            assert output.get("name") != "stderr", f"{where}: stores {output.get('text')}"


@each_notebook
def test_is_up_to_date(path):
    assert not script.is_stale(path, ROOT), "its code or library changed since: make notebooks"


@each_notebook
def test_is_normalised(path):
    assert script.is_normal(path), "edited after it was stored: make notebooks"


@each_notebook
def test_opens_with_the_time_it_takes(path):
    record = script.read_record(path.parent)[path.name]
    time = script.time_line(record["minutes_to_read"], record["seconds"])
    assert time in script.read(path).cells[0].source.splitlines()


@each_notebook
def test_every_figure_says_what_it_shows(path):
    for number, cell in enumerate(script.code_cells(script.read(path)), start=1):
        if any(kind.startswith("image/") for o in cell.outputs for kind in o.get("data", {})):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 6, f"code cell {number}: alt text too short: {alt!r}"


def source_cells():
    for path in STORED:
        for cell in script.code_cells(script.read(path)):
            tags = cell.metadata.get("tags", [])
            if "library-source" in tags or any(tag.startswith("source:") for tag in tags):
                yield pytest.param(cell, id=f"{path.stem}:{cell.source.split('(')[0]}")


@pytest.mark.parametrize("cell", source_cells())
def test_shown_source_is_the_library_s_own(cell):
    names = [t.removeprefix("source:") for t in cell.metadata.tags if t.startswith("source:")]
    assert len(names) == 1, "a cell shows one object: one tag source:module.object"
    module, _, attribute = names[0].rpartition(".")
    library = getattr(importlib.import_module(module), attribute)
    assert cell.source.strip() == inspect.getsource(library).strip()


# ---- The script ----------------------------------------------------------------------------------


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
    command = [sys.executable, ROOT / "tools/notebooks.py", *arguments, "--root", root]
    return subprocess.run(command, capture_output=True, text=True)


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
    stored = script.read(path)
    assert [c.get("execution_count") for c in stored.cells] == [None, 1, 2, 3]
    assert [o.text for o in stored.cells[1].outputs] == ["0\n1\n2\n"]
    assert script.WIDGET_VIEW not in text
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
    cell = nbformat.v4.new_code_cell("\n".join("x" * 10 * script.CODE_LINES_PER_MINUTE))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert script.minutes_to_read(notebook) == 10
    cell.metadata["cellView"] = "form"
    assert script.minutes_to_read(notebook) == 1


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
        "spec": "%matplotlib inline\nfrom dsconv_lib import Spec",
        "cost": "from dsconv_lib import cost as c",
        "net": "import dsconv_lib.models",
        "data": "import json\njson.load(open('../results/gpu.json'))",
    }
    made = {n: write_notebook(tmp_path / f"chapters/{n}.ipynb", c) for n, c in code.items()}

    def hashes():
        return {n: script.sources_hash(script.read(p), tmp_path) for n, p in made.items()}

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


# ---- The gate: a stored number that is wrong must fail -------------------------------------------


def test_the_gate_can_fail(tmp_path):
    command = next(
        line
        for line in (ROOT / "Makefile").read_text().splitlines()
        if "--nbval" in line and "$(NOTEBOOKS)" in line
    )
    options = shlex.split(command.split("pytest", 1)[1].replace("$(NOTEBOOKS)", ""))

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
