"""The interactive roofline in a real browser, alone in a file: every number and every dot against `roofline`."""

import math
import random
import re

import pytest

from dsconv_lib.interactive.roofline import RooflineFigure
from dsconv_lib.roofline import floor

LAYER = {"in_size": 224, "kernel_size": 11, "in_channels": 1024, "out_channels": 1024, "batch": 512}
MACHINE = {"peak": 70_000, "memory": 70_000, "cache_size": 1024, "cache": 70_000}
ROWS = {
    "standard": "standard",
    "depthwise": "depthwise",
    "pointwise": "pointwise",
    "passes": "separable, two passes",
    "fused": "separable, fused",
}
SECONDS = {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "ps": 1e-12}
POWERS = {f"10{sign}": 10.0**e for e, sign in enumerate("³⁴⁵⁶⁷⁸⁹", start=3)}
# What lies on an edge: a working set of exactly the cache, FLOP and bytes that take the same time, the least, the most.
ONE = {"in_size": 1, "kernel_size": 1, "in_channels": 1, "out_channels": 1, "cache_size": 0}
FULL = {"in_size": 8, "kernel_size": 1, "in_channels": 256, "out_channels": 256, "batch": 6}
EDGES = [
    {**FULL, "peak": 70_000},
    {**ONE, "peak": 1, "memory": 6},
    {**ONE, "memory": 70_000, "peak": 70_000},
    {**LAYER, **MACHINE, "memory": 1, "cache": 1},
]


@pytest.fixture
def figure():
    return RooflineFigure()


def settings(count):
    """Random settings, small ones as often as large ones."""
    draw = random.Random(0)
    yield from (RooflineFigure(**edge).values() for edge in EDGES)
    for _ in range(count):
        values = {
            name: round(math.exp(draw.uniform(0, math.log(most))))
            for name, most in (LAYER | MACHINE).items()
        }
        yield values | {"cache_size": draw.choice([0, values["cache_size"]])}


def expected(values):
    """FLOP, bytes, seconds and what binds, by the library."""
    figure = RooflineFigure(**values)
    rows = {}
    for name, work in figure.works.items():
        least = floor(work, figure.device)
        place = figure.device.level(work.bytes).name
        bound = "compute" if least.bound == "compute" else place
        rows[name] = {
            "flops": work.flops,
            "bytes": work.bytes,
            "seconds": least.seconds,
            "bounds": [bound],
        }
    first, second = rows["depthwise"], rows["pointwise"]
    passes = {key: first[key] + second[key] for key in first}
    fused = rows.pop("fused")
    return {**rows, "passes": passes, "fused": fused}


def test_the_module_counts_as_the_library_does(page):
    drawn = list(settings(1000))
    found = page.evaluate(
        """async ([source, settings]) => {
            const { compute } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(source));
            return settings.map(compute);
        }""",
        [str(RooflineFigure._esm), drawn],
    )
    seen = set()
    for values, works in zip(drawn, found, strict=True):
        assert works == expected(values), values
        seen |= {bound for work in works.values() for bound in work["bounds"]}
    assert seen == {"compute", "memory", "cache"}


# Puts settings into the boxes as a reader would, and reads the whole figure after each.
TYPE = """([settings, names]) => {
    const root = document.querySelector('[role=group]').shadowRoot;
    const all = (selector) => [...root.querySelectorAll(selector)];
    const boxes = all('input[type=number]');
    const middle = ({ left, right, top, bottom }) => [(left + right) / 2, (top + bottom) / 2];
    const place = (element) => middle(element.getBoundingClientRect());
    const sides = ({ left, right, top, bottom }) => [left, right, top, bottom];
    return settings.map((values) => {
        names.forEach((name, k) => {
            boxes[k].value = values[name];
            for (const kind of ['input', 'change']) boxes[k].dispatchEvent(new Event(kind));
        });
        return {
            result: root.querySelector('[aria-live]').textContent,
            rows: all('tbody tr').map((row) => [...row.children].map((cell) => cell.textContent)),
            boxes: boxes.map((box) => box.valueAsNumber),
            ticks: ['x', 'y'].map((axis) =>
                all(`[data-axis=${axis}]`).map((tick) => [tick.textContent, ...place(tick)])),
            dots: Object.fromEntries(all('.dot').map((dot) => [dot.dataset.name, place(dot)])),
            names: all('.hung').map((name) => sides(name.getBoundingClientRect())),
            leaders: all('.leader').map((leader) => sides(leader.getBoundingClientRect())),
            roofs: all('.roof').map((roof) => roof.classList.contains('cached')),
            frame: sides(root.querySelector('svg').getBoundingClientRect()),
        };
    });
}"""


def number(text):
    return POWERS.get(text) or float(text.replace(",", ""))


def check_table(values, shown, rows):
    assert shown["result"] == RooflineFigure(**values).sentence
    for cells, (name, row) in zip(shown["rows"], rows.items(), strict=True):
        title, flops, moved, intensity, least, bound = cells
        assert (title, flops, moved) == (ROWS[name], f"{row['flops']:,}", f"{row['bytes']:,}")
        assert number(intensity) == pytest.approx(row["flops"] / row["bytes"], rel=0.005)
        time, unit = least.split("\xa0")
        assert number(time) * SECONDS[unit] == pytest.approx(row["seconds"], rel=0.005)
        assert bound.split(", ") == list(dict.fromkeys(row["bounds"]))


