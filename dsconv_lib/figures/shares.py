"""Shares of a whole: one full-width bar per row, cut into the kinds of layer."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dsconv_lib.figures.style import COLOURS, LINEAR, WIDTH

OTHER = "#444444"  # what is none of the operations: normalisation, ReLU
CHARACTER = 1.55  # per cent of the width that a character takes in a label


def draw_shares(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw one bar of equal length per row, cut into its parts, each in its operation's colour.

    A part carries its name and its share in per cent if they fit into it. Below the last row stand, in their colours,
    the names of the kinds that fit nowhere.

    >>> (axes,) = draw_shares({"MACs": {"depthwise": 1, "pointwise": 9}}).axes
    >>> [int(bar.get_width()) for bar in axes.patches]
    [10, 90]

    Args:
        rows: for each row's title, amounts by kind of layer, in any unit; the first row is on top and
            the first kind on the left.

    Raises:
        ValueError: if there is no row, an amount is negative or a row's amounts add up to 0.
    """
    if not rows:
        raise ValueError("rows is empty: expected at least one row")
    figure, axes = plt.subplots(figsize=(WIDTH, 0.75 * len(rows) + 0.2))
    nameless = dict.fromkeys(
        kind for amounts in rows.values() for kind in amounts if amounts[kind] > 0
    )
    for row, (title, amounts) in enumerate(rows.items()):
        whole = sum(amounts.values())
        if whole <= 0 or min(amounts.values()) < 0:
            raise ValueError(f"{title}: {dict(amounts)}: expected amounts of 0 or more, one above")
        axes.text(0, row - 0.32, title, va="bottom")
        left = 0.0
        for kind, amount in amounts.items():
            share = 100 * amount / whole
            axes.barh(row, share, left=left, height=0.6, color=_colour(kind))
            number = f"{share:.1f} %"
            if share > CHARACTER * max(len(kind), len(number)):
                nameless.pop(kind, None)
                label, middle = f"{kind}\n{number}", left + share / 2
                axes.text(middle, row, label, color="white", ha="center", va="center", fontsize=9)
            left += share
    right = 100.0
    for kind in reversed(nameless):
        axes.text(right, len(rows) - 0.65, kind, color=_colour(kind), ha="right", va="top")
        right -= 1.2 * CHARACTER * (len(kind) + 1)
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.35, -0.65))
    axes.axis("off")
    return figure


def _colour(kind: str) -> str:
    return (COLOURS | {"linear": LINEAR}).get(kind, OTHER)
