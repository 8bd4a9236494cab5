"""Execute and normalise the book's notebooks: ``python -m book_builder.execute [PATHS...]``.

This is the only thing that runs a notebook and stores what came out. A notebook runs again when its code changed, or
a library module or data file that it stands on; then its outputs are written in one normal form, so that a second run
changes no byte (cells tagged ``nbval-ignore-output``, which show times, apart). ``executed.json`` beside the
notebooks records what each was run from, and when.
"""

import ast
import asyncio
import hashlib
import json
import math
import os
import re
import time
from datetime import date
from modulefinder import ModuleFinder
from pathlib import Path, PurePosixPath
from types import CodeType
from typing import Annotated, Any

import nbformat
import typer
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from rich.console import Console

from book_builder import ROOT
from dsconv_lib.files import replace_file

PACKAGE = "dsconv_lib"
RECORD = "executed.json"
BOOTSTRAP = "bootstrap"  # id and tag of the cell that installs the library, for address.py
CELL_TIMEOUT = 1800  # seconds; a cell that trains a network on a slow laptop stays well below
WORDS_PER_MINUTE = 200
CODE_LINES_PER_MINUTE = 40
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
TIME_LINE = re.compile(r"^\*\*Time:\*\*.*?(?P<line_break>(?:\\|  +)?)$", re.MULTILINE)

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
METADATA = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError, ImportError, SyntaxError)

console = Console(highlight=False, soft_wrap=True)


# ---- What a notebook stands on -------------------------------------------------------------------


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that run: code cells with something in them."""
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


class Imports(ModuleFinder):
    """What code imports of the library; importing one module loads none that `__init__` offers beside it."""

    def scan_code(self, co: CodeType, m: Any) -> None:
        """Follow the imports of a module, unless it is the package's own `__init__`."""
        if m.__name__ != PACKAGE:
            super().scan_code(co, m)


def named_files(code: str) -> set[str]:
    """The last path component of every string literal: the files that the code may open."""
    literals = (n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant))
    return {PurePosixPath(s).name for s in literals if isinstance(s, str) and len(s) < 500}


def files_behind(notebook: NotebookNode, root: Path) -> list[Path]:
    """Every library module that the notebook imports, directly or not, and every data file named.

    A data file is one under ``results/``, or one beside the library's modules (a script, a style sheet).

    Raises:
        ImportError: if a name is taken from the package that is no module of it.
    """
    to_python = TransformerManager().transform_cell  # turns %magics and !commands into calls
    sources = [to_python(cell.source) for cell in code_cells(notebook)]
    finder = Imports(path=[str(root)])
    main = finder.add_module("__main__")
    for source in sources:
        finder.scan_code(compile(source, "a cell", "exec"), main)
    for name in finder.badmodules:
        if re.fullmatch(rf"{PACKAGE}\.[a-zA-Z]\w*", name):
            raise ImportError(f"{name} is no module: expected it imported from the module it is in")
    modules: list[Any] = list(finder.modules.values())
    files = [Path(module.__file__) for module in modules if module.__file__]
    sources += [file.read_text(encoding="utf-8") for file in files]
    names = set().union(*map(named_files, sources))
    data = [
        file
        for folder in (root / "results", root / PACKAGE)
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in {".py", ".pyc"} and file.name in names
    ]
    return sorted({*files, *data})


def sources_hash(notebook: NotebookNode, root: Path) -> str:
    """One hash of everything that decides what the notebook prints."""
    digest = hashlib.sha256()
    for cell in code_cells(notebook):
        if cell.id != BOOTSTRAP:
            digest.update(cell.source.encode() + b"\0")
    for file in files_behind(notebook, root):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


# ---- Running -------------------------------------------------------------------------------------


class OwnKernel(AsyncKernelManager):
    """Runs the interpreter that runs this, whatever kernels a user has installed; nbclient stops it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)


def execute(notebook: NotebookNode, folder: Path) -> float:
    """Run every cell in a fresh kernel with ``folder`` as working directory; return the seconds."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    start = time.perf_counter()
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        timeout=CELL_TIMEOUT,
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    asyncio.run(client.async_execute())
    return time.perf_counter() - start


# ---- One normal form -----------------------------------------------------------------------------


def minutes_to_read(notebook: NotebookNode) -> int:
    """Reading time, rounded up; neither the line that states it nor a folded cell counts."""
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    prose = re.sub(r"</?[a-zA-Z][^>]*>", " ", TIME_LINE.sub("", prose))
    shown = [c for c in code_cells(notebook) if c.metadata.get("cellView") != "form"]
    lines = sum(len(c.source.splitlines()) for c in shown)
    return max(1, math.ceil(len(prose.split()) / WORDS_PER_MINUTE + lines / CODE_LINES_PER_MINUTE))


def time_line(minutes: int, seconds: float) -> str:
    """The sentence that the reader sees at the top of a chapter.

    >>> time_line(3, seconds=130)
    '**Time:** 3 minutes to read, about 2 minutes to run on two CPU cores'
    """

    def count(n: int) -> str:
        return f"{n} minute" if n == 1 else f"{n} minutes"

    run = "under a minute" if seconds < 60 else f"about {count(round(seconds / 60))}"
    return f"**Time:** {count(minutes)} to read, {run} to run on two CPU cores"