def scale(ticks, along):
    """A function from a number to its place on an axis, read off the axis's first and last tick."""
    (low, *start), (high, *end) = ticks[0], ticks[-1]
    decades = math.log10(number(high) / number(low))
    step = (end[along] - start[along]) / decades
    return lambda value: start[along] + step * math.log10(value / number(low))


def check_picture(values, shown, rows):
    x, y = (scale(ticks, along) for along, ticks in enumerate(shown["ticks"]))
    left, right, top, bottom = shown["frame"]
    for name, (across, down) in shown["dots"].items():
        row = rows[name]
        assert across == pytest.approx(x(row["flops"] / row["bytes"]), abs=1), name
        # A tick's text stands on its line's level but for a pixel or two.
        assert down == pytest.approx(y(row["flops"] / row["seconds"] / 1e9), abs=2.5), name
        assert left < across < right
        assert top < down < bottom
    assert shown["roofs"] == [False, True][: 1 + (values["cache_size"] > 0)]
    for k, (start, end, above, below) in enumerate(shown["names"]):
        assert left <= start
        assert end <= right
        for other, (at, _, upper, lower) in enumerate(shown["leaders"]):
            crosses = start < at < end and upper < below - 2 and above + 2 < lower
            assert other == k or not crosses


def test_every_number_and_every_dot_is_the_library_s(page):
    drawn = list(settings(150))
    names = [*LAYER, *MACHINE]
    for values, shown in zip(drawn, page.evaluate(TYPE, [drawn, names]), strict=True):
        rows = expected(values)
        assert shown["boxes"] == [values[name] for name in names]
        check_table(values, shown, rows)
        check_picture(values, shown, rows)


def test_the_keyboard_moves_it_and_the_result_is_announced(page):
    live = page.locator("[aria-live=polite]")
    focused = "document.querySelector('[role=group]').shadowRoot.activeElement"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.ariaLabel") == "image size"
    page.keyboard.press("ArrowRight")
    assert live.inner_text() == RooflineFigure(in_size=113).sentence
    # The sliders of what goes over many sizes go in larger and larger steps, and say where they are.
    for name, key, value in [
        ("input channels", "ArrowRight", 64),
        ("peak, GFLOP/s", "ArrowRight", 150),
        ("cache, MiB", "Home", 0),
        ("memory, GB/s", "End", 70_000),
    ]:
        page.get_by_label(name, exact=True).press(key)
        assert page.evaluate(f"{focused}.ariaValueText") == f"{value:,}"
        assert page.get_by_label(f"{name}, as a number").input_value() == str(value)
    values = {"in_size": 113, "in_channels": 64, "peak": 150, "cache_size": 0, "memory": 70_000}
    assert live.inner_text() == RooflineFigure(**values).sentence
    # Between two steps a slider goes on from where the box is.
    page.get_by_label("peak, GFLOP/s, as a number").fill("160")
    page.get_by_label("peak, GFLOP/s", exact=True).press("ArrowRight")
    assert live.inner_text() == RooflineFigure(**values | {"peak": 200}).sentence


def test_a_finger_moves_it(phone):
    for slider in phone.locator("input[type=range]").all():
        assert slider.bounding_box()["height"] >= 44
    slider = phone.get_by_label("batch", exact=True)
    slider.scroll_into_view_if_needed()
    place = slider.bounding_box()
    phone.touchscreen.tap(place["x"] + place["width"] - 2, place["y"] + place["height"] / 2)
    assert phone.locator("[aria-live]").inner_text() == RooflineFigure(batch=512).sentence


def test_what_cannot_be_is_not_taken_and_it_says_why(page):
    box = page.get_by_label("peak, GFLOP/s, as a number")
    box.fill("0")
    notice = page.get_by_role("alert").filter(has_text="Expected")
    assert notice.inner_text() == "Expected a whole number from 1 to 70000 for the peak, GFLOP/s."
    assert page.locator("[aria-live]").inner_text() == RooflineFigure().sentence
    box.blur()
    assert box.input_value() == "1"
    assert page.locator("[aria-live]").inner_text() == RooflineFigure(peak=1).sentence


def test_its_longest_numbers_fit_a_phone(page):
    for slider in page.locator("input[type=range]").all():
        slider.press("End")
    assert page.locator("[aria-live]").inner_text() == RooflineFigure(**LAYER, **MACHINE).sentence
    assert re.search(r"6,5\d\d(,\d{3}){4}", page.locator("tbody tr").first.inner_text())
    assert page.evaluate("document.scrollingElement.scrollWidth") == 375


@pytest.mark.parametrize("figure", [RooflineFigure(in_size=14, peak=67_000, cache_size=50)])
def test_it_begins_where_python_says(page, figure):
    assert page.locator("[aria-live]").inner_text() == figure.sentence
    assert page.get_by_label("cache, MiB, as a number").input_value() == "50"
