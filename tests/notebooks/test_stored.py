"""The notebooks as they are stored: executed, whole, clean, and of the present code."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from book_builder import execute

TO_PYTHON = TransformerManager().transform_cell
ROOT = Path(__file__).resolve().parents[2]
STORED = execute.all_notebooks(ROOT)
each_notebook = pytest.mark.parametrize(
    "path", STORED, ids=[p.relative_to(ROOT).as_posix() for p in STORED]
)


def test_there_are_notebooks():
    assert STORED


@each_notebook
def test_stored_outputs_are_complete_and_clean(path):
    for number, cell in enumerate(execute.code_cells(execute.read(path)), start=1):
        where = f"code cell {number}: {cell.source.splitlines()[0]}"
        assert cell.execution_count == number, f"{where}: not executed in order"
        # nbval does not honour a closing semicolon: it compares the value with nothing stored.
        last = cell.source.splitlines()[-1]
        if last.endswith(";") and not last.startswith("plt.show("):
            value = isinstance(ast.parse(TO_PYTHON(cell.source)).body[-1], ast.Expr)
            assert not value, f"{where}: write `_ = ...` and drop the semicolon"
        for output in cell.outputs:
            assert output.output_type != "error", f"{where}: stores an error"
            assert execute.WIDGET_VIEW not in output.get("data", {}), f"{where}: stores a live view"
            # Warnings name folders of the machine that ran the cell; a page should show none.
            assert output.get("name") != "stderr", f"{where}: stores {output.get('text')}"


@each_notebook
def test_is_up_to_date(path):
    assert not execute.is_stale(path, ROOT), "its code or library changed since: make notebooks"


@each_notebook
def test_is_normalised(path):
    assert execute.is_normal(path), "edited after it was stored: make notebooks"


@each_notebook
def test_opens_with_the_time_it_takes(path):
    record = execute.read_record(path.parent)[path.name]
    time = execute.time_line(record["minutes_to_read"], record["seconds"])
    assert time in execute.read(path).cells[0].source.splitlines()


@each_notebook
def test_every_figure_says_what_it_shows(path):
    for number, cell in enumerate(execute.code_cells(execute.read(path)), start=1):
        if any(kind.startswith("image/") for o in cell.outputs for kind in o.get("data", {})):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 6, f"code cell {number}: alt text too short: {alt!r}"


def source_cells():
    for path in STORED:
        for cell in execute.code_cells(execute.read(path)):
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
