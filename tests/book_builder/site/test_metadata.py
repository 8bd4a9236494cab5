"""What each page tells search engines, and who passes its address on."""

import json
from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

from book_builder.site import metadata
from tests.site import site_checks
from tests.site.site_checks import ROOT, SITE

FILES = [
    f
    for pattern in ("*.html", "chapters/*.html", "exercises/*/*.html")
    for f in sorted(SITE.glob(pattern))
    if f.name not in ("index.html", "404.html")
]
BASE = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"].get("baseurl")


def head_of(file):
    """Names and properties in the head, each with all its values."""
    found = {}
    for tag in site_checks.parse(file).head.find_all("meta"):
        key = tag.get("name") or tag.get("property")
        found.setdefault(key, []).append(tag.get("content"))
    return found


@pytest.mark.parametrize("file", FILES, ids=[f.relative_to(SITE).as_posix() for f in FILES])
def test_each_page_describes_itself(file):
    found = head_of(file)
    for key in ("description", "og:title", "og:description", "og:type", "twitter:card"):
        assert len(found[key]) == 1, key
        assert found[key][0].strip(), key
    assert 50 <= len(found["description"][0]) <= 160
    assert found["og:description"] == found["description"]
    assert "$" not in found["description"][0]
    assert ("og:image" in found, "og:url" in found) == (bool(BASE), bool(BASE))


def test_no_two_pages_have_the_same_description():
    texts = [head_of(file)["description"][0] for file in FILES]
    assert len(texts) > 20
    assert len(set(texts)) == len(texts)


def test_the_descriptions_are_those_of_the_pages_and_no_others():
    shown = {
        f.relative_to(SITE).with_suffix("").as_posix(): head_of(f)["description"][0] for f in FILES
    }
    assert shown == json.loads(metadata.DESCRIPTIONS.read_text(encoding="utf-8"))


def head(name, base):
    builder = SimpleNamespace(name="html", get_target_uri=lambda page: f"{page}.html")
    config = SimpleNamespace(root_doc="intro", html_title="The book", html_baseurl=base)
    context = {"title": "A <em>page</em>"}
    metadata.add_metadata(SimpleNamespace(builder=builder, config=config), name, "", context, None)
    return context["metatags"]


def test_addresses_are_absolute_where_the_site_has_one():
    tags = head("search", "https://example.org/course")
    assert '"og:url" content="https://example.org/course/search.html"' in tags
    assert '"og:image" content="https://example.org/course/_static/social-card.png"' in tags
    assert '"twitter:card" content="summary_large_image"' in tags
    assert '"og:title" content="A page"' in tags
    assert "example" not in head("search", "")


def test_the_card_is_what_it_says():
    file = SITE / metadata.CARD
    assert file.stat().st_size < 100_000
    with Image.open(file) as card:
        assert card.size == (1200, 630)


def test_a_page_without_a_description_is_named(monkeypatch):
    said = []
    monkeypatch.setattr(metadata.logger, "warning", said.append)
    metadata.describe("chapters/new")
    assert said[0].startswith("chapters/new: its description has 0 characters, expected 50 to 160")
