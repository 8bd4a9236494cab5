"""`make repo`: one address, repeated wherever a reader or a notebook follows it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from book_builder import address
from tests.forks import copy_of_the_course, point
from tests.site import site_checks
from tests.site.site_checks import ROOT

URL = "https://github.com/Example/course"
TAG = address.configured(ROOT).tag
COLAB = f"https://colab.research.google.com/github/Example/course/blob/{TAG}/"


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """A copy that was pointed at another address, and its site."""
    folder = copy_of_the_course(tmp_path_factory.mktemp("fork") / "course")
    done = point(folder, URL + ".git/")
    assert done.returncode == 0, done.stderr
    (folder / "_build").mkdir()
    (folder / "_build/npm").symlink_to(ROOT / "_build/npm")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-W", "-n"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_everything_here_repeats_the_same_address():
    for path, text in address.written(ROOT, address.configured(ROOT)).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: type make repo"


def test_a_second_time_changes_nothing_and_the_old_address_is_gone(fork):
    assert "; 0 files changed" in point(fork, URL).stdout
    other = copy_of_the_course(fork.parent / "other")
    assert point(other, URL).returncode == 0
    assert point(other, "https://github.com/another/name").returncode == 0
    left = [p for p in other.rglob("*") if p.is_file() and b"Example/course" in p.read_bytes()]
    assert left == []
    assert "git+https://github.com/another/name@v" in (
        other / "chapters/01-normal-convolution.ipynb"
    ).read_text(encoding="utf-8")


def test_every_notebook_s_page_has_a_button_that_opens_it(fork):
    pages = [
        *fork.glob("_build/html/chapters/0*.html"),
        *fork.glob("_build/html/exercises/*/*.html"),
    ]
    assert len(pages) == 16
    for page in pages:
        (link,) = {
            a["href"] for a in site_checks.parse(page).find_all("a")
            if a.get("href", "").startswith("https://colab.")
        }  # fmt: skip
        path = link.removeprefix(COLAB)
        here = page.relative_to(fork / "_build/html").with_suffix(".ipynb")
        assert path == str(here).replace("solution", "student")
        assert (fork / path).is_file()


def test_the_list_of_notebooks_opens_them_too(fork):
    page = site_checks.parse(fork / "_build/html/chapters/notebooks.html")
    links = [a["href"] for a in page.select("table.notebooks a[href^='https://']")]
    assert len(links) == 16
    for link in links:
        assert link.startswith(COLAB)
        assert (fork / link.removeprefix(COLAB)).is_file()


def test_what_was_stored_stays_up_to_date(fork):
    command = [sys.executable, "-m", "book_builder.execute", "--check", "--root", str(fork)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_its_first_cell_stands_after_the_title_and_hides_on_the_page(fork):
    for path in fork.glob("chapters/*.ipynb"):
        title, cell = json.loads(path.read_text(encoding="utf-8"))["cells"][:2]
        assert title["source"][0].startswith("# ")
        assert "".join(cell["source"]) == address.Repository(URL, TAG).bootstrap()
        page = (fork / "_build/html/chapters" / path.name).with_suffix(".html")
        assert "does nothing where the course is installed" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    ["", "course", "http://github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a",
     "https://github.com/a/b/tree/main", "https://github.com/a/b c"],
)  # fmt: skip
def test_another_kind_of_address_is_refused(text):
    with pytest.raises(typer.BadParameter, match=r"expected https://github\.com/OWNER/NAME"):
        address.address(text)


def test_a_refusal_changes_nothing(tmp_path):
    folder = copy_of_the_course(tmp_path / "course")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = point(folder, "https://gitlab.com/a/b")
    assert done.returncode == 2
    assert "https://github.com/OWNER/NAME" in done.stderr
    assert before == {
        p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"
    }


def test_only_the_address_and_the_tag_that_everything_names_are_publishable(tmp_path):
    folder = copy_of_the_course(tmp_path / "course")
    assert point(folder, URL).returncode == 0
    assert point(folder, URL, "--check", TAG).returncode == 0
    other = point(folder, "https://github.com/another/name", "--check", TAG)
    assert other.returncode == 1
    assert "make repo URL=https://github.com/another/name, commit, and tag again" in other.stderr
    assert f"v0.0.1 is not that of the version in dsconv_lib: {TAG}" in (
        point(folder, URL, "--check", "v0.0.1").stderr
    )
    assert "; 0 files changed" in point(folder, URL).stdout
