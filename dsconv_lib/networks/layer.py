"""A network as a list of its layers: what it is made of, before any weight exists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from dsconv_lib import cost
from dsconv_lib.spec import ConvSpec

if TYPE_CHECKING:
    import pandas as pd

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

    @property
    def trainable(self) -> int:
        """Trainable parameters, bias and batch normalisation included: what torch reports."""
        return cost.of(self).params + self.spec.out_channels * (self.bias + 2 * self.norm)


def table(layers: Iterable[Layer]) -> pd.DataFrame:
    """Lay a network out as a table, one row per layer, for one image.

    Returns:
        Columns: layer, kind, input and output (channels x height x width), kernel, stride, macs, params (weights
        only) and trainable (bias and batch normalisation included).

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> table(mobilenet_v1_layers())[["layer", "input", "kernel", "output", "macs"]].head(2)
                  layer       input kernel      output      macs
    0              stem   3x224x224    3x3  32x112x112  10838016
    1  block1.depthwise  32x112x112    3x3  32x112x112   3612672
    """
    import pandas as pd  # here, as counting needs no tables

    return pd.DataFrame(
        {
            "layer": layer.name,
            "kind": layer.kind,
            "input": _sizes(layer.spec.in_channels, *layer.spec.in_size),
            "kernel": _sizes(*layer.spec.kernel_size),
            "stride": layer.spec.stride[0],
            "output": _sizes(layer.spec.out_channels, *layer.spec.out_size),
            "macs": cost.of(layer).macs,
            "params": cost.of(layer).params,
            "trainable": layer.trainable,
        }
        for layer in layers
    )


def _sizes(*sizes: int) -> str:
    return "x".join(map(str, sizes))
