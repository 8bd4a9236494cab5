"""How many times torch's time each form of one convolution takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dsconv_lib.figures.style import COLOURS, INK, WIDTH


def draw_ladder(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw a line for each form, the slowest on top: a dot for each size, and the geometric mean as a number.

    >>> (axes,) = draw_ladder([{"ratio": {"torch": 1, "mine": 2}}, {"ratio": {"torch": 1, "mine": 8}}]).axes
    >>> [text.get_text() for text in axes.texts]
    ['mine: 4.00', 'torch: 1.00']

    Args:
        rows: for each size `ratio`, the time of each form over that of the fastest of torch.
    """
    ratios = {name: [row["ratio"][name] for row in rows] for name in rows[0]["ratio"]}
    means = {name: exp(sum(map(log, each)) / len(each)) for name, each in ratios.items()}
    slowest_first = sorted(ratios, key=lambda name: -means[name])
    figure, axes = plt.subplots(figsize=(WIDTH, 0.45 * len(ratios) + 0.6))
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    lowest = min(min(each) for each in ratios.values())
    for y, name in enumerate(slowest_first):
        colour = INK if name.startswith("torch") else COLOURS["depthwise"]
        each = ratios[name]
        axes.plot([min(each), max(each)], [y, y], color=colour, linewidth=1)
        axes.plot(each, [y] * len(each), "o", color=colour, markersize=4, alpha=0.6)
        axes.text(lowest, y - 0.22, f"{name}: {means[name]:,.2f}", color=colour, fontsize=9)
    axes.set(xscale="log", ylim=(len(ratios) - 0.5, -0.8), xlabel="times torch's faster layout")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure
