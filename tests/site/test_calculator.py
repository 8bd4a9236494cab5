"""The calculator in a real browser, alone in a file."""

import random
import re

import pytest

from dsconv_lib import cost, spec
from dsconv_lib.interactive.calculator import Calculator

LIMITS = {
    "in_size": 224,
    "kernel_size": 11,
    "in_channels": 1024,
    "out_channels": 1024,
    "stride": 4,
    "padding": 5,
    "multiplier": 8,
}
OPERATIONS = ["standard", "depthwise", "pointwise", "separable"]


@pytest.fixture
def figure():
    return Calculator()


def box(page, title):
    return page.get_by_label(f"{title}, as a number")


def settings(count):
    """Random settings, among them many on the edges of what a convolution can be."""
    draw = random.Random(0)
    while count:
        small = draw.random() < 0.5
        values = {
            name: draw.randint(int(name != "padding"), min(most, 12) if small else most)
            for name, most in LIMITS.items()
        }
        if draw.random() < 0.3:
            values |= {"padding": "same", "stride": 1}
        elif values["kernel_size"] > values["in_size"] + 2 * values["padding"]:
            continue
        count -= 1
        yield values


def expected(values):
    """The library's four costs, as rows of MACs, weights and bytes."""
    sizes = dict(values)
    halves = spec.separable(**sizes)
    both = cost.of(spec.separable(**sizes))
    del sizes["multiplier"]
    rows = [
        cost.of(spec.standard(**sizes)),
        cost.of(halves.depthwise),
        cost.of(halves.pointwise),
        both,
    ]
    return [[row.macs, row.params, row.bytes()] for row in rows]


def numbers(text):
    return [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)]


def test_the_module_counts_as_the_library_does(page):
    drawn = list(settings(5000))
    found = page.evaluate(
        """async ([source, settings]) => {
            const { compute } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(source));
            return settings.map(compute);
        }""",
        [str(Calculator._esm), drawn],
    )
    for values, costs in zip(drawn, found, strict=True):
        rows = [[costs[name][k] for k in ("macs", "params", "bytes")] for name in OPERATIONS]
        assert rows == expected(values), values
        assert (costs["out_size"],) * 2 == spec.separable(**values).depthwise.out_size


# Puts settings into the boxes as a reader would, and reads the whole figure after each.
TYPE = """(settings) => {
    const root = document.querySelector('[role=group]').shadowRoot;
    const boxes = [...root.querySelectorAll('input[type=number]')];
    const tick = root.querySelector('input[type=checkbox]');
    const names = ['in_size', 'kernel_size', 'in_channels', 'out_channels', 'stride', 'padding', 'multiplier'];
    const enter = (name, value) => {
        const box = boxes[names.indexOf(name)];
        box.value = value;
        box.dispatchEvent(new Event('input'));
        box.dispatchEvent(new Event('change'));
    };
    return settings.map((values) => {
        // First into a state from which every other can be reached.
        if (tick.checked) tick.click();
        enter('padding', 5);
        enter('in_size', 224);
        for (const name of names.filter((n) => n !== 'padding' && n !== 'in_size')) enter(name, values[name]);
        enter('in_size', values.in_size);
        if (values.padding === 'same') tick.click();
        else enter('padding', values.padding);
        return {
            notice: root.querySelector('[role=alert]').textContent,
            result: root.querySelector('[aria-live]').textContent,
            rows: [...root.querySelectorAll('tbody tr')].map((r) => [...r.children].map((c) => c.textContent)),
            ratio: root.querySelector('.ratio').textContent,
            bars: [...root.querySelectorAll('.bar div')].map((b) => parseFloat(b.style.width)),
            agree: boxes.every((b) => b.value === b.parentElement.querySelector('[type=range]').value),
        };
    });
}"""


def test_every_number_it_shows_is_the_library_s(page):
    drawn = list(settings(500))
    for values, shown in zip(drawn, page.evaluate(TYPE, drawn), strict=True):
        rows = expected(values)
        assert shown["notice"] == "", values
        assert [
            [name, *(f"{n:,}" for n in row)] for name, row in zip(OPERATIONS, rows, strict=True)
        ] == shown["rows"], values
        macs = dict(zip(OPERATIONS, (row[0] for row in rows), strict=True))
        sentence, compared = shown["result"].rsplit(", ", 1)
        assert numbers(sentence) == [macs[n] for n in OPERATIONS], values
        few, many = sorted([macs["standard"], macs["separable"]])
        if many == few:
            assert compared == "exactly as many."
        else:
            factor, words = compared.split(" ", 1)
            assert abs(float(factor) - many / few) <= 0.005000001, values
            assert words == ("times fewer." if many == macs["standard"] else "times as many.")
        parts = [float(n) for n in re.findall(r"\d+\.\d{4}", shown["ratio"])]
        wanted = [macs[n] / macs["standard"] for n in ("depthwise", "pointwise", "separable")]
        assert parts == pytest.approx(wanted, abs=0.000051)
        widths = [100 * macs[n] / many for n in OPERATIONS[:3]]
        assert shown["bars"] == pytest.approx(widths, abs=0.001)
        assert shown["agree"], values


