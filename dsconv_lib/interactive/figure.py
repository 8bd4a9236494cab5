"""Interactive figures: one ES module that is alive in a notebook and on a page without a kernel.

A figure is a file of JavaScript beside this one, and a subclass of `InteractiveFigure` with its values. Where a kernel
runs, it is an ordinary widget and Python sees what the reader chose. Everywhere else its HTML runs the same module.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from traitlets import Unicode

from dsconv_lib.errors import need

need("anywidget", "a figure that a reader moves", extra="interactive")
from anywidget import AnyWidget  # noqa: E402  (what was just seen to be there)

# The model that the module talks to where no kernel runs: the part of Backbone's that the figures use. The element is
# found through the running script, so the text has no ids and is the same in every run. The module runs as part of
# that script: imported, it would come after the page is drawn, and push the text below the figure down.
STATIC = Template("""\
<div role="group" aria-label="$label">
<p>$sentence</p>
<script>
(() => {
  const el = document.currentScript.parentElement;
  const state = $state;
  const listeners = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      if (state[name] === value) return;
      state[name] = value;
      for (const event of [`change:$${name}`, "change"]) listeners[event]?.forEach((call) => call());
    },
    on: (event, call) => (listeners[event] ??= new Set()).add(call),
    off: (event, call) => listeners[event]?.delete(call),
    save_changes: () => {},
  };
  const figure = (() => {
$module
  })();
  figure.render({ model, el });
})();
</script>
</div>
""")
EXPORT = re.compile(r"^export (default )?", re.MULTILINE)


def _inline(code: str) -> str:
    """JavaScript that may stand in a page: its strings do not end the script."""
    return code.replace("</", "<\\/").replace("<!--", "<\\!--")


def module(*names: str) -> str:
    """Text of a figure's ES module: the files of these names, beside this one, with what all figures share in front."""
    folder = Path(__file__).parent
    return "".join((folder / f).read_text(encoding="utf-8") for f in ("figure.js", *names))


class InteractiveFigure(AnyWidget):
    """Base of the figures: a subclass sets `_esm`, `label` and its values, and says its result in `sentence`.

    Values are traits with the tag `sync=True`; `label` names the figure to a screen reader.
    """

    label = Unicode().tag(sync=True)
    # ipywidgets 7, which Colab has, would display the live view alone.
    _ipython_display_ = None

    @property
    def sentence(self) -> str:
        """The result for the present values: what a reader without JavaScript gets."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """The present values by name, those that the reader can change."""
        names = set(self.traits(sync=True)) - set(InteractiveFigure.class_trait_names())
        return {name: getattr(self, name) for name in sorted(names) if not name.startswith("_")}

    def static_html(self) -> str:
        """HTML that shows the figure without a kernel, with nothing outside it: the same text for the same values."""
        module = EXPORT.sub(lambda found: "return " if found[1] else "", str(self._esm))
        return STATIC.substitute(
            label=escape(self.label),
            sentence=escape(self.sentence),
            state=_inline(json.dumps({"label": self.label, **self.values()}, ensure_ascii=False)),
            module=_inline(module),
        )

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.values().items())
        return f"{type(self).__name__}({values})"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**data, "text/plain": repr(self), "text/html": self.static_html()}, metadata
