"""The three linked levels in a real browser, alone in a file."""

import functools
import itertools
import random
import re
from math import prod

import pytest
from traitlets import TraitError

from dsconv_lib import cost
from dsconv_lib.interactive.levels import UNITS, Levels
from dsconv_lib.networks import mobilenet_v1_layers

NAMES = [layer.name for layer in mobilenet_v1_layers()]
PUBLISHED = list(itertools.product([1.0, 0.75, 0.5, 0.25], [224, 192, 160, 128]))
KINDS = {"stem": "standard", "depthwise": "depthwise", "pointwise": "pointwise"}


@pytest.fixture
def figure():
    return Levels()


def count(own, measure):
    return {"macs": own.macs, "params": own.params, "bytes": own.bytes()}[measure]


def settings():
    """Every layer of every published model, the measures in turn, and random ones in between."""
    measures = itertools.cycle(UNITS)
    for (alpha, resolution), layer in itertools.product(PUBLISHED, NAMES):
        yield {
            "alpha": alpha,
            "resolution": resolution,
            "measure": next(measures),
            "layer": layer,
        }
    draw = random.Random(0)
    for _ in range(500):
        yield {
            "alpha": draw.randint(25, 100) / 100,
            "resolution": 8 * draw.randint(4, 28),
            "measure": draw.choice(list(UNITS)),
            "layer": draw.choice(NAMES),
        }


@functools.cache
def network(alpha, resolution):
    """The layers, and for each of them what stands in the place of its block if that is standard."""
    layers = mobilenet_v1_layers(alpha, resolution)
    stem, *blocks, classifier = mobilenet_v1_layers(alpha, resolution, separable=False)
    return layers, [stem, *(twin for block in blocks for twin in (block, block)), classifier]


@functools.cache
def counts(alpha, resolution, measure):
    layers, _ = network(alpha, resolution)
    return [count(cost.of(layer), measure) for layer in layers]


def test_the_module_counts_as_the_library_does(page):
    draw = random.Random(1)
    models = [(draw.randint(1, 200) / 100, draw.randint(1, 300)) for _ in range(300)]
    found = page.evaluate(
        """async ([source, models]) => {
            const { network } = await import("data:text/javascript;charset=utf-8," + encodeURIComponent(source));
            return models.map((model) => network(...model));
        }""",
        [str(Levels._esm), models],
    )
    for model, shown in zip(models, found, strict=True):
        layers, twins = network(*model)
        for layer, twin, one in zip(layers, twins, shown, strict=True):
            spec, own = layer.spec, cost.of(layer)
            assert {
                "name": layer.name,
                "kind": layer.kind,
                "in_channels": spec.in_channels,
                "out_channels": spec.out_channels,
                "in_size": spec.in_size[0],
                "out_size": spec.out_size[0],
                "kernel_size": spec.kernel_size[0],
                "stride": spec.stride[0],
                "window": prod(spec.weight_shape[1:]),
                "outputs": own.writes,
                "macs": own.macs,
                "params": own.params,
                "bytes": own.bytes(),
                "trainable": layer.trainable,
            }.items() <= one.items(), model
            if twin.name != layer.name:
                assert one["twin"]["macs"] == cost.of(twin).macs
                assert one["twin"]["bytes"] == cost.of(twin).bytes()


