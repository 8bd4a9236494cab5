"""A whole MobileNetV1: several ways to run it, its floor, and each layer's time beside the predicted one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dsconv_lib import cost, roofline
from dsconv_lib.errors import need
from dsconv_lib.measure.bench import rates
from dsconv_lib.measure.bench.onnx_graph import graph_of
from dsconv_lib.measure.bench.setting import Setting, agree, compiled, reading
from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.timing import Timing

BATCHES = (1, 4)
FULL = {"alpha": 1.0, "resolution": 224}
SMALL = {"alpha": 0.25, "resolution": 32}
PRODUCT = "product of 1024"  # of the probe's calls: the rate that a network could reach
EAGER = "torch, eager"


class LayerClock:
    """A network that is run layer by layer, eager, and keeps the `seconds` of each layer in each run."""

    def __init__(self, model: MobileNetV1, x: Tensor, clock: Callable[[], float]) -> None:
        self.model, self.x, self.clock = model, x, clock
        self.seconds: dict[str, list[float]] = {}

    def __call__(self) -> Tensor:
        """Run the network once."""
        y = self.x
        for name, block in self.model.features.named_children():
            y = self._timed(name.replace("_", "."), block, y)
        return self._timed("classifier", self.model.classifier, y.mean(dim=(2, 3)))

    def _timed(self, name: str, module: nn.Module, x: Tensor) -> Tensor:
        start = self.clock()
        y: Tensor = module(x)
        self.seconds.setdefault(name, []).append(self.clock() - start)
        return y


def names(setting: Setting) -> list[str]:
    """What to time."""
    return [f"MobileNetV1, batch {batch}" for batch in BATCHES]


def measured(setting: Setting, told: Callable[[str], object]) -> dict[str, Any]:
    """Time the network at each batch size, in turns with the calls that the machine's rates are read off.

    Returns:
        `arguments` of the network, and `batches`: for each the readings, the `floor` in seconds of its MACs at the
        rate of a large product, each candidate's `share` of that rate, the `device` as measured in the same rounds,
        and for eager torch the `layers`, measured and predicted, and the error of both.
    """
    arguments: dict[str, Any] = SMALL if setting.quick else FULL
    torch.manual_seed(0)
    model = lively(MobileNetV1(**arguments).eval())
    found = []
    for batch, name in zip(BATCHES, names(setting), strict=True):
        told(name)
        side = arguments["resolution"]
        found.append({"batch": batch, **_batch(setting, model, torch.randn(batch, 3, side, side))})
    return {"arguments": arguments, "batches": found}


def lively(model: MobileNetV1) -> MobileNetV1:
    """Give normalisation statistics of its own, so that folding it wrongly shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.6)
            nn.init.normal_(module.bias, std=0.1)
    return model


def _batch(setting: Setting, model: MobileNetV1, x: Tensor) -> dict[str, Any]:
    network = mobilenet_v1_layers(model.arguments["alpha"], x.shape[-1])
    candidates = _candidates(setting, model, x)
    with torch.inference_mode():
        agree({name: call() for name, call in candidates.items()}, model(x))
    layers, probe = LayerClock(model, x, setting.clock), rates.probe_of(setting)
    taken = setting.timed({**candidates, "layer by layer": layers, **probe.calls})
    readings = probe.read(taken)
    macs = cost.of(network, len(x)).macs
    floor = macs / 1024**3 * taken[PRODUCT].median
    predicted = roofline.predict(network, readings.device, len(x))
    return {
        "readings": {name: reading(taken[name]) for name in candidates},
        "MACs": macs,
        "floor": floor,
        "share": {name: floor / taken[name].median for name in candidates},
        "roofline": rates.said(readings),
        **compared(predicted, layers.seconds, setting.rounds),
    }


def compared(
    predicted: roofline.Prediction, seconds: dict[str, list[float]], rounds: int
) -> dict[str, Any]:
    """Hold the predicted seconds of each layer against the measured ones of the last rounds.

    Returns:
        `layers`, each with its reading, its predicted seconds and predicted / measured; `error`: the median of the
        layers' errors, and that of the total, as shares of what was measured.
    """
    rows = []
    for name, expected in predicted.layers.items():
        found = reading(Timing(tuple(seconds[name][-rounds:])))
        ratio = expected / found["seconds"]
        rows.append({"layer": name, **found, "predicted": expected, "ratio": ratio})
    total = predicted.total / sum(row["seconds"] for row in rows) - 1
    error = {"layer": median(abs(row["ratio"] - 1) for row in rows), "total": total}
    return {"layers": rows, "error": error}


def _candidates(setting: Setting, model: MobileNetV1, x: Tensor) -> dict[str, Callable[[], Any]]:
    """The ways to run the network, as far as their packages are installed."""
    plain = folded(model)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x_last = x.contiguous(memory_format=torch.channels_last)
    calls: dict[str, Callable[[], Any]] = {
        EAGER: partial(model, x),
        "torch, folded, channels-last": partial(last, x_last),
    }
    if setting.compile:
        calls["torch.compile"] = partial(torch.compile(model), x)
    if fast := compiled():
        calls["compiled, fused"] = partial(fast.fuse(model, threads=setting.threads), x)
    if find_spec("onnx") and find_spec("onnxruntime"):
        calls["ONNX Runtime"] = _runtime(plain, x, setting.threads)
    return calls


def folded(model: MobileNetV1) -> nn.Sequential:
    """The network with batch normalisation folded into its convolutions."""
    parts: list[nn.Module] = []
    for block in copy.deepcopy(model).eval().features.children():
        conv, norm, relu = block.children()
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        parts += [fuse_conv_bn_eval(conv, norm), relu]
    last = copy.deepcopy(model.classifier)
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


def _runtime(folded: nn.Sequential, x: Tensor, threads: int) -> Callable[[], Any]:
    runtime = need("onnxruntime", "the bench", extra="bench")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    convolutions = [part for part in folded if isinstance(part, nn.Conv2d)]
    classifier = folded[-1]
    assert isinstance(classifier, nn.Linear)
    session = runtime.InferenceSession(
        graph_of(convolutions, classifier), options, providers=["CPUExecutionProvider"]
    )
    images = {"images": x.numpy()}
    return lambda: session.run(None, images)[0]
