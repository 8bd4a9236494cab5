"""How the pages are to be read, not what they say: by everyone, at once, with no fault and no jump.

One visit to each page, at each width, serves several tests.
"""

import gzip
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.site import site_checks
from tests.site.site_checks import PAGES, ROOT, SETTLE, SITE, WATCH, look, visit

AXE = ROOT / "_build/npm/node_modules/axe-core/axe.min.js"
ALL = [*PAGES, "search", "genindex", "404"]
WIDTHS = [1280, 375]
each_page = pytest.mark.parametrize("name", PAGES)
each_theme = pytest.mark.parametrize("theme", ["light", "dark"])

LARGEST_SHIFT = 0.1
HEAVIEST = 800 * 1024


@pytest.fixture(scope="module", params=[(n, w) for n in ALL for w in WIDTHS], ids=str)
def opened(request, browser, address):
    """A page and its layout shift; nobody has touched it yet."""
    name, width = request.param
    with visit(browser, f"{address}/{name}.html", width, reduced_motion="reduce") as page:
        page.evaluate(SETTLE)
        yield page, page.evaluate("window.shifts")


# ---- Faults, jumps and weight --------------------------------------------------------------------


def test_nothing_jumps(opened):
    _, shift = opened
    assert shift <= LARGEST_SHIFT


@each_theme
def test_nothing_is_wrong(opened, theme):
    page, _ = opened
    assert look(page, theme) == []


def weight(file: Path) -> int:
    """Bytes that travel: text is compressed on the way, images and fonts are as they are."""
    content = file.read_bytes()
    packed = file.suffix in {".png", ".webp", ".woff", ".woff2"}
    return len(content) if packed else len(gzip.compress(content, 6))


