"""The page of all notebooks: each notebook, with what its record says and files that exist."""

import json
from datetime import date
from urllib.parse import unquote

from book_builder import execute
from tests.site import site_checks
from tests.site.site_checks import ROOT, SITE

PAGE = SITE / "chapters/notebooks.html"


def rows():
    """Page, cells and links of each row."""
    for row in site_checks.parse(PAGE).select("table.notebooks tbody tr"):
        cells = row.find_all("td")
        page = (PAGE.parent / unquote(cells[0].a["href"])).resolve()
        yield page, [c.get_text().strip() for c in cells], cells[1].find_all("a")


def test_it_has_every_notebook_once():
    listed = [page.relative_to(SITE).with_suffix(".ipynb") for page, _, _ in rows()]
    assert sorted(listed) == sorted(p.relative_to(ROOT) for p in execute.all_notebooks(ROOT))


def test_it_says_what_the_records_say():
    for page, cells, _ in rows():
        name = page.relative_to(SITE).with_suffix(".ipynb")
        entry = execute.read_record((ROOT / name).parent)[name.name]
        day = date.fromisoformat(entry["day"])
        said = [
            f"{entry['minutes_to_read']} min",
            f"{entry['seconds']} s",
            f"{day.day} {day:%B %Y}",
        ]
        assert cells[2:] == said, name
        assert cells[0] == site_checks.parse(page).h1.get_text().rstrip("#")


def test_its_files_are_the_notebooks():
    for page, _, links in rows():
        name = page.relative_to(SITE).with_suffix(".ipynb")
        names = [name.with_name("student.ipynb"), name] if name.parts[0] == "exercises" else [name]
        kept = [a for a in links if a.has_attr("download")]
        assert len(kept) == len(names)
        for link, expected in zip(kept, names, strict=True):
            file = (PAGE.parent / unquote(link["href"])).resolve()
            assert json.loads(file.read_text()) == json.loads((ROOT / expected).read_text())
