"""A fused network against the model it was made from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from dsconv_lib import compiled
from dsconv_lib.compiled.network import FuseError
from dsconv_lib.models import VGG16, MobileNetV1


def trained(seed: int = 0, **arguments: Any) -> MobileNetV1:
    """A model whose statistics are as if it had seen something."""
    torch.manual_seed(seed)
    model = MobileNetV1(**arguments).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return model


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        ({"alpha": 0.25}, [(1, 3, 224, 224), (2, 3, 33, 97), (2, 3, 33, 97), (5, 3, 32, 32)]),
        ({"alpha": 0.35, "num_classes": 7}, [(3, 3, 61, 64)]),
        (
            {"alpha": 0.5, "num_classes": 10, "in_channels": 1, "stem": "small", "shallow": True},
            [(4, 1, 16, 16)],
        ),
        ({"alpha": 1.0, "stem": "small"}, [(1, 3, 32, 32)]),
    ],
)
def test_it_answers_as_the_model_does(arguments: Any, shapes: list[Any], threads: int) -> None:
    model = trained(**arguments)
    fused = compiled.fuse(model, threads=threads)
    for shape in shapes:
        images = torch.randn(shape)
        for each in (images, images.contiguous(memory_format=torch.channels_last)):
            with torch.no_grad():
                expected = model(each)
            found = fused(each)
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_model_stays_as_it_is_and_the_answer_is_the_caller_s() -> None:
    model = trained(alpha=0.25).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fused = compiled.fuse(model)
    first = fused(torch.ones(1, 3, 32, 32))
    kept = first.clone()
    fused(torch.zeros(1, 3, 32, 32))
    assert torch.equal(first, kept)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_plan_names_every_part() -> None:
    fused = compiled.fuse(trained(alpha=0.25))
    assert "no images yet" in str(fused)
    fused(torch.zeros(2, 3, 64, 64))
    lines = str(fused).splitlines()
    assert len(lines) == 1 + 1 + 13
    assert lines[1].split()[:2] == ["stem", "32x32"]
    assert lines[-1].endswith("of 4")


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (nn.Linear(1, 1), "a Linear"),
        (VGG16(num_classes=2), "a VGG16"),
        (MobileNetV1(0.25, separable=False), "with separable=False"),
    ],
)
def test_another_network_is_refused(model: Any, named: str) -> None:
    with pytest.raises(FuseError, match=named):
        compiled.fuse(model)


@pytest.mark.parametrize("images", [torch.zeros(3, 32, 32), torch.zeros(1, 3, 32, 32).double()])
def test_images_of_another_kind_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(FuseError, match="expected float32"):
        compiled.fuse(trained(alpha=0.25))(images)
