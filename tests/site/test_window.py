"""The sliding window in a real browser, alone in a file: every step against the library's loops."""

import re
from math import prod

import numpy as np
import pytest

from dsconv_lib import cost, loops, ops, spec
from dsconv_lib.interactive.window import ARRAYS, HALVES, SlidingWindow

LOOPS = {"standard": loops.standard, "depthwise": loops.depthwise, "pointwise": loops.pointwise}
BACKWARD = {
    "standard": ops.standard_backward,
    "depthwise": ops.depthwise_backward,
    "pointwise": ops.pointwise_backward,
}
SPECS = {
    "standard": spec.standard(3, 4, 5, 3),
    "depthwise": spec.depthwise(3, 5, 3),
    "pointwise": spec.pointwise(3, 4, 3),
}
GONE = {"standard": {}, "depthwise": {"m": "m = n"}, "pointwise": {"u": "u = 0", "v": "v = 0"}}
NOTES = {
    "standard": "All seven loops run.",
    "depthwise": "The loop over the input channels is gone.",
    "pointwise": "Both loops over the kernel are gone.",
}
ROOT = "document.querySelector('[role=group]').shadowRoot"


@pytest.fixture
def figure():
    return SlidingWindow()


# Goes through all steps with the button and reads the whole figure at each. What is framed is seen, not asked for:
# the cells whose centre lies under the frame.
READ = """() => {
    const root = document.querySelector('[role=group]').shadowRoot;
    const next = [...root.querySelectorAll('button')].find((b) => b.textContent === 'Next');
    const text = (selector) => root.querySelector(selector).textContent;
    const grid = (element) => {
        const cells = [...element.querySelectorAll('span')];
        const frame = element.querySelector('.frame').getBoundingClientRect();
        const under = (cell) => {
            const box = cell.getBoundingClientRect();
            const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
            return frame.left < x && x < frame.right && frame.top < y && y < frame.bottom;
        };
        return {
            numbers: cells.map((c) => c.textContent.replace('−', '-')),
            framed: cells.flatMap((c, k) => (under(c) ? [k] : [])),
            bold: cells.flatMap((c, k) => (c.className ? [k] : [])),
            label: element.getAttribute('aria-label'),
        };
    };
    const read = () => ({
        grids: [...root.querySelectorAll('.grid')].map(grid),
        titles: [...root.querySelectorAll('.part div:not(.grid, .frame)')].map((t) => t.textContent).filter(Boolean),
        equation: text('.equation'),
        count: text('.result p + p'),
        position: text('.position'),
        sentence: text('[aria-live]'),
        note: text('.note'),
        lines: [...root.querySelectorAll('li')].map((l) => l.innerText.split('\\n')),
        struck: [...root.querySelectorAll('s')].map((s) => s.textContent),
        done: [...root.querySelectorAll('.bar')].map((b) => parseFloat(b.style.getPropertyValue('--done'))),
        slider: Number(root.querySelector('[type=range]').value),
        last: next.getAttribute('aria-disabled') === 'true',
    });
    const all = [read()];
    while (!all.at(-1).last) {
        next.click();
        all.push(read());
    }
    return all;
}"""


def choose(page, operation):
    page.get_by_role("radio", name=re.compile(f"^{operation}")).check()


def position(page):
    return int(page.get_by_label("step", exact=True).input_value())


def expected(operation):
    """Every step as the library makes it: one output number at a time, through `loops`."""
    macs = 0
    for half in HALVES[operation]:
        x, weight = ARRAYS[half]
        whole, _ = LOOPS[half](x, weight)
        for n, i, j in np.ndindex(whole.shape[1:]):
            one = np.zeros_like(whole)
            one[0, n, i, j] = 1
            # The gradients of this number alone, with ones for the other factor: which numbers are read at all.
            read, _ = BACKWARD[half](one, x, np.ones_like(weight))
            _, taps = BACKWARD[half](one, np.ones_like(x), weight)
            rows, columns = weight.shape[2:]
            window = x[:, :, i : i + rows, j : j + columns]
            channels = [n] if half == "depthwise" else list(range(x.shape[1]))
            only = window[:, channels]
            y, made = LOOPS[half](only, weight[n : n + 1])
            assert y.item() == whole[0, n, i, j]
            macs += made
            yield half, (n, i, j), channels, only[0] * weight[n], whole, read[0], taps, macs


