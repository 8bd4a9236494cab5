"""From the page of a solution to the notebook without it."""

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


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
    """Let the Colab button of a solution open the student's notebook."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("url", "").startswith("https://colab."):
                button["url"] = button["url"].replace("/solution.ipynb", "/student.ipynb")
