"""A network as a list of its layers: what it is made of, before any weight exists."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Literal, NamedTuple

import pandas as pd

from dsconv_lib import cost
from dsconv_lib.spec import ConvSpec

Kind = Literal["standard", "depthwise", "pointwise", "linear"]


class Layer(NamedTuple):
    """One layer with weights; a linear classifier is a pointwise convolution on a single pixel.

    `bias` says that the layer has one; `norm` that batch normalisation follows, with two trainable numbers per channel.
    """

    name: str
    kind: Kind
    spec: ConvSpec
    bias: bool = False
    norm: bool = True

    def cost(self, batch: int = 1) -> cost.Cost:
        """Cost by the course's convention: neither bias nor batch normalisation counts."""
        return cost.of(self.spec, batch)

    @property
    def trainable(self) -> int:
        """Trainable parameters, bias and batch normalisation included: what torch reports."""
        extra = self.spec.out_channels * (int(self.bias) + 2 * int(self.norm))
        return self.cost().params + extra


def total(layers: Iterable[Layer], batch: int = 1) -> cost.Cost:
    """Cost of the whole network: the sum over its layers."""
    nothing = cost.Cost(macs=0, params=0, reads=0, writes=0)
    return reduce(add, (layer.cost(batch) for layer in layers), nothing)


def table(layers: Iterable[Layer]) -> pd.DataFrame:
    """Lay a network out as a table, one row per layer, for one image.

    Returns:
        Columns: layer, kind, input and output (channels x height x width), kernel, stride, macs, params (weights
        only) and trainable (bias and batch normalisation included).
    """
    return pd.DataFrame(
        {
            "layer": layer.name,
            "kind": layer.kind,
            "input": _sizes(layer.spec.in_channels, *layer.spec.in_size),
            "kernel": _sizes(*layer.spec.kernel_size),
            "stride": layer.spec.stride[0],
            "output": _sizes(layer.spec.out_channels, *layer.spec.out_size),
            "macs": layer.cost().macs,
            "params": layer.cost().params,
            "trainable": layer.trainable,
        }
        for layer in layers
    )


def _sizes(*sizes: int) -> str:
    return "x".join(map(str, sizes))