def cells(array):
    return [f"{number:z.0f}" for number in array.ravel()]


def places(mask):
    return list(np.flatnonzero(mask))


@pytest.mark.parametrize("operation", HALVES)
def test_every_number_of_every_step_is_the_library_s(page, operation):
    page.emulate_media(reduced_motion="reduce")
    choose(page, operation)
    shown = page.evaluate(READ)
    total = sum(cost.of(SPECS[half]).macs for half in HALVES[operation])
    steps = list(expected(operation))
    assert steps[-1][-1] == total
    assert len(shown) == len(steps)
    for step, (state, wanted) in enumerate(zip(shown, steps, strict=True), 1):
        half, (n, i, j), channels, products, whole, read, taps, macs = wanted
        x, weight = ARRAYS[half]
        grids = state["grids"]
        assert all(grid["framed"] == grid["bold"] for grid in grids)
        size = weight.shape[-1] ** 2
        for m in range(3):
            image, kernel, product = grids[3 * m : 3 * m + 3]
            assert image["numbers"] == cells(x[0, m])
            assert image["framed"] == places(read[m])
            of_filter, of_channel = (m, 0) if half == "depthwise" else (n, m)
            assert kernel["numbers"] == cells(weight[of_filter, of_channel])
            assert kernel["framed"] == places(taps[of_filter, of_channel])
            assert f"filter {of_filter} for channel {m}" in kernel["label"]
            used = m in channels
            values = cells(products[channels.index(m)]) if used else [""] * size
            assert product["numbers"] == values
            assert product["framed"] == (list(range(size)) if used else [])
            covered = " ".join(cells(x[0, m][read[m] != 0])).replace("-", "−")
            said = image["label"].replace(",", "")
            assert said == (
                f"Input channel {m} in the window: {covered}"
                if used
                else f"Input channel {m} not read in this step"
            )
        written = whole[0].ravel()[: np.ravel_multi_index((n, i, j), whole.shape[1:]) + 1]
        blank = cells(written) + [""] * (whole[0].size - len(written))
        assert [number for grid in grids[9:] for number in grid["numbers"]] == blank
        framed = [(c, k) for c, grid in enumerate(grids[9:]) for k in grid["framed"]]
        assert framed == [(n, i * whole.shape[3] + j)]

        sums = products.sum(axis=(1, 2))
        names = [range(3)] * 2 if half == "depthwise" else [[n] * 3, range(len(whole[0]))]
        titles = [f"sum {s:z.0f}".replace("-", "−") for s in sums] if size > 1 else []
        titles += [f"channel {m}" for m in range(3)] + [f"filter {k}" for k in names[0]]
        assert sorted(state["titles"]) == sorted(titles + [f"channel {c}" for c in names[1]])
        left, *right = state["equation"].replace("−", "-").replace("- ", "-").split(" = ")
        assert left == f"y[0, {n}, {i}, {j}]"
        assert int(right[-1]) == whole[0, n, i, j]
        assert [int(s) for s in right[0].replace("+ ", "").split()] == list(sums)
        assert state["count"] == f"{macs} of {total} multiplications"
        assert state["position"] == f"step {step} of {len(steps)}"
        assert state["slider"] == step
        assert state["sentence"] == SlidingWindow(operation=operation, step=step).sentence
        assert NOTES[half] in state["note"]
        share = [100 * macs / total if name == operation else 0 for name in HALVES]
        assert state["done"] == pytest.approx(share)

        # The loops that are left make the operation's multiplications, and stand at this output number.
        loop = {}
        for line, value in state["lines"][:7]:
            name, count = re.fullmatch(r"for (\w) in range\((\d)\):", line).groups()
            loop[name] = (int(count), value)
        gone = GONE[half]
        assert list(loop) == list("bnijmuv")
        assert [line[4] for line in state["struck"]] == list(gone)
        assert {name: loop[name][1] for name in gone} == {k: f"gone: {v}" for k, v in gone.items()}
        left = {name: count for name, (count, _) in loop.items() if name not in gone}
        assert prod(left.values()) == cost.of(SPECS[half]).macs == loops.trips(SPECS[half])
        for name, index in zip("bnij", (0, n, i, j), strict=True):
            assert loop[name][1] == f"{name} = {index}"
        for name in set("muv") - set(gone):
            assert loop[name][1] == f"{name} = 0 … {left[name] - 1}"
        assert state["lines"][-1] == ["macs += 1", f"macs = {macs}"]


