"""Sphinx extension: what a page tells search engines, and who passes its address on.

Each page gets a description of its own: its first sentences without a formula, or the words that
`page_descriptions.json` has for it. Addresses and the picture are left out as long as `html_baseurl`
is empty, since they have to be absolute.
"""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

SHORTEST, LONGEST = 50, 160  # characters, as much as a search engine shows
GIVEN = Path(__file__).with_name("page_descriptions.json")
CARD = "_static/social-card.png"
CARD_SAYS = (
    "Two bars: a standard convolution makes 1,228,800 multiplications, "
    "its depthwise and pointwise halves together 53,952."
)
SENTENCE = re.compile(r"(?<=[.?])\s+(?=[A-Z“])")

logger = logging.getLogger(__name__)


def first_sentences(page: nodes.document) -> str:
    """Whole sentences from the start of the page's text, as many as fit; "" if there are none.

    A paragraph that opens in bold, such as a chapter's time and aims, belongs to the page's form.
    """
    text = ""
    for paragraph in page.findall(nodes.paragraph):
        opening = next((part for part in paragraph.children if part.astext()), None)
        if not isinstance(paragraph.parent, nodes.section) or isinstance(opening, nodes.strong):
            continue
        if next(paragraph.findall(nodes.math), None) is not None:
            break
        for sentence in SENTENCE.split(" ".join(paragraph.astext().split())):
            longer = f"{text} {sentence}".strip()
            if len(longer) > LONGEST or not sentence.endswith("."):
                return text
            text = longer
    return text


def describe(name: str, page: nodes.document | None) -> str:
    """The description of the page called `name`; says so if it has none that can be used."""
    given = json.loads(GIVEN.read_text(encoding="utf-8")).get(name)
    text = given or (first_sentences(page) if page else "")
    if not SHORTEST <= len(text) <= LONGEST:
        logger.warning(
            f"{name}: its description has {len(text)} characters, expected {SHORTEST} to {LONGEST}: "
            f"give it one in {GIVEN.name}"
        )
    return text


def add_metadata(
    app: Sphinx, name: str, template: str, context: dict[str, Any], page: nodes.document | None
) -> None:
    """Put the description and the Open Graph properties into the head of a page."""
    if app.builder.name != "html":
        return
    text = describe(name, page)
    properties = {
        "og:type": "website" if name == app.config.root_doc else "article",
        "og:site_name": app.config.html_title,
        "og:title": re.sub(r"<[^>]*>", "", context.get("title") or app.config.html_title),
        "og:description": text,
    }
    names = {"description": text, "twitter:card": "summary"}
    if base := app.config.html_baseurl:
        base = base.rstrip("/")
        names["twitter:card"] = "summary_large_image"
        properties |= {
            "og:url": f"{base}/{app.builder.get_target_uri(name)}",
            "og:image": f"{base}/{CARD}",
            "og:image:width": "1200",
            "og:image:height": "630",
            "og:image:alt": CARD_SAYS,
        }
    tags = [f'<meta name="{k}" content="{escape(v)}"/>' for k, v in names.items()]
    tags += [f'<meta property="{k}" content="{escape(v)}"/>' for k, v in properties.items()]
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", add_metadata)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
