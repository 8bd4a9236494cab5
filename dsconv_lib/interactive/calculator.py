"""A calculator: what a layer costs as a standard and as a separable convolution, for sizes that the reader moves."""

from __future__ import annotations

from traitlets import Enum, Int, Unicode, Union

from dsconv_lib import cost
from dsconv_lib import spec as specs
from dsconv_lib.interactive.figure import InteractiveFigure, module


class Calculator(InteractiveFigure):
    """Multiplications, weights and bytes of the four operations, by the conventions of `cost`.

    The values are those of `spec.separable`; `padding` is "same" or a number of zeros. It begins with 8x8 pixels of 3
    channels, a 5x5 kernel and 256 outputs.

    Raises:
        SpecError: on showing it, if the values are those of no convolution.
    """

    _esm = module("table.js", "calculator.js")
    label = Unicode("Calculator of the cost of a layer").tag(sync=True)
    in_size = Int(8, min=1, max=224).tag(sync=True)
    kernel_size = Int(5, min=1, max=11).tag(sync=True)
    in_channels = Int(3, min=1, max=1024).tag(sync=True)
    out_channels = Int(256, min=1, max=1024).tag(sync=True)
    stride = Int(1, min=1, max=4).tag(sync=True)
    padding = Union([Enum(["same"]), Int(min=0, max=5)], default_value="same").tag(sync=True)
    multiplier = Int(1, min=1, max=8).tag(sync=True)

    @property
    def sentence(self) -> str:
        """MACs of the standard layer, of both halves of the separable one, and how they compare."""
        sizes = self.values()
        first, second = (cost.of(half).macs for half in specs.separable(**sizes))
        del sizes["multiplier"]
        standard, separable = cost.of(specs.standard(**sizes)).macs, first + second
        if standard == separable:
            compared = "exactly as many"
        elif standard > separable:
            compared = f"{standard / separable:.2f} times fewer"
        else:
            compared = f"{separable / standard:.2f} times as many"
        return (
            f"Standard: {standard:,} MACs. "
            f"Separable: {first:,} + {second:,} = {separable:,} MACs, {compared}."
        )
