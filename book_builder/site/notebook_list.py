"""The directive that lists all notebooks, from what `executed.json` records beside them."""

from datetime import date
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from book_builder.address import configured
from book_builder.execute import RECORD, read_record

COLUMNS = ("notebook", "take along", "to read", "last run", "on")


def row(*cells: nodes.Node | str) -> nodes.row:
    """A row of a table, with a paragraph in each cell."""
    texts = [nodes.Text(cell) if isinstance(cell, str) else cell for cell in cells]
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", text)) for text in texts))


class NotebookList(SphinxDirective):
    """`notebook-list` with a folder: a row for each notebook below it that was run."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table; a new run of a notebook makes the page new."""
        self.env.note_dependency(__file__)
        folder = Path(self.env.srcdir, self.arguments[0])
        body = nodes.tbody()
        for record in sorted(folder.glob(f"**/{RECORD}")):
            self.env.note_dependency(str(record))
            for name, entry in read_record(record.parent).items():
                body += self.row_of(record.with_name(name), entry)
        if not body.children:
            raise ExtensionError(
                f"Found no {RECORD} below {folder}: name a folder with notebooks that were run."
            )
        group = nodes.tgroup("", *(nodes.colspec("", colwidth=1) for _ in COLUMNS))
        group["cols"] = len(COLUMNS)
        group += [nodes.thead("", row(*COLUMNS)), body]
        return [nodes.table("", group, classes=["notebooks"])]

    def row_of(self, file: Path, entry: dict[str, Any]) -> nodes.row:
        """One notebook: its page, the files to take along, and what its record says."""
        name = file.relative_to(self.env.srcdir)
        page = addnodes.pending_xref(
            "", nodes.inline(), refdomain="std", reftype="doc", refexplicit=False,
            reftarget=f"/{name.with_suffix('').as_posix()}", refdoc=self.env.docname, refwarn=True,
        )  # fmt: skip
        day = date.fromisoformat(entry["day"])
        return row(
            page,
            nodes.raw("", ", ".join(self.links(name)), format="html"),
            f"{entry['minutes_to_read']} min",
            f"{entry['seconds']} s",
            f"{day.day} {day:%B %Y}",
        )

    def links(self, name: Path) -> list[str]:
        """The notebook itself, which the browser stores and does not try to show, and in Colab.

        Students take the questions along; the file that was run has their solutions, too.
        """
        up = "../" * self.env.docname.count("/")
        whole = f"{up}_sources/{name.as_posix()}"
        questions = name.with_name("student.ipynb")
        if Path(self.env.srcdir, questions).exists():
            name, files = questions, {f"{up}{questions.as_posix()}": "questions"}
            files[whole] = "with solutions"
        else:
            files = {whole: "notebook"}
        links = [f'<a href="{address}" download>{text}</a>' for address, text in files.items()]
        repository = configured(Path(self.env.srcdir))
        if repository.url:
            address = repository.colab(name.as_posix())
            links.append(f'<a class="reference external" href="{address}">in Colab</a>')
        return links
