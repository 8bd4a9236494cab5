"""The Chromium on this machine, without a window: it prints, draws and tests the site."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str:
    """The path of the program."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise FileNotFoundError(f"Found none of {', '.join(NAMES)} on the PATH: type make browser")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium, stopped at the end."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        yield chromium
        chromium.close()
