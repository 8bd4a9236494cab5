"""The directive that puts an interactive figure into a page of text."""

import importlib
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


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
