"""Finding a page: the search, without a network and from the keyboard, and the way on from each page."""

import pytest

from tests.site import site_checks
from tests.site.site_checks import SITE

PAGES = [
    f.relative_to(SITE).as_posix()
    for pattern in ("intro.html", "chapters/*.html", "exercises/*/*.html")
    for f in sorted(SITE.glob(pattern))
]
LAST = "chapters/bibliography.html"


@pytest.fixture
def page(new_page, address):
    """A page of a browser that reaches the site and nothing else."""
    page = new_page()
    page.route("**/*", lambda r: r.continue_() if r.request.url.startswith(address) else r.abort())
    page.address = address
    return page


def test_the_search_page_finds_pages(page):
    page.goto(f"{page.address}/search.html")
    page.locator("main form.bd-search input").focus()
    page.keyboard.type("depthwise")
    page.keyboard.press("Enter")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    page.wait_for_function("document.querySelectorAll('#search-results li').length >= 5")
    targets = {a.evaluate("a => a.href.split('#')[0].split('?')[0]") for a in results.all()}
    assert len(targets) >= 5
    for target in targets:
        assert page.request.get(target).ok, target
    results.first.press("Enter")
    page.wait_for_url(lambda url: "search.html" not in url)
    assert page.get_by_role("heading", level=1).count() == 1
    assert "depthwise" in page.locator("article").inner_text().lower()


@pytest.mark.parametrize("way", ["button", "keys"])
def test_the_search_dialog_opens_and_searches(page, way):
    page.goto(f"{page.address}/chapters/notation.html")
    dialog = page.locator("dialog#pst-search-dialog")
    assert not dialog.is_visible()
    if way == "button":
        page.locator("button.search-button-field:visible").press("Enter")
    else:
        page.keyboard.press("Control+k")
    dialog.wait_for()
    page.keyboard.type("roofline")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()
    page.goto(f"{page.address}/chapters/notation.html")
    page.keyboard.press("Control+k")
    dialog.wait_for()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


@pytest.mark.parametrize("name", PAGES)
def test_each_page_leads_to_its_neighbours(name):
    page = site_checks.parse(SITE / name)
    links = [a["class"][0] for a in page.select(".prev-next-footer a")]
    ends = {"intro.html": ["right-next"], LAST: ["left-prev"]}
    assert links == ends.get(name, ["left-prev", "right-next"])
