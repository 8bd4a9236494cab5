"""Muon, against singular values and against torch's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import ARGUMENTS, SHORT, same, untimed
from torch import nn

from dsconv_lib.data import ImageData
from dsconv_lib.models import MobileNetV1
from dsconv_lib.train import RECIPES, build, fit
from dsconv_lib.train.muon import orthogonal
from dsconv_lib.train.optimiser import make_optimiser, set_rate

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5), (1, 7), (64, 27)])
def test_singular_values_come_near_1_and_directions_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(1000 * matrix)
    inner = left.T @ found @ right.T
    torch.testing.assert_close(inner, torch.diag(inner.diag()), atol=1e-3, rtol=0)
    assert (inner.diag()[values > 0.05 * values.norm()] > 0.6).all()
    assert (inner.diag() < 1.3).all()


def test_a_slope_of_zero_stays_zero() -> None:
    assert not orthogonal(torch.zeros(3, 5)).any()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_matrices_move_as_with_the_muon_of_torch(shape: tuple[int, int]) -> None:
    """Torch's makes its products in bfloat16, so the directions agree to some percent."""
    recipe = replace(RECIPES["cifar10"], muon=0.02, weight_decay=0.1)
    ours = nn.Conv2d(shape[1], shape[0], 1, bias=False)
    theirs = ours.weight.detach().flatten(1).clone().requires_grad_()
    start = theirs.detach().clone()
    optimiser = make_optimiser(ours, recipe, CPU)
    reference = torch.optim.Muon(
        [theirs], lr=0.02, weight_decay=0.1, momentum=recipe.momentum, nesterov=True
    )
    for step in range(4):
        slope = torch.randn(shape, generator=torch.Generator().manual_seed(step))
        ours.weight.grad, theirs.grad = slope.clone()[:, :, None, None], slope.clone()
        set_rate(optimiser, 1.0)
        optimiser.step()
        reference.step()
    moved, expected = ours.weight.detach().flatten(1) - start, theirs.detach() - start
    assert (moved - expected).norm() < 0.03 * expected.norm()


def test_filters_are_moved_by_muon_and_all_else_as_before() -> None:
    model = MobileNetV1(0.25, num_classes=10, in_channels=1, stem="small")
    recipe = replace(RECIPES["digits"], muon=0.05)
    decayed, free, turned = make_optimiser(model, recipe, CPU).param_groups
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert {names[id(weight)] for weight in decayed["params"]} == {"classifier.weight"}
    assert {names[id(weight)] for weight in turned["params"]} == {
        "features.stem.conv.weight",
        *(f"features.block{number}_pointwise.conv.weight" for number in range(1, 14)),
    }
    assert len(free["params"]) == len(names) - 15
    assert [group["highest"] for group in (decayed, free, turned)] == [0.2, 0.2, 0.05]
    assert [group["momentum"] for group in (decayed, free, turned)] == [0.9, 0.9, 0]


def test_a_broken_run_with_muon_goes_on_to_the_same_numbers(few: ImageData, tmp_path: Path) -> None:
    recipe = replace(SHORT, epochs=3, muon=0.05)
    whole = build(ARGUMENTS)
    records = fit(whole, few, recipe, device="cpu")
    job = {"device": "cpu", "folder": tmp_path, "arguments": ARGUMENTS, "resume": True}

    def stop(record: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(build(ARGUMENTS), few, recipe, **job, on_epoch=stop)
    resumed = build(ARGUMENTS)
    assert untimed(fit(resumed, few, recipe, **job)) == untimed(records)
    assert same(resumed, whole.state_dict())
