"""The interactive figures on the pages of the book, opened as files: alive, and in the state that the text expects."""

import pytest

from dsconv_lib.interactive.calculator import Calculator
from dsconv_lib.interactive.levels import Levels
from dsconv_lib.interactive.roofline import RooflineFigure
from dsconv_lib.interactive.window import SlidingWindow
from tests.site.site_checks import SITE

FIGURES = {
    "intro": [Calculator()],
    "chapters/01-normal-convolution": [SlidingWindow()],
    "chapters/02-depthwise-convolution": [SlidingWindow(operation="depthwise", step=14)],
    "chapters/03-pointwise-convolution": [SlidingWindow(operation="pointwise", step=17)],
    "chapters/04-depthwise-separable": [
        SlidingWindow(operation="separable", step=28),
        Calculator(),
    ],
    "chapters/05-multiplications-to-seconds": [RooflineFigure()],
    "chapters/07-mobilenet-v1": [Levels()],
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_alive(new_page, name):
    page = new_page()
    page.goto((SITE / f"{name}.html").as_uri())
    for figure in FIGURES[name]:
        alive = page.get_by_role("group", name=figure.label, exact=True)
        live = alive.locator("[aria-live=polite]")
        live.wait_for()
        assert live.inner_text() == figure.sentence
        # The size of the image, which comes first, need not change a ratio.
        for slider in alive.locator("input[type=range]").all():
            slider.focus()
            at_the_end = slider.input_value() == slider.get_attribute("max")
            page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
            if live.inner_text() != figure.sentence:
                break
        assert live.inner_text() != figure.sentence


@pytest.mark.parametrize("name", FIGURES)
def test_without_scripts_they_state_their_first_result(new_page, name):
    page = new_page(java_script_enabled=False)
    page.goto((SITE / f"{name}.html").as_uri())
    for figure in FIGURES[name]:
        shown = page.get_by_role("group", name=figure.label, exact=True)
        assert shown.inner_text() == figure.sentence
