"""Point the course at a repository: ``python -m book_builder.address [URL]``.

``_config.yml`` holds the address, and ``dsconv_lib.__version__`` the version whose tag is opened and installed.
This writes both into everything that repeats them: the buttons of the site, the cell that opens
each chapter, the README, the citation. Without URL it keeps the address. With ``--check TAG`` it writes
nothing, and fails unless the tree names that address and that tag.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbformat import NotebookNode

from book_builder import ROOT, execute
from dsconv_lib.files import replace_file

ADDRESS = re.compile(r"https://github\.com/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)(?:\.git)?/?")
BADGES = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- end of badges -->)", re.DOTALL)
HERE = '    raise ModuleNotFoundError("dsconv_lib: in a clone of the course, type pip install .")'
BOOTSTRAP = """\
# @title Set up: does nothing where the course is installed
import importlib.util

if importlib.util.find_spec("dsconv_lib") is None:
{install}"""


@dataclass(frozen=True)
class Repository:
    """An address on GitHub, the only host whose notebooks Colab opens, and the tag of a version.

    Without an address nothing leads to one: there are no buttons, and no cell installs anything.
    """

    url: str
    tag: str

    @property
    def site(self) -> str:
        """Where GitHub Pages publishes it."""
        owner, name = self.url.split("/")[-2:]
        return f"https://{owner.lower()}.github.io/{name}/"

    def colab(self, path: str) -> str:
        """The address at which Colab opens a notebook of the repository."""
        owner, name = self.url.split("/")[-2:]
        return f"https://colab.research.google.com/github/{owner}/{name}/blob/{self.tag}/{path}"

    def bootstrap(self) -> str:
        """Source of the cell that opens each chapter."""
        wanted = f"dsconv-lib[interactive] @ git+{self.url}@{self.tag}"
        return BOOTSTRAP.format(
            install=f'    %pip install --quiet "{wanted}"' if self.url else HERE
        )

    def badges(self) -> str:
        """Lines of Markdown for the README."""
        if not self.url:
            return ""
        workflow = f"{self.url}/actions/workflows/test.yml"
        first = "chapters/01-normal-convolution.ipynb"
        return (
            f"[![Tests]({workflow}/badge.svg)]({workflow}) "
            f"[![Open the first chapter in Colab]"
            f"(https://colab.research.google.com/assets/colab-badge.svg)]({self.colab(first)})\n\n"
            f"Read it at <{self.site}>, or clone it: `git clone {self.url}`.\n\n"
        )


def address(text: str) -> str:
    """The address in its one form.

    >>> address("https://github.com/OWNER/NAME.git/")
    'https://github.com/OWNER/NAME'

    Raises:
        typer.BadParameter: if it is another kind of address.
    """
    found = ADDRESS.fullmatch(text)
    if not found:
        raise typer.BadParameter(
            f"{text!r} is no repository on GitHub: expected https://github.com/OWNER/NAME, "
            "as in make repo URL=https://github.com/OWNER/NAME"
        )
    return "https://github.com/{}/{}".format(*found.groups())


def the_line(file: Path, form: str, text: str | None = None) -> re.Match[str]:
    """The one line of this form in the file, or in the ``text`` it is to have; its group is the value."""
    found = list(re.finditer(form + "$", text or file.read_text(encoding="utf-8"), re.MULTILINE))
    if len(found) != 1:
        sys.exit(f"{file.name} has {len(found)} lines of the form {form}; expected one.")
    return found[0]


def configured(root: Path) -> Repository:
    """The address in ``_config.yml``, and the tag of the library's version."""
    url = the_line(root / "_config.yml", r'^  url: "(.*)"')[1]
    version = the_line(root / "dsconv_lib/__init__.py", r'^__version__ = "(.*)"')[1]
    return Repository(url, f"v{version}")


def written(root: Path, repository: Repository) -> dict[Path, str]:
    """Every file that repeats the address or the version, with the text it should have."""
    url, tag = repository.url, repository.tag
    values = {
        "_config.yml": {
            r'^  url: "(.*)"': url,
            r'^  branch: "(.*)"': tag,
            r'^  baseurl: "(.*)"': repository.site if url else "",
            r'^  colab_url: "(.*)"': "https://colab.research.google.com" if url else "",
            r"^  use_repository_button: (.*)": "true" if url else "false",
        },
        "CITATION.cff": {
            r"^license: MIT((?:\nrepository-code: .*)?)": f'\nrepository-code: "{url}"'
            if url
            else "",
            r"^version: (.*)": tag.removeprefix("v"),
        },
    }
    texts = {}
    for name, lines in values.items():
        text = (root / name).read_text(encoding="utf-8")
        for form, value in lines.items():
            line = the_line(root / name, form, text)
            text = text[: line.start(1)] + value + text[line.end(1) :]
        texts[root / name] = text
    readme = root / "README.md"
    texts[readme] = BADGES.sub(lambda _: repository.badges(), readme.read_text(encoding="utf-8"))
    for chapter in sorted(root.glob("chapters/*.ipynb")):
        notebook = execute.read(chapter)
        put_bootstrap(notebook, repository.bootstrap())
        texts[chapter] = execute.normalise(notebook)
    return texts


def put_bootstrap(notebook: NotebookNode, source: str) -> None:
    """Put the cell after the title. It prints nothing, so it need not run to be stored as run."""
    cells = [c for c in notebook.cells if execute.BOOTSTRAP not in c.metadata.get("tags", [])]
    cell = nbformat.v4.new_code_cell(
        source,
        id=execute.BOOTSTRAP,
        execution_count=1,
        metadata={"cellView": "form", "tags": [execute.BOOTSTRAP, "remove-cell"]},
    )
    notebook.cells = [cells[0], cell, *cells[1:]]


def main(
    url: Annotated[str, typer.Argument(help="https://github.com/OWNER/NAME")] = "",
    check: Annotated[str, typer.Option(metavar="TAG", help="Compare with this tag alone.")] = "",
    root: Annotated[Path, typer.Option(help="The folder that holds _config.yml.")] = ROOT,
) -> None:
    """Point every button, every chapter's first cell and the README at a repository."""
    kept = configured(root)
    repository = Repository(address(url) if url else kept.url, kept.tag)
    texts = written(root, repository).items()
    changed = {path: text for path, text in texts if path.read_text(encoding="utf-8") != text}
    if check and check != repository.tag:
        sys.exit(f"The tag {check} is not that of the version in dsconv_lib: {repository.tag}.")
    if check and changed:
        sys.exit(
            f"{len(changed)} files name another address or version: "
            f"type make repo URL={repository.url}, commit, and tag again."
        )
    for path, text in changed.items():
        replace_file(path, text.encode())
    where = repository.url or "no address: make repo URL=https://github.com/OWNER/NAME gives one"
    print(f"{repository.tag}, {where}; {len(changed)} files changed")


if __name__ == "__main__":
    typer.run(main)
