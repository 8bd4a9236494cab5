"""The notebooks as they are stored, and how `dsconv release` makes them from the sources."""

import base64
import bz2
import json
import re
import shutil

import nbformat
import pytest
import yaml
from typer.testing import CliRunner

from dsconv_lib.classroom import release
from dsconv_lib.classroom.question import ExerciseError
from dsconv_lib.cli import app
from tests.classroom.exercise_files import EXERCISES, FOLDERS, ROOT, code

each_exercise = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
LISTED = [entry["file"] for part in TOC["parts"] for entry in part["chapters"]]


# ---- What is stored ------------------------------------------------------------------------------


def test_every_chapter_has_exercises_and_they_are_in_the_book():
    chapters = [name.removeprefix("chapters/") for name in LISTED if name.startswith("chapters/")]
    taught = [name for name in chapters if (ROOT / f"chapters/{name}.ipynb").is_file()]
    without = [name for name in taught if name not in EXERCISES]
    assert not without, f"chapters without exercises: {', '.join(without)}"
    assert [f"exercises/{name}/solution" for name in taught] == [
        name for name in LISTED if name.startswith("exercises/")
    ]


@each_exercise
def test_notebooks_are_what_the_sources_make(folder):
    for name, notebook in release.notebooks(folder).items():
        stored = json.loads((folder / name).read_text(encoding="utf-8"))
        release.keep_outputs(notebook, stored)
        assert release.serialise(notebook) == (folder / name).read_text(encoding="utf-8"), (
            f"{folder.name}/{name} is stale: make notebooks"
        )


