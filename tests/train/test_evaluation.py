"""Loss and accuracy, against counts by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dsconv_lib.data import ImageData
from dsconv_lib.train import (
    accuracy,
    build,
    evaluate,
    prepare,
)
from tests.runs import ARGUMENTS


def test_accuracy_and_loss_by_hand() -> None:
    class Given(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    scores = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]]).reshape(3, 2, 1, 1)
    labels = torch.tensor([0, 1, 1])
    loss = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 3
    for batch_size in (1, 2, 3, 10):
        measured = evaluate(Given(), scores, labels, batch_size=batch_size)
        assert measured == pytest.approx((loss, 2 / 3))
    assert accuracy(Given(), scores, labels) == pytest.approx(2 / 3)


def test_evaluation_leaves_the_model_as_it_was(few: ImageData) -> None:
    model = build(ARGUMENTS)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = prepare(few)
    accuracy(model.train(), tensors.test_images, tensors.test_labels)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    accuracy(model.eval(), tensors.test_images, tensors.test_labels)
    assert not model.training


def test_with_a_flip_the_scores_of_an_image_and_its_mirror_image_are_averaged() -> None:
    """A network that says class 0 for ink on the left and class 1 for ink on the right."""

    class Sides(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([3 * x[:, 0, 0, 0], 4 * x[:, 0, 0, 1]], dim=1)

    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(2, 1, 1, 2)
    labels = torch.tensor([0, 1])
    assert evaluate(Sides(), images, labels)[1] == 1.0
    loss, right = evaluate(Sides(), images, labels, flip=True)
    assert right == 0.5  # mirrored and averaged, both images score (1.5, 2)
    expected = math.log(1 + math.exp(0.5)) / 2 + math.log(1 + math.exp(-0.5)) / 2
    assert loss == pytest.approx(expected)
    assert accuracy(Sides(), images, labels, flip=True) == 0.5
