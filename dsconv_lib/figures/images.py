"""Rows of small grey images, each under its title."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dsconv_lib.figures.style import WIDTH

TITLE = 0.24  # inches above each image: one line of 10 points


def draw_images(images: NDArray[Any], titles: Sequence[str], *, columns: int = 8) -> Figure:
    """Draw grey images side by side, ink dark on light paper, in rows of `columns`.

    >>> import numpy as np
    >>> figure = draw_images(np.zeros((2, 8, 8)), ["3", "5"], columns=2)
    >>> [axes.get_title() for axes in figure.axes]
    ['3', '5']

    Args:
        images: shape (count, H, W), 0 for paper to 255 for ink.
        titles: one short line each, such as a label.
        columns: images in a row; up to 10 stay legible.

    Raises:
        ValueError: if there is no image, or not one title for each.
    """
    if not len(images) or len(images) != len(titles):
        given = f"{len(images)} images and {len(titles)} titles"
        raise ValueError(f"{given}: expected one title each, and at least one image")
    rows = math.ceil(len(images) / columns)
    figsize = (WIDTH, rows * (WIDTH / columns + TITLE))
    figure, panels = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for axes, image, title in zip(panels.flat[: len(images)], images, titles, strict=True):
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(title, loc="center", pad=3)
    return figure
