"""The vectorised operations agree with torch and with the plain loops, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsconv_lib import loops, ops
from dsconv_lib.spec import SpecError
from dsconv_lib.spec import depthwise as depthwise_spec
from dsconv_lib.spec import standard as standard_spec
from tests.strategies import (
    LAYOUTS,
    OPERATIONS,
    Case,
    array,
    as_tensors,
    cases,
    message_of,
    tolerance,
)


def forward(case: Case) -> np.ndarray:
    return getattr(ops, case.operation)(*case.arrays, **case.arguments)


def backward(case: Case, grad: np.ndarray) -> tuple[np.ndarray, ...]:
    return getattr(ops, f"{case.operation}_backward")(grad, *case.arrays, **case.arguments)


def check_against_torch(case: Case) -> None:
    """Compare output and every gradient; the arrays are read-only, so nothing is done in place."""
    dtype = case.arrays[0].dtype
    before = [a.copy() for a in case.arrays]
    tensors = as_tensors(case.arrays, requires_grad=True)
    expected = case.torch(*tensors)

    y = forward(case)
    assert y.shape == tuple(expected.shape)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected.detach().numpy(), **tolerance(dtype))

    grad = array(y.shape, dtype, seed=7)
    expected.backward(torch.tensor(grad.copy()))
    gradients = backward(case, grad)
    assert len(gradients) == len(tensors)
    for gradient, tensor, name in zip(gradients, tensors, ("x", "first", "second"), strict=False):
        assert gradient.shape == tuple(tensor.shape), name
        assert gradient.dtype == dtype, name
        np.testing.assert_allclose(
            gradient, tensor.grad.numpy(), **tolerance(dtype), err_msg=f"gradient of {name}"
        )
    for now, then in zip(case.arrays, before, strict=True):
        assert np.array_equal(now, then)


# --- against torch ---------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
def test_forward_and_backward_agree_with_torch(operation: str, data: st.DataObject) -> None:
    check_against_torch(data.draw(cases(operation)))


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
def test_float32_agrees_with_torch_and_stays_float32(operation: str, data: st.DataObject) -> None:
    check_against_torch(data.draw(cases(operation, dtypes=(np.float32,))))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_memory_layout(operation: str, layout: str) -> None:
    x = array((2, 3, 6, 5), layout=layout)
    weights = {
        "standard": [array((4, 3, 3, 2), layout=layout)],
        "depthwise": [array((6, 1, 3, 2), layout=layout)],
        "pointwise": [array((4, 3, 1, 1), layout=layout)],
        "separable": [array((6, 1, 3, 2), layout=layout), array((4, 6, 1, 1), layout=layout)],
    }
    check_against_torch(Case(operation, (x, *weights[operation]), {"stride": (2, 1)}))


WINDOWS = {
    "pad larger than the kernel": {"padding": 5},
    "pad larger on one side only": {"padding": (0, 4)},
    "stride leaves rows and columns unread": {"stride": (4, 3)},
    "stride larger than the kernel": {"stride": 5, "padding": 1},
    "stride on rows only": {"stride": (2, 1)},
    "stride on columns only": {"stride": (1, 2)},
    "dilation on rows only": {"dilation": (2, 1)},
    "dilation on columns only": {"dilation": (1, 2)},
    "same, uneven and dilated": {"padding": "same", "dilation": (3, 1)},
    "everything": {"stride": (3, 2), "padding": (1, 3), "dilation": (1, 2)},
}


@pytest.mark.parametrize("arguments", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("operation", ["standard", "depthwise", "separable"])
def test_windows_that_trip_implementations(operation: str, arguments: dict[str, Any]) -> None:
    x = array((2, 3, 9, 8))
    weights = {
        "standard": [array((2, 3, 3, 2))],
        "depthwise": [array((6, 1, 3, 2))],
        "separable": [array((6, 1, 3, 2)), array((5, 6, 1, 1))],
    }
    check_against_torch(Case(operation, (x, *weights[operation]), arguments))


@pytest.mark.parametrize(("operation", "depth"), [("standard", 2), ("depthwise", 1)])
def test_unread_pixels_get_no_gradient(operation: str, depth: int) -> None:
    x, weight = array((1, 2, 8, 8)), array((4, depth, 2, 2))
    y = getattr(ops, operation)(x, weight, stride=3)
    grad_x, _ = getattr(ops, f"{operation}_backward")(np.ones_like(y), x, weight, stride=3)
    assert np.all(grad_x[:, :, [0, 1, 3, 4, 6, 7]][..., [0, 1, 3, 4, 6, 7]] != 0)
    assert np.all(grad_x[:, :, [2, 5]] == 0)
    assert np.all(grad_x[..., [2, 5]] == 0)


def channels_last(x: np.ndarray) -> np.ndarray:
    """Return the same numbers, read-only, with the channels of a pixel side by side in memory."""
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    x.flags.writeable = False
    return x


def is_channels_last(x: np.ndarray) -> bool:
    return x.transpose(0, 2, 3, 1).flags.c_contiguous


# A vector of `ops.rows` is a whole row, several pixels of it or one, by the number of channels.
TILES = {
    "whole rows": (5, 12, 1, 12),
    "some pixels": (200, 12, 1, 4),
    "whole rows, since 7 has no divisor": (200, 7, 1, 7),
    "one pixel": (800, 4, 1, 1),
    "one pixel, for the stride": (200, 12, 2, 1),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", TILES.values(), ids=TILES)
def test_vectors_of_every_length_agree_with_torch(
    case: tuple[int, int, int, int], dtype: type[np.floating]
) -> None:
    channels, width, stride, tile = case
    x, weight = array((2, channels, 5, width), dtype), array((channels, 1, 3, 2), dtype)
    arguments: dict[str, Any] = {"stride": (1, stride), "padding": (1, 0)}
    if stride == 1:
        arguments["padding"] = "same"
    made = depthwise_spec(channels, (5, width), (3, 2), **arguments)
    padded = np.ascontiguousarray(made.pad(x)[0].transpose(1, 2, 0))
    assert ops.rows(padded, made).shape[-1] == tile * channels
    for image in (x, channels_last(x)):
        check_against_torch(Case("depthwise", (image, weight), arguments))


def test_rows_are_views_of_the_pixels_each_tap_multiplies() -> None:
    frame = np.arange(5 * 6 * 2.0).reshape(5, 6, 2)
    spec = depthwise_spec(2, (5, 6), (2, 3), stride=(3, 1), dilation=(1, 2))
    vectors = ops.rows(frame, spec)
    assert vectors.shape == (2, 1, 2, 3, 4)
    assert np.shares_memory(vectors, frame)
    assert not vectors.flags.writeable
    for u, v, view in ops.taps(frame.transpose(2, 0, 1)[None], spec):
        pixels = vectors[:, :, u, v].reshape(2, 2, 2)
        assert np.array_equal(pixels, view[0].transpose(1, 2, 0))
    strided = ops.rows(frame, depthwise_spec(2, (5, 6), 2, stride=2))
    assert strided.shape == (2, 3, 2, 2, 2)
    assert strided[1, 2, 1, 0].tolist() == frame[3, 4].tolist()


@given(case=cases("depthwise", dtypes=(np.float64, np.float32)))
def test_depthwise_is_the_sum_over_shifted_images(case: Case) -> None:
    expected = ops.shift_and_add(*case.arrays, **case.arguments)
    y = forward(case)
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, **tolerance(y.dtype))
    tensors = as_tensors(case.arrays)
    np.testing.assert_allclose(expected, case.torch(*tensors).numpy(), **tolerance(y.dtype))


@given(data=st.data())
def test_results_are_channels_last_in_memory_and_new(data: st.DataObject) -> None:
    case = data.draw(cases("depthwise"))
    y = forward(case)
    grad_x, grad_weight = backward(case, y)
    assert is_channels_last(y)
    assert is_channels_last(grad_x)
    for made in (y, grad_x, grad_weight):
        assert made.flags.writeable
        assert not any(np.shares_memory(made, given) for given in case.arrays)


@pytest.mark.parametrize("stride", [1, 2])
def test_pointwise_keeps_the_layout_of_its_input(stride: int) -> None:
    x, weight = array((2, 3, 6, 5)), array((4, 3, 1, 1))
    assert ops.pointwise(x, weight, stride=stride).flags.c_contiguous
    y = ops.pointwise(channels_last(x), weight, stride=stride)
    assert is_channels_last(y)
    assert is_channels_last(ops.pointwise_backward(y, x, weight, stride=stride)[0])
    check_against_torch(Case("pointwise", (channels_last(x), weight), {"stride": stride}))


@given(case=cases("depthwise"))
def test_the_gradients_of_depthwise_are_those_of_a_linear_map(case: Case) -> None:
    check_linear(case)


@given(case=cases("standard"))
def test_the_gradients_are_those_of_a_linear_map(case: Case) -> None:
    check_linear(case)


def check_linear(case: Case) -> None:
    x, weight = case.arrays
    y = forward(case)
    grad = array(y.shape, seed=3)
    grad_x, grad_weight = backward(case, grad)
    np.testing.assert_allclose(np.sum(grad_x * x), np.sum(grad * y), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.sum(grad_weight * weight), np.sum(grad * y), rtol=1e-9, atol=1e-9)


# --- against the loops and against each other ------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=settings.default.max_examples // 5)
@given(data=st.data())
def test_agree_with_the_loops(operation: str, data: st.DataObject) -> None:
    case = data.draw(cases(operation, dtypes=(np.float64, np.float32), high=2))
    slow, _ = getattr(loops, operation)(*case.arrays, **case.arguments)
    fast = forward(case)
    assert slow.dtype == fast.dtype
    np.testing.assert_allclose(fast, slow, **tolerance(fast.dtype))


@given(case=cases("depthwise"))
def test_depthwise_is_standard_with_one_group_per_channel(case: Case) -> None:
    x, weight = case.arrays
    expected = ops.standard(x, weight, groups=x.shape[1], **case.arguments)
    np.testing.assert_allclose(forward(case), expected, rtol=1e-12, atol=1e-12)


@given(case=cases("pointwise"))
def test_pointwise_is_standard_with_a_kernel_of_one_pixel(case: Case) -> None:
    expected = ops.standard(*case.arrays, **case.arguments)
    np.testing.assert_allclose(forward(case), expected, rtol=1e-12, atol=1e-12)


@given(case=cases("separable"))
def test_separable_is_the_standard_convolution_with_the_composed_kernel(case: Case) -> None:
    x, first, second = case.arrays
    in_channels, multiplier = x.shape[1], len(first) // x.shape[1]
    mixing = second[:, :, 0, 0].reshape(len(second), in_channels, multiplier)
    filters = first.reshape(in_channels, multiplier, *first.shape[2:])
    composed = np.einsum("nmq,mquv->nmuv", mixing, filters)
    expected = ops.standard(x, composed, **case.arguments)
    np.testing.assert_allclose(forward(case), expected, rtol=1e-10, atol=1e-10)


def test_the_kernel_is_not_flipped() -> None:
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 2] = 1
    weight = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    assert ops.standard(x, weight).item() == 6  # the tap of row 1, column 2
    assert ops.depthwise(x, weight).item() == 6


def test_filter_n_belongs_to_channel_n_over_the_multiplier() -> None:
    x = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).reshape(6, 1, 1, 1)
    expected = [1, 2, 3, 40, 50, 60]
    assert ops.depthwise(x, weight).ravel().tolist() == expected
    assert loops.depthwise(x, weight)[0].ravel().tolist() == expected


def test_the_odd_zero_of_an_even_kernel_is_at_the_end() -> None:
    x = np.arange(1.0, 5).reshape(1, 1, 2, 2)
    weight = np.ones((1, 1, 2, 2))
    assert ops.standard(x, weight, padding="same").ravel().tolist() == [10, 6, 7, 4]
    assert ops.depthwise(x, weight, padding="same").ravel().tolist() == [10, 6, 7, 4]


# --- NaN and infinity ------------------------------------------------------------------------

NAN_WEIGHTS = {
    "standard": [(4, 3, 3, 2)],
    "depthwise": [(6, 1, 3, 2)],
    "pointwise": [(4, 3, 1, 1)],
    "separable": [(6, 1, 3, 2), (4, 6, 1, 1)],
}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_nan_and_infinity_reach_the_outputs_that_see_them_and_no_other(
    operation: str, value: float
) -> None:
    x = array((2, 3, 7, 6)).copy()
    x[1, 2, 3, 4] = value
    arguments: dict[str, Any] = {"stride": (2, 1)}
    if operation != "pointwise":
        arguments |= {"padding": 1, "dilation": (1, 2)}
    arrays = (x, *(array(shape) for shape in NAN_WEIGHTS[operation]))
    case = Case(operation, arrays, arguments)
    expected = case.torch(*as_tensors(arrays)).numpy()
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        y = forward(case)
        looped, _ = getattr(loops, operation)(*arrays, **arguments)
    finite = np.isfinite(expected)
    assert finite.any()
    assert finite[0].all(), "the other image never saw it"
    if operation != "pointwise":
        assert not finite.all()
    for got in (y, looped):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10, equal_nan=True)


def test_pointwise_leaves_the_nan_in_its_pixel() -> None:
    x = array((1, 3, 4, 4)).copy()
    x[0, 1, 2, 3] = np.nan
    y = ops.pointwise(x, array((5, 3, 1, 1)))
    where = np.zeros((4, 4), dtype=bool)
    where[2, 3] = True
    assert np.array_equal(np.isnan(y), np.broadcast_to(where, y.shape))


def test_a_nan_weight_spoils_its_own_filter_only() -> None:
    x, weight = array((1, 3, 5, 5)), array((6, 1, 3, 3)).copy()
    weight[3, 0, 1, 1] = np.nan
    y = ops.depthwise(x, weight)
    assert np.isnan(y[:, 3]).all()
    assert np.isfinite(np.delete(y, 3, axis=1)).all()


def test_a_nan_gradient_reaches_the_pixels_of_its_window() -> None:
    x, weight = array((1, 2, 6, 6)), array((3, 2, 3, 3))
    grad = np.ones((1, 3, 4, 4))
    grad[0, 1, 2, 0] = np.nan
    grad_x, grad_weight = ops.standard_backward(grad, x, weight)
    where = np.zeros((6, 6), dtype=bool)
    where[2:5, 0:3] = True
    assert np.array_equal(np.isnan(grad_x), np.broadcast_to(where, grad_x.shape))
    deep_x, deep_weight = ops.depthwise_backward(grad[:, :2], x, array((2, 1, 3, 3)))
    assert np.array_equal(np.isnan(deep_x[0, 1]), where)
    assert np.isnan(deep_weight[1]).all()
    assert np.isfinite(deep_x[0, 0]).all()
    assert np.isfinite(deep_weight[0]).all()
    assert np.isnan(grad_weight[1]).all()
    assert np.isfinite(grad_weight[[0, 2]]).all()


# --- what is refused -------------------------------------------------------------------------

X, K = array((2, 4, 6, 6)), array((8, 4, 3, 3))
D, P = array((8, 1, 3, 3)), array((5, 8, 1, 1))
OUT = array((2, 8, 4, 4))


@pytest.mark.parametrize("module", [ops, loops], ids=["ops", "loops"])
@pytest.mark.parametrize(
    ("operation", "arrays", "arguments", "expected"),
    [
        ("standard", (X[0], K), {}, r"x has shape \(4, 6, 6\), rank 3: expected rank 4, \(batch"),
        ("standard", (X, K[0]), {}, r"weight has shape \(4, 3, 3\), rank 3: expected rank 4"),
        ("standard", (X, D), {}, r"weight .*groups=1 reads 1 .*x of shape .* has 4: expected"),
        ("standard", (X, K), {"groups": 2}, r"groups=2 reads 8 .* has 4: expected"),
        ("standard", (X, K[:, :2]), {"groups": 3}, r"groups=3 reads 6 .* has 4: expected"),
        (
            "standard",
            (X, array((5, 2, 3, 3))),
            {"groups": 2},
            r"groups=2 does not divide out_channels=5: each group",
        ),
        ("standard", (X, K), {"stride": 0}, r"stride=0: expected a positive integer"),
        ("standard", (X, K), {"dilation": 3}, r"kernel_size=\(3, 3\).*\(7, 7\).*expected"),
        ("depthwise", (X, K), {}, r"weight has shape \(8, 4, 3, 3\): expected \(4 \* multiplier"),
        ("depthwise", (X, D[:6]), {}, r"weight has shape \(6, 1, 3, 3\): expected \(4 \* multipl"),
        ("depthwise", (X, D[:3]), {}, r"weight has shape \(3, 1, 3, 3\): expected \(4 \* multipl"),
        ("depthwise", (X, D.tolist()), {}, r"weight is a list: expected a numpy array"),
        ("depthwise", (X, D), {"padding": "full"}, r"padding='full': expected 'same', 'valid' or"),
        (
            "pointwise",
            (X, K),
            {},
            r"weight has shape \(8, 4, 3, 3\): expected \(out_channels, 4, 1, 1",
        ),
        ("pointwise", (X, P), {}, r"weight of shape \(5, 8, 1, 1\).*reads 8 .* has 4: expected"),
        ("pointwise", (X, P[:, :1]), {}, r"weight of shape \(5, 1, 1, 1\).*reads 1 .* has 4: exp"),
        ("separable", (X, K, P), {}, r"depthwise_weight has shape \(8, 4, 3, 3\): expected"),
        (
            "separable",
            (X, D, P[:, :4]),
            {},
            r"pointwise_weight is float64 of shape \(5, 4, 1, 1\): .*, 8, 1, 1\), as .* 8 channels",
        ),
        (
            "separable",
            (X, D, P[:, :1]),
            {},
            r"pointwise_weight is float64 of shape \(5, 1, 1, 1\): .*, 8, 1, 1\), as .* 8 channels",
        ),
        (
            "separable",
            (X, D, D),
            {},
            r"pointwise_weight is float64 of shape \(8, 1, 3, 3\): expected",
        ),
        ("separable", (X, D, P[0]), {}, r"pointwise_weight has shape \(8, 1, 1\), rank 3: exp"),
        (
            "separable",
            (X, D, P.astype(np.float32)),
            {},
            r"pointwise_weight is float32 of shape \(5, 8, 1, 1\): expected float64 of shape",
        ),
        (
            "separable",
            (X, D, array((5, 8, 2, 2))),
            {},
            r"pointwise_weight is float64 of shape \(5, 8, 2, 2\): expected .*out_channels, 8, 1, 1\)",
        ),
    ],
)
def test_bad_arrays_are_refused(
    module: Any,
    operation: str,
    arrays: tuple[Any, ...],
    arguments: dict[str, Any],
    expected: str,
) -> None:
    with pytest.raises(SpecError, match=expected):
        getattr(module, operation)(*arrays, **arguments)


@pytest.mark.parametrize(
    ("grad", "expected"),
    [
        (OUT[:, :4], r"shape \(2, 4, 4, 4\) and dtype float64: expected \(2, 8, 4, 4\)"),
        (OUT[:1], r"shape \(1, 8, 4, 4\) and dtype float64: expected \(2, 8, 4, 4\)"),
        (OUT[..., :1], r"shape \(2, 8, 4, 1\) and dtype float64: expected \(2, 8, 4, 4\)"),
        (OUT[:, :, :1, :1], r"shape \(2, 8, 1, 1\) .*: expected \(2, 8, 4, 4\)"),
        (OUT[0], r"shape \(8, 4, 4\), rank 3: expected rank 4"),
        (OUT.astype(np.float32), r"dtype float32: expected \(2, 8, 4, 4\) and float64"),
        (OUT.astype(np.float16), r"dtype float16: expected float32 or float64"),
        (OUT.tolist(), r"is a list: expected a numpy array"),
        (1.0, r"is a float: expected a numpy array"),
    ],
)
@pytest.mark.parametrize("operation", ["standard", "depthwise"])
def test_a_wrong_grad_output_is_refused(operation: str, grad: Any, expected: str) -> None:
    weight = K if operation == "standard" else D
    with pytest.raises(SpecError, match=f"grad_output.*{expected}"):
        getattr(ops, f"{operation}_backward")(grad, X, weight)


def test_a_wrong_grad_output_is_refused_by_the_other_two() -> None:
    point = P[:, :4]
    for call in (
        lambda: ops.pointwise_backward(OUT, X, point),
        lambda: ops.separable_backward(OUT, X, D, P),
    ):
        assert message_of(call, SpecError).startswith("grad_output has shape (2, 8, 4, 4)")


@pytest.mark.parametrize("operation", ["pointwise_backward", "separable_backward"])
def test_backward_refuses_the_weights_that_forward_refuses(operation: str) -> None:
    weights = (K,) if operation == "pointwise_backward" else (D, P[:, :4])
    with pytest.raises(SpecError, match="weight"):
        getattr(ops, operation)(array((2, 5, 4, 4)), X, *weights)


def test_taps_are_views_of_the_pixels_each_tap_multiplies() -> None:
    padded = np.arange(30.0).reshape(1, 1, 5, 6)
    spec = standard_spec(1, 1, (5, 6), (2, 3), stride=(3, 1), dilation=(1, 2))
    views = {(u, v): view for u, v, view in ops.taps(padded, spec)}
    assert list(views) == [(u, v) for u in range(2) for v in range(3)]
    assert views[0, 0].tolist() == [[[[0, 1], [18, 19]]]]
    assert views[1, 2].tolist() == [[[[10, 11], [28, 29]]]]
    assert all(np.shares_memory(view, padded) for view in views.values())
