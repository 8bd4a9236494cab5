"""What is free has no products, and what is unknown is not taken for free."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib.profile import by_type, profile, uncounted
from tests.profile.models import Call, columns, small


@pytest.mark.parametrize(
    ("model", "inputs", "name"),
    [
        (nn.LSTM(4, 4), torch.zeros(3, 2, 4), "aten.mkldnn_rnn_layer"),
        (Call(torch.fft.rfft), torch.zeros(8), "aten._fft_r2c"),
        (Call(torch.linalg.inv), torch.eye(3), "aten.linalg_inv_ex"),
        (Call(torch.linalg.svd), torch.eye(3), "aten._linalg_svd"),
        (Call(torch.linalg.eigh), torch.eye(3), "aten._linalg_eigh"),
        (Call(lambda x: torch.cdist(x, x + 1)), torch.zeros(3, 2), "aten._cdist_forward"),
        (nn.Bilinear(4, 4, 3), (torch.zeros(2, 4),) * 2, "aten._trilinear"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), torch.zeros(1, 2, 3, 3), "upsample_bil"),
        (Call(lambda x: x.to_sparse() @ x), torch.eye(3), "aten.mm"),
        (nn.EmbeddingBag(5, 3), torch.zeros(2, 2, dtype=torch.long), "aten._embedding_bag"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("backward", [True, False])
def test_what_cannot_be_counted_is_named(
    model: nn.Module, inputs: Any, name: str, backward: bool
) -> None:
    whole = nn.Module()
    whole.odd = model  # type: ignore[assignment]
    whole.forward = lambda *x: whole.odd(*x)  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match=r"not counted, .*in odd") as caught:
        found = profile(whole, inputs, backward=backward)
    rows = uncounted(found)
    assert name in str(caught[0].message)
    assert caught[0].filename == __file__, "the warning points to the caller"
    row = rows[rows["operation"].str.contains(name)].iloc[0]
    assert (row["layer"], row["type"]) == ("odd", type(model).__name__)
    assert pd.isna(row["macs"])
    assert pd.isna(row["bytes"])
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())
    assert pd.isna(by_type(found).loc[row["operation"], "macs"])


def test_an_operation_of_somebody_else() -> None:
    @torch.library.custom_op("dsconv_test::triple", mutates_args=())
    def triple(x: Tensor) -> Tensor:
        return 3 * x

    model = nn.Sequential(nn.Linear(4, 4), Call(triple))
    with pytest.warns(UserWarning, match=r"dsconv_test\.triple in 1"):
        found = profile(model, (4,))
    assert columns(found.fillna(-1), "layer", "operation", "macs") == [
        ("0", "linear", 16),
        ("1", "dsconv_test.triple", -1),
    ]


def test_a_free_operation_whose_gradient_is_not_known() -> None:
    class Odd(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return torch.fft.rfft(gradients[0]).real.sum() + gradients[0]

    model = nn.Sequential(nn.Linear(4, 4), Call(Odd.apply))
    with pytest.warns(UserWarning, match=r"aten\._fft_r2c in 1"):
        found = profile(model, (4,), backward=True)
    assert found["macs"].tolist() == [16, 0]
    assert found["backward"].isna().tolist() == [False, True]
    assert found["total"].isna().tolist() == [False, True]
    assert uncounted(found)["layer"].tolist() == ["1"]


def test_a_counted_model_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert uncounted(profile(small(), (4, 8, 6), backward=True)).empty


FREE = (
    *(nn.ReLU(), nn.GELU(), nn.Sigmoid(), nn.SiLU(), nn.Hardswish(), nn.ELU(), nn.Softplus()),
    *(nn.ReLU6(True), nn.LeakyReLU(), nn.CELU(), nn.SELU(), nn.Mish(), nn.Tanh(), nn.Hardtanh()),
    *(nn.Hardsigmoid(), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(), nn.Hardshrink()),
    *(nn.Threshold(0, 1), nn.RReLU(), nn.Softmin(1), nn.Softmax2d(), nn.Dropout2d()),
    *(nn.LPPool2d(2, 2), nn.MaxPool2d(2, return_indices=True), nn.FeatureAlphaDropout()),
    *(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.AdaptiveMaxPool2d(2)),
    *(nn.BatchNorm2d(4, affine=False), nn.InstanceNorm2d(4), nn.GroupNorm(2, 4, affine=False)),
    *(nn.LayerNorm(8, elementwise_affine=False), nn.LocalResponseNorm(2)),
    *(nn.Softmax(1), nn.LogSoftmax(1), nn.Dropout(), nn.Flatten(), nn.GLU(1), nn.LogSigmoid()),
    *(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ZeroPad2d(1), nn.ReflectionPad2d(1)),
    *(nn.CircularPad2d(1), nn.Upsample(scale_factor=2), nn.Unfold(2), nn.ReplicationPad2d(1)),
    *(Call(lambda x: x[:, [1, 0]]), Call(lambda x: x.std((2, 3))), Call(lambda x: x.cumsum(1))),
    *(Call(lambda x: torch.cat([x, x.roll(1, 2)], 1)), Call(lambda x: x.sort(1)[0])),
    *(Call(lambda x: x.topk(2, 1)[0]), Call(lambda x: F.normalize(x) * torch.randn(8))),
    *(Call(lambda x: x.masked_fill(x > 0, 1)), Call(lambda x: torch.stack([x, x.flip(1)]))),
    *(Call(lambda x: x.norm() + x.logsumexp(1).var()), Call(lambda x: F.dropout(x, 0.5))),
)


@pytest.mark.parametrize("module", FREE, ids=lambda module: type(module).__name__)
def test_what_is_free_has_no_row(module: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), module)
    found = profile(model, (3, 8, 8), backward=True)
    assert found["layer"].tolist() == ["0"]
    assert found["total"].tolist() == [2 * 64 * 12]


@pytest.mark.parametrize(
    "module",
    [
        *(nn.PReLU(), nn.GroupNorm(2, 4), nn.LayerNorm(8), nn.RMSNorm(8)),
        *(nn.InstanceNorm2d(4, affine=True), nn.BatchNorm2d(4), Call(torch.mul, (1,))),
    ],
    ids=lambda module: type(module).__name__,
)
def test_free_weights_have_a_row(module: nn.Module) -> None:
    found = profile(module, (4, 8, 8), backward=True)
    assert found["total"].sum() == 0
    assert set(found["type"]) == {type(module).__name__}
    assert found["params"].sum() == sum(p.numel() for p in module.parameters())
