"""Builds the book from the chapters, the exercises and the library.

Each module is a command, typed from the root: `python -m book_builder.execute`. In the order of a build:

    execute        runs the notebooks that changed, and stores them in one normal form
    address        writes the repository's address and the version into everything that repeats them
    readme         writes into the README what was measured
    recount_pages  writes the pages that recompute what others print
    site/          the Sphinx extension that Jupyter Book loads: directives, a page's head, its last polish
    pdf            prints the whole book
    social_card    draws the picture that goes with a link to it
    changed_pages  compares two built sites
    lighthouse     says how the pages fare on a slow phone
    chromium       the browser that prints, draws, measures and tests

Nothing here is for readers: what they can use is in `dsconv_lib`.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
