"""Where a whole network's multiplications and weights are: one bar per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dsconv_lib import cost
from dsconv_lib.figures.style import COLOURS, INK, LINEAR, WIDTH
from dsconv_lib.networks import Layer

Quantity = Literal["macs", "params"]

ROW = 0.21  # inches per layer: rows of 10-point text that do not touch


def draw_layers(layers: Sequence[Layer], quantity: Quantity = "macs") -> Figure:
    """Draw one horizontal bar per layer, the first on top, in its operation's colour.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> (axes,) = draw_layers(mobilenet_v1_layers()[:2]).axes
    >>> [label.get_text() for label in axes.texts]
    ['10,838,016', '3,612,672']

    Args:
        layers: a network as a table of layers, such as `mobilenet_v1_layers` returns.
        quantity: "macs" for the multiply-accumulates of one image, "params" for the weights;
            neither bias nor batch normalisation counts.

    Raises:
        ValueError: if there is no layer, or the quantity is neither of the two.
    """
    if not layers:
        raise ValueError("layers is empty: expected at least one layer")
    if quantity not in ("macs", "params"):
        raise ValueError(f"quantity={quantity!r}: expected 'macs' or 'params'")
    values = [getattr(cost.of(layer), quantity) for layer in layers]
    colours = [COLOURS.get(layer.kind, LINEAR) for layer in layers]
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
