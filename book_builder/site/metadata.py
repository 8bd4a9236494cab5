"""What a page tells search engines, and who passes its address on.

Each page has a description of its own in `descriptions.json`. Addresses and the picture are left out as
long as `html_baseurl` is empty, since they have to be absolute.
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
DESCRIPTIONS = Path(__file__).with_name("descriptions.json")
CARD = "_static/social-card.png"
CARD_SAYS = (
    "Two bars: a standard convolution makes 1,228,800 multiplications, "
    "its depthwise and pointwise halves together 53,952."
)

logger = logging.getLogger(__name__)


def describe(name: str) -> str:
    """The description of the page called `name`; says so if it has none that can be used."""
    text: str = json.loads(DESCRIPTIONS.read_text(encoding="utf-8")).get(name, "")
    if not SHORTEST <= len(text) <= LONGEST:
        logger.warning(
            f"{name}: its description has {len(text)} characters, expected {SHORTEST} to {LONGEST}: "
            f"write one into {DESCRIPTIONS.name}"
        )
    return text


def add_metadata(
    app: Sphinx, name: str, template: str, context: dict[str, Any], page: nodes.document | None
) -> None:
    """Put the description and the Open Graph properties into the head of a page."""
    if app.builder.name != "html":
        return
    text = describe(name)
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
