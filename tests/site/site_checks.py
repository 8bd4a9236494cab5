"""What the site tests look for, in the files and in a browser. Each check returns findings."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build/html"


def table_of_contents() -> list[str]:
    """Names of all pages, as in _toc.yml: `intro`, `chapters/01-...`."""

    def names(entry):
        if isinstance(entry, dict):
            yield from (entry[key] for key in ("root", "file") if key in entry)
            for key in ("parts", "chapters", "sections"):
                for inner in entry.get(key, []):
                    yield from names(inner)

    return list(names(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


PAGES = table_of_contents()

# ---- In the files --------------------------------------------------------------------------------

# Where an element names something that the browser fetches by itself. A plain link is not loaded.
LOADING = {
    "script": ["src"],
    "img": ["src", "srcset"],
    "source": ["src", "srcset"],
    "video": ["src", "poster"],
    "audio": ["src"],
    "track": ["src"],
    "iframe": ["src"],
    "embed": ["src"],
    "object": ["data"],
    "image": ["href", "xlink:href"],
    "use": ["href", "xlink:href"],
}
LOADING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest"}
IN_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")


@cache
def parse(file: Path) -> BeautifulSoup:
    """The page's elements; a test writes no page twice."""
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def is_outside(address: str) -> bool:
    """True for an address on another host: it has one (`//host/...` included)."""
    return bool(urlsplit(address).netloc)


def loaded_addresses(page: BeautifulSoup) -> Iterator[str]:
    """Every address that a browser fetches to show the page."""
    for tag in page.find_all(list(LOADING)):
        for attribute in LOADING[tag.name]:
            for part in tag.get(attribute, "").split(","):
                yield from part.split()[:1] if attribute == "srcset" else [tag.get(attribute, "")]
    for link in page.find_all("link"):
        if LOADING_LINKS & set(link.get("rel", [])):
            yield link.get("href", "")
    for style in page.find_all("style"):
        yield from IN_CSS.findall(style.get_text())
    for tag in page.find_all(style=True):
        yield from IN_CSS.findall(tag["style"])


def outside_resources(file: Path) -> list[str]:
    """Addresses on other hosts that the page, or a style sheet it loads, would fetch."""
    page = parse(file)
    found = [a for a in loaded_addresses(page) if is_outside(a)]
    for link in page.find_all("link", rel="stylesheet"):
        sheet = file.parent / unquote(urlsplit(link["href"]).path)
        if not is_outside(link["href"]) and sheet.is_file():
            found += [a for a in IN_CSS.findall(sheet.read_text("utf-8")) if is_outside(a)]
    return found


def broken_links(file: Path, anchors: dict[Path, set[str]]) -> list[str]:
    """Links, images and scripts whose file, or whose anchor in that file, does not exist.

    ``anchors`` remembers the anchors of the pages already read.
    """
    page = parse(file)
    addresses = {a.get("href", "") for a in page.find_all("a")} | set(loaded_addresses(page))
    found = []
    for address in sorted(addresses):
        split = urlsplit(address)
        if split.scheme or split.netloc:
            continue
        path, fragment = unquote(split.path), unquote(urldefrag(address).fragment)
        target = (file.parent / path).resolve() if path else file.resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            found.append(address)
        elif fragment and target.suffix == ".html":
            if target not in anchors:
                marks = parse(target).find_all(lambda t: t.get("id") or t.get("name"))
                anchors[target] = {t.get(k) for t in marks for k in ("id", "name")}
            if fragment not in anchors[target]:
                found.append(address)
    return found


FILE_NAME = re.compile(r"\S+\.\w{2,5}$")


def images_without_alt(file: Path) -> list[str]:
    """Images whose alternative text is no sentence: missing, a file's name, or a word or two."""
    return [
        str(image)[:120]
        for image in parse(file).find_all("img")
        if len(image.get("alt", "").split()) < 3 or FILE_NAME.match(image["alt"].strip())
    ]


# Hosts without https.
PLAIN_HOSTS: set[str] = set()
# What RFC 3986 lets an address hold, each % followed by its two digits.
ADDRESS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


