"""From an exercise's source.md to the notebooks that students and readers open.

The source is MyST text with nbgrader's delimiters. The student's notebook has a stub in place of each solution, and
opens anywhere: its first cell carries the checks with it. The solution has everything.
"""

from __future__ import annotations

import ast
import base64
import bz2
import json
import re
import sys
import textwrap
from itertools import cycle
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from dsconv_lib.classroom.question import Exercise, ExerciseError, Question, load
from dsconv_lib.errors import need

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BLANK = r"[^\S\n]*"
SOLUTION = re.compile(rf"(?ms)^({BLANK}){BEGIN}{BLANK}$.*?^{BLANK}{END}{BLANK}$")
ANSWER = re.compile(r"^### Answer: (\S+)$", re.MULTILINE)
TIME = re.compile(r"^\*\*Time:\*\* .*$", re.MULTILINE)  # measured where the solution is executed
LINK = re.compile(r"\[([^]]+)\]\(\.\./[^)]+\)")  # to another file of the course
ROOT = Path(__file__).resolve().parents[2]
Cell = dict[str, Any]  # or a whole notebook, as JSON has them
Pair = tuple[list[Cell], list[Cell]]  # of the student's notebook, and of the solution
FOR_STUDENTS = """\
Run the next cell first: it brings the checks, and needs neither an account nor a network. Then go through the
questions from the top. Replace each `raise NotImplementedError(...)` by your own code, run the cell, and run the
check below it. A check tries your function on some public cases and says what it finds. Marks are given on other
cases, by the function's name, with NumPy and Python's own modules alone.

The hints unfold one at a time. Where a heading says *Answer*, write into that cell; a person reads it."""
FOR_READERS = """\
**Time:** not measured yet

These are the questions with their solutions, folded. Try them first:
<a href="student.ipynb" download>student.ipynb</a> has the same questions without solutions. It works in Jupyter
and in Colab, alone in an empty folder, with NumPy and nothing else."""
SET_UP = '''\
# @title Set up (run this cell first)
# Finds the checks of this exercise. Where the course is not installed, it unpacks them from the text below.
import base64
import bz2
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

NAME = "{name}"
FILES = """
{files}
"""


def set_up():
    library = importlib.util.find_spec("dsconv_lib")
    root = Path(library.origin).parents[1] if library and library.origin else Path()
    if not (root / "exercises" / NAME / "questions.py").is_file():
        root = Path(tempfile.mkdtemp(prefix="dsconv-"))
        for name, text in json.loads(bz2.decompress(base64.b64decode(FILES))).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        sys.path.insert(0, str(root))
        for name in [name for name in sys.modules if name.split(".")[0] == "dsconv_lib"]:
            del sys.modules[name]
    from dsconv_lib.classroom.check import checks_of

    return checks_of(NAME)


check = set_up()'''


def write(folder: Path) -> list[str]:
    """Write both notebooks of the exercise in `folder`, and return the names of those that changed.

    The solution's outputs are kept as long as its code is the same; else it waits to be executed.

    Raises:
        ExerciseError: as `notebooks`.
    """
    changed = []
    for name, notebook in notebooks(folder).items():
        path = folder / name
        stored = path.read_text(encoding="utf-8") if path.is_file() else ""
        if stored:
            keep_outputs(notebook, json.loads(stored))
        if (text := serialise(notebook)) != stored:
            path.write_text(text, encoding="utf-8", newline="\n")
            changed.append(name)
    return changed


def serialise(notebook: Cell) -> str:
    """The text of a notebook file, as Jupyter writes it."""
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def keep_outputs(notebook: Cell, stored: Cell) -> None:
    """Put the time and the outputs of the stored notebook into the new one; outputs unless any code changed."""
    if measured := TIME.search("".join(stored["cells"][0]["source"])):
        title = notebook["cells"][0]
        text = TIME.sub(measured[0], "".join(title["source"]))
        title["source"] = text.splitlines(keepends=True)
    both = (notebook, stored)
    new, old = ([c for c in each["cells"] if c["cell_type"] == "code"] for each in both)
    if [c["source"] for c in new] == [c["source"] for c in old]:
        for cell, before in zip(new, old, strict=True):
            cell["outputs"] = before["outputs"]
            cell["execution_count"] = before.get("execution_count")


def notebooks(folder: Path) -> dict[str, Cell]:
    """Make both notebooks, by file name, from the source.md and questions.py in `folder`.

    Raises:
        ExerciseError: if a question has no cell, delimiters do not pair up, or the checks would need more than NumPy.
    """
    jupytext = need("jupytext", "making notebooks", extra="exercises")
    exercise, path = load(folder), folder / "source.md"
    if not path.is_file():
        raise ExerciseError(f"{path} is not there: expected the text of the exercise")
    student: list[Cell] = []
    solution: list[Cell] = []
    text = path.read_text(encoding="utf-8")
    for number, cell in enumerate(jupytext.reads(text, "md:myst").cells):
        source, name, code = cell.source, f"cell-{number:02}", cell.cell_type == "code"
        if code and BEGIN in source:
            made = _question(exercise, source)
        elif code:
            made = [_code(name, source)], [_code(name, source)]
        elif number == 0:
            made = _opening(source, SET_UP.format(name=exercise.name, files=payload(folder)))
        elif ANSWER.match(source):
            made = _answer(exercise, path, source)
        else:
            made = [_markdown(name, LINK.sub(r"*\1*", source))], [_markdown(name, source)]
        student += made[0]
        solution += made[1]
    needed = {name: name for name in exercise.questions}
    needed |= {f"answer-{name}": name for name in exercise.written}
    if missing := sorted(needed[each] for each in needed.keys() - {cell["id"] for cell in student}):
        defines = "a cell that defines the function of each question"
        begins = "one that begins with '### Answer: NAME' for each written answer"
        raise ExerciseError(f"{path} lacks {', '.join(missing)}: expected {defines}, and {begins}")
    return {"student.ipynb": _notebook(student), "solution.ipynb": _notebook(solution)}


