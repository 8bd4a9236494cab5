"""What papers count of a network beside `cost.of`, and what they do with two counts."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from dsconv_lib import cost, ops
from dsconv_lib.networks.layer import Kind, Layer

Network = list[Layer]


def part(network: Iterable[Layer], kind: Kind) -> Network:
    """Return the layers of one kind: standard, depthwise, pointwise or linear."""
    return [layer for layer in network if layer.kind == kind]


def convolutions(network: Iterable[Layer]) -> Network:
    """Return the network without its linear layers."""
    return [layer for layer in network if layer.kind != "linear"]


def with_biases(network: Network, *, norm: int = 0) -> int:
    """Weights, biases, and `norm` numbers for each channel that batch normalisation follows; 2 are trainable.

    >>> from dsconv_lib.networks import xception_layers
    >>> with_biases(xception_layers(), norm=2)
    22855952
    """
    extra = (layer.spec.out_channels * (layer.bias + norm * layer.norm) for layer in network)
    return cost.of(network).params + sum(extra)


def averaged(network: Network) -> int:
    """Count what an average over all pixels at the end adds up; 0 where the network has no such average."""
    features, last = convolutions(network)[-1].spec, network[-1]
    if last.kind == "linear" and last.spec.in_channels != features.out_channels:
        return 0
    return prod(features.output_shape())


def macs_inside(network: Iterable[Layer]) -> int:
    """MACs with the taps left out that fall on zeros of the padding.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> macs_inside(mobilenet_v1_layers())
    567875744
    """
    macs = 0
    for conv in (layer.spec for layer in network):
        # An image of ones under a kernel of ones: each output counts the taps that fall on the image.
        image, kernel = np.ones((1, 1, *conv.in_size)), np.ones((1, 1, *conv.kernel_size))
        taps = ops.standard(conv.pad(image), kernel, stride=conv.stride, dilation=conv.dilation)
        macs += int(taps.sum()) * prod(conv.weight_shape[:2])
    return macs


def percent(part: float, whole: float) -> float:
    """Return the part in per cent of the whole."""
    return 100 * part / whole


def quotient(first: float, second: float) -> float:
    """Return how many times the second of two printed figures goes into the first."""
    return first / second


def points(first: float, second: float) -> float:
    """Difference of two percentages that a paper prints."""
    return first - second
