"""The first screen of the front page: what the course is, and a number to move."""

import pytest

from dsconv_lib.interactive.calculator import Calculator
from tests.site.site_checks import SITE


@pytest.mark.parametrize(("width", "controls"), [(1280, 4), (375, 1)])
def test_the_first_screen(new_page, width, controls):
    page = new_page(viewport={"width": width, "height": 800})
    page.goto((SITE / "intro.html").as_uri())
    figure = page.get_by_role("group", name=Calculator().label)
    slider = figure.get_by_role("slider")
    seen = {
        "title": page.locator("article h1"),
        "statement": page.locator("article h1 + p"),
        "result": figure.locator("[aria-live]"),
        **{f"control {i + 1}": slider.nth(i) for i in range(controls)},
    }
    for what, place in seen.items():
        box = place.bounding_box()
        assert box["height"] > 0, what
        assert box["y"] >= 0, what
        assert box["y"] + box["height"] <= 800, f"{what} ends at {box['y'] + box['height']}"
    statement = seen["statement"].inner_text()
    assert 2 <= statement.count(". ") + 1 <= 3
    slider.first.press("ArrowRight")
    assert seen["result"].inner_text() == Calculator(in_size=9).sentence
    assert page.evaluate("scrollY") == 0
