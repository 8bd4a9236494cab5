"""A weight is told from an activation, and its parameters count once."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from dsconv_lib.profile import profile
from tests.profile.models import Call, columns, counted


def test_a_frozen_weight_is_no_trainable_parameter() -> None:
    model = nn.Conv2d(3, 4, 3)
    model.weight.requires_grad_(requires_grad=False)
    found = profile(model, (3, 5, 5))
    assert found["params"].tolist() == [4]
    assert found["macs"].tolist() == [4 * 9 * 27]


def test_weights_cut_from_one_tensor_all_count() -> None:
    flat, model = torch.zeros(32), nn.Sequential(nn.Linear(4, 4, False), nn.Linear(4, 4, False))
    for i, layer in enumerate(model):
        layer.weight = nn.Parameter(flat[16 * i : 16 * i + 16].view(4, 4))
    assert profile(model, (4,))["params"].sum() == 32


def test_a_buffer_is_a_weight_that_nobody_trains() -> None:
    model = Call(lambda x: x @ model.fixed)
    model.register_buffer("fixed", torch.eye(4))
    assert columns(profile(model, (4,)), "operation", "params", "reads") == [("linear", 0, 4)]


def test_an_activation_in_the_place_of_a_dropped_weight() -> None:
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        for _ in range(20):
            weight.clone()
            x = x + 1
            x = x @ x
        return x

    assert set(counted(Call(forward, (4, 4)), torch.zeros(4, 4))["operation"]) == {"matmul"}


def test_a_tied_weight_counts_once() -> None:
    embed, head = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
    head.weight = embed.weight
    found = counted(nn.Sequential(embed, head), torch.zeros(2, 5, dtype=torch.long))
    assert columns(found, "operation", "output", "macs", "params") == [
        ("rearranging", "5x3", 0, 21),
        ("linear", "5x7", 2 * 5 * 21, 0),
    ]


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_a_computed_weight_is_a_weight(kind: str) -> None:
    layer = getattr(nn.utils.parametrizations, kind)(nn.Linear(4, 3))
    found = profile(layer, (5, 4))
    assert found["params"].sum() == sum(p.numel() for p in layer.parameters())
    last = found.iloc[-1]
    assert (last["macs"], last["output"]) == (5 * 12, "5x3")
    if kind == "weight_norm":
        assert last["operation"] == "linear"


def test_a_class_token_and_positions_are_parameters() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = (nn.Parameter(torch.zeros(1, n, 4)) for n in (1, 6))
            self.head = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
            return cast(Tensor, self.head(x + self.place))

    found = profile(Tokens(), (5, 4), batch=3)
    assert columns(found, "operation", "macs", "params") == [
        ("rearranging", 0, 4),
        ("element-wise", 0, 24),
        ("linear", 3 * 6 * 8, 10),
    ]
