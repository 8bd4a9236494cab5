"""Bars: of a layer's multiplications beside its replacement's, of a network's layers, and of shares of a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dsconv_lib import cost
from dsconv_lib.cost import Cost
from dsconv_lib.figures.style import COLOURS, INK, LINEAR, WIDTH
from dsconv_lib.networks import Layer

ROW = 0.21  # inches per layer: rows of 10-point text that do not touch
OTHER = "#444444"  # what is none of the operations: normalisation, ReLU
CHARACTER = 1.55  # per cent of the width that a character takes in a label


def draw_macs(standard: Cost, depthwise: Cost, pointwise: Cost) -> Figure:
    """Draw the MACs of a standard convolution above those of the separable one that replaces it.

    The separable bar is the depthwise part followed by the pointwise part; each bar carries its number.

    >>> costs = [Cost(macs=macs, params=0, reads=0, writes=0) for macs in (900, 100, 200)]
    >>> draw_macs(*costs).axes[0].texts[1].get_text()
    'separable: 300 MACs, 3.00 times fewer'
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.9))
    parts = depthwise.macs + pointwise.macs
    axes.barh(1, standard.macs, color=COLOURS["standard"], height=0.5)
    axes.barh(0, depthwise.macs, color=COLOURS["depthwise"], height=0.5)
    axes.barh(0, pointwise.macs, left=depthwise.macs, color=COLOURS["pointwise"], height=0.5)
    axes.text(0, 1.32, f"standard: {standard.macs:,} MACs", color=COLOURS["standard"])
    axes.text(0, 0.32, f"separable: {parts:,} MACs, {standard.macs / parts:.2f} times fewer")
    first, second = f"depthwise {depthwise.macs:,}", f"pointwise {pointwise.macs:,}"
    longest = max(standard.macs, parts)
    axes.text(0, -0.55, first, color=COLOURS["depthwise"])
    axes.text(longest, -0.55, second, color=COLOURS["pointwise"], ha="right")
    axes.set(ylim=(-0.7, 1.7), xlim=(0, longest))
    axes.axis("off")
    return figure


def draw_layers(layers: Sequence[Layer], quantity: Literal["macs", "params"] = "macs") -> Figure:
    """Draw one horizontal bar per layer, the first on top, in its operation's colour.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> (axes,) = draw_layers(mobilenet_v1_layers()[:2]).axes
    >>> [label.get_text() for label in axes.texts]
    ['10,838,016', '3,612,672']

    Args:
        layers: a network as a table of layers, such as `mobilenet_v1_layers` returns.
        quantity: "macs" for those of one image, "params" for the weights; neither bias nor batch normalisation counts.

    Raises:
        ValueError: if there is no layer, or the quantity is neither of the two.
    """
    if not layers:
        raise ValueError("layers is empty: expected at least one layer")
    if quantity not in ("macs", "params"):
        raise ValueError(f"quantity={quantity!r}: expected 'macs' or 'params'")
    values = [getattr(cost.of(layer), quantity) for layer in layers]
    colours = [_colour(layer.kind) for layer in layers]
    rows = range(len(layers))
    figure, axes = plt.subplots(figsize=(WIDTH, 0.3 + ROW * len(layers)))
    axes.barh(rows, values, color=colours, height=0.75)
    for row, value, colour in zip(rows, values, colours, strict=True):
        end = value + 0.01 * max(values)
        axes.text(end, row, f"{value:,}", color=colour, va="center", fontsize=9)
    axes.set_yticks(rows, [layer.name for layer in layers])
    for label, colour in zip(axes.get_yticklabels(), colours, strict=True):
        label.set_color(colour)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1.3 * max(values)), ylim=(len(layers) - 0.4, -0.6), xticks=[])
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color(INK)
    axes.set_title("MACs for one image" if quantity == "macs" else "parameters (weights)")
    return figure


def draw_shares(rows: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw one bar of equal length per row, cut into its parts, each in its operation's colour.

    A part carries its name and its share in per cent if they fit into it. Below the last row stand, in their colours,
    the names of the kinds that fit nowhere.

    >>> (axes,) = draw_shares({"MACs": {"depthwise": 1, "pointwise": 9}}).axes
    >>> [int(bar.get_width()) for bar in axes.patches]
    [10, 90]

    Args:
        rows: for each row's title, amounts by kind of layer, in any unit; the first row is on top, the first kind left.

    Raises:
        ValueError: if there is no row, an amount is negative or a row's amounts add up to 0.
    """
    if not rows:
        raise ValueError("rows is empty: expected at least one row")
    figure, axes = plt.subplots(figsize=(WIDTH, 0.75 * len(rows) + 0.2))
    nameless = dict.fromkeys(k for amounts in rows.values() for k in amounts if amounts[k] > 0)
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
