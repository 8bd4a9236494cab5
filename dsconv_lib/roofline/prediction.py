"""The time of a network that was never run: its passes, each as fast as one layer of its kind has shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal, NamedTuple, get_args

from dsconv_lib.networks import Layer
from dsconv_lib.roofline.device import Device, RooflineError
from dsconv_lib.roofline.floor import floor
from dsconv_lib.roofline.work import Work, elementwise, fused, norm, of

Form = Literal["eager", "compiled", "folded", "fused"]
FORMS: tuple[Form, ...] = get_args(Form)


class Step(NamedTuple):
    """One pass of a network: the name of its layer, what it does there, and the work."""

    layer: str
    operation: str
    work: Work


@dataclass(frozen=True)
class Prediction:
    """Predicted `seconds` of each of the `steps`, in their order."""

    steps: tuple[Step, ...]
    seconds: tuple[float, ...]

    @property
    def layers(self) -> dict[str, float]:
        """Seconds of each layer, its elementwise passes included."""
        taken: dict[str, float] = {}
        for step, seconds in zip(self.steps, self.seconds, strict=True):
            taken[step.layer] = taken.get(step.layer, 0.0) + seconds
        return taken

    @property
    def total(self) -> float:
        """Seconds of the whole network."""
        return sum(self.seconds)


def steps(
    network: Iterable[Layer], batch: int = 1, form: Form = "eager", *, itemsize: int = 4
) -> list[Step]:
    """Take a network apart into the passes that it makes over memory.

    ReLU follows every layer but the linear ones, after batch normalisation where the layer has it. The average before
    the classifier, less than a thousandth of MobileNet's bytes, is left out.

    Args:
        network: layers of `networks`.
        batch: images B.
        form: "eager" makes three passes, convolution, normalisation and ReLU; "compiled" two, as the last two share
            one, or normalisation is folded into the weights and ReLU is not; "folded" one, as ReLU happens where the
            convolution writes; "fused" is folded, and makes one pass of a depthwise layer and the pointwise one after
            it, under the name of the latter.
        itemsize: bytes of an element, 4 for float32.

    Raises:
        RooflineError: if there is no such form.

    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> {form: len(steps(mobilenet_v1_layers(), form=form)) for form in FORMS}
    {'eager': 82, 'compiled': 55, 'folded': 28, 'fused': 15}
    """
    if form not in FORMS:
        raise RooflineError(f"form={form!r}: expected one of {', '.join(map(repr, FORMS))}")
    layers = list(network)
    if form == "fused":
        return list(_fused(layers, batch, itemsize))
    return [step for layer in layers for step in _passes(layer, batch, form, itemsize)]


def _passes(layer: Layer, batch: int, form: Form, itemsize: int) -> Iterator[Step]:
    yield Step(layer.name, layer.kind, of(layer, batch, itemsize=itemsize))
    if form == "folded" or layer.kind == "linear":
        return
    elements = prod(layer.spec.output_shape(batch))
    if layer.norm and form == "eager":
        yield Step(layer.name, "norm", norm(elements, itemsize=itemsize))
    flops = 3 if layer.norm and form == "compiled" else 1
    yield Step(layer.name, "relu", elementwise(elements, flops, itemsize=itemsize))


def _fused(layers: list[Layer], batch: int, itemsize: int) -> Iterator[Step]:
    pairs = {
        first.name: second
        for first, second in pairwise(layers)
        if (first.kind, second.kind) == ("depthwise", "pointwise")
    }
    seconds = {second.name for second in pairs.values()}
    for layer in layers:
        if layer.name in pairs:
            second = pairs[layer.name]
            work = fused(layer, second, batch, itemsize=itemsize)
            yield Step(second.name, "fused", work)
        elif layer.name not in seconds:
            yield Step(layer.name, layer.kind, of(layer, batch, itemsize=itemsize))


def expected(work: Work, device: Device) -> float:
    """Seconds that a machine's program for this kind of work takes.

    It stays under the roof and under its own ceiling: the time until it starts, and the longer of the floor and the
    time at the kind's efficiency, max(FLOP / peak, bytes / bandwidth of the memory) / efficiency.
    """
    seconds = floor(work, device).seconds
    if share := device.efficiency(work.kind):
        by_memory = work.bytes / device.bandwidth(math.inf)
        seconds = max(seconds, work.flops / device.flops / share, by_memory / share)
    return device.start(work.kind) + seconds


def predict(
    network: Iterable[Layer],
    device: Device,
    batch: int = 1,
    form: Form = "eager",
    *,
    itemsize: int = 4,
) -> Prediction:
    """Predict how long a network takes, pass by pass, as `expected` does.

    Args:
        network, batch, form, itemsize: as in `steps`.
        device: with the efficiency that one layer of each kind has shown; without any, the result is the floor.

    Raises:
        RooflineError: if there is no such form.

    >>> import math
    >>> from dsconv_lib.networks import mobilenet_v1_layers
    >>> laptop = Device("laptop", flops=1e11, levels=(("memory", math.inf, 1e10),))
    >>> for form in FORMS:
    ...     print(f"{form}: {1e3 * predict(mobilenet_v1_layers(), laptop, form=form).total:.1f} ms")
    eager: 21.5 ms
    compiled: 17.5 ms
    folded: 13.4 ms
    fused: 11.8 ms
    """
    made = steps(network, batch, form, itemsize=itemsize)
    seconds = (expected(step.work, device) for step in made)
    return Prediction(tuple(made), tuple(seconds))
