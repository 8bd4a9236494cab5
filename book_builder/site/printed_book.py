"""The directive that links to the whole book for paper, on a site that has it.

`make pdf` prints the book into `_build/pdf`. A site built without it, or after a change of what it
is printed from, has no link that leads nowhere or to an old book: it has none.
"""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

NAME = "depthwise-separable-convolution.pdf"
# Beside the pages: their order, sources, look and figures, and what builds and prints them.
BUILDERS = ("dsconv_lib/interactive/*.*", "book_builder/*.*", "book_builder/site/*.*")
PRINTED_FROM = ("_*.yml", "*.bib", "assets/*.*", *BUILDERS)


def printed(env: BuildEnvironment) -> Path | None:
    """The printed book, if it is newer than everything that it is printed from."""
    root = Path(env.srcdir)
    file = root / "_build/pdf" / NAME
    if not file.is_file():
        return None
    sources = [Path(env.doc2path(name)) for name in env.found_docs]
    sources += [source for pattern in PRINTED_FROM for source in root.glob(pattern)]
    newest = max(source.stat().st_mtime for source in sources)
    return file if file.stat().st_mtime > newest else None


class PrintedBook(SphinxDirective):
    """`printed-book` with the words of the link: that link, if there is a book to lead to."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """A paragraph of its own; read again in each build, as the book comes and goes."""
        self.env.note_reread()
        file = printed(self.env)
        if file is None:
            return []
        up = "../" * self.env.docname.count("/")
        size = f"PDF, {file.stat().st_size / 1e6:.0f} MB"
        link = f'<p class="on-screen"><a href="{up}{NAME}">{self.arguments[0]}</a> ({size})</p>'
        return [nodes.raw("", link, format="html")]


def copy_printed_book(app: Sphinx, exception: Exception | None) -> None:
    """Put the book beside the pages, or take an old one away."""
    if exception or app.builder.name != "html":
        return
    place = Path(app.outdir, NAME)
    place.unlink(missing_ok=True)
    if file := printed(app.env):
        shutil.copyfile(file, place)
