"""What the tests of several networks share."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dsconv_lib import cost, loops
from dsconv_lib.networks import Layer, table
from dsconv_lib.profile import profile

# Name, value, and how the message begins, with the value in place of {}.
BAD_ARGUMENTS = [
    *(
        ("alpha", value, "alpha={}: expected a number greater than 0")
        for value in (0, -1, float("nan"), float("inf"), True, "1", None)
    ),
    *(
        ("resolution", value, "resolution={}: expected")
        for value in (0, 1.5, True, None, (), (224,), (224, 0))
    ),
    *(
        (name, value, name + "={}: expected a positive integer")
        for name in ("num_classes", "in_channels")
        for value in (0, -1, 1.5, True, None, "10")
    ),
]


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """Build a module without memory for its weights: shapes are all that counting needs."""
    with torch.device("meta"):
        return make()


def settled(model: nn.Module, x: Tensor) -> nn.Module:
    """Let normalisation learn its means from `x`: an untrained network's activations fade to 0."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(x)
    return model.eval()


def by_hooks(model: nn.Module, size: tuple[int, ...]) -> list[int]:
    """Count each layer by a hook on its module: outputs that left it, times weights behind each."""
    counts: list[int] = []

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        counts.append(output.numel() * module.weight[0].numel())

    counted = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [module.register_forward_hook(count) for module in counted]
    parameter = next(model.parameters())
    with torch.no_grad():
        model.eval()(torch.zeros(1, *size, dtype=parameter.dtype, device=parameter.device))
    for handle in handles:
        handle.remove()
    return counts


def check_counts(layers: list[Layer], model: nn.Module, size: tuple[int, ...]) -> None:
    """Compare table and module layer by layer, in order, to the last MAC and the last parameter."""
    found = profile(model, size)
    counted = found[found["type"] != "BatchNorm2d"].reset_index(drop=True)
    rows = table(layers)
    assert counted["macs"].tolist() == rows["macs"].tolist()
    assert counted["macs"].tolist() == [loops.trips(layer.spec) for layer in layers]
    assert by_hooks(model, size) == rows["macs"].tolist()
    biases = [layer.spec.out_channels if layer.bias else 0 for layer in layers]
    assert (counted["params"] - biases).tolist() == rows["params"].tolist()
    outputs = [
        output.removesuffix("x1x1") if layer.kind == "linear" else output
        for output, layer in zip(rows["output"], layers, strict=True)
    ]
    assert counted["output"].tolist() == outputs
    for name, layer in zip(counted["layer"], layers, strict=True):
        module = model.get_submodule(name)
        if isinstance(module, nn.Conv2d):
            spec = layer.spec
            made = (module.kernel_size, module.stride, module.groups)
            assert made == (spec.kernel_size, spec.stride, spec.groups)
            kind = "pointwise" if spec.kernel_size == (1, 1) else "standard"
            assert layer.kind == ("depthwise" if 1 < spec.groups == spec.in_channels else kind)
        else:
            assert layer.kind == "linear"

    norms = found[found["type"] == "BatchNorm2d"]["params"].tolist()
    assert norms == [2 * layer.spec.out_channels for layer in layers if layer.norm]
    assert found["params"].sum() == rows["trainable"].sum()
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())
    assert found["macs"].sum() == cost.of(layers).macs
    assert rows["layer"].is_unique


def check_names(layers: list[Layer], model: nn.Module, size: tuple[int, ...]) -> None:
    """A layer's name in the table is its path in the module, but for the parts that only hold others."""
    found = profile(model, size)
    paths = found[found["type"] != "BatchNorm2d"]["layer"]
    holders = r"^(features|hidden)\.|\.(body|conv|linear)(?=\.|$)"
    assert [re.sub(holders, "", path) for path in paths] == [layer.name for layer in layers]


def check_gradients(model: nn.Module, x: Tensor) -> None:
    """Each parameter, and the image, has a gradient that is a number and not all zeros."""
    x.requires_grad_()
    scores = model.train()(x)
    assert torch.isfinite(scores).all()
    nn.functional.cross_entropy(scores, torch.arange(len(x))).backward()
    for name, tensor in [("x", x), *model.named_parameters()]:
        assert tensor.grad is not None, name
        assert torch.isfinite(tensor.grad).all(), name
        assert tensor.grad.abs().sum() > 0, name


class Branches(nn.Module):
    """Modules that read one map, with their outputs stacked along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.ends = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.ends], dim=1)