def _opening(source: str, set_up: str) -> Pair:
    """The title and the first cell. The student's notebook is alone: a link to a file of the course leads nowhere."""
    ours = _markdown("title", f"{source}\n\n{FOR_READERS}")
    theirs = _markdown("title", LINK.sub(r"*\1*", source) + f"\n\n{FOR_STUDENTS}")
    folded = {"cellView": "form", "jupyter": {"source_hidden": True}}
    first = _code("set-up", set_up, **folded)
    return [theirs, first], [ours, _code("set-up", set_up, tags=["remove-cell"], **folded)]


def _question(exercise: Exercise, source: str) -> Pair:
    """The points and hints, the cell with a stub or with the solution, which is folded, and the check."""
    defined = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    found = [each for each in exercise.questions.values() if each.function in defined]
    if len(found) != 1:
        raise ExerciseError(
            f"a cell of {exercise.name} defines {', '.join(defined) or 'no function'}: expected the "
            f"function of one question, as it has a solution"
        )
    (question,) = found
    name, function = question.name, question.function
    head = _markdown(f"hints-{name}", _points_and_hints(question))
    check = _code(f"check-{name}", f'check("{name}", {function})')
    prompts = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
    solution = _code(name, with_solution(source), tags=["hide-input"], mystnb=prompts)
    return [head, _code(name, without_solution(source, function)), check], [head, solution, check]


def _answer(exercise: Exercise, path: Path, source: str) -> Pair:
    """The place for an answer in words, and the answer, folded."""
    heading, _, text = (part.strip() for part in source.partition("\n"))
    name = heading.removeprefix("### Answer: ")
    if name not in exercise.written:
        raise ExerciseError(f"{path} has an answer {name!r}: expected its points in WRITTEN")
    if not (text.startswith(BEGIN + "\n") and text.endswith("\n" + END)):
        where = f"in the cell {heading!r}, and the question in the cell before it"
        alone = f"expected nothing but a solution between {BEGIN} and {END}"
        raise ExerciseError(f"{path}: {alone} {where}")
    head = f"{heading}\n\n*{_points(exercise.written[name])}, marked by hand.*\n\n"
    answer = _folded("Show the answer", with_solution(text).strip())
    places = ("Write your answer here.", answer)
    student, solution = ([_markdown(f"answer-{name}", head + each)] for each in places)
    return student, solution


def payload(folder: Path) -> str:
    """Pack questions.py and the library modules behind it and behind the checks, for the first cell.

    bzip2, and JSON in place of an archive: the same bytes from every version of Python and zlib.
    """
    questions = folder / "questions.py"
    finder = ModuleFinder(path=[str(ROOT)])
    finder.run_script(str(questions))
    finder.import_hook("dsconv_lib.classroom.check")
    needed = {name.split(".")[0] for name in finder.badmodules} - set(sys.stdlib_module_names)
    if others := sorted(needed - {"numpy"}):
        raise ExerciseError(f"{questions} needs {', '.join(others)}: expected NumPy alone")
    modules: list[Any] = [each for name, each in finder.modules.items() if name != "__main__"]
    paths = [Path(module.__file__) for module in modules if module.__file__]
    files = {path.relative_to(ROOT).as_posix(): path for path in paths}
    files[f"exercises/{folder.resolve().name}/questions.py"] = questions
    texts = {name: files[name].read_text(encoding="utf-8") for name in sorted(files)}
    packed = base64.b64encode(bz2.compress(json.dumps(texts).encode())).decode()
    return "\n".join(textwrap.wrap(packed, 96))


def without_solution(source: str, function: str) -> str:
    """Put `raise NotImplementedError` in place of the lines between the delimiters, and of these."""
    delimiters = [line.strip() for line in source.splitlines() if line.strip() in (BEGIN, END)]
    for each, paired in zip(delimiters, cycle((BEGIN, END)), strict=False):
        if each != paired:
            raise ExerciseError(f"{function}: {each} does not pair up")
    if delimiters != [BEGIN, END]:
        raise ExerciseError(f"{function}: expected one solution between {BEGIN} and {END}")
    return SOLUTION.sub(rf'\1raise NotImplementedError("write {function}")', source)


def with_solution(source: str) -> str:
    """Drop the delimiters and keep what is between them."""
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END))


def _points(points: int) -> str:
    return "1 point" if points == 1 else f"{points} points"


def _points_and_hints(question: Question) -> str:
    """The points, and the hints nested in one another, so that they unfold one at a time."""
    folded = ""
    for number, hint in reversed(list(enumerate(question.hints, start=1))):
        folded = _folded(f"Hint {number}", f"{hint}\n\n{folded}".strip())
    condition = ", if every case is right" if question.whole else ""
    return f"*{_points(question.points)}{condition}.*\n\n{folded}".strip()


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _markdown(name: str, source: str) -> Cell:
    lines = source.splitlines(keepends=True)
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": lines}


def _code(name: str, source: str, **metadata: Any) -> Cell:
    made = _markdown(name, source) | {"cell_type": "code", "metadata": metadata}
    return made | {"execution_count": None, "outputs": []}


def _notebook(cells: list[Cell]) -> Cell:
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
