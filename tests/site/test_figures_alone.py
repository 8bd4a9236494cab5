"""What each interactive figure keeps to, alone in a file."""

import pytest

from dsconv_lib.interactive.calculator import Calculator
from dsconv_lib.interactive.levels import Levels
from dsconv_lib.interactive.roofline import RooflineFigure
from dsconv_lib.interactive.window import SlidingWindow
from tests.site.site_checks import look, visit

FIGURES = [
    Calculator(),
    Levels(),
    RooflineFigure(),
    SlidingWindow(),
    SlidingWindow(operation="separable", step=40),
]
# The part of each that moves, and for how long.
MOVING = [
    (Calculator(), ".bar div", "0.2s"),
    (Levels(), ".bar .fill", "0.2s"),
    (SlidingWindow(), ".frame", "0.25s"),
]


@pytest.mark.parametrize("figure", FIGURES, ids=repr)
@pytest.mark.parametrize("width", [1280, 375])
def test_it_fits_and_loads_nothing(browser, file, width):
    with visit(browser, file, width) as page:
        assert look(page, "light") == []
        assert look(page, "dark") == []


@pytest.mark.parametrize(("figure", "part", "seconds"), MOVING)
def test_it_stands_still_for_who_wants_that(page, part, seconds):
    moving = page.locator(part).first
    for motion, expected in [("reduce", "0s"), ("no-preference", seconds)]:
        page.emulate_media(reduced_motion=motion)
        assert moving.evaluate("e => getComputedStyle(e).transitionDuration") == expected