def normal_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Without live widget views, and with neighbouring prints on the same stream joined."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if "data" in output and WIDGET_VIEW in output.data:
            del output.data[WIDGET_VIEW]
            output.metadata.pop(WIDGET_VIEW, None)
            if not output.data:
                continue
        before = kept[-1] if kept else None
        both_streams = before and before.output_type == output.output_type == "stream"
        if before and both_streams and before.name == output.name:
            before.text += output.text
            continue
        kept.append(output)
    return kept


def normalise(notebook: NotebookNode, seconds: float | None = None) -> str:
    """Bring the notebook into its stored form and return the text of the file.

    With ``seconds``, the measured running time, the line at the top that begins ``**Time:**`` is written anew.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    count = 0
    for cell in notebook.cells:
        for timestamp in ("execution", "ExecuteTime"):
            cell.metadata.pop(timestamp, None)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = normal_outputs(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    first = next((c for c in notebook.cells if c.cell_type == "markdown"), None)
    if first and seconds is not None:
        line = time_line(minutes_to_read(notebook), seconds)
        first.source = TIME_LINE.sub(lambda m: line + m["line_break"], first.source, count=1)
    text: str = nbformat.writes(notebook, version=4, indent=1, ensure_ascii=False)
    return text.rstrip("\n") + "\n"


# ---- Files ---------------------------------------------------------------------------------------


def read(path: Path) -> NotebookNode:
    """The notebook in ``path``; a cell without an id of its own gets one made from its content."""
    notebook: NotebookNode = nbformat.v4.reads(path.read_text(encoding="utf-8"))
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)
    ids: set[str] = set()
    for position, cell in enumerate(notebook.cells):
        if not cell.get("id") or cell.id in ids:
            text = f"{position} {cell.cell_type} {cell.source}"
            cell.id = hashlib.sha256(text.encode()).hexdigest()[:8]
        ids.add(cell.id)
    return notebook


def read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """What ``executed.json`` in this folder says about each notebook."""
    file = folder / RECORD
    entries: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    return entries


def write_record(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Set one notebook's entry and drop those whose notebook is gone."""
    entries = {**read_record(folder), name: entry}
    entries = {k: entries[k] for k in sorted(entries) if (folder / k).exists()}
    replace_file(folder / RECORD, (json.dumps(entries, indent=1) + "\n").encode())


def all_notebooks(root: Path) -> list[Path]:
    """The chapters, and the solutions of the exercises."""
    found = [*root.glob("chapters/*.ipynb"), *root.glob("exercises/**/solution*.ipynb")]
    return sorted(f for f in found if ".ipynb_checkpoints" not in f.parts)


def is_stale(path: Path, root: Path) -> bool:
    """True if the stored outputs are not those of the present code, library and data."""
    notebook = read(path)
    recorded = read_record(path.parent).get(path.name, {}).get("sources")
    never_run = any(cell.execution_count is None for cell in code_cells(notebook))
    return never_run or recorded != sources_hash(notebook, root)


def is_normal(path: Path) -> bool:
    """True if normalising the notebook again would change nothing."""
    entry = read_record(path.parent).get(path.name, {})
    notebook = read(path)
    right_minutes = entry.get("minutes_to_read") == minutes_to_read(notebook)
    stored = path.read_text(encoding="utf-8")
    return right_minutes and normalise(notebook, entry.get("seconds")) == stored


def update(path: Path, root: Path, *, force: bool) -> str:
    """Execute the notebook if it has to be, store its normal form, and say what was done."""
    notebook = read(path)
    entry = read_record(path.parent).get(path.name, {})
    stale = force or is_stale(path, root)
    if not stale and is_normal(path):
        return "unchanged"
    if stale:
        # Taken before the run: what changes while it runs makes it stale again.
        sources = sources_hash(notebook, root)
        seconds = execute(notebook, path.parent)
        day = date.today().isoformat()
        entry = {"sources": sources, "seconds": round(seconds, 1), "day": day}
    text = normalise(notebook, entry["seconds"])
    replace_file(path, text.encode())
    write_record(path.parent, path.name, {**entry, "minutes_to_read": minutes_to_read(notebook)})
    return f"executed in {entry['seconds']} s" if stale else "normalised"


def main(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Notebooks; without any, all of the book's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Execute unchanged ones too.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Execute nothing; exit 1 if something is to be done.")
    ] = False,
    root: Annotated[
        Path, typer.Option(help=f"The folder that holds {PACKAGE}/ and results/.")
    ] = ROOT,
) -> None:
    """Execute the notebooks that changed and store their outputs in normal form."""
    failed = False
    for path in paths or all_notebooks(root):
        name = os.path.relpath(path, root)
        if check:
            if is_stale(path, root):
                console.print(f"[red]stale[/]           {name}")
                failed = True
            elif not is_normal(path):
                console.print(f"[red]not normalised[/]  {name}")
                failed = True
            continue
        try:
            with console.status(f"{name}: running"):
                done = update(path, root, force=force)
        except FAILURES as error:
            console.print(f"[red]failed[/]  {name}, file left as it was")
            console.print(str(error), markup=False)
            failed = True
        else:
            console.print(f"[green]done[/]    {name}: {done}")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
