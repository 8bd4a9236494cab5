"""The interactive figures on the pages of the book, opened as files: alive, and in the state that the text expects."""

from pathlib import Path

import pytest

from dsconv_lib.figures.calculator import Calculator
from dsconv_lib.figures.levels import Levels
from dsconv_lib.figures.window import SlidingWindow

SITE = Path(__file__).resolve().parents[2] / "_build/html"
FIGURES = {
    "intro": [Calculator()],
    "chapters/01-normal-convolution": [SlidingWindow()],
    "chapters/02-depthwise-convolution": [SlidingWindow(operation="depthwise", step=14)],
    "chapters/03-pointwise-convolution": [SlidingWindow(operation="pointwise", step=17)],
    "chapters/04-depthwise-separable": [
        SlidingWindow(operation="separable", step=28),
        Calculator(),
    ],
    "chapters/07-mobilenet-v1": [Levels()],
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_alive(browser, name):
    page = browser.new_page()
    try:
        page.goto((SITE / f"{name}.html").as_uri())
        for figure in FIGURES[name]:
            alive = page.get_by_role("group", name=figure.label, exact=True)
            live = alive.locator("[aria-live=polite]")
            live.wait_for()
            assert live.inner_text() == figure.sentence
            slider = alive.locator("input[type=range]").first
            slider.focus()
            at_the_end = slider.input_value() == slider.get_attribute("max")
            page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")
            assert live.inner_text() != figure.sentence
    finally:
        page.close()


@pytest.mark.parametrize("name", FIGURES)
def test_without_scripts_they_state_their_first_result(browser, name):
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto((SITE / f"{name}.html").as_uri())
        for figure in FIGURES[name]:
            shown = page.get_by_role("group", name=figure.label, exact=True)
            assert shown.inner_text() == figure.sentence
    finally:
        context.close()
