"""What a layer asks of a machine: so many FLOP, and so many bytes moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

from dsconv_lib import cost
from dsconv_lib.cost import HasSpec
from dsconv_lib.networks import Layer
from dsconv_lib.spec import ConvSpec

Kind = Literal["standard", "depthwise", "pointwise", "linear", "norm", "elementwise", "fused"]


@dataclass(frozen=True, slots=True)
class Work:
    """One pass over some arrays, each of which is read or written once.

    `flops` counts 2 per multiply-add; `bytes` are those moved, and the working set too.
    """

    kind: Kind
    flops: int
    bytes: int

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in FLOP per byte."""
        return self.flops / self.bytes


def of(conv: ConvSpec | HasSpec, batch: int = 1, *, itemsize: int = 4) -> Work:
    """Work of a convolution, counted by `cost.of`: input and weights read once, output written once.

    Args:
        conv: a convolution of `spec`, or a layer of `networks`.
        batch: images B.
        itemsize: bytes of an element, 4 for float32.

    Raises:
        SpecError: as `cost.of`.

    >>> from dsconv_lib import spec
    >>> of(spec.depthwise(512, 14, 3, padding=1))
    Work(kind='depthwise', flops=1806336, bytes=821248)
    """
    counted = cost.of(conv, batch)
    return Work(_kind(conv), counted.flops, counted.bytes(itemsize))


def _kind(conv: Any) -> Kind:
    if hasattr(conv, "kind"):
        kind: Kind = conv.kind  # only the table of a network knows which layer is linear
        return kind
    spec: ConvSpec = getattr(conv, "spec", conv)
    if prod(spec.kernel_size) == 1:
        return "pointwise"
    return "depthwise" if spec.groups == spec.in_channels > 1 else "standard"


def elementwise(elements: int, flops: int = 1, *, itemsize: int = 4) -> Work:
    """Work of a pass that reads so many elements and writes as many, with so many FLOP for each; ReLU has 1.

    >>> elementwise(14 * 14 * 512).intensity
    0.125
    """
    return Work("elementwise", flops * elements, 2 * itemsize * elements)


def norm(elements: int, *, itemsize: int = 4) -> Work:
    """Work of batch normalisation that no longer learns: elementwise, with a multiply-add for each element.

    >>> norm(14 * 14 * 512).intensity
    0.25
    """
    return replace(elementwise(elements, 2, itemsize=itemsize), kind="norm")


def fused(
    depthwise: ConvSpec | HasSpec,
    pointwise: ConvSpec | HasSpec,
    batch: int = 1,
    *,
    itemsize: int = 4,
) -> Work:
    """Work of both halves of a separable convolution in one pass: the map between them is never moved.

    Args:
        depthwise, pointwise: its halves, as `of` takes them.
        batch, itemsize: as in `of`.

    >>> from dsconv_lib import spec
    >>> separable = spec.separable(512, 512, 14, 3, padding=1)
    >>> fused(*separable).bytes / sum(of(half).bytes for half in separable)
    0.6996...
    """
    first, both = cost.of(depthwise, batch), cost.of((depthwise, pointwise), batch)
    return Work("fused", both.flops, both.bytes(itemsize) - 2 * itemsize * first.writes)


def training(network: Iterable[Layer], batch: int = 1, *, itemsize: int = 2) -> Work:
    """Work of one step of training, where neighbours that work element by element share one pass.

    A convolution with input I and output O, and the batch normalisation and ReLU after it, make these passes:

    - forward: the convolution reads I and writes O; the statistics read O; normalisation and ReLU read O and write as
      much;
    - backward: the sums of normalisation read its gradient and O; its own gradient reads both and writes as much; the
      convolution's two gradients each read that, one reads I, one writes as much.

    That is 3 I + 11 O elements. Weights, which a batch shares, and linear layers are left out. The multiplications are
    those of the convolution and of its two gradients, three times the forward ones.

    Args:
        network: layers of `networks`.
        batch: images B.
        itemsize: bytes of an element, 2 for bfloat16.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> f"{training(mobilenet_v1_layers(resolution=32, stem='small')).bytes:,}"
    '11,520,000'
    """
    counted = cost.of((layer for layer in network if layer.kind != "linear"), batch)
    moved = itemsize * (3 * counted.reads + 11 * counted.writes)
    return Work("standard", 3 * counted.flops, moved)
