"""The built site, page by page: its files, and what a reader's browser makes of them.

`make test` builds it first, in `_build/html`.
"""

import pytest

from tests.site import site_checks
from tests.site.site_checks import PAGES, ROOT

each_page = pytest.mark.parametrize("name", PAGES)


# ---- The files -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def anchors():
    return {}


@each_page
def test_links_lead_somewhere(site, anchors, name):
    assert site_checks.broken_links(site / f"{name}.html", anchors) == []


@each_page
def test_images_say_what_they_show(site, name):
    assert site_checks.images_without_alt(site / f"{name}.html") == []


@each_page
def test_files_name_nothing_on_other_hosts(site, name):
    assert site_checks.outside_resources(site / f"{name}.html") == []


@each_page
def test_pages_carry_no_unused_scripts(site, name):
    text = (site / f"{name}.html").read_text(encoding="utf-8")
    assert "fontawesome.js" not in text
    assert "thebe" not in text.lower()


@pytest.mark.parametrize("name", [p for p in PAGES if (ROOT / f"{p}.ipynb").exists()])
def test_chapters_can_be_downloaded_as_notebooks(site, name):
    page = site_checks.parse(site / f"{name}.html")
    links = [a["href"] for a in page.find_all("a", class_="btn-download-source-button")]
    assert len(links) == 1
    source = (site / f"{name}.html").parent / links[0]
    assert source.read_bytes() == (ROOT / f"{name}.ipynb").read_bytes()


# ---- The browser ---------------------------------------------------------------------------------


@each_page
def test_page_opened_as_a_file(browser, site, name):
    """By a reader who prefers dark: what a server sends is opened in light, and turns dark."""
    page = (site / f"{name}.html").as_uri()
    assert site_checks.look_at(browser, page, width=1280, theme="dark") == []


def test_icons_are_drawn(new_page, address):
    page = new_page()
    page.goto(f"{address}/{PAGES[0]}.html")
    page.evaluate("document.fonts.ready")
    assert page.locator("i.fa-solid, i.fas").count() > 0
    drawn = "[...document.fonts].some(f => /Awesome/.test(f.family) && f.status == 'loaded')"
    assert page.evaluate(drawn)


@pytest.mark.parametrize("name", ["papers", "claims"])
def test_tables_of_verdicts_are_filtered_with_the_keyboard(new_page, address, name):
    page = new_page()
    page.goto(f"{address}/chapters/{name}.html")
    rows = page.locator("table.recount tbody tr")
    shown = page.locator(".recount-filter output")
    assert shown.get_attribute("aria-live") == "polite"

    def visible():
        count = sum(row.is_visible() for row in rows.all())
        assert shown.inner_text().startswith(f"{count} of {rows.count()} ")
        return count

    assert visible() == rows.count()
    page.get_by_label("Search", exact=True).last.focus()
    page.keyboard.type("3 × 3")
    searched = visible()
    assert 0 < searched < rows.count()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert 0 < visible() < searched
    # A table without rows is gone, heading and all.
    for table in page.locator("table.recount").all():
        kept = any(row.is_visible() for row in table.locator("tbody tr").all())
        assert table.is_visible() == kept


@pytest.mark.parametrize("name", ["papers", "claims"])
def test_tables_of_verdicts_without_scripts(new_page, address, name):
    page = new_page(java_script_enabled=False)
    page.goto(f"{address}/chapters/{name}.html")
    assert all(row.is_visible() for row in page.locator("table.recount tbody tr").all())
    assert page.locator(".recount-filter *").count() == 0


# ---- The checks themselves can fail --------------------------------------------------------------

FAULTS = {
    "outside script": ('<script src="https://cdn.invalid/x.js"></script>', "another host"),
    "wide page": ('<div style="width: 3000px">wide</div>', "px wide"),
    "script error": ("<script>throw new Error('oh')</script>", "script error: oh"),
    "console error": ("<script>console.error('oh')</script>", "console: oh"),
    "no MathJax": ('<span class="math">\\(x\\)</span>', "formulas are not drawn"),
    "dead figure": ('<div role="group"><script></script></div>', "figure is not alive"),
    "fixed theme": ('<html data-theme="dark">', "shows the theme dark"),
    "missing image": ('<img src="none.png" alt="none">', "image not loaded"),
}


@pytest.fixture
def look(browser, serve, tmp_path):
    """A function that gives what is found in a page with that body."""
    (tmp_path / "favicon.ico").touch()
    address = f"{serve(tmp_path)}/page.html"

    def look(body):
        (tmp_path / "page.html").write_text(f"<!doctype html><title>t</title>{body}")
        return site_checks.look_at(browser, address, width=375, theme="light")

    return look


def test_browser_check_finds_nothing_wrong(look):
    assert look("<p>Nothing wrong.</p>") == []


@pytest.mark.parametrize(("body", "sentence"), FAULTS.values(), ids=FAULTS)
def test_browser_check_finds(look, body, sentence):
    found = look(body)
    assert any(sentence in finding for finding in found), found


def test_file_checks_find(tmp_path):
    (tmp_path / "own.css").write_text("@font-face { src: url(//fonts.invalid/a.woff2) }")
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="stylesheet" href="own.css"><link rel="stylesheet" href="https://a.invalid/b.css">'
        '<h1 id="here">t</h1><a href="#here">right</a><a href="#there">wrong</a>'
        '<a href="https://elsewhere.invalid">a plain link may lead out</a><a href="none.html">x</a>'
        '<img src="http://c.invalid/d.png"><p style="background: url(https://e.invalid/f.png)">'
    )
    assert site_checks.broken_links(page, {}) == ["#there", "none.html"]
    assert len(site_checks.images_without_alt(page)) == 1
    assert sorted(site_checks.outside_resources(page)) == [
        "//fonts.invalid/a.woff2",
        "http://c.invalid/d.png",
        "https://a.invalid/b.css",
        "https://e.invalid/f.png",
    ]
