"""Bars of multiplications: standard beside separable, the latter with its two parts."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from dsconv_lib.cost import Cost
from dsconv_lib.figures.style import COLOURS, WIDTH


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
    axes.text(0, -0.55, f"depthwise {depthwise.macs:,}", color=COLOURS["depthwise"])
    longest = max(standard.macs, parts)
    right = f"pointwise {pointwise.macs:,}"
    axes.text(longest, -0.55, right, color=COLOURS["pointwise"], ha="right")
    axes.set(ylim=(-0.7, 1.7), xlim=(0, longest))
    axes.axis("off")
    return figure
