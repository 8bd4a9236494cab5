"""The questions at a chapter's end, on the built pages: open to the keyboard, without a kernel."""

import pytest

from tests.site.site_checks import SITE

CHAPTERS = sorted(SITE.glob("chapters/[0-9]*.html"))


def test_there_are_chapters():
    assert CHAPTERS


@pytest.mark.parametrize("path", CHAPTERS, ids=[p.stem for p in CHAPTERS])
def test_options_open_with_the_keyboard(new_page, path):
    page = new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    options = page.locator("section#check-yourself details:not([class])")
    assert options.count() >= 6
    options.first.locator("summary").focus()
    for position, option in enumerate(options.all()):
        summary, answer = option.locator("summary"), option.locator(":scope > p").first
        focused = summary.evaluate("e => e === document.activeElement")
        assert focused, f"Tab does not lead to option {position + 1}"
        assert not answer.is_visible()
        page.keyboard.press("Enter" if position % 2 else "Space")
        assert answer.is_visible()
        page.keyboard.press("Enter")
        assert not answer.is_visible()
        page.keyboard.press("Tab")