@each_exercise
def test_notebooks_are_valid_and_the_student_s_has_no_outputs(folder):
    for name in ("student.ipynb", "solution.ipynb"):
        nbformat.validate(nbformat.read(folder / name, as_version=4))
    for cell in json.loads((folder / "student.ipynb").read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@each_exercise
def test_the_student_gets_stubs_and_no_solution(folder):
    student, solution = code(folder, "student.ipynb"), code(folder, "solution.ipynb")
    for question in EXERCISES[folder.name].questions.values():
        stub = student[question.name]
        assert stub.endswith(f'raise NotImplementedError("write {question.function}")')
        kept = set(stub.splitlines()) & set(solution[question.name].splitlines())
        assert kept == set(stub.splitlines()[:-1]), "what stands outside the delimiters stays"
        assert student[f"check-{question.name}"] == f'check("{question.name}", {question.function})'
    text = (folder / "student.ipynb").read_text(encoding="utf-8")
    assert release.BEGIN not in text
    assert "Show the answer" not in text


@each_exercise
def test_written_answers_begin_with_their_name(folder):
    for notebook in ("student.ipynb", "solution.ipynb"):
        cells = json.loads((folder / notebook).read_text(encoding="utf-8"))["cells"]
        answers = {
            cell["id"]: "".join(cell["source"])
            for cell in cells
            if cell["id"].startswith("answer-")
        }
        for name, points in EXERCISES[folder.name].written.items():
            text = answers[f"answer-{name}"]
            asked = "".join(
                cells[[cell["id"] for cell in cells].index(f"answer-{name}") - 1]["source"]
            )
            assert len(asked.split()) > 20, "the question stands in the cell before"
            assert text.splitlines()[0] == f"### Answer: {name}"
            assert f"{points} points, marked by hand" in text
            assert ("Write your answer here." in text) == (notebook == "student.ipynb")


@each_exercise
def test_first_cell_is_folded_and_small(folder):
    for notebook in ("student.ipynb", "solution.ipynb"):
        cells = json.loads((folder / notebook).read_text(encoding="utf-8"))["cells"]
        first = next(cell for cell in cells if cell["cell_type"] == "code")
        source = "".join(first["source"])
        assert source.startswith("# @title Set up (run this cell first)\n")
        assert first["metadata"]["cellView"] == "form"
        assert first["metadata"]["jupyter"] == {"source_hidden": True}
        assert len(source) < 40_000
        assert not re.search(r"https?://|pip ", source)


@each_exercise
def test_first_cell_carries_the_student_s_side_alone(folder):
    packed = json.loads(bz2.decompress(base64.b64decode(release.payload(folder))))
    wing = {name for name in packed if name.startswith("dsconv_lib/classroom/")}
    modules = ("__init__", "check", "diagnose", "mistakes", "question")
    assert wing == {f"dsconv_lib/classroom/{name}.py" for name in modules}
    assert f"exercises/{folder.name}/questions.py" in packed


def test_hints_unfold_one_inside_the_other():
    folder = FOLDERS[0]
    cells = json.loads((folder / "student.ipynb").read_text(encoding="utf-8"))["cells"]
    for question in EXERCISES[folder.name].questions.values():
        text = next(
            "".join(cell["source"]) for cell in cells if cell["id"] == f"hints-{question.name}"
        )
        places = [text.index(hint) for hint in question.hints]
        assert places == sorted(places)
        assert text.count("<details>") == text.count("</details>") == len(question.hints)
        assert text.rstrip().endswith("</details>\n\n" * (len(places) - 1) + "</details>")


# ---- How it is made ------------------------------------------------------------------------------

HEADER = "---\nkernelspec:\n  display_name: Python 3\n  name: python3\n---\n\n# Title\n\n"
CELL = "```{code-cell}\nimport math\n```\n\ntext\n\n```{code-cell}\n%s\n```\n"
DOUBLE = 'def double(x):\n    """Twice x."""\n    ### BEGIN SOLUTION\n    return x + x\n    ### END SOLUTION'
QUESTIONS = """
from dsconv_lib.classroom.question import question

@question("double", function="double", points=1, reference=lambda x: 2 * x, hints=["Add."])
def cases(rng):
    yield {"x": int(rng.integers(1, 9))}
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "exercises" / "00-made"
    made.mkdir(parents=True)
    (made / "questions.py").write_text(QUESTIONS)
    (made / "source.md").write_text(HEADER + CELL % DOUBLE)
    return made


def run(folder, *names):
    return CliRunner().invoke(app, ["release", *names, "--folder", str(folder.parent)])


def test_release_writes_both_and_then_nothing(folder):
    assert run(folder, "00-made").output == "00-made: student.ipynb, solution.ipynb\n"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run(folder).output == "00-made: unchanged\n"
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    student = code(folder, "student.ipynb")
    assert student["double"] == (
        'def double(x):\n    """Twice x."""\n    raise NotImplementedError("write double")'
    )
    assert (
        code(folder, "solution.ipynb")["double"]
        == 'def double(x):\n    """Twice x."""\n    return x + x'
    )


def test_release_does_not_depend_on_where_it_runs(folder, tmp_path, monkeypatch):
    run(folder)
    first = (folder / "student.ipynb").read_bytes()
    other = tmp_path / "elsewhere" / "00-made"
    shutil.copytree(folder, other)
    for made in other.glob("*.ipynb"):
        made.unlink()
    monkeypatch.chdir(other)
    release.write(other)
    assert (other / "student.ipynb").read_bytes() == first


def test_outputs_stay_until_the_code_changes(folder):
    run(folder)
    path = folder / "solution.ipynb"
    notebook = json.loads(path.read_text())
    stored = next(cell for cell in notebook["cells"] if cell["id"] == "check-double")
    stored["outputs"] = [{"name": "stdout", "output_type": "stream", "text": ["passed\n"]}]
    stored["execution_count"] = 4
    path.write_text(release.serialise(notebook))
    source = folder / "source.md"
    source.write_text(source.read_text().replace("# Title", "# Another title"))
    assert run(folder).output == "00-made: student.ipynb, solution.ipynb\n"
    assert "passed" in path.read_text()
    assert "# Another title" in path.read_text()
    source.write_text(source.read_text().replace("x + x", "2 * x"))
    run(folder)
    assert "passed" not in path.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("    ### END SOLUTION", "    pass"), "expected one solution"),
        (("    ### BEGIN SOLUTION\n", "    ### BEGIN SOLUTION\n" * 2), "does not pair up"),
        (("def double", "def twice"), "expected the function of one question"),
        (("    ### BEGIN SOLUTION\n", ""), "lacks double"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(folder, change, message):
    source = folder / "source.md"
    source.write_text(source.read_text().replace(*change))
    done = run(folder)
    assert done.exit_code == 1
    assert message in done.output
    assert not (folder / "student.ipynb").exists()


def test_written_answers_and_their_points_belong_together(folder):
    questions, source = folder / "questions.py", folder / "source.md"
    questions.write_text(QUESTIONS + '\nWRITTEN = {"why": 2}\n')
    with pytest.raises(ExerciseError, match="lacks why"):
        release.notebooks(folder)
    text = source.read_text()
    answer = "\n+++\n\n### Answer: %s\n\n### BEGIN SOLUTION\nBecause.\n### END SOLUTION\n"
    source.write_text(text + answer % "why-not")
    with pytest.raises(ExerciseError, match="expected its points in WRITTEN"):
        release.notebooks(folder)
    source.write_text(text + answer.replace("### BEGIN", "Why is it so?\n\n### BEGIN") % "why")
    with pytest.raises(ExerciseError, match="the question in the cell before it"):
        release.notebooks(folder)
    source.write_text(text + answer % "why")
    made = release.notebooks(folder)
    last = {name: "".join(notebook["cells"][-1]["source"]) for name, notebook in made.items()}
    assert "Because." not in last["student.ipynb"]
    assert "Because." in last["solution.ipynb"]


def test_checks_that_need_more_than_numpy_are_refused(folder):
    questions = folder / "questions.py"
    questions.write_text("from dsconv_lib import layers\n" + QUESTIONS)
    done = run(folder)
    assert done.exit_code == 1
    assert "torch: expected NumPy alone" in done.output
