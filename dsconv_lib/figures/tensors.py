"""Pictures of what an operation reads, multiplies and writes."""

from __future__ import annotations

from typing import Literal

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dsconv_lib.figures.style import CHANNELS, COLOURS, INK, WIDTH
from dsconv_lib.spec import Array

SHIFT = 0.22  # each channel stands this fraction of its side behind the one before


def draw_operation(
    kind: Literal["standard", "depthwise", "pointwise"],
    in_channels: int = 3,
    out_channels: int = 4,
    kernel_size: int = 3,
) -> Figure:
    """Draw the input, the filters and the output of one operation, channel by channel.

    >>> (axes,) = draw_operation("depthwise", in_channels=3).axes
    >>> axes.texts[1].get_text().splitlines()
    ['3 filters of', '3×3×1']

    Args:
        kind: a depthwise operation ignores `out_channels`, a pointwise one `kernel_size`.
        in_channels: M, drawn one sheet each; up to 4 stay legible.
        out_channels: N, one filter each; up to 5 stay legible.
        kernel_size: D_K, written on the filters.
    """
    if kind == "depthwise":
        out_channels = in_channels
    if kind == "pointwise":
        kernel_size = 1
    depth = 1 if kind == "depthwise" else in_channels
    figure, axes = plt.subplots(figsize=(WIDTH, 2.7))
    axes.set_aspect("equal")
    axes.axis("off")

    _stack(axes, 0.0, 1.2, 2.0, [CHANNELS[m % 4] for m in range(in_channels)])
    _label(axes, 1.2, f"input\n{in_channels} channels")

    side = 0.7 if kernel_size > 1 else 0.32
    step = 4.4 / max(out_channels, 4)
    top = 2.2 + step * (out_channels - 1) / 2 - side / 2
    for n in range(out_channels):
        y = top - n * step
        edges = [CHANNELS[(n if kind == "depthwise" else m) % 4] for m in range(depth)]
        _stack(axes, 4.0, y, side, edges, frame=COLOURS[kind])
    filters = f"{out_channels} filters of\n{kernel_size}×{kernel_size}×{depth}"
    _label(axes, 4.5, filters, colour=COLOURS[kind])

    _stack(axes, 6.8, 1.2, 2.0, [COLOURS[kind]] * out_channels)
    _label(axes, 8.0, f"output\n{out_channels} channels")
    arrow = {"arrowstyle": "->", "color": INK, "lw": 1.2}
    for x in (3.05, 5.75):
        axes.annotate("", (x + 0.6, 2.2), (x, 2.2), arrowprops=arrow)
    axes.set(xlim=(-0.2, 9.6), ylim=(-0.9, 5.2))
    return figure


def draw_window(x: Array, kernel: Array, output: Array, row: int, column: int) -> Figure:
    """Draw one position of the sliding window, every number shown, at stride 1 and without padding.

    >>> import numpy as np
    >>> x, kernel, output = np.ones((4, 4)), np.ones((3, 3)), np.full((2, 2), 9.0)
    >>> [panel.get_title() for panel in draw_window(x, kernel, output, row=0, column=1).axes]
    ['input', 'kernel', 'output']

    Args:
        x: one channel of the input, shape (H, W).
        kernel: shape (K_h, K_w).
        output: shape (H - K_h + 1, W - K_w + 1).
        row, column: the output position whose window is framed.
    """
    arrays = {"input": x, "kernel": kernel, "output": output}
    widths = [array.shape[1] for array in arrays.values()]
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 2.3), width_ratios=widths)
    for axes, (title, array) in zip(panels, arrays.items(), strict=True):
        axes.set(xlim=(0, array.shape[1]), ylim=(array.shape[0], 0), aspect="equal", title=title)
        axes.axis("off")
        for i, values in enumerate(array):
            for j, value in enumerate(values):
                axes.add_patch(Rectangle((j, i), 1, 1, fc="white", ec="#999999", lw=0.8))
                axes.text(j + 0.5, i + 0.55, f"{value:g}", ha="center", va="center", fontsize=9)
    height, width = kernel.shape
    framed = ((column, row, width, height), (0, 0, width, height), (column, row, 1, 1))
    for axes, (left, top, wide, high) in zip(panels, framed, strict=True):
        orange = COLOURS["standard"]
        axes.add_patch(Rectangle((left, top), wide, high, fc=orange, ec=orange, lw=2.5, alpha=0.25))
    return figure


def _stack(
    axes: Axes, x: float, y: float, side: float, colours: list[str], frame: str = INK
) -> None:
    """Draw one sheet per colour, the first channel in front."""
    shift, line = (SHIFT, 1) if frame == INK else (SHIFT * 0.22 / 0.3, 1.8)
    for m in reversed(range(len(colours))):
        corner = (x + m * shift, y + m * shift)
        axes.add_patch(Rectangle(corner, side, side, fc=colours[m], ec=frame, lw=line))


def _label(axes: Axes, x: float, text: str, colour: str = INK) -> None:
    axes.text(x, -0.1, text, ha="center", va="top", color=colour, linespacing=1.3)
