"""Compare two built sites: ``python -m book_builder.changed_pages BEFORE AFTER``.

The list is Markdown, for the summary of a pull request. Only what stands on the page itself counts:
a new chapter changes every page's table of contents, and nobody wants to read them all again.
"""

from pathlib import Path
from typing import Annotated

import typer
from bs4 import BeautifulSoup


def pages(site: Path) -> dict[str, tuple[str, str]]:
    """Title and content of each page, by its path in the site."""
    found = {}
    for file in sorted(site.rglob("*.html")):
        page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
        article = page.select_one("article")
        if article is not None and "_static" not in file.parts:
            heading = article.find("h1")
            title = heading.get_text().removesuffix("#").strip() if heading else file.stem
            found[file.relative_to(site).as_posix()] = (title, str(article))
    return found


def report(before: Path, after: Path) -> str:
    """A list in Markdown of the pages that are new, changed or gone.

    Raises:
        typer.BadParameter: if a folder holds no page.
    """
    old, new = pages(before), pages(after)
    for folder, found in ((before, old), (after, new)):
        if not found:
            raise typer.BadParameter(f"{folder} holds no page: expected a built site")
    lines = [
        f"- {'changed' if path in old else 'new'}: {new[path][0]} (`{path}`)"
        for path in new
        if old.get(path) != new[path]
    ]
    lines += [f"- gone: {old[path][0]} (`{path}`)" for path in old if path not in new]
    count = "1 page differs" if len(lines) == 1 else f"{len(lines)} pages differ"
    return "\n".join([f"### {count}, of {len(new)}", "", *lines, ""])


def main(
    before: Annotated[Path, typer.Argument(help="The site without the change.")],
    after: Annotated[Path, typer.Argument(help="The site with it.")],
) -> None:
    """List the pages that are new, changed or gone."""
    print(report(before, after))


if __name__ == "__main__":
    typer.run(main)
