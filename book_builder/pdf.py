"""Print the whole book: ``python -m book_builder.pdf PAGE PDF``.

PAGE is the one page that Sphinx's `singlehtml` builder makes of all chapters. Chromium prints it
twice: no browser counts pages for a table of contents, so the second time carries the page numbers
that the first one came to.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page
from pypdf import PdfReader

from book_builder.chromium import browser

PREPARE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
LICENCE = "Text and figures under CC BY 4.0, code under the MIT licence."
# Puts the page numbers beside the contents' lines.
NUMBER = """(pages) => {
    const places = document.querySelectorAll(".book-contents .page");
    for (const place of places) place.textContent = pages[place.dataset.target];
}"""
# On the site, an image is fetched when a reader comes near it.
DRAW = """() => Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode();
}))"""
MINUTES = 10 * 60_000  # milliseconds


def pages_of_targets(file: Path) -> dict[str, int]:
    """On which page each place lies that a link leads to; the first page is 1."""
    reader = PdfReader(file)
    found = {}
    for name, place in reader.named_destinations.items():
        number = reader.get_destination_page_number(place)
        if number is not None:
            found[name.lstrip("/")] = number + 1
    return found


def write(view: Page, file: Path, *, draft: bool) -> dict[str, int]:
    """Print ``view`` into ``file`` and return the pages of its targets.

    A draft has neither tags nor an outline, which take longer than the pages.
    """
    final = not draft
    view.pdf(
        path=file, prefer_css_page_size=True, print_background=True, tagged=final, outline=final
    )
    return pages_of_targets(file)


def print_book(page: Path, file: Path) -> None:
    """Make ``file`` of ``page``; an interruption leaves the old file or none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".part")
    with browser() as chromium:
        view = chromium.new_page(color_scheme="light")
        view.set_default_timeout(MINUTES)
        view.goto(page.resolve().as_uri())
        view.evaluate(DRAW)
        view.evaluate(PREPARE, LICENCE)
        pages = write(view, scratch, draft=True)
        view.evaluate(NUMBER, pages)
        if write(view, scratch, draft=False) != pages:
            sys.exit("The page numbers in the contents moved the pages; nothing was kept.")
    scratch.replace(file)


if __name__ == "__main__":
    print_book(Path(sys.argv[1]), Path(sys.argv[2]))