def test_page_is_light(opened):
    page, _ = opened
    page.evaluate("""Promise.all([...document.images].map((image) => {
        image.loading = 'eager';
        return image.decode();
    }))""")
    asked = {url for url in page.requested if not url.startswith(("data:", "blob:"))}
    weights = {url: weight(SITE / unquote(urlsplit(url).path).lstrip("/")) for url in asked}
    named = page.locator("link[rel=stylesheet], script[src]").count()
    assert len(weights) > named  # all of them, and the page itself
    assert sum(weights.values()) < HEAVIEST, weights


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["intro", "chapters/07-mobilenet-v1"])
def test_nothing_jumps_on_a_slow_phone(new_page, address, name, width):
    page = new_page(viewport={"width": width, "height": 900})
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    # A slow 4G connection, and a fourth of this processor.
    line = {"latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 90_000}
    devtools.send("Network.emulateNetworkConditions", {"offline": False, **line})
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.add_init_script(WATCH)
    page.goto(f"{address}/{name}.html")
    page.evaluate(SETTLE)
    assert page.evaluate("window.shifts") <= LARGEST_SHIFT


# ---- Accessibility -------------------------------------------------------------------------------

# The rules whose verdict depends on colours: in the second theme only these can come out differently.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
# There are thousands of these: the parts of a formula have the colour of the text around it, and
# in a block of code one token speaks for all that are alike but for their text.
RUN = """async (rules) => {
    // A theme that has just changed: its colours are there in the next frame, some by a transition.
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    const moving = document.getAnimations().filter(each => isFinite(each.effect.getComputedTiming().endTime));
    await Promise.all(moving.map(each => each.finished.catch(() => {})));
    for (const folded of document.querySelectorAll('details')) folded.open = true;
    for (const code of document.querySelectorAll('pre')) {
        const seen = new Set();
        for (const token of code.querySelectorAll('span:not(:has(*))')) {
            const kind = token.parentElement.className + token.cloneNode().outerHTML;
            if (seen.has(kind)) token.replaceWith(...token.childNodes);
            seen.add(kind);
        }
        code.normalize();
    }
    const runOnly = rules ? { runOnly: rules } : {};
    const page = { exclude: ['mjx-container > *'] };
    const { violations } = await axe.run(page, { resultTypes: ['violations'], ...runOnly });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
}"""


def accessibility(page, rules=None):
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(RUN, rules)


@each_theme
def test_everyone_can_read_it(opened, theme):
    page, _ = opened
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("t => document.documentElement.dataset.theme === t", arg=theme)
    assert accessibility(page, None if theme == "light" else COLOUR_RULES) == []


# ---- Answers -------------------------------------------------------------------------------------

# Notes what the figure says in the next frame after each key.
NEXT_FRAME = """() => {
    const root = document.querySelector('[role=group]').shadowRoot;
    const said = () => root.querySelector('[aria-live]').textContent;
    window.frames_ = [];
    root.addEventListener('keydown', () => {
        const before = said();
        requestAnimationFrame(() => window.frames_.push([before, said()]));
    }, { capture: true });
}"""


def test_a_key_is_answered_within_one_frame(browser, address):
    with visit(browser, f"{address}/intro.html", 1280) as page:
        page.evaluate(SETTLE)
        page.evaluate(NEXT_FRAME)
        page.get_by_label("kernel size", exact=True).focus()
        for key in ["ArrowRight", "ArrowUp", "ArrowLeft", "PageDown", "End"]:
            page.keyboard.press(key)
            page.evaluate("() => new Promise(requestAnimationFrame)")
        frames = page.evaluate("window.frames_")
        assert len(frames) == 5
        assert all(before != after for before, after in frames), frames


# ---- Links ---------------------------------------------------------------------------------------


@each_page
def test_links_to_other_hosts_are_well_formed(site, name):
    assert site_checks.malformed_links(site / f"{name}.html") == []


# ---- The checks themselves can fail --------------------------------------------------------------


def test_checks_find(browser, serve, tmp_path):
    (tmp_path / "favicon.ico").touch()
    address = f"{serve(tmp_path)}/page.html"
    good = '<!doctype html><html lang="en"><title>t</title><main><h1>h</h1>%s</main>'
    page_file = tmp_path / "page.html"

    def look(body):
        page_file.write_text(good % body, encoding="utf-8")
        with visit(browser, address, 375) as page:
            page.wait_for_timeout(300)
            return page.evaluate("window.shifts"), accessibility(page)

    assert look("<p>Nothing wrong.</p>") == (0, [])
    pale = '<p style="color: #bbb; background: #fff">pale</p>'
    assert [fault.split(":")[0] for fault in look(pale)[1]] == ["color-contrast"]
    folded = f"<details><summary>more</summary>{pale}</details>"
    assert [fault.split(":")[0] for fault in look(folded)[1]] == ["color-contrast"]
    token = '<span style="color: #bbb">pale</span>'
    code = f'<pre style="background: #fff">{token}, {token}</pre>'
    assert [fault.split(":")[0] for fault in look(code)[1]] == ["color-contrast"]
    late = "setTimeout(() => document.querySelector('h1').style.paddingTop = '500px', 100)"
    assert look(f"<p>{'text ' * 200}</p><script>{late}</script>")[0] > LARGEST_SHIFT


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org",
        "https://localhost/a",
        "https://example.org/a b",
        "https://example.org/ä",
        "https://example.org/100%",
        "https://https://example.org",
        "https://example.org/a.",
        "https://example.org/a)",
        "//example.org/a",
        "htps://example.org",
        "javascript:void(0)",
    ],
)
def test_malformed_links_are_found(tmp_path, address):
    page = tmp_path / "page.html"
    right = "https://en.wikipedia.org/wiki/Pipeline_(a)?b=%20#c"
    page.write_text(f'<a href="{right}"></a><a href="other.html"></a><a href="{address}"></a>')
    assert site_checks.malformed_links(page) == [address]


@pytest.mark.parametrize("alt", ["", "image", "plot.png", "my plot"])
def test_poor_alternative_texts_are_found(tmp_path, alt):
    page = tmp_path / "page.html"
    page.write_text(f'<img alt="{alt}"><img alt="Two curves that cross">')
    assert len(site_checks.images_without_alt(page)) == 1
