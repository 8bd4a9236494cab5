"""The gradients, each in the row of its layer."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dsconv_lib.profile import profile
from tests.profile.models import Call, columns, counted, small


def test_backward_of_every_row() -> None:
    found = profile(small(), (4, 8, 6), backward=True)
    macs = [1296, 0, 648, 0, 360, 0, 420]
    assert found["macs"].tolist() == macs
    # The first layer needs no gradient for its input.
    assert found["backward"].tolist() == [1296, *(2 * n for n in macs[1:])]
    assert found["total"].tolist() == (found["macs"] + found["backward"]).tolist()
    pd.testing.assert_frame_equal(found.iloc[:, :9], profile(small(), (4, 8, 6)))


def test_backward_belongs_to_the_run_that_made_it() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.left = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            y = F.relu_(self.shared(x))
            z = self.shared(y)
            return self.left(z), {"free": (y @ y.T).exp()}

    found = profile(Branches(), (4,), batch=2, backward=True)
    assert columns(found, "layer", "operation", "macs", "backward") == [
        ("shared", "linear", 32, 32),
        ("shared", "linear", 32, 64),
        ("left", "linear", 24, 48),
        ("", "matmul", 16, 32),
    ]


def test_frozen_weights_need_no_gradient() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].requires_grad_(requires_grad=False)
    model[2].weight.requires_grad_(requires_grad=False)
    assert profile(model, (4,), backward=True)["backward"].tolist() == [0, 16, 16]
    for p in model.parameters():
        p.requires_grad_(requires_grad=False)
    assert profile(model, (4,), backward=True)["backward"].tolist() == [0, 0, 0]


def test_a_function_with_its_own_gradient() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
            x, w = ctx.saved_tensors
            return gradients[0] @ w.t(), x.t() @ gradients[0] @ torch.eye(5)

    found = counted(
        Call(Square.apply, (4, 5)), torch.zeros(3, 4, requires_grad=True), backward=True
    )
    assert columns(found, "operation", "macs", "backward") == [("linear", 60, 60 + 60 + 100)]


def test_what_is_computed_again_counts_again() -> None:
    inner = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6))
    model = Call(lambda x: checkpoint(inner, x, use_reentrant=False))
    model.add_module("inner", inner)
    found = counted(model, torch.zeros(3, 4, requires_grad=True), backward=True)
    assert found["macs"].sum() == 60 + 90
    # Of the last layer nothing is needed again.
    assert found["backward"].sum() == 2 * (60 + 90) + 60
