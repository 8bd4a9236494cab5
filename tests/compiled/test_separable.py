"""The fused block against the two halves, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from dsconv_lib import compiled, ops
from dsconv_lib.compiled import plan
from dsconv_lib.spec import Array, SpecError


def halves(x: Array, first: Array, second: Array, biases: Any, relu: bool, **window: Any) -> Array:
    """The same in torch, in float64."""
    bias = [None if b is None else torch.from_numpy(b).double() for b in biases]
    y = torch.from_numpy(x).double()
    for weight, b, more in (
        (first, bias[0], {**window, "groups": x.shape[1]}),
        (second, bias[1], {}),
    ):
        y = conv2d(y, torch.from_numpy(weight).double(), b, **more)
        y = y.relu() if relu else y
    return y.numpy()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "dtype"), [(3, 1, np.float32), (3, 2, np.float64), (5, 1, np.float32)]
)
@pytest.mark.parametrize(
    ("batch", "channels", "multiplier", "out_channels", "size"),
    [(1, 1, 1, 1, (1, 1)), (2, 32, 1, 64, (13, 14)), (1, 20, 1, 45, (9, 31)), (3, 7, 3, 5, (8, 3))],
)
def test_it_is_the_two_halves(
    relu: bool, with_bias: bool, kernel: int, stride: int, dtype: Any, batch: int, channels: int,
    multiplier: int, out_channels: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    between = channels * multiplier
    x, first, second = (
        draw(batch, channels, *size),
        draw(between, 1, kernel, kernel),
        draw(out_channels, between, 1, 1),
    )
    biases = (draw(between), draw(out_channels)) if with_bias else (None, None)
    window = {"stride": stride, "padding": kernel // 2}
    expected = halves(x, first, second, biases, relu, **window)
    for cache in (1, 1 << 20):  # a row or a few at a time, and all of them
        monkeypatch.setattr(plan, "cache_size", lambda cache=cache: cache)
        monkeypatch.setattr(plan, "FEWEST", 1)
        found = compiled.separable(
            x,
            first,
            second,
            depthwise_bias=biases[0],
            pointwise_bias=biases[1],
            relu=relu,
            **window,
        )
        digits = 1e-5 if dtype == np.float32 else 1e-13
        assert found.dtype == dtype
        np.testing.assert_allclose(
            found, expected, rtol=digits, atol=digits * np.abs(expected).max()
        )


def test_what_ops_refuses_is_refused_in_the_same_words() -> None:
    x, first, second = np.zeros((1, 3, 8, 8)), np.zeros((3, 1, 3, 3)), np.zeros((4, 2, 1, 1))
    with pytest.raises(SpecError) as expected:
        ops.separable(x, first, second)
    with pytest.raises(SpecError) as found:
        compiled.separable(x, first, second)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("bias", [np.zeros(4), np.zeros((3, 1)), np.zeros(3, np.float32)])
def test_a_bias_that_does_not_fit_is_refused(bias: Array) -> None:
    x, first, second = np.zeros((1, 3, 8, 8)), np.zeros((3, 1, 3, 3)), np.zeros((4, 3, 1, 1))
    with pytest.raises(SpecError, match=r"depthwise_bias is .*: expected float64 of shape \(3,\)"):
        compiled.separable(x, first, second, depthwise_bias=bias)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("rows", "width", "channels"),
    [
        (112, 112, (32, 64)),
        (448, 112, (32, 64)),
        (56, 14, (512, 512)),
        (28, 7, (1024, 1024)),
        (1, 1, (32, 32)),
    ],
)
def test_the_plan_moves_no_more_than_either_extreme(
    rows: int, width: int, channels: tuple[int, int], threads: int
) -> None:
    """Counted in bytes: the map between, if it is larger than the cache, and the matrix of each part."""
    cache = 1 << 20
    mine = -(-rows // threads)
    m, n = channels

    def moved(size: int) -> float:
        spilt = size * width * (m + n) * 4 + m * n * 4 > cache
        parts = -(-mine // size)
        map_ = (2 - 2 * plan.LEFT) * mine * width * m * 4 if spilt and size == mine else 0
        return map_ + parts * m * n * 4

    chosen = plan.rows_at_a_time(rows, width, channels, cache=cache, threads=threads)
    assert 1 <= chosen <= mine
    assert moved(chosen) <= moved(mine)
    if chosen < mine:
        fits = chosen * width * (m + n) * 4 <= plan.SHARE * cache
        assert fits or (chosen - 1) * width < plan.FEWEST
