"""The page for addresses that do not exist, on a site in a folder whose name it cannot know."""

import http.server
from pathlib import Path

import pytest

from tests.site.site_checks import SITE


class LikePages(http.server.SimpleHTTPRequestHandler):
    """Answers an unknown address with the 404 page of the site in the folder `course`."""

    def send_error(self, code, message=None, explain=None):
        body = Path(self.directory, "course/404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def course(tmp_path_factory, serve):
    root = tmp_path_factory.mktemp("server")
    (root / "course").symlink_to(SITE)
    return f"{serve(root, LikePages)}/course"


@pytest.mark.parametrize("wrong", ["none.html", "chapters/none", "chapters/x/y/none.html"])
@pytest.mark.parametrize(("width", "theme"), [(375, "light"), (1280, "dark")])
def test_it_leads_back_from_any_depth(new_page, course, wrong, width, theme):
    page = new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    errors = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    assert page.goto(f"{course}/{wrong}").status == 404
    page.locator("[data-root='/course/']").wait_for()
    assert page.locator("html").get_attribute("data-theme") == theme
    assert page.evaluate("document.scrollingElement.scrollWidth") == width
    assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"
    page.get_by_role("searchbox").fill("depthwise")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()
    assert page.url.startswith(f"{course}/search.html?q=depthwise")
    page.go_back()
    page.locator("[data-root='/course/']").wait_for()
    page.get_by_role("link").click()
    assert page.url == f"{course}/intro.html"
    assert page.get_by_role("heading", level=1).inner_text().startswith("Depthwise-separable")
    # The browser itself notes each answer 404, of this address and of the folders it asks.
    assert [e for e in errors if "status of 404" not in e] == []


def test_it_names_the_course_as_the_front_page_does():
    title = '<a href="/intro.html">Depthwise-separable convolution, step by step</a>'
    assert title in (SITE / "404.html").read_text(encoding="utf-8")
    assert "Depthwise-separable convolution, step by step" in (SITE / "intro.html").read_text()