# Chooses as a reader would, and reads the whole figure after each choice. A published model comes from the list.
CHOOSE = """(settings) => {
    const root = document.querySelector('[role=group]').shadowRoot;
    const all = (selector) => [...root.querySelectorAll(selector)];
    const text = (selector) => root.querySelector(selector).textContent;
    const texts = (selector, under = root) => [...under.querySelectorAll(selector)].map((e) => e.textContent);
    const [alpha, resolution] = all('[type=range]');
    const published = root.querySelector('select');
    const height = (element) => parseFloat(element.style.height);
    return settings.map((wanted) => {
        const model = `${wanted.alpha} ${wanted.resolution}`;
        if ([...published.options].some((option) => option.value === model)) {
            published.value = model;
            published.dispatchEvent(new Event('change'));
        } else {
            for (const [slider, value] of [[alpha, wanted.alpha], [resolution, wanted.resolution]]) {
                slider.value = value;
                slider.dispatchEvent(new Event('input'));
            }
        }
        for (const name of ['measure', 'layer']) root.querySelector(`[name=${name}][value="${wanted[name]}"]`).click();
        return {
            result: text('[aria-live]'),
            model: published.selectedOptions[0].textContent,
            sliders: [alpha.value, resolution.value],
            outputs: texts('output'),
            totals: texts('.measures b'),
            checked: all('input:checked').map((input) => input.value),
            bars: all('.bar').map((bar) => [
                bar.querySelector('input').ariaLabel, bar.className.replace('bar ', ''),
                height(bar.querySelector('.full')), height(bar.querySelector('.fill')),
            ]),
            kinds: all('.kinds li').map((item) => [
                item.className, ...[...item.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data),
            ]),
            details: root.querySelector('.details').className,
            lines: texts('section:not(.window) p', root.querySelector('.details')),
            name: text('.details b'),
            product: texts('p :is(.looks, .gives)'),
            rows: all('tbody tr').map((row) => texts('th, td', row)),
            twin: text('.twin'),
            window: [texts('dt'), texts('dd')],
            drawn: [texts('svg text'), ...['looks', 'gives', 'sheet'].map((name) => all(`rect.${name}`).length)],
            points: root.querySelector('polyline').getAttribute('points').split(',').length / 2,
            note: text('.note'),
        };
    });
}"""


def shape(channels, size):
    return f"{channels} × {size} × {size}"


def per_cent(text):
    assert re.fullmatch(r"\d+\.\d\d\xa0%", text)
    return float(text[:-2])


def close(part, whole):
    return pytest.approx(100 * part / whole, abs=0.005000001)


def titled(name):
    return f"block {name.removeprefix('block').replace('.', ', ')}" if "." in name else name


def check_network(chosen, shown, layers, layer):
    alpha, side, measure = chosen["alpha"], chosen["resolution"], chosen["measure"]
    whole = cost.of(layers)
    assert shown["result"] == Levels(**chosen).sentence
    published = f"{alpha if alpha < 1 else '1.0'} MobileNet-{side}"
    assert shown["model"] == (published if (alpha, side) in PUBLISHED else "none of the 16")
    assert shown["sliders"] == shown["outputs"] == [f"{alpha:g}", str(side)]
    assert shown["totals"] == [f"{count(whole, m):,}" for m in UNITS]
    assert shown["checked"] == [measure, layer.name]
    assert f"has {sum(one.trainable for one in layers):,} parameters" in shown["note"]

    full, values = counts(1.0, 224, measure), counts(alpha, side, measure)
    bars = zip(shown["bars"], layers, full, values, strict=True)
    for (name, kind, ghost, fill), one, most, value in bars:
        assert (name, kind) == (f"{titled(one.name)}: {value:,} {UNITS[measure]}", one.kind)
        assert ghost == pytest.approx(100 * most / max(full), abs=1e-3)
        assert fill == pytest.approx(100 * value / max(full), abs=1e-3)

    for classes, word, number, share in shown["kinds"]:
        kind = KINDS.get(word, "linear")
        value = sum(v for v, one in zip(values, layers, strict=True) if one.kind == kind)
        assert classes == (f"{kind} chosen" if kind == layer.kind else kind)
        assert number == f"{value:,}"
        assert per_cent(share) == close(value, count(whole, measure))


