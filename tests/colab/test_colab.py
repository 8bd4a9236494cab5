"""Every notebook alone in an empty folder, with Colab's versions: `make test` makes that environment first.

The first cell of a chapter installs the library from the address that `make repo` wrote into it. Git is told to
take that address from a copy on this machine, so the cell runs as it is.
"""

import asyncio
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement

from book_builder import address
from tests.classroom.exercise_files import EXERCISES, FOLDERS, solved
from tests.forks import copy_of_the_course, point

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "_build/colab/bin/python"
URL = "https://github.com/example/course"
TAG = address.configured(ROOT).tag
CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))


class ColabsKernel(AsyncKernelManager):
    def __init__(self, **options):
        class Specs(KernelSpecManager):
            def get_kernel_spec(self, name):
                command = [str(PYTHON), "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
                return KernelSpec(
                    argv=[*command, "-f", "{connection_file}"],
                    language="python",
                    display_name="Colab",
                )

        super().__init__(kernel_spec_manager=Specs(), **options)


def run(notebook, folder):
    """Run every cell in a new kernel, with nothing but the notebook in `folder`."""
    assert list(folder.iterdir()) == []
    client = NotebookClient(
        notebook,
        kernel_manager_class=ColabsKernel,
        timeout=1800,
        resources={"metadata": {"path": str(folder)}},
    )
    # In a thread of its own: the browser of other tests leaves its event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, client.async_execute()).result()
    return notebook


def versions():
    command = [PYTHON, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {each["name"]: each["version"] for each in json.loads(done.stdout)}


def pinned():
    """Colab's versions, of the packages that are asked for by name."""
    lines = (Path(__file__).parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    here = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    return {each.name: str(each.specifier).removeprefix("==") for each in here}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A fork with the tag of a version, where the address it was pointed at leads, for git on this machine."""
    if not PYTHON.exists():
        pytest.fail("There is no environment with Colab's versions: type make colab")
    folder = copy_of_the_course(tmp_path_factory.mktemp("fork") / "course")
    point(folder, URL).check_returncode()
    person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Course"], ["tag", TAG]):
        subprocess.run(["git", *person, *command], cwd=folder, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_COUNT", "1")
        patch.setenv("GIT_CONFIG_KEY_0", f"url.{folder.as_uri()}.insteadOf")
        patch.setenv("GIT_CONFIG_VALUE_0", URL)
        patch.delenv("PYTHONPATH", raising=False)
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        # Else compiled loops stay where the library was, and an empty folder of its name counts as installed.
        patch.setenv("NUMBA_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        yield folder


@pytest.fixture(scope="module")
def installed(course, tmp_path_factory):
    """The library, as the first cell of a chapter installs it; what else was there has stayed."""
    subprocess.run([PYTHON, "-m", "pip", "uninstall", "-qy", "dsconv-lib"], check=True)
    before = versions()
    assert before.items() >= pinned().items()
    notebook = nbformat.read(course / "chapters/01-normal-convolution.ipynb", 4)
    first = notebook.cells[1]
    look = nbformat.v4.new_code_cell("import dsconv_lib; print(dsconv_lib.__file__)")
    notebook.cells = [first, look, first]  # twice does no harm
    run(notebook, tmp_path_factory.mktemp("empty"))
    assert "site-packages" in look.outputs[0].text
    assert versions() == {**before, "dsconv-lib": TAG[1:]}
    return course


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs_alone(installed, path, tmp_path):
    notebook = nbformat.read(installed / "chapters" / path.name, 4)
    widgets = nbformat.v4.new_code_cell(
        "import sys\nfrom google.colab import output\n"
        "assert ('anywidget' in sys.modules) == bool(output.managers), output.managers"
    )
    notebook.cells.append(widgets)
    run(notebook, tmp_path)


def test_without_an_address_it_says_what_to_do(course, tmp_path):
    hide = "import importlib.util\nimportlib.util.find_spec = lambda name: None"
    cells = [hide, address.Repository("", TAG).bootstrap()]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    with pytest.raises(CellExecutionError, match="in a clone of the course, type pip install"):
        run(notebook, tmp_path)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_solved_exercise_passes_every_check_alone(course, folder, tmp_path):
    notebook = run(nbformat.reads(json.dumps(solved(folder)), 4), tmp_path)
    cells = {cell.id: cell for cell in notebook.cells}
    for name in EXERCISES[folder.name].questions:
        said = "".join(each.get("text", "") for each in cells[f"check-{name}"].outputs)
        assert f"{name}: public checks passed" in said
    assert list(tmp_path.iterdir()) == []
