"""Sphinx extension of this book: puts interactive figures into pages of text, takes out of the pages
what they load and do not use, and leads from a solution to the student's notebook.
"""

import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import finish
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# 1.5 MB of icons as script, while the theme's web fonts already draw every icon.
ICON_SCRIPT = re.compile(r'\s*<script[^>]*src="[^"]*scripts/fontawesome\.js[^"]*"[^>]*></script>')


class Interactive(SphinxDirective):
    """`interactive` with a class in dotted form: that interactive figure, in its first state."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The figure's own HTML; a change of its files makes the page new."""
        name, _, attribute = self.arguments[0].rpartition(".")
        module = importlib.import_module(name)
        figure = getattr(module, attribute)()
        for file in Path(str(module.__file__)).parent.iterdir():
            if file.suffix in {".py", ".js"}:
                self.env.note_dependency(str(file))
        return [nodes.raw("", figure.static_html(), format="html")]


def drop_thebe(app: Sphinx) -> None:
    """Silence sphinx-thebe: no page runs code, and its scripts log an error on every one."""
    for listeners in app.events.listeners.values():
        listeners[:] = [
            one for one in listeners if not one.handler.__module__.startswith("sphinx_thebe")
        ]
    app.registry.css_files[:] = [c for c in app.registry.css_files if "thebe" not in c[0]]


def drop_mathjax_script(app: Sphinx) -> None:
    """Load no MathJax into the browser: finish.py has typeset every formula."""
    listeners = app.events.listeners["html-page-context"]
    listeners[:] = [one for one in listeners if one.handler.__module__ != "sphinx.ext.mathjax"]


def drop_icon_script(app: Sphinx, exception: Exception | None) -> None:
    """Remove the icon script from the finished pages and from the folder they are in."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if ICON_SCRIPT.search(text):
            page.write_text(ICON_SCRIPT.sub("", text), encoding="utf-8")
    for script in Path(app.outdir, "_static", "scripts").glob("fontawesome.js*"):
        script.unlink()


def copy_students_notebooks(app: Sphinx, exception: Exception | None) -> None:
    """Copy each exercise's student.ipynb: a plain link, which works in Jupyter too, leads to it."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).glob("exercises/*/solution.html"):
        name = page.with_name("student.ipynb").relative_to(app.outdir)
        shutil.copyfile(Path(app.srcdir, name), Path(app.outdir, name))


def open_students_notebooks(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let the Colab button of a solution open the notebook without it."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("url", "").startswith("https://colab."):
                button["url"] = button["url"].replace("/solution.ipynb", "/student.ipynb")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; runs after the extensions that Jupyter Book itself loads."""
    drop_thebe(app)
    drop_mathjax_script(app)
    app.add_directive("interactive", Interactive)
    app.connect("html-page-context", open_students_notebooks, priority=900)  # after the theme
    app.connect("build-finished", drop_icon_script)
    app.connect("build-finished", copy_students_notebooks)
    # After whatever else is done to the pages.
    app.connect("build-finished", finish.finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
