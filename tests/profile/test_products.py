"""Functions, products and attention count as modules do."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib.profile import by_type, profile
from tests.profile.models import Call, columns, counted, small


def test_a_linear_layer_counts_at_every_position() -> None:
    found = profile(nn.Linear(5, 3), (4, 5))
    assert found[["layer", "output", "macs", "params"]].to_numpy().tolist() == [
        ["", "4x3", 4 * 3 * 5, 18]
    ]


A, B = torch.zeros(2, 3, 4), torch.zeros(2, 4, 5)


@pytest.mark.parametrize(
    ("function", "inputs", "macs"),
    [
        (torch.matmul, (A, B), 2 * 3 * 4 * 5),
        (torch.matmul, (A, B[0]), 2 * 3 * 4 * 5),
        (torch.matmul, (A[0], B[0, :, 0]), 3 * 4),
        (torch.matmul, (A, B[0, :, 0]), 2 * 3 * 4),
        (torch.matmul, (A[0, 0], B[0, :, 0]), 4),
        (torch.mm, (A[0], B[0]), 3 * 4 * 5),
        (lambda a, b: torch.addmm(torch.zeros(5), a, b), (A[0], B[0]), 3 * 4 * 5),
        (lambda a, b: torch.baddbmm(torch.zeros(5), a, b), (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: torch.addbmm(torch.zeros(5), a, b), (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: torch.addmv(torch.zeros(3), a, b), (A[0], B[0, :, 0]), 3 * 4),
        (lambda a, b: torch.einsum("bij,bjk->bik", a, b), (A, B), 2 * 3 * 4 * 5),
        (lambda a, b: torch.einsum("bij,bjk->k", a, b), (A, B), None),
        (lambda a, b: torch.tensordot(a, b, dims=([0, 2], [0, 1])), (A, B), 3 * 5 * 2 * 4),
        (F.linear, (A, torch.zeros(7, 4)), 2 * 3 * 4 * 7),
        (F.bilinear, (A, A, torch.zeros(2, 4, 4)), "aten._trilinear"),
    ],
)
def test_products(function: Any, inputs: tuple[Tensor, ...], macs: Any) -> None:
    inputs = tuple(t.clone().requires_grad_() for t in inputs)
    if isinstance(macs, str):
        with pytest.warns(UserWarning, match=f"{macs} in the model"):
            found = profile(Call(function), inputs, backward=True)
        assert columns(found, "operation")[0] == (macs,)
        assert found["total"].isna().all()
        return
    found = counted(Call(function), *inputs, backward=True)
    assert set(found["operation"]) == {"matmul"}
    if macs is None:  # torch sums one factor first
        assert 0 < found["macs"].sum() < 2 * 3 * 4 * 5
    else:
        assert found["macs"].sum() == macs
    assert found["backward"].sum() == 2 * found["macs"].sum()


def test_functions_count_as_modules_do() -> None:
    def network(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, w3: Tensor) -> Tensor:
        x = F.conv2d(x, w1, b1, padding=1)
        x = F.relu(F.batch_norm(x, torch.zeros(6), torch.ones(6)))
        x = F.conv2d(x, w2, groups=6)
        return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), w3)

    functions = Call(network, (6, 3, 3, 3), (6,), (6, 1, 3, 3), (4, 6))
    modules = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6, affine=False),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, groups=6, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4, bias=False),
    )
    what = ("operation", "output", "macs", "params", "reads", "writes", "bytes", "backward")
    found = profile(functions, (3, 8, 8), batch=2, backward=True)
    assert columns(found, *what) == columns(
        profile(modules, (3, 8, 8), batch=2, backward=True), *what
    )
    assert set(found["layer"]) == {""}
    assert set(found["type"]) == {"Call"}


def test_a_depthwise_convolution_by_einsum() -> None:
    x = torch.zeros(1, 3, 5, 5)
    model = Call(
        lambda x, w: torch.einsum("bcpq,cq->bcp", x.unfold(2, 3, 1).flatten(3), w), (3, 15)
    )
    assert counted(model, x)["macs"].sum() == 3 * 3 * 15


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("backward", [True, False])
def test_attention_is_two_products(causal: bool, backward: bool) -> None:
    q, k, v = (torch.zeros(2, 4, n, d, requires_grad=True) for n, d in ((5, 8), (7, 8), (7, 6)))
    model = Call(lambda *qkv: F.scaled_dot_product_attention(*qkv, is_causal=causal))
    found = counted(model, q, k, v, backward=backward)
    forward = [8 * 5 * 7 * 8, 8 * 5 * 7 * 6]
    assert columns(found, "operation", "output", "macs") == [
        ("matmul", "4x5x7", forward[0]),
        ("matmul", "4x5x6", forward[1]),
    ]
    if backward:
        assert found["backward"].tolist() == [2 * n for n in forward]


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_transformer_layer(batch_first: bool) -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
    x = torch.zeros(3, 5, 8)
    found = counted(model, x)
    sequences, positions = (3, 5) if batch_first else (5, 3)
    products = 2 * sequences * positions**2 * 8
    assert by_type(found)["macs"].to_dict() == {
        "linear": 15 * (8 * 24 + 8 * 8 + 2 * 8 * 16),
        "matmul": products,
        "normalisation": 0,
    }
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())
    assert set(found["layer"]) == {"self_attn", "norm1", "linear1", "linear2", "norm2"}
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_a_model_in_a_mode_of_its_own(mode: Any) -> None:
    layer = small()
    model = Call(lambda x: mode()(layer.forward)(x))
    model.add_module("inner", layer)
    found, expected = profile(model, (4, 8, 6)), profile(layer, (4, 8, 6))
    for name in ("operation", "macs", "params", "bytes"):
        assert found[name].tolist() == expected[name].tolist()


def test_a_compiled_model_counts_as_it_was_written() -> None:
    model = small()
    expected = profile(model, (4, 8, 6), backward=True)
    compiled = cast(nn.Module, torch.compile(model))
    found = profile(compiled, (4, 8, 6), backward=True)
    assert found.drop(columns="layer").equals(expected.drop(columns="layer"))
