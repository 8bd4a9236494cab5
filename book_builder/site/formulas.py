"""Draws the formulas of the pages while the site is built.

In the browser that would take 260 kB of script, and every line that holds one would jump.
"""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

from book_builder import ROOT

MATHJAX = ROOT / "_build/npm/node_modules/mathjax"
# A formula of Sphinx: \(...\) in a span, \[...\] in a div, a number perhaps in front of it.
FORMULA = re.compile(
    r'(<(span|div) class="math [^>]*>\s*(?:<span class="eqno">.*?</span>)?)'
    r"\s*\\([(\[])(.*?)\\[)\]]\s*(?=</\2>)",
    re.DOTALL,
)
# As large as the letters around it: MathJax's lower-case letters are 0.442 em high.
FORMULA_SIZE = "mjx-container { font-size: calc(1ex / 0.442); }"


def draw(pages: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """For each page, the HTML of its formulas and the style sheet they need, all in one run of MathJax."""
    if not MATHJAX.exists():
        raise ExtensionError("MathJax is not there to draw the formulas: type make site.")
    done = subprocess.run(
        [Path(sys.executable).with_name("node"), Path(__file__).with_name("typeset.js"), MATHJAX],
        input=json.dumps(pages),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ExtensionError(f"MathJax could not draw the formulas: {done.stderr}")
    drawn: list[dict[str, Any]] = json.loads(done.stdout)
    return drawn


def typeset(pages: dict[Path, str], site: Path, *, sources: bool) -> None:
    """Put drawings in the place of the pages' formulas, and MathJax's fonts into the site.

    With `sources`, each formula carries its TeX.
    """
    found = {page: list(FORMULA.finditer(text)) for page, text in pages.items()}
    asked = [
        [{"tex": html.unescape(one[4]), "display": one[3] == "["} for one in formulas]
        for formulas in found.values()
    ]
    for (page, formulas), drawn in zip(found.items(), draw(asked), strict=True):
        if not formulas:
            continue
        text = pages[page]
        # From the last to the first: the places of those before it stay.
        for one, markup in zip(reversed(formulas), reversed(drawn["html"]), strict=True):
            if "<mjx-merror" in markup:
                raise ExtensionError(f"{page.relative_to(site)}: not a formula: {one[4]}")
            if sources:
                tex = html.escape(html.unescape(one[4]).strip())
                markup = markup.replace("<mjx-container", f'<mjx-container data-tex="{tex}"', 1)
            text = text[: one.start()] + one[1] + markup + text[one.end() :]
        fonts = "../" * (len(page.relative_to(site).parts) - 1) + "_static/mathjax"
        style = re.sub(r"\s+", " ", drawn["style"]).replace("FONTS", fonts)
        pages[page] = text.replace("</head>", f"<style>{style} {FORMULA_SIZE}</style>\n</head>", 1)
    fonts_of_mathjax = MATHJAX / "es5/output/chtml/fonts/woff-v2"
    shutil.copytree(fonts_of_mathjax, site / "_static/mathjax", dirs_exist_ok=True)
