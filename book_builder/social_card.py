"""Draw the picture that goes with a link to the site: ``python -m book_builder.social_card``.

`assets/social-card.png` is drawn once and committed: Chromium's fonts differ between machines, and
the picture changes only when the worked example or the colours do.
"""

from pathlib import Path
from string import Template

from book_builder import ROOT
from book_builder.chromium import browser
from dsconv_lib import cost, spec

ASSETS = ROOT / "assets"
WIDTH, HEIGHT = 1200, 630

PAGE = Template((ROOT / "book_builder/pages/social_card.html").read_text(encoding="utf-8"))


def draw(file: Path) -> None:
    """Write the card into ``file``: the title, and the worked example of the front page as bars."""
    standard = cost.of(spec.standard(3, 256, 8, 5, padding="same")).macs
    depthwise, pointwise = (
        cost.of(half).macs for half in spec.separable(3, 256, 8, 5, padding="same")
    )
    page = PAGE.substitute(
        width=WIDTH,
        height=HEIGHT,
        logo=(ASSETS / "logo.svg").read_text(encoding="utf-8"),
        standard=f"{standard:,}",
        depthwise=f"{depthwise:,}",
        pointwise=f"{pointwise:,}",
        separable=f"{depthwise + pointwise:,}",
        first=100 * depthwise / standard,
        second=100 * pointwise / standard,
    )
    with browser() as chromium:
        view = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        view.set_content(page)
        view.screenshot(path=file)


if __name__ == "__main__":
    draw(ASSETS / "social-card.png")
