"""Arrays: how far apart two are, of how many separable terms a weight is the sum, and what an output depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dsconv_lib.spec import Array


def random(*shape: int) -> Array:
    """Draw an array from a normal distribution, the same one for the same shape."""
    return np.random.default_rng(list(shape)).normal(size=shape)


def digits() -> Array:
    """Return the handwritten digits that the course trains on, as images (image, row, column)."""
    from sklearn.datasets import load_digits  # takes a second to import

    return np.asarray(load_digits().images)


def difference(first: Array, second: Array) -> float:
    """Largest difference of two arrays of one shape, relative to the largest entry of the second."""
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape}: expected one shape")
    return float(abs(first - second).max() / abs(second).max())


def embed(depthwise_weight: Array) -> Array:
    """Write a depthwise weight (M, 1, K, K) as a standard one (M, M, K, K): zero for all other channels."""
    return np.eye(len(depthwise_weight))[:, :, None, None] * depthwise_weight[:, 0]


def compose(depthwise_weight: Array, pointwise_weight: Array) -> Array:
    """Multiply the two weights of a separable convolution into one standard weight (N, M, K, K).

    >>> rank(compose(random(4, 1, 3, 3), random(16, 4, 1, 1)))
    1
    """
    return np.multiply(pointwise_weight, depthwise_weight[:, 0])


def mix(x: Array, pointwise_weight: Array) -> Array:
    """Add up the channels at each pixel, weighted: once for each output channel."""
    return np.asarray(np.einsum("bmij,nm->bnij", x, pointwise_weight[:, :, 0, 0]))


def _slices(weight: Array) -> Array:
    """Cut a standard weight (N, M, K, K) into one matrix (N, K * K) for each input channel."""
    return weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], weight.shape[0], -1)


def rank(weight: Array) -> int:
    """Largest rank of the matrices (N, K * K) of the input channels: how many separable terms the weight needs."""
    return int(np.linalg.matrix_rank(_slices(weight)).max())


def energy(weight: Array) -> float:
    """Share of the squared weights that the best single separable term holds, averaged over input channels."""
    squares = np.linalg.svd(_slices(weight), compute_uv=False) ** 2
    return float((squares[:, 0] / squares.sum(axis=1)).mean())


def best_term(weight: Array, *, centred: bool = False) -> Array:
    """Closest single separable term, a matrix (N, K * K) for each input channel.

    `centred` subtracts the mean filter first, as PCA does.
    """
    cut = _slices(weight)
    mean = cut.mean(axis=1, keepdims=True) if centred else 0
    u, values, vt = np.linalg.svd(cut - mean, full_matrices=False)
    return np.asarray(u[:, :, :1] * values[:, None, :1] @ vt[:, :1])


def distance(weight: Array, term: Array) -> float:
    """Frobenius distance of a weight from a term, as `best_term` returns it."""
    return float(np.linalg.norm(_slices(weight) - term))


class Reads(NamedTuple):
    """How many channels, and how many pixels, one output depends on."""

    channels: int
    pixels: int


def reads(operation: Callable[[Array, Array], Array], weight: Array) -> Reads:
    """Count what the middle of the first output channel reads of four channels of 7 x 7 pixels.

    >>> from dsconv_lib import ops
    >>> reads(ops.depthwise, random(4, 1, 3, 3))
    Reads(channels=1, pixels=9)
    """
    # Tried: one input after the other is changed.
    x = random(1, 4, 7, 7)
    before = operation(x, weight)
    middle = (0, 0, before.shape[2] // 2, before.shape[3] // 2)
    changes = np.zeros(x.shape[1:], bool)
    for place in np.ndindex(*changes.shape):
        y = x.copy()
        y[0][place] += 1
        changes[place] = operation(y, weight)[middle] != before[middle]
    return Reads(int(changes.any(axis=(1, 2)).sum()), int(changes.any(axis=0).sum()))


def pixels_seen(layers: Sequence[tuple[int, int]]) -> int:
    """Trace which pixels of a row one output sees through layers of (kernel, stride), last to first."""
    seen = {0}
    for kernel, stride in reversed(layers):
        seen = {place * stride + tap for place in seen for tap in range(kernel)}
    return max(seen) - min(seen) + 1
