"""Each picture shows the numbers that it was given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from dsconv_lib import cost, spec
from dsconv_lib.figures import (
    COLOURS,
    draw_images,
    draw_macs,
    draw_operation,
    draw_runs,
    draw_speeds,
    draw_window,
)


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(
    ("kind", "filters", "output"),
    [
        ("standard", "4 filters of\n3×3×3", "output\n4 channels"),
        ("depthwise", "3 filters of\n3×3×1", "output\n3 channels"),
        ("pointwise", "4 filters of\n1×1×3", "output\n4 channels"),
    ],
)
def test_an_operation_names_its_filters_and_channels(kind, filters, output):
    (axes,) = draw_operation(kind, in_channels=3, out_channels=4, kernel_size=3).axes
    assert texts(axes)[:3] == ["input\n3 channels", filters, output]
    sheets = [to_hex(patch.get_facecolor()) for patch in axes.patches]
    assert sheets.count(COLOURS[kind].lower()) == (3 if kind == "depthwise" else 4)


def test_a_window_shows_every_number_and_frames_the_right_ones():
    x, kernel = np.arange(20.0).reshape(4, 5), np.arange(6.0).reshape(2, 3)
    output = np.arange(9.0).reshape(3, 3)
    panels = draw_window(x, kernel, output, row=2, column=1).axes
    for axes, array in zip(panels, (x, kernel, output), strict=True):
        assert texts(axes) == [f"{value:g}" for value in array.ravel()]
    framed = [axes.patches[-1].get_bbox().bounds for axes in panels]
    assert framed == [(1, 2, 3, 2), (0, 0, 3, 2), (1, 2, 1, 1)]


def test_bars_are_as_long_as_their_macs():
    standard, first = (
        cost.of(spec.standard(3, 256, 8, 5, padding=2)),
        cost.of(spec.depthwise(3, 8, 5, padding=2)),
    )
    second = cost.of(spec.pointwise(3, 256, 8))
    (axes,) = draw_macs(standard, first, second).axes
    lengths = [bar.get_width() for bar in axes.patches]
    assert lengths == [standard.macs, first.macs, second.macs]
    assert axes.patches[2].get_x() == first.macs
    assert any("53,952 MACs, 22.78 times fewer" in text for text in texts(axes))


def test_images_stand_under_their_titles():
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)
    figure = draw_images(images, ["a", "b", "c"], columns=2)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["a", "b", "c"]
    for axes, image in zip(drawn, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    with pytest.raises(ValueError, match="3 images and 2 titles"):
        draw_images(images, ["a", "b"])


def test_runs_and_their_mean_are_drawn_in_per_cent():
    runs = {"separable": [[0.5, 0.9], [0.7, 0.94]], "twin": [[0.6, 0.8]]}
    (axes,) = draw_runs(runs).axes
    drawn = [line.get_ydata().tolist() for line in axes.lines]
    assert drawn[0] == pytest.approx([50, 90])
    assert drawn[1] == pytest.approx([70, 94])
    assert drawn[2] == pytest.approx([60, 92])
    assert drawn[3] == drawn[4] == pytest.approx([60, 80])
    assert axes.lines[0].get_xdata().tolist() == [1, 2]
    assert texts(axes) == ["separable: 92.00 %, mean of 2", "twin: 80.00 %, mean of 1"]


def test_speeds_are_bars_beside_their_floor():
    speeds = {"separable": {"eager": 100.0, "recorded": 150.0}, "twin": {"eager": 80.0}}
    (axes,) = draw_speeds(speeds, {"separable": 200.0, "twin": 300.0}).axes
    assert [bar.get_width() for bar in axes.patches] == [100, 150, 80]
    assert [lines.get_segments()[0][0][0] for lines in axes.collections] == [200, 300]
    assert texts(axes) == [
        "separable, floor of the memory 200 images/s",
        "eager: 100",
        "recorded: 150",
        "twin, floor of the memory 300 images/s",
        "eager: 80",
    ]
    assert axes.get_xlim()[1] > 300
