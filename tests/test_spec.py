"""Sizes of a convolution: what they are, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from dsconv_lib import spec
from dsconv_lib.spec import ConvSpec, SpecError
from tests.strategies import Window, array, message_of, windows

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


# --- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data())
def test_shapes_are_those_of_torch(ndim: int, data: st.DataObject) -> None:
    window: Window = data.draw(windows(ndim=ndim))
    groups, per_group, wide, batch = (data.draw(st.integers(1, 3)) for _ in range(4))
    made = spec.standard(
        groups * per_group,
        groups * wide,
        window.in_size,
        window.kernel_size,
        groups=groups,
        **window.arguments,
    )
    assert made.ndim == ndim
    x = torch.empty(made.input_shape(batch), device="meta")
    weight = torch.empty(made.weight_shape, device="meta")
    y = CONV[ndim](x, weight, groups=groups, **window.arguments)
    assert tuple(y.shape) == made.output_shape(batch)
    assert tuple(y.shape[2:]) == made.out_size


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data())
def test_a_spec_exists_exactly_where_torch_computes(ndim: int, data: st.DataObject) -> None:
    sizes = [tuple(data.draw(st.integers(1, 6)) for _ in range(ndim)) for _ in range(2)]
    padding, dilation = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3))
    x, weight = torch.zeros(1, 1, *sizes[0]), torch.zeros(1, 1, *sizes[1])
    try:
        CONV[ndim](x, weight, padding=padding, dilation=dilation)
        accepted = True
    except RuntimeError:
        accepted = False

    def make() -> ConvSpec:
        return spec.standard(1, 1, *sizes, padding=padding, dilation=dilation)

    if accepted:
        assert min(make().out_size) >= 1
    else:
        assert "kernel_size" in message_of(make, SpecError)


def test_out_size_counts_the_places_the_kernel_fits() -> None:
    made = spec.standard(3, 8, (17, 23), (3, 5), stride=(2, 3), padding=(1, 0), dilation=(2, 1))
    rows = [i for i in range(0, 17 + 2, 2) if i + 2 * 2 < 17 + 2]
    columns = [j for j in range(0, 23, 3) if j + 4 < 23]
    assert made.out_size == (len(rows), len(columns))
    assert made.kernel_span == (5, 5)
    assert made.pads == ((1, 1), (0, 0))


@given(window=windows())
def test_pad_puts_the_zeros_where_torch_does(window: Window) -> None:
    made = spec.standard(2, 3, window.in_size, window.kernel_size, **window.arguments)
    x = array((1, 2, *window.in_size))
    (top, bottom), (left, right) = made.pads
    expected = functional.pad(torch.tensor(x), (left, right, top, bottom)).numpy()
    assert np.array_equal(made.pad(x), expected)
    assert made.pad(x).dtype == x.dtype


def test_same_puts_the_odd_zero_at_the_end() -> None:
    assert spec.standard(1, 1, 8, (2, 4), padding="same").pads == ((0, 1), (1, 2))
    assert spec.standard(1, 1, 8, 4, padding="same", dilation=3).pads == ((4, 5), (4, 5))
    assert spec.standard(1, 1, 8, 3, padding="same").pads == ((1, 1), (1, 1))


@given(window=windows())
def test_same_keeps_the_size_and_valid_is_no_padding(window: Window) -> None:
    dilation = window.arguments["dilation"]
    same = spec.standard(
        1, 1, window.in_size, window.kernel_size, padding="same", dilation=dilation
    )
    assert same.out_size == window.in_size
    assume(window.arguments["padding"] == "valid")
    arguments = {**window.arguments, "padding": 0}
    assert spec.standard(1, 1, window.in_size, window.kernel_size, **arguments) == spec.standard(
        1, 1, window.in_size, window.kernel_size, **window.arguments
    )


def test_an_int_stands_for_every_dimension() -> None:
    assert spec.standard(3, 4, 8, 3) == spec.standard(3, 4, (8, 8), (3, 3))
    assert spec.standard(3, 4, [8, 9], 3, stride=2, padding=1, dilation=2) == spec.standard(
        3, 4, (8, 9), (3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2)
    )
    assert spec.standard(3, 4, (8,), 3).kernel_size == (3,)
    assert spec.standard(3, 4, (8, 8, 8), 3, padding=1).pads == ((1, 1),) * 3


def test_numpy_integers_are_integers() -> None:
    eight, three = np.int64(8), np.int32(3)
    made = spec.standard(three, eight, eight, three, stride=np.int8(1))
    assert made == spec.standard(3, 8, 8, 3)
    assert made.ndim == 2
    numbers = (made.in_channels, made.out_channels, made.groups, *made.in_size, *made.kernel_size)
    assert {type(n) for n in numbers} == {int}


def test_small_numpy_integers_do_not_overflow() -> None:
    made = spec.depthwise(np.int8(100), 8, 3, multiplier=np.int8(2))
    assert made.out_channels == 200
    assert math.prod(spec.standard(np.int16(30_000), np.int16(30_000), 8, 3).weight_shape) == (
        30_000**2 * 9
    )


def test_depthwise_pointwise_and_separable_are_standard_with_fewer_loops() -> None:
    window = {"stride": (2, 1), "padding": (1, 2), "dilation": 2}
    first = spec.depthwise(4, (9, 8), (3, 2), multiplier=3, **window)
    assert first == spec.standard(4, 12, (9, 8), (3, 2), groups=4, **window)
    assert first.weight_shape == (12, 1, 3, 2)
    second = spec.pointwise(12, 5, first.out_size)
    assert second == spec.standard(12, 5, first.out_size, 1)
    assert second.weight_shape == (5, 12, 1, 1)
    both = spec.separable(4, 5, (9, 8), (3, 2), multiplier=3, **window)
    assert both == (first, second)
    assert both.depthwise == first
    assert both.pointwise == second
    assert spec.pointwise(4, 5, (9, 8), stride=(2, 3)).out_size == (5, 3)


def test_a_spec_cannot_be_changed() -> None:
    made = spec.standard(3, 4, 8, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.groups = 3
    assert len({made, spec.standard(3, 4, 8, 3)}) == 1


# --- from arrays -----------------------------------------------------------------------------

X = array((2, 6, 7, 8))


def test_of_arrays_reads_every_size() -> None:
    window = {"stride": (2, 1), "padding": "valid", "dilation": (1, 2)}
    assert spec.of_arrays(X, array((4, 3, 3, 2)), groups=2, **window) == spec.standard(
        6, 4, (7, 8), (3, 2), groups=2, **window
    )
    assert spec.of_depthwise(X, array((12, 1, 3, 2)), **window) == spec.depthwise(
        6, (7, 8), (3, 2), multiplier=2, **window
    )
    assert spec.of_pointwise(X, array((4, 6, 1, 1)), stride=2) == spec.pointwise(
        6, 4, (7, 8), stride=2
    )
    assert spec.of_separable(X, array((12, 1, 3, 2)), array((4, 12, 1, 1)), **window) == (
        spec.separable(6, 4, (7, 8), (3, 2), multiplier=2, **window)
    )


def test_nan_and_infinity_are_no_business_of_the_sizes() -> None:
    x = X.copy()
    x[0, 0, 0, 0], x[0, 0, 0, 1] = np.nan, np.inf
    assert spec.of_arrays(x, array((4, 6, 3, 3))) == spec.standard(6, 4, (7, 8), 3)


def typed(dtype: Any) -> np.ndarray:
    return np.ones((2, 6, 7, 8)).astype(dtype)


W = array((4, 6, 3, 3))
BAD_ARRAYS = {
    "list": (X.tolist(), W, {}, r"x is a list: expected a numpy array \(batch, in_channels"),
    "torch x": (torch.zeros(2, 6, 7, 8), W, {}, r"x is a Tensor: expected a numpy array"),
    "torch weight": (X, torch.zeros(4, 6, 3, 3), {}, r"weight is a Tensor: expected a numpy array"),
    "None": (X, None, {}, r"weight is a NoneType: expected a numpy array"),
    "rank 3": (X[0], W, {}, r"x has shape \(6, 7, 8\), rank 3: expected rank 4, \(batch"),
    "rank 5": (X[None], W, {}, r"x has shape \(1, 2, 6, 7, 8\), rank 5: expected rank 4"),
    "rank 0": (np.array(1.0), W, {}, r"x has shape \(\), rank 0: expected rank 4"),
    "weight rank 2": (X, W[:, :, 0, 0], {}, r"weight has shape \(4, 6\), rank 2: expected rank 4"),
    "int": (typed(np.int64), W, {}, r"x has dtype int64: expected float32 or float64; .*astype"),
    "uint8": (typed(np.uint8), W, {}, r"x has dtype uint8: expected float32 or float64"),
    "bool": (typed(bool), W, {}, r"x has dtype bool: expected float32 or float64"),
    "float16": (typed(np.float16), W, {}, r"x has dtype float16: expected float32 or float64"),
    "longdouble": (typed(np.longdouble), W, {}, r"x has dtype \w+: expected float32 or float64"),
    "complex": (typed(np.complex128), W, {}, r"x has dtype complex128: expected float32 or"),
    "object": (typed(object), W, {}, r"x has dtype object: expected float32 or float64"),
    "string": (typed("U3"), W, {}, r"x has dtype <U3: expected float32 or float64"),
    "weight int": (X, W.astype(int), {}, r"weight has dtype int64: expected float32 or float64"),
    "mixed": (X, W.astype(np.float32), {}, r"x is float64 and weight is float32: expected one"),
    "mixed 2": (typed("f4"), W, {}, r"x is float32 and weight is float64: expected one dtype"),
    "no image": (X[:0], W, {}, r"x has shape \(0, 6, 7, 8\): expected no empty dimension"),
    "no row": (X[:, :, :0], W, {}, r"x has shape \(2, 6, 0, 8\): expected no empty dimension"),
    "no filter": (X, W[:0], {}, r"weight has shape \(0, 6, 3, 3\): expected no empty dimension"),
    "no channel": (X[:, :0], W[:, :0], {}, r"x has shape \(2, 0, 7, 8\): expected no empty"),
    "channels": (X, W[:, :5], {}, r"weight of shape \(4, 5, 3, 3\).* reads 5 .*x .* has 6: exp"),
    "nothing broadcast": (X, W[:, :1], {}, r"weight of shape \(4, 1, 3, 3\) .* reads 1 .* has 6"),
    "one channel for all": (X[:, :1], W, {}, r"reads 6 .*x of shape \(2, 1, 7, 8\) has 1: exp"),
    "groups": (X, W[:, :3], {"groups": 3}, r"groups=3 reads 9 input channels, .* has 6: expected"),
    "groups of N": (
        X,
        array((5, 3, 3, 3)),
        {"groups": 2},
        r"groups=2 does not divide out_channels=5: each group needs",
    ),
    "groups 0": (X, W, {"groups": 0}, r"groups=0: expected a positive integer"),
    "groups -1": (X, W, {"groups": -1}, r"groups=-1: expected a positive integer"),
    "groups bool": (X, W, {"groups": True}, r"groups=True: expected a positive integer"),
    "groups float": (X, W, {"groups": 1.0}, r"groups=1.0: expected a positive integer"),
    "kernel": (X, array((4, 6, 8, 3)), {}, r"kernel_size=\(8, 3\).*\(7, 8\): expected a smaller"),
    "stride": (X, W, {"stride": 1.5}, r"stride=1.5: expected a positive integer"),
}


@pytest.mark.parametrize(
    ("x", "weight", "arguments", "expected"), BAD_ARRAYS.values(), ids=BAD_ARRAYS
)
def test_bad_arrays(x: Any, weight: Any, arguments: dict[str, Any], expected: str) -> None:
    message = message_of(lambda: spec.of_arrays(x, weight, **arguments), SpecError)
    assert re.match(f".*{expected}", message), message


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (W, r"weight has shape \(4, 6, 3, 3\): expected \(6 \* multiplier, 1, .*x has 6 channels"),
        (array((4, 1, 3, 3)), r"weight has shape \(4, 1, 3, 3\): expected \(6 \* multiplier, 1"),
        (array((3, 1, 3, 3)), r"weight has shape \(3, 1, 3, 3\): expected \(6 \* multiplier, 1"),
        (array((1, 6, 3, 3)), r"weight has shape \(1, 6, 3, 3\): expected \(6 \* multiplier, 1"),
        (array((9, 1, 3, 3)), r"weight has shape \(9, 1, 3, 3\): expected \(6 \* multiplier, 1"),
        (array((6, 1, 3, 3), "f4"), r"x is float64 and weight is float32: expected one dtype"),
        (array((6, 3, 3)), r"weight .* rank 3: expected rank 4, \(in_channels \* multiplier, 1, "),
        (array((6, 1, 8, 3)), r"kernel_size=\(8, 3\).* more than the padded input \(7, 8\)"),
    ],
)
def test_bad_depthwise_weights(weight: Any, expected: str) -> None:
    message = message_of(lambda: spec.of_depthwise(X, weight), SpecError)
    assert re.match(f".*{expected}", message), message


@pytest.mark.parametrize("kernel_size", [(1, 2), (2, 1), (3, 3)])
def test_a_pointwise_kernel_is_one_pixel(kernel_size: tuple[int, int]) -> None:
    message = message_of(lambda: spec.of_pointwise(X, array((4, 6, *kernel_size))), SpecError)
    shape = (4, 6, *kernel_size)
    assert message == f"weight has shape {shape}: expected (out_channels, 6, 1, 1)"


def test_the_caller_names_the_arrays() -> None:
    names = ("image", "filters")
    for call in (spec.of_arrays, spec.of_depthwise, spec.of_pointwise):
        assert message_of(lambda c=call: c(X[0], W, names=names), SpecError).startswith("image has")
        assert message_of(lambda c=call: c(X, W[0], names=names), SpecError).startswith("filters h")
    with pytest.raises(
        SpecError, match=r"filters has shape .*: expected \(out_channels, 6, 1, 1\)"
    ):
        spec.of_pointwise(X, W, names=names)
    with pytest.raises(SpecError, match=r"filters has shape .* since image has 6 channels"):
        spec.of_depthwise(X, W, names=names)


# --- from numbers ----------------------------------------------------------------------------

GOOD = {"in_channels": 4, "out_channels": 6, "in_size": (7, 8), "kernel_size": 3}
BAD_NUMBERS: list[tuple[str, Any, str]] = [
    *(
        (name, value, rf"{name}={re.escape(repr(value))}: expected a positive integer$")
        for name in ("in_channels", "out_channels", "groups", "kernel_size", "stride", "dilation")
        for value in (0, -1, 1.0, 2.5, True, False, None, "3", np.float64(2), np.bool_(True))
    ),
    *(
        ("in_size", value, rf"in_size={re.escape(repr(value))}: expected a positive integer$")
        for value in (0, -7, 7.0, True, None, "7", np.array([7, 8]))
    ),
    *(
        ("padding", value, rf"padding={re.escape(repr(value))}: expected a non-negative integer$")
        for value in (-1, 0.5, True, None, np.array([1, 1]))
    ),
    *(
        (
            "padding",
            value,
            rf"padding={value!r}: expected 'same', 'valid' or non-negative integers$",
        )
        for value in ("", "Same", "full", "SAME", "reflect", "1")
    ),
    *(
        (
            name,
            value,
            rf"{name}={re.escape(repr(value))}: expected a positive integer in each place$",
        )
        for name in ("in_size", "kernel_size", "stride", "dilation")
        for value in ((0, 3), (3, -1), [3, 1.0], (True, 3), (3, None), ("3", 3))
    ),
    *(
        (
            "padding",
            value,
            rf"padding={re.escape(repr(value))}: expected a non-neg.* in each place$",
        )
        for value in ((0, -1), (0.0, 1), (1, False))
    ),
    *(
        (
            name,
            value,
            rf"{name}={re.escape(repr(value))}: expected an integer or 2 integers, one per",
        )
        for name in ("kernel_size", "stride", "dilation", "padding")
        for value in ((), (1,), [1, 1, 1], (1, 1, 1, 1))
    ),
    ("in_size", (), r"in_size=\(\): expected 1 to 3 integers, one per spatial dimension"),
    ("in_size", (7, 7, 7, 7), r"in_size=\(7, 7, 7, 7\): expected 1 to 3 integers"),
    ("groups", 3, r"groups=3 does not divide in_channels=4: each group needs the same whole"),
    ("groups", 4, r"groups=4 does not divide out_channels=6: each group needs the same whole"),
    (
        "kernel_size",
        (7, 9),
        r"kernel_size=\(7, 9\) with dilation=\(1, 1\) spans \(7, 9\), more than the padded input "
        r"\(7, 8\): expected a smaller kernel or more padding",
    ),
    ("dilation", 4, r"kernel_size=\(3, 3\) with dilation=\(4, 4\) spans \(9, 9\), more than"),
]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    BAD_NUMBERS,
    ids=[f"{name}={value!r}" for name, value, _ in BAD_NUMBERS],
)
def test_bad_numbers(name: str, value: Any, expected: str) -> None:
    message = message_of(lambda: spec.standard(**{**GOOD, name: value}), SpecError)
    assert re.match(expected, message), message


@pytest.mark.parametrize("stride", [2, (2, 1), (1, 3)])
def test_same_needs_stride_one(stride: Any) -> None:
    message = message_of(
        lambda: spec.standard(3, 4, 8, 3, stride=stride, padding="same"), SpecError
    )
    pair = (stride, stride) if isinstance(stride, int) else stride
    assert message.startswith(f"padding='same' with stride={pair}: expected stride 1")


def test_padding_can_make_a_kernel_fit() -> None:
    with pytest.raises(SpecError, match=r"padded input \(6, 4\)"):
        spec.standard(1, 1, 4, 5, padding=(1, 0))
    assert spec.standard(1, 1, 4, 5, padding=1).out_size == (2, 2)


@pytest.mark.parametrize("make", [spec.depthwise, spec.separable], ids=["depthwise", "separable"])
@pytest.mark.parametrize("multiplier", [0, -1, 1.0, True, None])
def test_bad_multiplier(make: Any, multiplier: Any) -> None:
    channels = (4,) if make is spec.depthwise else (4, 6)
    with pytest.raises(SpecError, match=f"multiplier={multiplier!r}: expected a positive integer"):
        make(*channels, 8, 3, multiplier=multiplier)


@pytest.mark.parametrize("make", [spec.depthwise, spec.pointwise, spec.separable])
def test_every_constructor_refuses_bad_channels(make: Any) -> None:
    arguments = {"in_channels": 0, "in_size": 8}
    if make is not spec.depthwise:
        arguments["out_channels"] = 4
    if make is not spec.pointwise:
        arguments["kernel_size"] = 3
    with pytest.raises(SpecError, match="in_channels=0: expected a positive integer"):
        make(**arguments)


DIRECT = {
    "in_channels": 4,
    "out_channels": 6,
    "in_size": (7, 8),
    "kernel_size": (3, 3),
    "stride": (1, 1),
    "pads": ((0, 0), (1, 1)),
    "dilation": (1, 1),
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("in_channels", 0, "in_channels=0: expected a positive integer"),
        ("groups", 4, "groups=4 does not divide out_channels=6"),
        ("in_size", (7, 0), r"in_size=\(7, 0\): expected a positive integer in each place"),
        ("in_size", (7,), r"in_size=\(7,\): expected an integer or 2 integers"),
        ("kernel_size", (3, 0), r"kernel_size=\(3, 0\): expected a positive integer in each"),
        ("stride", (0, 1), r"stride=\(0, 1\): expected a positive integer in each place"),
        ("stride", (1,), r"stride=\(1,\): expected an integer or 2 integers"),
        ("dilation", (1, 1.0), r"dilation=\(1, 1.0\): expected a positive integer in each place"),
        ("pads", ((0, 0),), r"pads=\(\(0, 0\),\): expected 2 pairs \(before, after\)"),
        ("pads", ((0, 0), (-1, 3)), r"pads=\(-1, 3\): expected a non-negative integer in each"),
        ("pads", ((0, 0), (1, 1, 1)), r"pads=\(1, 1, 1\): expected an integer or 2 integers"),
    ],
)
def test_a_spec_made_directly_is_checked_too(name: str, value: Any, expected: str) -> None:
    assert ConvSpec(**DIRECT).out_size == (5, 8)
    message = message_of(lambda: ConvSpec(**{**DIRECT, name: value}), SpecError)
    assert re.match(expected, message), message


def test_a_spec_error_is_a_value_error() -> None:
    assert issubclass(SpecError, ValueError)
