"""The Sphinx extension of this book: what Jupyter Book lacks, and what it does too much."""

from sphinx.application import Sphinx

from book_builder.site.finish import finish
from book_builder.site.interactive import Interactive
from book_builder.site.metadata import add_metadata
from book_builder.site.notebook_list import NotebookList
from book_builder.site.printed_book import PrintedBook, copy_printed_book
from book_builder.site.students import copy_students_notebooks, open_students_notebooks

# No page runs code, and the scripts of sphinx-thebe log an error on every one; formulas are
# typeset while the site is built, so no page loads MathJax.
SILENCED = ("sphinx_thebe", "sphinx.ext.mathjax")


def silence(app: Sphinx) -> None:
    """Let these extensions put nothing into the pages."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if not one.handler.__module__.startswith(SILENCED)]
    app.registry.css_files[:] = [c for c in app.registry.css_files if "thebe" not in c[0]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; runs after the extensions that Jupyter Book itself loads."""
    silence(app)
    app.add_directive("interactive", Interactive)
    app.add_directive("notebook-list", NotebookList)
    app.add_directive("printed-book", PrintedBook)
    app.connect("html-page-context", add_metadata)
    app.connect("html-page-context", open_students_notebooks, priority=900)  # after the theme
    app.connect("build-finished", copy_students_notebooks)
    app.connect("build-finished", copy_printed_book)
    app.connect("build-finished", finish, priority=900)  # after whatever else is done to the pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
