"""A browser, and a server for it, for every test of what a reader sees."""

import functools
import http.server
import threading
from contextlib import ExitStack

import pytest

from book_builder import chromium
from tests.site import site_checks


@pytest.fixture(scope="session")
def browser():
    with chromium.browser() as browser:
        yield browser


@pytest.fixture
def new_page(browser):
    """A function that makes a page in a context of its own; the end of the test closes it."""
    with ExitStack() as pages:
        yield lambda **options: pages.enter_context(browser.new_page(**options))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def serve():
    """A function that serves a folder on this machine and returns its address."""
    servers = []

    def start(folder, answers=Quiet):
        handler = functools.partial(answers, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def file(tmp_path, figure):
    """An interactive figure in a file of its own, with no server; `figure` is a fixture of the test's module."""
    path = tmp_path / "figure.html"
    head = (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    )
    path.write_text(f"{head}<title>t</title>{figure.static_html()}", encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(new_page, file):
    """That file on a phone without a network. Errors in the console and requests fail the test."""
    page = new_page(viewport={"width": 375, "height": 900}, offline=True)
    wrong = []
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
    page.goto(file)
    page.locator("[aria-live]").wait_for()
    yield page
    page.close()
    assert wrong == []


@pytest.fixture
def phone(new_page, file):
    """That file on a phone that a finger touches."""
    page = new_page(viewport={"width": 375, "height": 900}, has_touch=True, is_mobile=True)
    page.goto(file)
    return page


@pytest.fixture(scope="session")
def site():
    pages = [site_checks.SITE / f"{name}.html" for name in site_checks.PAGES]
    missing = [page.name for page in pages if not page.is_file()]
    if missing:
        pytest.fail(f"The site is not built, or not whole: type make site. Missing: {missing}")
    return site_checks.SITE


@pytest.fixture(scope="session")
def address(site, serve):
    return serve(site)