def test_the_keyboard_moves_it_and_the_result_is_announced(page):
    live = page.locator("[aria-live=polite]")
    assert live.inner_text() == Calculator().sentence
    page.keyboard.press("Tab")
    focused = "document.querySelector('[role=group]').shadowRoot.activeElement.ariaLabel"
    assert page.evaluate(focused) == "input size"
    page.keyboard.press("ArrowRight")
    assert box(page, "input size").input_value() == "9"
    assert live.inner_text() == Calculator(in_size=9).sentence
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert live.inner_text() == Calculator(in_size=10).sentence
    for title in ["kernel size", "input channels"]:
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == title
        page.keyboard.press("Tab")
        page.keyboard.press("Control+a")
        page.keyboard.type("7")
        assert box(page, title).input_value() == "7"
    assert live.inner_text() == Calculator(in_size=10, kernel_size=7, in_channels=7).sentence


def test_a_finger_moves_it(phone):
    slider = phone.get_by_label("output channels", exact=True)
    slider.scroll_into_view_if_needed()
    place = slider.bounding_box()
    assert place["height"] >= 44
    phone.touchscreen.tap(place["x"] + place["width"] - 2, place["y"] + place["height"] / 2)
    assert box(phone, "output channels").input_value() == "1024"
    assert phone.locator("[aria-live]").inner_text() == Calculator(out_channels=1024).sentence


def test_what_cannot_be_is_not_taken_and_it_says_why(page):
    notice, live = page.get_by_role("alert"), page.locator("[aria-live]")
    page.get_by_label("stride", exact=True).press("ArrowRight")
    assert "“same” goes with stride 1 only" in notice.inner_text()
    assert notice.inner_text().endswith("Taken instead: stride 1.")
    assert live.inner_text() == Calculator().sentence

    page.get_by_label("same").click()
    page.get_by_label("stride", exact=True).press("ArrowRight")
    assert notice.inner_text() == ""
    assert live.inner_text() == Calculator(stride=2, padding=2).sentence
    page.get_by_label("same").click()
    assert "“same” goes with stride 1 only" in notice.inner_text()
    assert not page.get_by_label("same").is_checked()

    page.get_by_label("padding", exact=True).press("Home")
    page.get_by_label("kernel size", exact=True).press("End")
    reason = "A kernel of 11 × 11 does not fit into the padded input of 8 × 8."
    assert notice.inner_text() == f"{reason} Taken instead: kernel size 8."
    assert live.inner_text() == Calculator(stride=2, padding=0, kernel_size=8).sentence

    channels = box(page, "output channels")
    for typed, kept in [("5000", "1024"), ("", "1024"), ("2.5", "3"), ("-4", "1")]:
        channels.fill(typed)
        assert (
            notice.inner_text() == "Expected a whole number from 1 to 1024 for the output channels."
        )
        channels.press("Enter")
        channels.blur()
        assert channels.input_value() == kept
    page.get_by_label("stride", exact=True).press("Home")
    assert notice.inner_text() == ""


def test_its_longest_numbers_fit_a_phone(page):
    for name in ["input size", "kernel size", "input channels", "output channels"]:
        page.get_by_label(name, exact=True).press("End")
    page.get_by_label("depth multiplier", exact=True).press("End")
    largest = {name: most for name, most in LIMITS.items() if name not in ("stride", "padding")}
    assert page.locator("[aria-live]").inner_text() == Calculator(**largest).sentence
    assert page.evaluate("document.scrollingElement.scrollWidth") == 375


def test_two_on_a_page_are_both_whole(page, figure, tmp_path):
    path = tmp_path / "two.html"
    path.write_text('<meta charset="utf-8">' + 2 * figure.static_html(), encoding="utf-8")
    page.goto(path.as_uri())
    first, second = (page.get_by_role("group").nth(n).locator(".form") for n in (0, 1))
    second.wait_for()
    assert "input size DF" in " ".join(first.inner_text().split())
    assert first.inner_text() == second.inner_text()