def malformed_links(file: Path) -> list[str]:
    """Links to other hosts that no browser, or no reader, could follow as they are."""
    found = []
    for link in parse(file).find_all("a", href=True):
        address = link["href"]
        split = urlsplit(address.strip())
        if not split.netloc and split.scheme in ("", "mailto"):
            continue
        host = split.hostname or ""
        right = (
            ADDRESS.fullmatch(address)
            and (split.scheme == "https" or (split.scheme == "http" and host in PLAIN_HOSTS))
            and re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", host)
            # http://https://..., and www.example.org/https:/...
            and not re.search(r"https?:/", address[len(split.scheme) + 1 :])
            and not re.search(r"[.,;:!?'\"]$", address)
            and address.count("(") == address.count(")")
        )
        if not right:
            found.append(address)
    return found


# ---- In the browser ------------------------------------------------------------------------------

# Every jump of the layout that the reader did not cause, as the browser scores it.
WATCH = """
    window.shifts = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
"""
# Until the formulas are drawn, the figures alive, or three seconds gone, and the fonts there.
SETTLE = """async () => {
    await window.MathJax?.startup?.promise;
    const figures = [...document.querySelectorAll('[role=group]')].filter(e => e.querySelector('script'));
    for (let wait = 0; wait < 60 && !figures.every(e => e.shadowRoot); wait++)
        await new Promise(resolve => setTimeout(resolve, 50));
    await document.fonts.ready;
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    return figures.filter(e => !e.shadowRoot).map(e => 'figure is not alive: ' + e.ariaLabel);
}"""
# Gives back sentences about what is wrong in a page that has settled.
LOOK = """async (theme) => {
    const found = [];
    if (document.querySelector('.math')) {
        if (!document.querySelector('mjx-container')) found.push('formulas are not drawn');
        for (const e of document.querySelectorAll('mjx-merror'))
            found.push('formula with an error: ' + e.textContent);
        for (const e of document.querySelectorAll('.math'))
            if (!e.querySelector('mjx-container')) found.push('not drawn: ' + e.textContent);
    }
    for (const image of document.images) {
        image.loading = 'eager';
        await image.decode().catch(() => {});
        if (!image.naturalWidth) found.push('image not loaded: ' + image.src.slice(0, 100));
    }
    const width = document.scrollingElement.scrollWidth;
    if (width > innerWidth) {
        const wide = [...document.querySelectorAll('article *')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .map(e => e.tagName.toLowerCase() + (e.className ? '.' + e.className : ''));
        found.push(`${width} px wide in a window of ${innerWidth}: ${wide.slice(0, 5)}`);
    }
    const shown = document.documentElement.dataset.theme ?? theme;
    if (shown !== theme) found.push(`shows the theme ${shown} to a reader who prefers ${theme}`);
    return found;
}"""


@contextmanager
def visit(browser, address: str, width: int, theme: str = "light", **options) -> Iterator[Page]:
    """The page as a reader opens it: what it asked for is in `requested`, its faults in `found`.

    A request to anywhere but the page's own origin is stopped, and is a fault.
    """
    home = "file://" if address.startswith("file:") else address[: address.index("/", 8)] + "/"
    viewport = {"width": width, "height": 900}
    with browser.new_page(viewport=viewport, color_scheme=theme, **options) as page:
        page.requested, page.found = [], []

        def stop(route):
            page.found.append(f"request to another host: {route.request.url}")
            route.abort()

        def heard(message):
            if message.type == "error":
                page.found.append(f"console: {message.text}")

        page.route(re.compile(f"^(?!{re.escape(home)}|data:|blob:)"), stop)
        page.on("requestfinished", lambda request: page.requested.append(request.url))
        page.on("console", heard)
        page.on("pageerror", lambda error: page.found.append(f"script error: {error}"))
        page.add_init_script(WATCH)
        page.goto(address, wait_until="load")
        yield page


def look(page: Page, theme: str) -> list[str]:
    """Everything that is wrong with the visited page for a reader who prefers the theme."""
    page.emulate_media(color_scheme=theme)
    seen = page.evaluate(SETTLE) + page.evaluate(LOOK, theme)
    return page.found + seen


def look_at(browser, address: str, *, width: int, theme: str) -> list[str]:
    """Open the page and return everything that is wrong with it."""
    with visit(browser, address, width, theme) as page:
        return look(page, theme)
