"""Filters taken from the images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from runs import ARGUMENTS, SHORT
from torch import nn
from torch.nn import functional as F

from dsconv_lib.data import ImageData
from dsconv_lib.train import TrainingError, build, fit
from dsconv_lib.train.first_layer import whiten


def photographs(count: int = 400) -> torch.Tensor:
    """Noise in which neighbours are alike, as in photographs."""
    noise = torch.randn(count, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    return F.avg_pool2d(noise, 3, stride=1)


def outputs(conv: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return F.conv2d(images, conv.weight, stride=conv.kernel_size).movedim(1, 0).flatten(1)


def test_the_outputs_are_uncorrelated_and_of_variance_1() -> None:
    images, conv = photographs(), nn.Conv2d(3, 32, 3)
    assert not torch.allclose(torch.cov(outputs(conv, images)), torch.eye(32), atol=0.1)
    whiten(conv, images)
    covariance = torch.cov(outputs(conv, images))
    torch.testing.assert_close(covariance[:16, :16], torch.eye(16), atol=0.02, rtol=0)
    assert torch.equal(conv.weight[16:], -conv.weight[:16])


def test_the_directions_of_the_largest_variance_come_first() -> None:
    images, few, many = photographs(), nn.Conv2d(3, 4, 3), nn.Conv2d(3, 54, 3)
    whiten(few, images)
    whiten(many, images)
    torch.testing.assert_close(few.weight[:2], many.weight[:2])
    length = many.weight[:27].flatten(1).norm(dim=1)  # a small variance needs a long filter
    assert (length.diff() > 0).all()


def test_filters_without_a_direction_stay() -> None:
    conv = nn.Conv2d(1, 20, 2)
    before = conv.weight.clone()
    whiten(conv, photographs()[:, :1])
    assert torch.equal(conv.weight[8:], before[8:])  # 4 directions, two filters each
    assert not torch.equal(conv.weight[:8], before[:8])


def test_a_direction_in_which_nothing_varies_stays_finite() -> None:
    conv = nn.Conv2d(3, 54, 3)
    whiten(conv, photographs()[:, :1].repeat(1, 3, 1, 1))  # grey: three equal channels
    assert conv.weight.isfinite().all()


def test_a_group_sees_no_whole_patch() -> None:
    with pytest.raises(TrainingError, match="expected a first layer without groups"):
        whiten(nn.Conv2d(4, 4, 3, groups=4), photographs())


def test_a_run_starts_with_the_filters_of_its_images(few: ImageData) -> None:
    recipe = replace(SHORT, epochs=1, learning_rate=1e-12, whitened=True)
    model, untouched = build(ARGUMENTS), build(ARGUMENTS)
    fit(model, few, recipe, device="cpu")
    first, second = model.features[0].conv.weight, model.features[1].conv.weight
    torch.testing.assert_close(first[:4], -first[4:8])
    torch.testing.assert_close(second, untouched.features[1].conv.weight)
