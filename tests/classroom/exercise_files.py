"""The exercises as they are stored, for the tests beside this file."""

import json
from pathlib import Path

import numpy as np

from dsconv_lib.classroom.question import load

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("exercises/*/source.md"))
EXERCISES = {folder.name: load(folder) for folder in FOLDERS}
QUESTIONS = [(name, each) for name, one in EXERCISES.items() for each in one.questions.values()]
IDS = [f"{name}:{question.name}" for name, question in QUESTIONS]


def code(folder, notebook):
    """The source of each code cell of a stored notebook, by the cell's id."""
    cells = json.loads((folder / notebook).read_text(encoding="utf-8"))["cells"]
    return {c["id"]: "".join(c["source"]) for c in cells if c["cell_type"] == "code"}


def solutions(name):
    """The functions of a solution notebook, by name: made from the questions' cells alone."""
    cells, names = code(ROOT / "exercises" / name, "solution.ipynb"), {"np": np}
    exec(cells["cell-01"], names)  # the imports
    for question in EXERCISES[name].questions.values():
        exec(cells[question.name], names)
    return names


def solved(folder):
    """The student's notebook of an exercise, each stub replaced by the cell of the solution."""
    notebook = json.loads((folder / "student.ipynb").read_text(encoding="utf-8"))
    solution = code(folder, "solution.ipynb")
    for cell in notebook["cells"]:
        if cell["id"] in EXERCISES[folder.name].questions:
            cell["source"] = [solution[cell["id"]]]
    return notebook
