"""Networks whose separable convolutions are fused where a plan says so."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from dsconv_lib import layers, spec
from dsconv_lib.kernels import KernelError, SeparableConv2d, fused
from dsconv_lib.kernels.plan import Gpu
from dsconv_lib.models import MobileNetV1

# All is free but a launch: one kernel is always better than two.
ALWAYS = Gpu(memory=1e30, cache=1e30, matrix=1e30, vector=1e30, multiprocessors=1, launch=1)
# All is free but the cache, which two halves apart are not charged for.
NEVER = replace(ALWAYS, cache=1, launch=0)


def trained(model: nn.Module, device: str) -> nn.Module:
    """Give normalisation other numbers than it begins with."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval().to(device)


def network(device: str) -> nn.Module:
    wide = spec.separable(8, 16, 12, 3, padding=1)
    strided = spec.separable(16, 9, 12, 5, stride=2, padding=2)
    parts = layers.of(wide, norm_relu=True), layers.of(strided, norm_relu=True)
    return trained(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(*parts)), device)


@torch.inference_mode()
def test_a_network_computes_the_same(device: str) -> None:
    model = network(device)
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(2, 3, 12, 12, device=device)
    ours, plans = fused(model, x, ALWAYS)
    assert list(plans) == ["1.0.depthwise", "1.1.depthwise"]
    assert all(planned.fuses for planned in plans.values())
    kinds = [type(module) for module in ours.modules() if not list(module.children())]
    assert kinds == [nn.Conv2d, *[SeparableConv2d, *[nn.Identity] * 5] * 2]
    for given in (x, torch.randn(1, 3, 7, 5, device=device)):  # other sizes than it was planned for
        torch.testing.assert_close(ours(given), model(given), rtol=1e-4, atol=1e-5)
    # The network itself is as it was.
    assert not any(isinstance(module, SeparableConv2d) for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_the_plan_leaves_apart_stays(device: str) -> None:
    model = network(device)
    x = torch.randn(2, 3, 12, 12, device=device)
    ours, plans = fused(model, x, NEVER)
    assert len(plans) == 2
    assert not any(planned.fuses for planned in plans.values())
    assert torch.equal(ours(x), model(x))
    assert not any(module._forward_pre_hooks for module in ours.modules())


@torch.inference_mode()
def test_each_separable_convolution_of_mobilenet(device: str) -> None:
    model = trained(MobileNetV1(0.25, num_classes=4), device)
    x = torch.randn(1, 3, 32, 32, device=device)
    ours, plans = fused(model, x, ALWAYS)
    assert list(plans) == [f"features.block{n}_depthwise.conv" for n in range(1, 14)]
    torch.testing.assert_close(ours(x), model(x), rtol=1e-3, atol=1e-4)


def test_its_weights_are_stored_with_it(device: str) -> None:
    x = torch.randn(1, 3, 12, 12, device=device)
    ours, other = (fused(network(device), x, ALWAYS)[0] for _ in range(2))
    other.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        assert torch.equal(other(x), ours(x))


@pytest.mark.parametrize(
    ("place", "layer"),
    [
        (0, nn.Conv2d(4, 4, 3, padding=1)),
        (1, nn.Identity()),
        (1, nn.BatchNorm2d(4, track_running_stats=False)),
        (2, nn.ReLU6()),
        (3, nn.Conv2d(4, 6, 1, groups=2)),
        (5, nn.Sigmoid()),
    ],
    ids=str,
)
def test_layers_that_are_left_alone(device: str, place: int, layer: nn.Module) -> None:
    model = nn.Sequential(*layers.of(spec.separable(4, 6, 5, 3, padding=1), norm_relu=True))
    x = torch.randn(1, 4, 5, 5, device=device)
    assert list(fused(model.eval().to(device), x, ALWAYS)[1]) == ["0"]
    model[place] = layer.eval().to(device)
    assert fused(model, x, ALWAYS)[1] == {}


def test_normalisation_that_still_learns_is_left_alone(device: str) -> None:
    model = network(device)
    model[1][0].depthwise_norm.train()
    _, plans = fused(model, torch.randn(2, 3, 12, 12, device=device), ALWAYS)
    assert list(plans) == ["1.1.depthwise"]


def test_a_model_in_training_is_refused(device: str) -> None:
    with pytest.raises(KernelError, match=r"in training: expected model.eval\(\)"):
        fused(network(device).train(), torch.randn(2, 3, 12, 12, device=device), ALWAYS)
