"""Training runs: what they reach epoch by epoch, and how many images a second they learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from dsconv_lib.figures.style import COLOURS, INK, WIDTH

# The twin is made of standard convolutions; a separable one has no colour of its own.
NETWORKS = {"separable": INK, "twin": COLOURS["standard"]}


def draw_runs(accuracies: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Draw the test accuracy after each epoch: a thin line for each run, a thick one for their mean.

    >>> (axes,) = draw_runs({"twin": [[0.5, 0.9], [0.7, 0.8]]}).axes
    >>> axes.texts[0].get_text()
    'twin: 85.00 %, mean of 2'

    Args:
        accuracies: for each network, "separable" or "twin", its runs, all of one length: fractions.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 2.8))
    for row, (name, runs) in enumerate(accuracies.items()):
        percent = 100 * np.array(runs)
        epochs = np.arange(1, percent.shape[1] + 1)
        axes.plot(epochs, percent.T, color=NETWORKS[name], linewidth=0.5, alpha=0.5)
        mean = percent.mean(axis=0)
        axes.plot(epochs, mean, color=NETWORKS[name])
        label = f"{name}: {mean[-1]:.2f} %, mean of {len(runs)}"
        place = (0.98, 0.16 - 0.1 * row)
        axes.text(*place, label, color=NETWORKS[name], ha="right", transform=axes.transAxes)
    axes.set(xlabel="epoch", ylabel="test accuracy in %")
    return figure


def draw_speeds(speeds: Mapping[str, Mapping[str, float]], floors: Mapping[str, float]) -> Figure:
    """Draw images per second as bars, one for each way to run a step, and the memory's floor.

    >>> (axes,) = draw_speeds({"twin": {"plain": 900, "compiled": 1500}}, {"twin": 4000}).axes
    >>> [text.get_text() for text in axes.texts]
    ['twin, floor of the memory 4,000 images/s', 'plain: 900', 'compiled: 1,500']

    Args:
        speeds: for each network, "separable" or "twin", images per second by the way's name.
        floors: for each network, images per second at which the memory alone would be busy.
    """
    rows = sum(len(ways) + 1 for ways in speeds.values())
    figure, axes = plt.subplots(figsize=(WIDTH, 0.34 * rows))
    furthest = max(*floors.values(), *(max(ways.values()) for ways in speeds.values()))
    y = 0.0
    for name, ways in speeds.items():
        first = y
        title = f"{name}, floor of the memory {floors[name]:,.0f} images/s"
        axes.text(0, y, title, color=NETWORKS[name], va="center")
        for way, speed in ways.items():
            y += 1
            axes.barh(y, speed, height=0.7, color=NETWORKS[name], alpha=0.35)
            axes.text(0.01 * furthest, y, f"{way}: {speed:,.0f}", va="center", fontsize=9)
        axes.vlines(floors[name], first + 0.6, y + 0.4, color=NETWORKS[name], linestyle=":")
        y += 1
    axes.set(xlim=(0, 1.02 * furthest), ylim=(y - 0.4, -0.5))
    axes.axis("off")
    return figure
