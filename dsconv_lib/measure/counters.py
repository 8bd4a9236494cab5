"""What the counters that people use print for one network.

The notation page prints the readings, and the chapter on MobileNetV1 explains them. torchinfo, ptflops, thop and fvcore
are for this alone, so the library does not ask for them.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from dsconv_lib import layers
from dsconv_lib.errors import UserError
from dsconv_lib.measure import record
from dsconv_lib.networks import mobilenet_v1_layers

WHAT = "operations that counters print for MobileNetV1, 1,000 classes, one image of 3x224x224"
TOOLS = ("torchinfo", "ptflops", "thop", "fvcore")
SHAPE = (3, 224, 224)


class Network(nn.Module):
    """MobileNetV1 with normalisation and ReLU as modules or as functions: the same sums, seen differently."""

    def __init__(self, *, modules: bool) -> None:
        super().__init__()
        self.modules_used = modules
        specs = [layer.spec for layer in mobilenet_v1_layers()[:-1]]
        self.convolutions = nn.ModuleList(layers.of(spec) for spec in specs)
        norms = [nn.BatchNorm2d(spec.out_channels) for spec in specs]
        if modules:
            self.norms = nn.ModuleList(norms)
        else:
            self.scales = nn.ParameterList(norm.weight for norm in norms)
            self.shifts = nn.ParameterList(norm.bias for norm in norms)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1024, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to scores."""
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if self.modules_used:
                x = self.relu(self.norms[i](x))
            else:
                scale, shift = self.scales[i], self.shifts[i]
                mean, variance = torch.zeros_like(scale), torch.ones_like(scale)
                x = F.relu(F.batch_norm(x, mean, variance, scale, shift))
        scores: Tensor = self.classifier(self.pool(x).flatten(1))
        return scores


def readings(*, modules: bool) -> dict[str, int]:
    """What each tool prints for one image and a fresh network, with normalisation and ReLU as modules or not."""
    from fvcore.nn import FlopCountAnalysis
    from ptflops import get_model_complexity_info
    from thop import profile as thop_profile
    from torchinfo import summary

    def network() -> nn.Module:
        return Network(modules=modules).eval()

    image = torch.zeros(1, *SHAPE)
    fvcore = FlopCountAnalysis(network(), image)
    fvcore.unsupported_ops_warnings(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network()(image)
    found = {
        "torchinfo": summary(network(), input_data=image, verbose=0).total_mult_adds,
        "thop": thop_profile(network(), inputs=(image,), verbose=False)[0],
        "fvcore": fvcore.total(),
        "FlopCounterMode": counter.get_total_flops(),
    }
    quiet = dict.fromkeys(("as_strings", "print_per_layer_stat", "verbose"), False)
    for backend in ("aten", "pytorch"):
        read = get_model_complexity_info(network(), SHAPE, backend=backend, **quiet)
        found[f"ptflops {backend}"] = read[0]
    return {tool: int(count) for tool, count in found.items()}


def measure_counters(out: Path, *, commit: str | None = None) -> None:
    """Read the network with each counter, and write counters.json into a folder; `commit` is for where git cannot tell.

    Raises:
        UserError: if a counter is not installed.
    """
    try:
        versions = {tool: version(tool) for tool in TOOLS}
    except PackageNotFoundError as error:
        raise UserError(f"{error.name} is not installed: pip install {' '.join(TOOLS)}") from error
    found = {"modules": readings(modules=True), "functions": readings(modules=False)}
    head = record.head(WHAT, commit=commit, versions=versions)
    record.write(out / "counters.json", {**head, **found})