def check_layer(shown, layers, layer, twin):
    spec, own, whole = layer.spec, cost.of(layer), cost.of(layers)
    (into,), (out,) = set(spec.in_size), set(spec.out_size)
    (taps,), (step,) = set(spec.kernel_size), set(spec.stride)
    assert shown["details"] == f"details {layer.kind}"
    assert shown["name"] == titled(layer.name)
    sizes, product = shown["lines"]
    assert sizes == (
        f"{shape(spec.in_channels, into)} → {shape(spec.out_channels, out)}"
        f"kernel {taps} × {taps}, stride {step}"
    )
    m, n, kernel, pixels = (
        ("M", spec.in_channels, 1),
        ("N", spec.out_channels, 1),
        ("DK²", taps, 2),
        ("DG²", out, 2),
    )
    looks, gives = {
        "standard": ([kernel, m], [n, pixels]),
        "depthwise": ([kernel], [m, pixels]),
        "pointwise": ([m], [n, pixels]),
        "linear": ([m], [n]),
    }[layer.kind]
    letters = [" · ".join(name for name, _, _ in part) for part in (looks, gives)]
    numbers = [" · ".join(f"{x}{'²' * (e == 2)}" for _, x, e in part) for part in (looks, gives)]
    assert shown["product"] == letters + numbers
    assert product == f"{' · '.join(letters)} = {' · '.join(numbers)}= {own.macs:,} MACs"
    assert prod(x**e for _, x, e in looks + gives) == own.macs

    for (unit, number, share, standard), measure in zip(shown["rows"], UNITS, strict=True):
        assert (unit, number) == (UNITS[measure], f"{count(own, measure):,}")
        assert per_cent(share) == close(count(own, measure), count(whole, measure))
        assert standard == f"{count(cost.of(twin), measure):,}"
    if twin.name == layer.name:
        assert shown["twin"].endswith(f"keeps the {layer.name} as it is.")
    else:
        block = layer.name.partition(".")[0]
        halves = cost.of(one for one in layers if one.name.startswith(f"{block}."))
        (times,) = re.findall(r"(\d+\.\d\d) times", shown["twin"])
        assert float(times) == pytest.approx(cost.of(twin).macs / halves.macs, abs=0.005000001)
        assert f"place of block {block.removeprefix('block')}’s two layers" in shown["twin"]


def check_window(shown, layer):
    spec, own = layer.spec, cost.of(layer)
    _, channels, *kernel = spec.weight_shape
    window = prod((channels, *kernel))
    counts, words = shown["window"]
    assert counts == [f"{window:,}", f"× {own.writes:,}", f"= {own.macs:,}"]
    assert words == [
        f"multiplications each:{shape(channels, kernel[0])}",
        f"output numbers:{shape(spec.out_channels, spec.out_size[0])}",
        "MACs",
    ]
    assert window * own.writes == own.macs
    texts, looks, gives, sheets = shown["drawn"]
    sizes = [
        shape(spec.in_channels, spec.in_size[0]),
        shape(spec.out_channels, spec.out_size[0]),
    ]
    assert [text for text in texts if text != "…"] == sizes
    # Four sheets stand for more channels, and then there are dots.
    drawn = [min(n, 4) for n in (spec.in_channels, spec.out_channels)]
    assert sheets == sum(drawn)
    assert texts.count("…") == sum(n > 4 for n in (spec.in_channels, spec.out_channels))
    marked = min(channels, 4)
    assert (looks, gives) == (marked * prod(kernel), 1)
    assert shown["points"] == marked + 1


def test_every_number_it_shows_is_the_library_s(page):
    drawn = list(settings())
    assert len(drawn) == 16 * 28 + 500
    for values, shown in zip(drawn, page.evaluate(CHOOSE, drawn), strict=True):
        layers, twins = network(values["alpha"], values["resolution"])
        index = NAMES.index(values["layer"])
        check_network(values, shown, layers, layers[index])
        check_layer(shown, layers, layers[index], twins[index])
        check_window(shown, layers[index])


def test_the_first_state_makes_the_point(page):
    assert page.locator("[aria-live]").inner_text() == (
        "The pointwise layers make 94.86\xa0% of the 568,740,352 MACs. "
        "The one in block 7 makes 51,380,224: 512 for each of its 100,352 output numbers."
    )
    assert "4,231,976 parameters" in page.locator(".note").inner_text()
    assert page.locator("select option").count() == 1 + len(PUBLISHED)


FOCUSED = """() => {
    const element = document.querySelector('[role=group]').shadowRoot.activeElement;
    return element.ariaLabel ?? element.labels[0].textContent;
}"""


