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

PAGE = Template("""\
<!doctype html><meta charset="utf-8"><title>card</title>
<style>
  body {
    box-sizing: border-box; width: ${width}px; height: ${height}px; margin: 0; padding: 64px 72px;
    display: flex; flex-direction: column; justify-content: space-between;
    background: #fff; color: #14181c; font: 30px/1.4 "DejaVu Sans", sans-serif;
  }
  header { display: flex; gap: 40px; align-items: center; }
  header svg { width: 250px; margin: -30px; }
  h1 { margin: 0; font-size: 58px; line-height: 1.2; font-weight: 700; }
  .bar { display: flex; height: 56px; margin: 6px 0 26px; }
  .standard { background: #d55e00; } .depthwise { background: #0072b2; } .pointwise { background: #009e73; }
  b { font-variant-numeric: tabular-nums; }
</style>
<header>$logo<h1>Depthwise-separable convolution, step by step</h1></header>
<main>
  <div>standard <b>$standard</b> multiplications</div>
  <div class="bar"><div class="standard" style="width: 100%"></div></div>
  <div>depthwise <b>$depthwise</b> + pointwise <b>$pointwise</b> = <b>$separable</b></div>
  <div class="bar">
    <div class="depthwise" style="width: $first%"></div><div class="pointwise" style="width: $second%"></div>
  </div>
</main>
""")


def draw(file: Path) -> None:
    """Write the card into ``file``: the title, and the worked example of the front page as bars."""
    standard = cost.of(spec.standard(3, 256, 8, 5, padding="same")).macs
    depthwise = cost.of(spec.depthwise(3, 8, 5, padding="same")).macs
    pointwise = cost.of(spec.pointwise(3, 256, 8)).macs
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
