"""What a submission holds: its code, cell by cell, and its written answers. Nothing of it is run here.

Metadata, outputs and the kinds of cells that a tool may have marked are not looked at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from dsconv_lib.classroom.grading import GradingError

MAX_BYTES = 20 << 20  # plots are stored in a notebook; one of this size holds nothing else
MAX_CELLS = 1_000
MAX_CELL = 200_000  # characters
# As it is handed out, and as people type it: "## answer: name", with or without spaces.
ANSWER = re.compile(r"^\s*#{1,6}\s*Answer:\s*(?P<name>[\w-]+).*$", re.MULTILINE | re.IGNORECASE)
PICTURE = re.compile(r"data:image/[^)\"'\s]*|attachment:[^)\"'\s]*")
MAX_ANSWER = 50_000  # characters
HEADING = re.compile(r"\s*#{1,6}\s")
# What the notebook says in an answer's cell before anybody writes there.
TEMPLATE = re.compile(r"^(?:\*\d+ points?, marked by hand\.\*|Write your answer here\.)$", re.M)
# The cell that carries the checks, and with them the library: marking needs neither.
SET_UP = "# @title Set up (run this cell first)\n"
# What no answer needs: worth a look, worth no points off.
UNUSUAL = re.compile(
    r"\b(?:ctypes|subprocess|socket|multiprocessing|os\.(?:_exit|fork\w*|exec\w*|kill\w*|system|write|read)"
    r"|sys\._getframe|gc\.get_(?:objects|referrers)|builtins|__builtins__|pickle|meta_path|path_hooks"
    r"|dsconv_lib(?:\.|\s+import\s+)(?:ops|loops|cost|classroom(?:\.|\s+import\s+)(?!check\b)\w+)"
    r"|/proc|check\.exercise|b64decode)\b"
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
        kind = cell.get("cell_type") if isinstance(cell, dict) else ""
        source = _source(cell) if kind else ""
        if kind == "code":
            if len(source) > MAX_CELL:
                raise NotebookError(f"a cell of more than {MAX_CELL:,} characters")
            answering = ""
            if not source.startswith(SET_UP):
                code.append(source)
        elif kind == "markdown":
            source = PICTURE.sub("picture: open the notebook", source)
            before, *parts = ANSWER.split(source)
            if parts:
                # The text above a heading belongs to it: there is nothing else in such a cell.
                parts[1] = before + parts[1]
                for name, text in zip(parts[::2], parts[1::2], strict=True):
                    answering = name.lower()
                    _add(written, answering, TEMPLATE.sub("", text))
            elif answering and not HEADING.match(source):
                _add(written, answering, source)  # an answer may go on in the next cell
            else:
                answering = ""
    unusual = sorted({match for source in code for match in UNUSUAL.findall(source)})
    return Notebook(code, written, [f"mentions {each}" for each in unusual])


def _add(written: dict[str, str], name: str, text: str) -> None:
    """Append to an answer: a second, empty copy of its cell takes nothing away."""
    both = f"{written.get(name, '')}\n\n{text.strip()}".strip()
    cut = " [cut: open the notebook]" if len(both) > MAX_ANSWER else ""
    written[name] = both[:MAX_ANSWER] + cut


def _source(cell: dict[str, object]) -> str:
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    # A lone surrogate can be written in JSON, and nowhere else.
    return text.encode(errors="replace").decode()