def test_the_keyboard_moves_it_and_the_result_is_announced(page):
    live = page.locator("[aria-live=polite]")

    def tab_to(name):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED) == name

    tab_to("published model")
    page.keyboard.type("0.5 MobileNet-160")
    values = {"alpha": 0.5, "resolution": 160}
    assert live.inner_text() == Levels(**values).sentence
    tab_to("width multiplier")
    page.keyboard.press("ArrowLeft")
    tab_to("image side")
    page.keyboard.press("ArrowRight")
    values = {"alpha": 0.49, "resolution": 168}
    assert live.inner_text() == Levels(**values).sentence
    assert page.get_by_label("published model").input_value() == ""
    tab_to(f"MACs{cost.of(mobilenet_v1_layers(0.49, 168)).macs:,}")
    page.keyboard.press("ArrowRight")
    values["measure"] = "params"
    assert live.inner_text() == Levels(**values).sentence
    layers = dict(zip(NAMES, mobilenet_v1_layers(0.49, 168), strict=True))
    tab_to(f"block 7, pointwise: {cost.of(layers['block7.pointwise']).params:,} weights")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED).startswith("block 8, depthwise: ")
    assert live.inner_text() == Levels(layer="block8.depthwise", **values).sentence
    assert (
        page.locator("label:has(:focus-visible)").evaluate("e => getComputedStyle(e).outlineWidth")
        == "3px"
    )
    tab_to("previous layer")
    page.keyboard.press("Enter")
    assert live.inner_text() == Levels(**values).sentence
    tab_to("next layer")
    for _ in range(NAMES.index("classifier") - NAMES.index("block7.pointwise")):
        page.keyboard.press("Space")
    assert live.inner_text() == Levels(layer="classifier", **values).sentence
    page.keyboard.press("Space")
    assert live.inner_text() == Levels(layer="stem", **values).sentence


def test_a_screen_reader_finds_each_bar_by_name_and_number(page):
    group = page.get_by_role("radiogroup", name="layer")
    for layer in mobilenet_v1_layers():
        name = f"{titled(layer.name)}: {cost.of(layer).macs:,} MACs"
        bar = group.get_by_role("radio", name=name, exact=True)
        assert bar.is_checked() == (layer.name == "block7.pointwise")


def test_a_finger_moves_it(phone):
    live = phone.locator("[aria-live]")
    fingers = phone.context.new_cdp_session(phone)

    def touch(kind, place=None):
        points = [place] if place else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def middle(name):
        place = phone.locator(f".bar:has([value='{name}'])").bounding_box()
        return {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}

    for target in phone.locator("select, [type=range], .measures label, button").all():
        assert target.bounding_box()["height"] >= 44
    for button in phone.locator("button").all():
        assert button.bounding_box()["width"] >= 44
    phone.get_by_label("next layer").tap()
    assert live.inner_text() == Levels(layer="block8.depthwise").sentence
    phone.locator(".bars").scroll_into_view_if_needed()
    phone.touchscreen.tap(*middle("block3.pointwise").values())
    assert live.inner_text() == Levels(layer="block3.pointwise").sentence
    # Along the bars, without letting go.
    touch("touchStart", middle("block4.pointwise"))
    for name in ["block4.pointwise", "block5.pointwise", "block6.depthwise", "block9.depthwise"]:
        touch("touchMove", middle(name))
    touch("touchEnd")
    assert live.inner_text() == Levels(layer="block9.depthwise").sentence
    slider = phone.get_by_label("width multiplier")
    place = slider.bounding_box()
    phone.touchscreen.tap(place["x"] + 2, place["y"] + place["height"] / 2)
    assert live.inner_text() == Levels(layer="block9.depthwise", alpha=0.25).sentence


# Where everything stands, and how wide it all is, after each choice.
PLACES = """(settings) => {
    const choose = CHOOSE;
    const root = document.querySelector('[role=group]').shadowRoot;
    return settings.map((values) => {
        choose([values]);
        const still = root.querySelectorAll('p, h3, section, label, button, table, svg, dl, li');
        const tops = [...still].map((element) => Math.round(element.getBoundingClientRect().top));
        return [document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight, ...tops].join();
    });
}"""


# In the book a phone of 375 pixels leaves a figure as much as a bare page of 359.
@pytest.mark.parametrize("width", [1280, 359])
def test_nothing_jumps_whatever_is_chosen(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    places = page.evaluate(PLACES.replace("CHOOSE", CHOOSE), list(settings())[::7])
    assert len(set(places)) == 1
    assert places[0].startswith(f"{width},")


def test_values_of_no_model_are_refused():
    for values in [{"alpha": 1.5}, {"resolution": 16}, {"measure": "flops"}, {"layer": "block14"}]:
        with pytest.raises(TraitError, match=next(iter(values))):
            Levels(**values)
