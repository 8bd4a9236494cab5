"""The PDF of the whole book: what a reader on paper, and a reader's software, finds in it."""

import os
import re
from types import SimpleNamespace

import pypdfium2
import pytest
from pypdf import PdfReader

from book_builder.site.printed_book import NAME, printed
from tests.site import site_checks
from tests.site.site_checks import SITE

TITLES = {
    file.relative_to(SITE).as_posix(): site_checks.parse(file).h1.get_text().rstrip("#")
    for pattern in ("chapters/*.html", "exercises/*/*.html")
    for file in sorted(SITE.glob(pattern))
}


@pytest.fixture(scope="module")
def book():
    file = SITE / NAME
    if not file.is_file():
        pytest.fail("The site has no PDF, or what it is printed from is newer: type make pdf")
    return PdfReader(file)


@pytest.fixture(scope="module")
def pages(book):
    """The text of each page, with the letters that a font draws as one apart again."""
    with pypdfium2.PdfDocument(SITE / NAME) as file:  # which reads text a hundred times as fast
        texts = [page.get_textpage().get_text_bounded() for page in file]
    return [text.replace("ﬁ", "fi").replace("ﬂ", "fl").replace("\r\n", "\n") for text in texts]


def outline(entries, depth=0):
    for entry in entries:
        if isinstance(entry, list):
            yield from outline(entry, depth + 1)
        else:
            yield depth, " ".join(entry.title.split()), entry


def words(text):
    return re.sub(r"\s", "", text)


def test_the_front_page_leads_to_it(book):
    links = site_checks.parse(SITE / "intro.html").find_all("a", href=NAME)
    assert len(links) == 1
    assert (SITE / NAME).stat().st_size < 25e6


def test_it_is_tagged_and_named(book):
    catalogue = book.trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    assert catalogue["/Lang"].startswith("en")
    assert book.metadata.title.startswith("Depthwise-separable convolution")


def test_every_chapter_is_in_its_text_and_outline(book, pages):
    found = {
        words(title): book.get_destination_page_number(entry)
        for depth, title, entry in outline(book.outline)
        if depth == 1
    }
    assert TITLES
    for name, title in TITLES.items():
        assert words(title) in found, f"{name} is not in the outline"
        assert words(title) in words(pages[found[words(title)]]), name


def test_no_page_is_blank_and_each_has_its_number(pages):
    for number, text in enumerate(pages, start=1):
        assert len(text.split()) >= 5, f"page {number}: {text!r}"
        lines = [line.strip() for line in text.splitlines()]
        assert (str(number) in lines) == (number > 1), f"page {number}"


def test_the_contents_lead_to_the_pages_they_name(book, pages):
    lines = {}
    for page in book.pages[1:10]:
        for note in page.get("/Annots", []):
            target = note.get_object().get("/Dest")
            if target is not None:
                lines[str(target).lstrip("/")] = None
    assert len(lines) > 100
    text = "\n".join(pages[1:10])
    for title in TITLES.values():
        printed = re.search(rf"^{re.escape(title)}\s+(\d+)\s", text, re.MULTILINE)
        assert printed, f"{title} is not in the contents"
        assert words(title) in words(pages[int(printed[1]) - 1])


def test_formulas_stand_in_its_sentences(pages):
    text = words("".join(pages))
    assert words("It begins with an input of 8 × 8 pixels and 3 channels, a 5 × 5 kernel") in text
    assert "\\(" not in text


def test_answers_stand_at_the_end_of_their_chapter(book, pages):
    first = words("".join(pages)).split("Answerstoquestion1")[0]
    assert "Itis9×16×32" not in first
    answers = [t for depth, t, _ in outline(book.outline) if depth == 2 and t == "Answers"]
    assert len(answers) == sum(bool(re.match(r"chapters/\d", name)) for name in TITLES)


@pytest.mark.parametrize(
    "changed",
    [
        "intro.md",
        "_toc.yml",
        "assets/book.css",
        "dsconv_lib/interactive/window.js",
        "book_builder/pdf.js",
        "book_builder/site/finish.py",
    ],
)
def test_an_old_one_is_not_offered(tmp_path, changed):
    book, source = tmp_path / "_build/pdf" / NAME, tmp_path / changed
    for second, file in enumerate([tmp_path / "intro.md", source, book]):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (second, second))
    pages = {"found_docs": {"intro"}, "doc2path": lambda name: tmp_path / f"{name}.md"}
    env = SimpleNamespace(srcdir=tmp_path, **pages)
    assert printed(env) == book
    os.utime(source, (3, 3))
    assert printed(env) is None
