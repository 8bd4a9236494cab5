"""Sphinx extension: a table of all notebooks, from what `executed.json` records beside them."""

import json
from datetime import date
from pathlib import Path

from docutils import nodes
from notebooks import RECORD
from repository import configured
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

COLUMNS = ("notebook", "take along", "to read", "last run", "on")


def download(name: str, text: str) -> nodes.Node:
    """A link to the file itself: the browser stores it and does not try to show it."""
    return nodes.raw("", f'<a href="{name}" download>{text}</a>', format="html")


class NotebookList(SphinxDirective):
    """`notebook-list` with a folder: a row for each notebook below it that was run."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table; a new run of a notebook makes the page new."""
        self.env.note_dependency(__file__)
        table = nodes.table("", classes=["notebooks"])
        group = nodes.tgroup("", cols=len(COLUMNS))
        group += [nodes.colspec("", colwidth=1) for _ in COLUMNS]
        head = nodes.row("", *(nodes.entry("", nodes.paragraph(text=c)) for c in COLUMNS))
        body = nodes.tbody()
        folder = Path(self.env.srcdir, self.arguments[0])
        for record in sorted(folder.glob(f"**/{RECORD}")):
            self.env.note_dependency(str(record))
            for name, entry in json.loads(record.read_text(encoding="utf-8")).items():
                body += self.row(record.with_name(name), entry)
        if not body.children:
            raise ExtensionError(
                f"Found no {RECORD} below {folder}: name a folder with notebooks that were run."
            )
        group += [nodes.thead("", head), body]
        table += group
        return [table]

    def row(self, file: Path, entry: dict[str, str | float]) -> nodes.row:
        """One notebook: its page, what its record says, and the files to take along."""
        if "day" not in entry:
            raise ExtensionError(
                f"The record of {file} has no day: run it again with tools/notebooks.py --force."
            )
        name = file.relative_to(self.env.srcdir)
        page = addnodes.pending_xref(
            "", nodes.inline(), refdomain="std", reftype="doc", refexplicit=False,
            reftarget=f"/{name.with_suffix('').as_posix()}", refdoc=self.env.docname, refwarn=True,
        )  # fmt: skip
        day = date.fromisoformat(str(entry["day"]))
        # Students take the questions along; the file that was run has their solutions, too.
        questions = file.with_name("student.ipynb")
        up = "../" * self.env.docname.count("/")
        links: list[nodes.Node]
        if questions.exists():
            inside = questions.relative_to(self.env.srcdir)
            links = [download(f"{up}{inside.as_posix()}", "questions")]
            links.append(download(f"{up}_sources/{name.as_posix()}", "with solutions"))
        else:
            inside = name
            links = [download(f"{up}_sources/{name.as_posix()}", "notebook")]
        repository = configured(Path(self.env.srcdir))
        if repository.url:
            address = repository.colab(inside.as_posix())
            links.append(nodes.reference("", "in Colab", refuri=address))
        taken = nodes.paragraph()
        for link in links:
            taken += [nodes.Text(", ") if taken.children else nodes.Text(""), link]
        cells = [
            nodes.paragraph("", "", page),
            taken,
            nodes.paragraph(text=f"{entry['minutes_to_read']} min"),
            nodes.paragraph(text=f"{entry['seconds']} s"),
            nodes.paragraph(text=f"{day.day} {day:%B %Y}"),
        ]
        return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive with Sphinx."""
    app.add_directive("notebook-list", NotebookList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
