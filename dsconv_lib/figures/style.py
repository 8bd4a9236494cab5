"""How every figure looks: the colours of the four operations, and a size that stays legible on a phone."""

from __future__ import annotations

import matplotlib as mpl

# Okabe and Ito's palette: it stays distinct for colour-blind readers. A separable convolution has no
# colour of its own: it is drawn as depthwise and pointwise together.
COLOURS = {"standard": "#D55E00", "depthwise": "#0072B2", "pointwise": "#009E73"}
LINEAR = "#777777"  # a linear layer is none of the operations, so it has none of their colours
INK = "#222222"
PAPER = "#ffffff"
CHANNELS = ("#c8c8c8", "#e4e4e4", "#acacac", "#d6d6d6")  # neighbouring channels in distinct greys

WIDTH = 5.0  # inches; at the width of a phone, text of 10 points is still larger than 9 pixels


def use_style() -> None:
    """Set matplotlib's defaults for the course; call it once at the top of a notebook.

    >>> with mpl.rc_context():
    ...     use_style()
    ...     mpl.rcParams["figure.figsize"]
    [5.0, 3.0]
    """
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.0),
            "figure.dpi": 200,
            "figure.facecolor": PAPER,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": PAPER,
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "lines.linewidth": 2,
        }
    )
