"""What one output depends on: tried, by changing one input after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from dsconv_lib import ops
from dsconv_lib.recount.values import random
from dsconv_lib.spec import Array


class Reads(NamedTuple):
    """How many channels, and how many pixels, one output depends on."""

    channels: int
    pixels: int


def reads(operation: Callable[[Array, Array], Array], weight: Array) -> Reads:
    """Count what the middle of the first output channel reads of four channels of 7 x 7 pixels.

    >>> reads(ops.depthwise, random(4, 1, 3, 3))
    Reads(channels=1, pixels=9)
    """
    x = random(1, 4, 7, 7)
    before = operation(x, weight)
    middle = (0, 0, before.shape[2] // 2, before.shape[3] // 2)
    changes = np.zeros(x.shape[1:], bool)
    for place in np.ndindex(*changes.shape):
        y = x.copy()
        y[0][place] += 1
        changes[place] = operation(y, weight)[middle] != before[middle]
    return Reads(int(changes.any(axis=(1, 2)).sum()), int(changes.any(axis=0).sum()))


def channels_learnt_from(channels: int) -> int:
    """Count the input channels that change the gradient of the first depthwise filter of a separable layer."""
    weights = random(channels, 1, 3, 3), random(5, channels, 1, 1)

    def gradient(x: Array) -> Array:
        """Of the sum of the squared outputs."""
        y = ops.separable(x, *weights)
        return np.asarray(ops.separable_backward(2 * y, x, *weights)[1][0])

    x = random(1, channels, 6, 6)
    others = (x + np.eye(channels)[m][:, None, None] for m in range(channels))
    return sum(not np.array_equal(gradient(other), gradient(x)) for other in others)


def pixels_seen(layers: Sequence[tuple[int, int]]) -> int:
    """Trace which pixels of a row one output sees through layers of (kernel, stride), last to first."""
    seen = {0}
    for kernel, stride in reversed(layers):
        seen = {place * stride + tap for place in seen for tap in range(kernel)}
    return max(seen) - min(seen) + 1


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Receptive field by the formula: 1 + the sum of (K - 1) times all strides before.

    >>> receptive_field([(3, 2), (5, 1)])
    11
    """
    return 1 + sum(
        (kernel - 1) * prod(stride for _, stride in layers[:place])
        for place, (kernel, _) in enumerate(layers)
    )
