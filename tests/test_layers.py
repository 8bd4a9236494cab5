"""The layers do what torch's functions do, and what the operations do with their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from dsconv_lib import cost, layers, ops, spec
from dsconv_lib.spec import ConvSpec, SpecError
from tests.strategies import Window, message_of, windows

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
CLASS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
counts = st.integers(1, 3)


def image(channels: int, size: tuple[int, ...]) -> Tensor:
    return torch.randn(2, channels, *size, dtype=torch.float64)


def close(got: Tensor, expected: Tensor | np.ndarray) -> None:
    expected = torch.as_tensor(expected)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data())
def test_standard(ndim: int, data: st.DataObject) -> None:
    window: Window = data.draw(windows(ndim=ndim, high=3))
    groups, per_group, wide, bias = (data.draw(s) for s in (counts, counts, counts, st.booleans()))
    arguments = {**window.arguments, "groups": groups}
    channels = (groups * per_group, groups * wide)
    made = spec.standard(*channels, window.in_size, window.kernel_size, **arguments)
    layer = layers.of(made, bias=bias)
    assert type(layer) is CLASS[ndim]
    assert (layer.bias is not None) == bias
    layer = layer.double()
    x = image(channels[0], window.in_size)
    with torch.no_grad():
        y = layer(x)
        close(y, CONV[ndim](x, layer.weight, layer.bias, **arguments))
    assert tuple(layer.weight.shape) == made.weight_shape
    assert tuple(y.shape) == made.output_shape(2)
    if ndim == 2 and not bias:
        close(y, ops.standard(x.numpy(), layer.weight.detach().numpy(), **arguments))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data())
def test_depthwise_and_separable(ndim: int, data: st.DataObject) -> None:
    window: Window = data.draw(windows(ndim=ndim, high=3))
    in_channels, multiplier, out_channels = (data.draw(counts) for _ in range(3))
    sizes = (window.in_size, window.kernel_size)
    arguments = {**window.arguments, "multiplier": multiplier}
    x = image(in_channels, window.in_size)

    depthwise = layers.of(spec.depthwise(in_channels, *sizes, **arguments)).double()
    assert type(depthwise) is CLASS[ndim]
    assert depthwise.groups == in_channels
    assert tuple(depthwise.weight.shape) == (in_channels * multiplier, 1, *window.kernel_size)
    with torch.no_grad():
        y = depthwise(x)
        close(y, CONV[ndim](x, depthwise.weight, groups=in_channels, **window.arguments))

    made = spec.separable(in_channels, out_channels, *sizes, **arguments)
    both = layers.of(made).double()
    first, second = both.depthwise.weight, both.pointwise.weight
    with torch.no_grad():
        z = both(x)
        middle = CONV[ndim](x, first, groups=in_channels, **window.arguments)
        close(z, CONV[ndim](middle, second))
    assert tuple(second.shape) == (out_channels, in_channels * multiplier, *(1,) * ndim)
    assert sum(p.numel() for p in both.parameters()) == (
        cost.of(
            spec.separable(
                in_channels,
                out_channels,
                window.in_size,
                window.kernel_size,
                multiplier=multiplier,
                **window.arguments,
            )
        ).params
    )
    if ndim == 2:
        numbers = x.numpy()
        weights = [w.detach().numpy() for w in (first, second)]
        close(z, ops.separable(numbers, *weights, **window.arguments))
        kernel = depthwise.weight.detach().numpy()
        close(y, ops.depthwise(numbers, kernel, **window.arguments))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_pointwise(ndim: int) -> None:
    size = (5, 6, 7)[:ndim]
    layer = layers.of(spec.pointwise(3, 5, size, stride=2)).double()
    assert type(layer) is CLASS[ndim]
    assert tuple(layer.weight.shape) == (5, 3, *(1,) * ndim)
    x = image(3, size)
    with torch.no_grad():
        close(layer(x), CONV[ndim](x, layer.weight, stride=2))
        if ndim == 2:
            close(layer(x), ops.pointwise(x.numpy(), layer.weight.numpy(), stride=2))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [2, 4, 3])
def test_same_keeps_the_size(ndim: int, kernel_size: int) -> None:
    size = (7, 8, 6)[:ndim]
    x = image(2, size)
    for dilation in (1, 2, 3):
        arguments = {"padding": "same", "dilation": dilation}
        assert (
            layers.of(spec.depthwise(2, size, kernel_size, **arguments)).double()(x).shape
            == x.shape
        )
        assert (
            layers.of(spec.separable(2, 2, size, kernel_size, **arguments)).double()(x).shape
            == x.shape
        )


def test_same_with_an_even_kernel_agrees_with_the_operation() -> None:
    x = image(2, (5, 6))
    layer = layers.of(spec.standard(2, 3, (5, 6), (2, 3), padding="same", dilation=(3, 1))).double()
    expected = ops.standard(
        x.numpy(), layer.weight.detach().numpy(), padding="same", dilation=(3, 1)
    )
    with torch.no_grad():
        close(layer(x), expected)


# --- the separable layer's parts -------------------------------------------------------------


def test_the_parts_of_a_separable_layer() -> None:
    plain = layers.of(spec.separable(3, 5, 8, 3))
    assert [name for name, _ in plain.named_children()] == ["depthwise", "pointwise"]
    assert plain.depthwise.bias is None
    assert plain.pointwise.bias is None
    with_bias = layers.of(spec.separable(3, 5, 8, 3, multiplier=2), bias=True)
    assert tuple(with_bias.depthwise.bias.shape) == (6,)
    assert tuple(with_bias.pointwise.bias.shape) == (5,)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_normalisation_and_relu_follow_each_half(ndim: int) -> None:
    size = (6, 5, 4)[:ndim]
    layer = layers.of(spec.separable(3, 5, size, 3, multiplier=2), norm_relu=True)
    children = dict(layer.named_children())
    assert list(children) == [
        "depthwise",
        "depthwise_norm",
        "depthwise_relu",
        "pointwise",
        "pointwise_norm",
        "pointwise_relu",
    ]
    assert type(layer.depthwise_norm) is type(layer.pointwise_norm) is NORM[ndim]
    assert layer.depthwise_norm.num_features == 6
    assert layer.pointwise_norm.num_features == 5
    layer = layer.double()
    x = image(3, size)
    before = x.clone()
    middle = CONV[ndim](x, layer.depthwise.weight, groups=3)
    middle = functional.relu(functional.batch_norm(middle, None, None, training=True))
    expected = functional.relu(
        functional.batch_norm(CONV[ndim](middle, layer.pointwise.weight), None, None, training=True)
    )
    close(layer(x), expected)
    assert torch.equal(x, before), "the in-place ReLU works on a map of its own"


def test_gradients_pass_through_the_in_place_relu() -> None:
    layer = layers.of(spec.separable(2, 3, (4, 5), 3, padding=1), norm_relu=True).double()
    x = image(2, (4, 5)).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,), atol=1e-4)
    layer(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_the_gradients_are_those_of_the_operation() -> None:
    layer = layers.of(
        spec.separable(3, 4, (7, 6), (3, 2), multiplier=2, stride=(2, 1), padding=1)
    ).double()
    x = image(3, (7, 6)).requires_grad_()
    y = layer(x)
    grad = torch.randn_like(y)
    y.backward(grad)
    first, second = layer.depthwise.weight, layer.pointwise.weight
    arrays = (x.detach().numpy(), first.detach().numpy(), second.detach().numpy())
    found = ops.separable_backward(grad.numpy(), *arrays, stride=(2, 1), padding=1)
    for tensor, gradient in zip((x, first, second), found, strict=True):
        close(tensor.grad, gradient)


# --- every setting ---------------------------------------------------------------------------


def test_a_layer_has_every_setting() -> None:
    made = spec.standard(
        4, 6, (9, 8), (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2
    )
    layer = layers.of(made, bias=True)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 6, 2)
    assert (layer.kernel_size, layer.stride) == ((3, 2), (2, 1))
    assert (layer.padding, layer.dilation) == ((1, 0), (1, 2))
    assert layer.bias.shape == (6,)
    assert layers.of(made).bias is None
    assert layer(torch.zeros(1, 4, 9, 8)).shape == made.output_shape()
    assert layer(torch.zeros(1, 4, 30, 5)).shape[1] == 6, "an input of any size"


@pytest.mark.parametrize("pads", [((0, 2), (1, 1)), ((1, 0), (1, 1)), ((0, 1), (0, 1))])
def test_refuses_zeros_that_torch_cannot_place(pads: Any) -> None:
    made = ConvSpec(
        in_channels=1,
        out_channels=1,
        in_size=(8, 8),
        kernel_size=(3, 3),
        stride=(1, 1),
        pads=pads,
        dilation=(1, 1),
    )
    message = message_of(lambda: layers.of(made), SpecError)
    assert message.startswith(f"pads={pads}: expected before == after, or ((1, 1), (1, 1))")


def test_refuses_uneven_zeros_with_a_stride() -> None:
    made = ConvSpec(
        in_channels=1,
        out_channels=1,
        in_size=(8,),
        kernel_size=(3,),
        stride=(2,),
        pads=((0, 1),),
        dilation=(1,),
    )
    with pytest.raises(SpecError, match=r"stride=\(2,\): expected stride 1"):
        layers.of(made)


# --- what is refused -------------------------------------------------------------------------


def test_a_kernel_without_an_image_is_enough() -> None:
    made = spec.standard(3, 4, 8, (3, 5), stride=2, padding=1)
    kernel = spec.Kernel(**{name: getattr(made, name) for name in spec.Kernel.__dataclass_fields__})
    assert repr(layers.of(kernel)) == repr(layers.of(made))


@pytest.mark.parametrize("what", [3, "standard", None, [spec.standard(3, 4, 8, 3)], nn.ReLU()])
def test_what_is_no_convolution(what: Any) -> None:
    message = message_of(lambda: layers.of(what), SpecError)
    assert message.endswith("expected a convolution, made by `spec`"), message


def test_halves_to_normalise_are_those_of_a_separable_convolution() -> None:
    conv = spec.standard(3, 4, 8, 3)
    message = message_of(lambda: layers.of(conv, norm_relu=True), SpecError)
    assert "norm_relu=True: expected a separable convolution" in message