@pytest.mark.parametrize("operation", HALVES)
def test_the_choices_state_their_cost_to_scale(page, operation):
    label = page.locator(f"label.{operation}")
    macs = sum(cost.of(SPECS[half]).macs for half in HALVES[operation])
    assert label.inner_text().split() == [operation, str(macs)]
    whole, part = (page.locator(f"label.{name} .bar") for name in ("standard", operation))
    ratio = part.bounding_box()["width"] / whole.bounding_box()["width"]
    assert ratio == pytest.approx(macs / cost.of(SPECS["standard"]).macs, abs=0.01)


def test_the_innermost_lines_are_the_loops_own(page):
    """The lines on the page, run as Python inside the loops that are left, give the library's output."""
    for half in LOOPS:
        choose(page, half)
        x, weight = ARRAYS[half]
        lines = [line.split("\n")[0] for line in page.locator("li").all_inner_texts()]
        body = [f"{' ' * 7}{line}" for line in lines[7:]]
        nest = [
            f"{' ' * depth}for {line[4]} in range(1):"
            if line[4] in GONE[half]
            else " " * depth + line
            for depth, line in enumerate(lines[:7])
        ]
        if half == "depthwise":
            body.insert(0, f"{' ' * 7}m = n")
        names = {"x": x, "weight": weight, "macs": 0, "y": np.zeros(SPECS[half].output_shape(1))}
        exec("\n".join(nest + body), names)
        y, macs = LOOPS[half](x, weight)
        assert np.array_equal(names["y"], y)
        assert names["macs"] == macs


def test_the_keyboard_moves_it_and_the_result_is_announced(page):
    live = page.locator("[aria-live=polite]")
    assert live.inner_text() == SlidingWindow().sentence
    focused = f"{ROOT}.activeElement"
    outline = f"getComputedStyle({focused}.closest('label') ?? {focused}).outlineWidth"

    page.keyboard.press("Tab")
    assert page.evaluate(outline) == "3px"
    page.keyboard.press("ArrowRight")
    assert live.inner_text() == SlidingWindow(operation="depthwise").sentence
    for text in ["Back", "Play", "Next"]:
        page.keyboard.press("Tab")
        assert page.evaluate(f"{focused}.textContent") == text
        assert page.evaluate(outline) == "3px"
    page.keyboard.press("Enter")
    assert live.inner_text() == SlidingWindow(operation="depthwise", step=2).sentence
    page.keyboard.press("Space")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert live.inner_text() == SlidingWindow(operation="depthwise", step=2).sentence
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}.ariaLabel") == "step"
    assert page.evaluate(outline) == "3px"
    page.keyboard.press("End")
    assert live.inner_text() == SlidingWindow(operation="depthwise", step=27).sentence
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"{focused}.ariaValueText") == "step 26 of 27"
    # A new operation begins at its first step.
    choose(page, "separable")
    assert live.inner_text() == SlidingWindow(operation="separable").sentence


def test_a_finger_moves_it(phone):
    live = phone.locator("[aria-live]")
    for target in phone.locator("button, label, input[type=range]").all():
        assert target.bounding_box()["height"] >= 44
        assert target.bounding_box()["width"] >= 44
    phone.locator("label.pointwise").tap()
    phone.get_by_role("button", name="Next").tap()
    assert live.inner_text() == SlidingWindow(operation="pointwise", step=2).sentence
    back = phone.get_by_role("button", name="Back")
    back.tap()
    assert back.get_attribute("aria-disabled") == "true"
    back.tap(force=True)
    assert live.inner_text() == SlidingWindow(operation="pointwise").sentence
    place = phone.get_by_label("step", exact=True).bounding_box()
    phone.touchscreen.tap(place["x"] + place["width"] - 2, place["y"] + place["height"] / 2)
    assert live.inner_text() == SlidingWindow(operation="pointwise", step=36).sentence


