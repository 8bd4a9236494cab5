"""What is done to each page once Sphinx has written it, so that it is light, still and readable by all.

Formulas are drawn; images get their sizes and a smaller, lossless format; scripts that a page does not use
are taken out, the others no longer hold up the text; and the theme's faults of accessibility are mended.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pydata_sphinx_theme
from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from book_builder.site.formulas import typeset

# ---- Images --------------------------------------------------------------------------------------

IMAGE = re.compile(r'<img\b[^>]*?\bsrc="([^":?]+\.(?:png|svg))"[^>]*>')
SVG_SIZE = re.compile(r'<svg\b[^>]*?\bviewBox="\S+ \S+ (\S+) (\S+)"')


def size_images(page: Path, text: str) -> str:
    """Say how large each image is, so that the text stands still; figures come when they are near.

    A figure stored as PNG is published as lossless WebP, of a third of the size, pixel by pixel the same.
    """

    def sized(match: re.Match[str]) -> str:
        tag, source = match[0], match[1]
        file = page.parent / source
        if file.suffix == ".svg":
            known = SVG_SIZE.search(file.read_text(encoding="utf-8"))
            if not known:
                raise ExtensionError(f"{file.name}: expected an SVG with a viewBox.")
            width, height = known.groups()
        else:
            with Image.open(file) as image:
                width, height = map(str, image.size)
                if file.parent.name == "_images":
                    image.save(file.with_suffix(".webp"), lossless=True, quality=100, exact=True)
                    tag = tag.replace(source, source.removesuffix(".png") + ".webp")
            tag = tag.replace("<img", '<img loading="lazy"', 1)
        tag = re.sub(r'\s(?:width|height)="[^"]*"', "", tag)
        return tag.replace("<img", f'<img width="{width}" height="{height}"', 1)

    return IMAGE.sub(sized, text)


# ---- Scripts and style sheets ---------------------------------------------------------------------

# What the themes load on every page: a part of the address, and what a page that needs it has in it.
LOADED = {
    "fontawesome.js": r"(?!)",  # no page: 1.5 MB of icons that the theme's web fonts draw already
    "searchtools.js": "search-results",
    "language_data.js": "search-results",
    "searchindex.js": "search-results",
    "togglebutton.": r'class="(?:[^"]* )?toggle[ "]|class="admonition [^"]*\bdropdown\b',
    "design-tabs.js": "sd-tab-",
    "sphinx-design.min.css": r'class="[^"]*\bsd-',
    "clipboard.min.js": '<div class="highlight',
    "copybutton.": '<div class="highlight',
}
OPTIONS = re.compile(r'<script src="([^"?]*documentation_options\.js)[^"]*"></script>')
FIRST_THEME = 'localStorage.getItem("theme") || "auto"'
PREFERRED = 'matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"'


def load_what_is_used(page: Path, text: str) -> str:
    """Leave out what the page has no use for, and let no script hold up the text."""
    body = text[text.find("<body") :]
    for name, sign in LOADED.items():
        if not re.search(sign, body):
            tag = rf'\s*<(?:script|link)\b[^>]*[/"]{re.escape(name)}[^>]*>(?:</script>)?'
            text = re.sub(tag, "", text)
    # Scripts are fetched while the page is read; no need to put them in front of the style sheets.
    text = re.sub(r'\s*<link rel="preload" as="script"[^>]*>', "", text)
    if "search-results" in body:  # there the scripts rely on running at once
        return text
    text = OPTIONS.sub(
        lambda match: f"<script>{(page.parent / match[1]).read_text(encoding='utf-8')}</script>",
        text,
    )
    return re.sub(r"<script (?=[^>]*\bsrc=)(?![^>]*\bdefer\b)", "<script defer ", text)


def choose_theme_at_once(page: Path, text: str) -> str:
    """Take the reader's theme before the first line is drawn: no white flash in the dark."""
    return text.replace(FIRST_THEME, f'localStorage.getItem("theme") || ({PREFERRED})')


# ---- Accessibility ---------------------------------------------------------------------------------

VIEWPORT = re.compile(r'\s*<meta name="viewport"[^>]*>')
MENDED = {
    # The visible text is the name.
    r'(<button class="btn search-button-field[^>]*?) aria-label="Search"': r"\1",
    r'<summary aria-label="Toggle hidden content">': "<summary>",
    # The sidebar stands outside of every landmark, but for its list of pages.
    r'(<div id="pst-primary-sidebar" )(?!role)': r'\1role="complementary" aria-label="The book" ',
    # The corner of a table of pandas heads nothing.
    r"<th></th>": "<td></td>",
    # A role that has been withdrawn.
    r'role="doc-biblioentry"': 'role="listitem"',
    # A wide formula scrolls, and so must be reached with the keyboard.
    r'(<mjx-container [^>]*display="true")(?! tabindex)': r'\1 tabindex="0"',
}


def mend(page: Path, text: str) -> str:
    """Mend what the themes leave wrong for a screen reader or a keyboard."""
    for fault, right in MENDED.items():
        text = re.sub(fault, right, text)
    viewport = '\n    <meta name="viewport" content="width=device-width, initial-scale=1">'
    return VIEWPORT.sub("", text).replace("<head>", f"<head>{viewport}", 1)


# ---- Icons -----------------------------------------------------------------------------------------

FONT = "vendor/fontawesome/webfonts/fa-solid-900.woff2"
ICON_RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"(?:\\([0-9a-f]+)|(.))"\}')


def keep_used_icons(static: Path, texts: Iterable[str]) -> None:
    """Leave in the icon font, and in its style sheet, the icons that some page or script names."""
    used = set(re.findall(r"\bfa-[a-z0-9-]+", "\n".join(texts)))
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
    sheet = (theme / "styles/pydata-sphinx-theme.css").read_text(encoding="utf-8")
    points = set()

    def kept(match: re.Match[str]) -> str:
        if not used & set(re.findall(r"fa-[a-z0-9-]+", match[1])):
            return ""
        points.add(int(match[2], 16) if match[2] else ord(match[3]))
        return match[0]

    (static / "styles/pydata-sphinx-theme.css").write_text(ICON_RULE.sub(kept, sheet), "utf-8")
    subset.log.setLevel("WARNING")  # else it names every glyph, many times
    options = subset.Options(flavor="woff2", layout_features=["*"])
    font = subset.load_font(str(theme / FONT), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=points)
    subsetter.subset(font)
    subset.save_font(font, str(static / FONT), options)


# ---- The site ----------------------------------------------------------------------------------------

Step = Callable[[Path, str], str]
STEPS: tuple[Step, ...] = (size_images, load_what_is_used, choose_theme_at_once, mend)
# Says of a page that it has been finished: Sphinx leaves the others as they are from one build to the next.
MARK = "<!-- finished -->"


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Do all this to the pages that Sphinx has just written."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    everything = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    pages = {
        page: text
        for page, text in everything.items()
        if "_static" not in page.parts and "</head>" in text and MARK not in text
    }
    typeset(pages, site, sources=app.builder.name == "singlehtml")  # which is for paper
    for page, text in pages.items():
        for step in STEPS:
            text = step(page, text)
        page.write_text(text.replace("</head>", f"{MARK}\n</head>", 1), encoding="utf-8")
    for script in site.glob("_static/scripts/fontawesome.js*"):
        script.unlink()
    scripts = [file.read_text("utf-8") for file in site.glob("_static/scripts/*.js")]
    keep_used_icons(site / "_static", [*everything.values(), *scripts])
