"""The compiled loops against torch: each shape of kernel is compiled once, so a few shapes serve many sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from dsconv_lib import compiled, ops
from dsconv_lib.spec import Array, SpecError

# Kernel, stride, dilation and dtype.
WINDOWS = [
    ((3, 3), (1, 1), (1, 1), np.float32),
    ((3, 3), (2, 2), (1, 1), np.float64),
    ((5, 5), (1, 1), (1, 1), np.float32),
    ((7, 7), (2, 2), (1, 1), np.float32),
    ((3, 2), (1, 3), (2, 2), np.float64),
]
# Batch, channels, filters for each, height, width, padding: one channel and one pixel, odd and even sides, channels
# that fill no register or one and a half, rows of fewer outputs than a block, more padding than the kernel reaches.
SIZES = [
    (1, 1, 1, 1, 1, (6, 6)),
    (1, 16, 1, 13, 13, (0, 0)),
    (2, 3, 1, 14, 15, (1, 1)),
    (2, 24, 1, 15, 14, (3, 2)),
    (1, 33, 1, 13, 21, (2, 3)),
    (3, 8, 2, 16, 13, (1, 0)),
    (1, 17, 3, 20, 20, (3, 3)),
]


def draw(rng: np.random.Generator, *shape: int, dtype: Any) -> Array:
    return rng.standard_normal(shape).astype(dtype)


def of_torch(
    x: Array, weight: Array, grad: Array | None, **window: Any
) -> tuple[Array, Array, Array, Array]:
    """The output, the gradient that was given or ones, and the two gradients."""
    tensors = [torch.from_numpy(np.ascontiguousarray(a)).requires_grad_() for a in (x, weight)]
    y = conv2d(*tensors, groups=x.shape[1], **window)
    grad = np.ones(y.shape, x.dtype) if grad is None else grad
    y.backward(torch.from_numpy(grad))
    return y.detach().numpy(), grad, *(t.grad.numpy() for t in tensors)  # type: ignore[union-attr]


def close(found: Array, expected: Array) -> None:
    assert found.dtype == expected.dtype
    digits = 2e-5 if found.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, expected, rtol=digits, atol=digits * np.abs(expected).max())


@pytest.mark.parametrize(("kernel", "stride", "dilation", "dtype"), WINDOWS)
@pytest.mark.parametrize(("batch", "channels", "multiplier", "height", "width", "padding"), SIZES)
def test_it_is_torch_s_convolution_and_its_gradients(
    kernel: Any, stride: Any, dilation: Any, dtype: Any, batch: int, channels: int, multiplier: int,
    height: int, width: int, padding: Any,
) -> None:  # fmt: skip
    rng = np.random.default_rng(0)
    x = draw(rng, batch, channels, height, width, dtype=dtype)
    weight = draw(rng, channels * multiplier, 1, *kernel, dtype=dtype)
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    shape = compiled.nested(x, weight, **window).shape
    grad = draw(rng, *shape, dtype=dtype)
    y, _, grad_x, grad_weight = of_torch(x, weight, grad, **window)
    close(compiled.nested(x, weight, **window), y)
    close(compiled.depthwise(x, weight, **window), y)
    for found, expected in zip(
        compiled.depthwise_backward(grad, x, weight, **window), (grad_x, grad_weight), strict=True
    ):
        close(found, expected)


def test_any_layout_is_taken_and_none_is_written_to() -> None:
    rng = np.random.default_rng(0)
    wide, weight = (
        draw(rng, 2, 20, 9, 22, dtype=np.float32),
        draw(rng, 20, 1, 3, 3, dtype=np.float32),
    )
    plain = compiled.depthwise(wide[..., ::2].copy(), weight, padding=1)
    grad = np.ascontiguousarray(plain)
    gradients = compiled.depthwise_backward(grad, wide[..., ::2].copy(), weight, padding=1)
    last = wide[..., ::2].transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    for x in (wide[..., ::2], last, last[::-1][::-1]):
        before = x.copy()
        assert np.array_equal(compiled.depthwise(x, weight, padding=1), plain)
        found = compiled.depthwise_backward(grad, x, weight, padding=1)
        assert all(np.array_equal(*pair) for pair in zip(found, gradients, strict=True))
        assert np.array_equal(x, before)
    assert plain.transpose(0, 2, 3, 1).flags.c_contiguous


def test_a_pixel_that_is_no_number_spoils_its_neighbours_alone() -> None:
    x, weight = np.zeros((1, 16, 9, 9), np.float32), np.ones((16, 1, 3, 3), np.float32)
    x[0, 3, 4, 4] = np.nan
    spoilt = np.isnan(compiled.depthwise(x, weight, padding=1))
    assert np.argwhere(spoilt)[:, 1:].min(axis=0).tolist() == [3, 3, 3]
    assert np.argwhere(spoilt)[:, 1:].max(axis=0).tolist() == [3, 5, 5]
    assert spoilt.sum() == 9


X, WEIGHT = np.zeros((1, 3, 8, 8)), np.zeros((3, 1, 3, 3))


@pytest.mark.parametrize(
    ("x", "weight", "window"),
    [
        (X.astype(np.float16), WEIGHT, {}),
        (X.astype(np.float32), WEIGHT, {}),
        (X[0], WEIGHT, {}),
        (X, WEIGHT[:2], {}),
        (X, np.zeros((3, 3, 3, 3)), {}),
        (X, WEIGHT, {"stride": 0}),
        (X, np.zeros((3, 1, 9, 9)), {}),
        ([1], WEIGHT, {}),
    ],
)
def test_what_ops_refuses_is_refused_in_the_same_words(x: Any, weight: Any, window: Any) -> None:
    with pytest.raises(SpecError) as expected:
        ops.depthwise(x, weight, **window)
    for function in (compiled.depthwise, compiled.nested):
        with pytest.raises(SpecError) as found:
            function(x, weight, **window)
        assert str(found.value) == str(expected.value)


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(SpecError, match="grad_output has shape"):
        compiled.input_gradient(X, X, WEIGHT)
    with pytest.raises(SpecError, match="grad_output has shape"):
        compiled.weight_gradient(X, X, WEIGHT)
