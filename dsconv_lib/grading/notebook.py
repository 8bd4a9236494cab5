"""What a submission holds: its code, cell by cell, and its written answers. Nothing of it is run here.

Metadata, outputs and the kinds of cells that a tool may have marked are not looked at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from dsconv_lib.grading import GradingError

MAX_BYTES = 20 << 20  # plots are stored in a notebook; one of this size holds nothing else
MAX_CELLS = 1_000
MAX_CELL = 200_000  # characters
ANSWER = re.compile(r"\s*###\s+Answer:[ \t]*(?P<name>\S+)[ \t\r]*(?:\n|$)")
HEADING = re.compile(r"\s*#{1,6}\s")
# What the notebook says in an answer's cell before anybody writes there.
TEMPLATE = re.compile(
    r"^\*\d+ points?, marked by hand\.\*$|^Write your answer here\.$", re.MULTILINE
)
# The cell that carries the checks, and with them the library: marking needs neither.
SET_UP = "# @title Set up (run this cell first)\n"
# What no answer needs: worth a look, worth no points off.
UNUSUAL = re.compile(
    r"\b(?:ctypes|subprocess|socket|multiprocessing|os\.(?:_exit|fork\w*|exec\w*|kill\w*|system|write|read)"
    r"|sys\._getframe|gc\.get_(?:objects|referrers)|builtins|__builtins__|pickle|meta_path|path_hooks"
    r"|dsconv_lib(?:\.|\s+import\s+)(?:grading|exercise|ops|loops|cost)|/proc)\b"
)


class NotebookError(GradingError):
    """A file that is no notebook."""


@dataclass(frozen=True, slots=True)
class Notebook:
    """The code cells in order, the written answers by name, and what should be looked at."""

    cells: list[str]
    written: dict[str, str]
    suspicious: list[str]


def read(raw: bytes) -> Notebook:
    """Read a notebook of format 4.

    Raises:
        NotebookError: if it is too large or no notebook; the message is for the student.
    """
    if len(raw) > MAX_BYTES:
        raise NotebookError(f"larger than {MAX_BYTES >> 20} MiB: clear the outputs, submit again")
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise NotebookError("not a notebook: it is not JSON; download it again") from None
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise NotebookError("not a notebook of format 4: it has no cells; save it in Jupyter again")
    if len(cells) > MAX_CELLS:
        raise NotebookError(f"more than {MAX_CELLS:,} cells")
    code: list[str] = []
    written: dict[str, str] = {}
    answering = ""
    for cell in cells:
        kind, source = (
            (cell.get("cell_type"), _source(cell)) if isinstance(cell, dict) else ("", "")
        )
        if len(source) > MAX_CELL:
            raise NotebookError(f"a cell of more than {MAX_CELL:,} characters")
        if kind == "code":
            answering = ""
            if not source.startswith(SET_UP):
                code.append(source)
        elif kind == "markdown":
            title = ANSWER.match(source)
            if title is not None:
                answering = title["name"]
                written[answering] = TEMPLATE.sub("", source[title.end() :]).strip()
            elif answering and not HEADING.match(source):
                # An answer may go on in the next cell; a heading or code ends it.
                written[answering] = f"{written[answering]}\n\n{source.strip()}".strip()
            else:
                answering = ""
    unusual = sorted({match for source in code for match in UNUSUAL.findall(source)})
    return Notebook(code, written, [f"mentions {each}" for each in unusual])


def _source(cell: dict[str, object]) -> str:
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    # A lone surrogate can be written in JSON, and nowhere else.
    return text.encode(errors="replace").decode()
