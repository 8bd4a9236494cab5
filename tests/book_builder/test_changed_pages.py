"""The list of changed pages that a pull request shows."""

import pytest
import typer

from book_builder import changed_pages


def site(folder, **pages):
    folder.mkdir()
    for name, body in pages.items():
        text = f"<nav>{sorted(pages)}</nav><article><h1>Title {name}<a>#</a></h1>{body}</article>"
        (folder / f"{name}.html").write_text(text)
    (folder / "search.html").write_text("<p>No article</p>")
    return folder


def test_new_changed_and_gone_pages_are_listed_and_others_are_not(tmp_path):
    before = site(tmp_path / "before", same="1", other="2", gone="3")
    after = site(tmp_path / "after", same="1", other="two", new="4")
    assert changed_pages.report(before, after) == (
        "### 3 pages differ, of 3\n\n"
        "- new: Title new (`new.html`)\n"
        "- changed: Title other (`other.html`)\n"
        "- gone: Title gone (`gone.html`)\n"
    )
    assert changed_pages.report(before, before) == "### 0 pages differ, of 3\n\n"


def test_a_folder_without_a_site_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(typer.BadParameter, match="holds no page: expected a built site"):
        changed_pages.report(tmp_path / "empty", site(tmp_path / "after", one="1"))