def test_it_plays_stops_and_says_nothing_meanwhile(page):
    live = page.locator("[aria-live]")
    page.evaluate(
        f"""() => {{
            window.said = 0;
            const observer = new MutationObserver(() => window.said++);
            const everything = {{ childList: true, subtree: true, characterData: true }};
            observer.observe({ROOT}.querySelector('[aria-live]'), everything);
        }}"""
    )
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"{ROOT}.querySelector('[type=range]').value >= 3")
    assert page.evaluate("window.said") == 0
    page.get_by_role("button", name="Pause").click()
    stopped = position(page)
    assert live.inner_text() == SlidingWindow(step=stopped).sentence
    page.wait_for_timeout(2000)
    assert position(page) == stopped

    # Whatever else the reader moves stops it as well.
    for move in [
        lambda: page.get_by_role("button", name="Next").click(),
        lambda: page.get_by_label("step", exact=True).press("ArrowRight"),
        lambda: choose(page, "depthwise"),
    ]:
        page.get_by_role("button", name="Play").click()
        move()
        assert page.get_by_role("button", name="Play").is_visible()
    assert live.inner_text() == SlidingWindow(operation="depthwise").sentence

    # It ends at the last step, and begins again from there.
    page.get_by_label("step", exact=True).press("End")
    page.get_by_role("button", name="Back").click()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Play").wait_for()
    assert live.inner_text() == SlidingWindow(operation="depthwise", step=27).sentence
    page.get_by_role("button", name="Play").click()
    assert position(page) == 1
    page.get_by_role("button", name="Pause").click()


@pytest.mark.parametrize("width", [1280, 560, 375, 320])
def test_nothing_moves_but_the_frames(page, width):
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    boxes = """() => {
        const root = document.querySelector('[role=group]').shadowRoot;
        const next = root.querySelectorAll('button')[2];
        const parts = 'fieldset, button, .controls input, .result, .picture, .grid, ol, li, .note';
        const fixed = (element) => {
            const { left, top, width, height } = element.getBoundingClientRect();
            return [left, top, width, height].join(' ');
        };
        const half = () => root.querySelector('.main').className;
        const seen = { figure: new Set(), shifted: new Set() };
        for (const radio of root.querySelectorAll('[type=radio]')) {
            radio.click();
            let before;
            do {
                if (before) next.click();
                const now = [half(), ...[...root.querySelectorAll(parts)].map(fixed)];
                if (before && before[0] === now[0] && before.join() !== now.join()) seen.shifted.add(now[0]);
                before = now;
                seen.figure.add(root.querySelector('.figure').offsetHeight);
            } while (next.getAttribute('aria-disabled') !== 'true');
        }
        return { figure: seen.figure.size, shifted: [...seen.shifted], wide: document.scrollingElement.scrollWidth };
    }"""
    assert page.evaluate(boxes) == {"figure": 1, "shifted": [], "wide": width}


@pytest.mark.parametrize("figure", [SlidingWindow(operation="pointwise", step=17)])
def test_it_begins_where_python_says(page, figure):
    assert page.locator("[aria-live]").inner_text() == figure.sentence
    assert page.get_by_role("radio", checked=True).count() == 1
    assert page.get_by_role("radio", name=re.compile("^pointwise")).is_checked()
    assert position(page) == 17


def test_two_on_a_page_are_independent(page, figure, tmp_path):
    path = tmp_path / "two.html"
    other = SlidingWindow(operation="separable", step=30)
    head = '<!doctype html><meta charset="utf-8"><title>t</title>'
    path.write_text(head + figure.static_html() + other.static_html(), encoding="utf-8")
    page.goto(path.as_uri())
    first, second = page.locator("[aria-live]").all()
    first.wait_for()
    second.wait_for()
    page.locator("label.depthwise").first.click()
    page.get_by_role("button", name="Next").first.click()
    assert first.inner_text() == SlidingWindow(operation="depthwise", step=2).sentence
    assert second.inner_text() == other.sentence
    assert page.locator("label.separable input").last.is_checked()
