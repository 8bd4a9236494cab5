"""Write a network down layer by layer; the stack keeps track of the map that the next layer reads."""

from __future__ import annotations

from math import prod
from typing import TypedDict, Unpack

from dsconv_lib import spec as specs
from dsconv_lib.networks.layer import Kind, Layer
from dsconv_lib.spec import ConvSpec, Padding, Size, SpecError, per_dimension, require_int


class Slide(TypedDict, total=False):
    """How a window moves over a map: the arguments of `spec.standard` of the same names."""

    stride: Size
    padding: Padding


class Stack:
    """A network under construction: its `layers` so far, and the `channels` and `size` of the map they end in.

    Each method appends what its name says and returns the stack, so that calls chain.

    Args:
        resolution: side of the input image in pixels, or (height, width).
        in_channels: channels of the image.
        bias, norm: the network's habit. The early networks have a bias in each convolution, the later ones batch
            normalisation after it.

    Raises:
        SpecError: here if an argument is not a size; in the methods if the image is too small for the network.
    """

    def __init__(
        self, resolution: Size, *, in_channels: int = 3, bias: bool = False, norm: bool = False
    ) -> None:
        self.layers: list[Layer] = []
        self.channels = require_int("in_channels", in_channels)
        self.size = self.resolution = per_dimension("resolution", resolution, 2)
        self.bias, self.norm = bias, norm

    def conv(
        self, name: str, channels: int, kernel_size: Size, groups: int = 1, **slide: Unpack[Slide]
    ) -> Stack:
        """Append a convolution to so many channels: a pointwise one if its kernel is one pixel, else a standard one."""
        self._slide(name, kernel_size, **slide)
        spec = specs.standard(
            self.channels, channels, self.size, kernel_size, groups=groups, **slide
        )
        kind: Kind = "pointwise" if prod(spec.kernel_size) == 1 else "standard"
        return self._append(name, kind, spec, self.bias, self.norm)

    def separable(
        self,
        name: str,
        channels: int,
        kernel_size: Size,
        norm_between: bool = False,
        **slide: Unpack[Slide],
    ) -> Stack:
        """Append a depthwise convolution and a pointwise one; bias and normalisation follow the second.

        `norm_between` says that normalisation follows the first half, too.
        """
        self._slide(name, kernel_size, **slide)
        first, second = specs.separable(self.channels, channels, self.size, kernel_size, **slide)
        self._append(f"{name}.depthwise", "depthwise", first, False, norm_between)
        return self._append(f"{name}.pointwise", "pointwise", second, self.bias, self.norm)

    def pool(
        self, kernel_size: Size, stride: Size, padding: Size = 0, *, ceil: bool = False
    ) -> Stack:
        """Shrink the map as a pooling window does; pooling has no weights, so it is no layer of the table.

        `ceil` lets the last window hang over the edge, as Caffe does and the networks written in it need.
        """
        self.size = self._slide("pooling", kernel_size, ceil, stride=stride, padding=padding)
        return self

    def branch(self) -> Stack:
        """Start a new stack that reads the map at which this one has arrived."""
        start = Stack(self.resolution, in_channels=self.channels, bias=self.bias, norm=self.norm)
        start.size = self.size
        return start

    def branches(self, *ends: Stack) -> Stack:
        """Append branches that started here, and go on with their outputs stacked along the channels."""
        sizes = {end.size for end in ends}
        if len(sizes) != 1:
            raise SpecError(f"branches end in maps of {sorted(sizes)} pixels: expected one size")
        (self.size,) = sizes
        self.channels = sum(end.channels for end in ends)
        for end in ends:
            self.layers += end.layers
        return self

    def add(self, end: Stack) -> Stack:
        """Append a branch that started earlier and whose output is added to the map: a shortcut."""
        if (end.channels, end.size) != (self.channels, self.size):
            raise SpecError(
                f"a shortcut ends in {end.channels} channels of {end.size} pixels: "
                f"expected {self.channels} of {self.size}, as in the map that it is added to"
            )
        self.layers += end.layers
        return self

    def flatten(self) -> Stack:
        """Turn the map into a single pixel with a channel for each of its numbers."""
        self.channels, self.size = self.channels * prod(self.size), (1, 1)
        return self

    def average(self) -> Stack:
        """Average over all pixels: a single one is left."""
        self.size = (1, 1)
        return self

    def linear(self, name: str, out_features: int) -> Stack:
        """Append a linear layer, which has a bias, on the single pixel that is left."""
        spec = specs.pointwise(self.channels, out_features, self.size)
        return self._append(name, "linear", spec, True, False)

    def classifier(self, num_classes: int) -> list[Layer]:
        """Append the linear layer with one output per class, and return the finished table."""
        return self.linear("classifier", require_int("num_classes", num_classes)).layers

    def _append(self, name: str, kind: Kind, spec: ConvSpec, bias: bool, norm: bool) -> Stack:
        self.layers.append(Layer(name, kind, spec, bias, norm))
        self.channels, self.size = spec.out_channels, spec.out_size
        return self

    def _slide(
        self, name: str, kernel_size: Size, ceil: bool = False, **slide: Unpack[Slide]
    ) -> specs.Sizes:
        """Return the size of the map that a window leaves; refuse an image in which none fits."""
        kernel = per_dimension("kernel_size", kernel_size, 2)
        stride = per_dimension("stride", slide.get("stride", 1), 2)
        pads = specs.pads_of(slide.get("padding", 0), kernel, stride, (1, 1))
        each = zip(self.size, pads, kernel, stride, strict=True)
        size = tuple((n + sum(p) - k + (s - 1 if ceil else 0)) // s + 1 for n, p, k, s in each)
        if min(size) < 1:
            raise SpecError(
                f"resolution={self.resolution}: {name} has a window of {kernel} pixels, and of the image "
                f"a map of {self.size} is left: expected a larger image"
            )
        return size


def scaled(channels: int, alpha: float) -> int:
    """Return `alpha` times the channels, rounded down, 8 at least.

    Raises:
        SpecError: unless alpha is a number greater than 0.
    """
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not number or not 0 < alpha < float("inf"):
        expected = "a number greater than 0, such as 1, 0.75 or 0.5"
        raise SpecError(f"alpha={alpha!r}: expected {expected}")
    return max(8, int(channels * alpha))
