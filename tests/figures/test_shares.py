"""The bars of shares are full, in order, and carry their own numbers."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import pytest
from matplotlib.colors import to_hex

from dsconv_lib.figures import COLOURS, draw_shares, use_style

ROWS = {
    "first": {"pointwise": 3, "depthwise": 1},
    "second": {"standard": 0.5, "linear": 0.25, "BN and ReLU": 0.25},
}


@pytest.fixture(autouse=True)
def _style():
    with mpl.rc_context():
        use_style()
        yield


def test_each_part_is_as_long_as_its_share_and_follows_the_one_before():
    (axes,) = draw_shares(ROWS).axes
    assert [bar.get_width() for bar in axes.patches] == [75, 25, 50, 25, 25]
    assert [bar.get_x() for bar in axes.patches] == [0, 75, 0, 50, 75]
    heights = [bar.get_y() + bar.get_height() / 2 for bar in axes.patches]
    assert heights == pytest.approx([0, 0, 1, 1, 1])
    bottom, top = axes.get_ylim()
    assert bottom > 1 > 0 > top, "the first row is on top"


def test_colours_are_those_of_the_operations():
    (axes,) = draw_shares(ROWS).axes
    colours = [to_hex(bar.get_facecolor()) for bar in axes.patches]
    named = [COLOURS[kind].lower() for kind in ("pointwise", "depthwise", "standard")]
    assert colours[:3] == named
    assert len({*colours, *named}) == 5, "what is no operation has a colour of its own"


def test_kinds_that_fit_nowhere_are_named_below_in_their_colours():
    small = {"standard": 2, "depthwise": 3, "pointwise": 94, "linear": 1, "BN and ReLU": 0}
    figure = draw_shares({"only": small})
    figure.canvas.draw()
    (axes,) = figure.axes
    below = [text for text in axes.texts if text.get_position()[1] > 0.3]
    assert {text.get_text() for text in below} == {"standard", "depthwise", "linear"}
    colours = dict(zip(small, (bar.get_facecolor() for bar in axes.patches), strict=True))
    bars = axes.patches[0].get_window_extent()
    spans = sorted((text.get_window_extent() for text in below), key=lambda span: span.x0)
    assert all(span.y1 <= bars.y0 for span in spans)
    assert all(one.x1 < other.x0 for one, other in pairwise(spans))
    for text in below:
        assert to_hex(text.get_color()) == to_hex(colours[text.get_text()])


def test_labels_lie_inside_their_parts_and_small_parts_have_none():
    rows = {"wide": {"pointwise": 99, "linear": 1}, "narrow": {"depthwise": 14, "BN and ReLU": 86}}
    figure = draw_shares(rows)
    figure.canvas.draw()
    (axes,) = figure.axes
    texts = {text.get_text(): text for text in axes.texts}
    labels = ["pointwise\n99.0 %", "depthwise\n14.0 %", "BN and ReLU\n86.0 %"]
    assert [*texts] == ["wide", labels[0], "narrow", *labels[1:], "linear"]
    bars = [bar for bar in axes.patches if bar.get_width() > 1]
    for label, bar in zip(labels, bars, strict=True):
        inside, around = texts[label].get_window_extent(), bar.get_window_extent()
        assert around.x0 <= inside.x0 <= inside.x1 <= around.x1
        assert around.y0 <= inside.y0 <= inside.y1 <= around.y1


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        draw_shares({})
    for amounts in ({}, {"pointwise": 0}, {"pointwise": 2, "depthwise": -1}):
        with pytest.raises(ValueError, match="expected amounts of 0 or more"):
            draw_shares({"MACs": amounts})
