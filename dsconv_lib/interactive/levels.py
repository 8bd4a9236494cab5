"""MobileNetV1 on three linked levels: the network, one of its layers, and the window of one output number."""

from __future__ import annotations

from traitlets import Enum, Float, Int, Unicode

from dsconv_lib import cost
from dsconv_lib.interactive.figure import InteractiveFigure, module
from dsconv_lib.networks import Layer, mobilenet_v1_layers

UNITS = {"macs": "MACs", "params": "weights", "bytes": "bytes"}
VERBS = {"macs": ("make", "makes"), "params": ("hold", "holds"), "bytes": ("move", "moves")}


class Levels(InteractiveFigure):
    """Where MobileNetV1's MACs, weights and bytes are, for a width and a resolution that the reader moves.

    `alpha` and `resolution` are those of `mobilenet_v1_layers`, `layer` is a name in its table, and `measure` says what
    the bars show: "macs", "params" or "bytes", by the conventions of `cost`.
    """

    _esm = module("mobilenet.js", "sheets.js", "levels.js")
    label = Unicode("MobileNetV1: network, layer and window").tag(sync=True)
    alpha = Float(1.0, min=0.25, max=1.0).tag(sync=True)
    resolution = Int(224, min=32, max=224).tag(sync=True)
    measure = Enum(list(UNITS), default_value="macs").tag(sync=True)
    layer = Enum([layer.name for layer in mobilenet_v1_layers()], "block7.pointwise").tag(sync=True)

    @property
    def sentence(self) -> str:
        """The share of all layers of the kind of `layer`, and what `layer` itself has, by `measure`."""
        layers = mobilenet_v1_layers(self.alpha, self.resolution)
        layer = next(layer for layer in layers if layer.name == self.layer)
        whole, count = self._count(layers), self._count([layer])
        kind = self._count([other for other in layers if other.kind == layer.kind])
        own = cost.of(layer)
        parts, what = {
            "macs": (own.writes, "output numbers"),
            "params": (layer.spec.out_channels, "output channels"),
            "bytes": (own.reads + own.params + own.writes, "numbers"),
        }[self.measure]
        make, makes = VERBS[self.measure]
        block, _, half = layer.name.partition(".")
        all_of_it = f"The {half} layers {make}" if half else f"The {block} {makes}"
        it = f"The one in block {block.removeprefix('block')}" if half else "It"
        return (
            f"{all_of_it} {100 * kind / whole:.2f}\N{NO-BREAK SPACE}% of the {whole:,} {UNITS[self.measure]}. "
            f"{it} {makes} {count:,}: {count // parts:,} for each of its {parts:,} {what}."
        )

    def _count(self, layers: list[Layer]) -> int:
        whole = cost.of(layers)
        return {"macs": whole.macs, "params": whole.params, "bytes": whole.bytes()}[self.measure]
