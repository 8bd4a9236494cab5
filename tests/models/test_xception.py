"""Xception: the table of layers, the torch module and the paper's Figure 5 tell one story."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib import cost
from dsconv_lib.models import Xception
from dsconv_lib.models.xception import XceptionBlock
from dsconv_lib.networks import xception_layers
from dsconv_lib.spec import SpecError
from tests.networks import (
    BAD_ARGUMENTS,
    check_counts,
    check_gradients,
    check_names,
    on_meta,
    settled,
)
from tests.strategies import message_of


def by_hand(alpha: float, side: int) -> tuple[int, int]:
    """MACs and trainable parameters of Figure 5, written down without loops over a table."""

    def wide(n: int) -> int:
        return max(8, int(alpha * n))

    macs = params = 0

    def add(weights: int, normed: int) -> None:
        nonlocal macs, params
        macs += side**2 * weights
        params += weights + 2 * normed

    def separable(m: int, n: int) -> None:
        add(9 * wide(m) + wide(m) * wide(n), wide(n))

    side = (side - 3) // 2 + 1
    add(27 * wide(32), wide(32))
    side -= 2
    add(9 * wide(32) * wide(64), wide(64))

    def halving(m: int, middle: int, n: int) -> None:
        nonlocal side
        separable(m, middle)
        separable(middle, n)
        side = (side + 1) // 2
        add(wide(m) * wide(n), wide(n))

    halving(64, 128, 128)
    halving(128, 256, 256)
    halving(256, 728, 728)
    for _ in range(8 * 3):
        separable(728, 728)
    halving(728, 728, 1024)
    separable(1024, 1536)
    separable(1536, 2048)
    linear = wide(2048) * 1000
    return macs + linear, params + linear + 1000


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("side", [299, 224, 64, 7])
def test_counts(alpha: float, side: int) -> None:
    layers = xception_layers(alpha, side)
    model = on_meta(lambda: Xception(alpha))
    check_counts(layers, model, (3, side, side))
    check_names(layers, model, (3, side, side))
    trainable = sum(layer.trainable for layer in layers)
    assert (cost.of(layers).macs, trainable) == by_hand(alpha, side)


def test_a_real_forward_pass_counts_the_same() -> None:
    check_counts(xception_layers(), Xception(), (3, 299, 299))


def test_the_network_of_the_paper() -> None:
    layers = xception_layers()
    assert cost.of(layers).macs == 8_357_403_496
    assert sum(layer.trainable for layer in layers) == 22_855_952
    kinds = [layer.kind for layer in layers]
    assert [kinds.count(kind) for kind in ("standard", "depthwise", "linear")] == [2, 34, 1]
    assert kinds.count("pointwise") == 34 + 4  # halves of separable convolutions, shortcuts
    shortcuts = [layer.spec for layer in layers if layer.name.endswith("shortcut")]
    assert [(spec.out_channels, spec.out_size[0]) for spec in shortcuts] == [
        *((128, 74), (256, 37), (728, 19), (1024, 10)),
    ]
    assert all(spec.stride == (2, 2) for spec in shortcuts)
    assert all(layer.spec.stride == (1, 1) for layer in layers if layer.kind == "depthwise")
    sizes = {layer.name: layer.spec.output_shape()[1:] for layer in layers}
    assert sizes["conv1"] == (32, 149, 149)
    assert sizes["conv2"] == (64, 147, 147)
    for number in range(4, 12):
        assert sizes[f"block{number}.separable3.pointwise"] == (728, 19, 19)
    assert sizes["exit.separable2.pointwise"] == (2048, 10, 10)
    assert layers[-1].spec.in_channels == 2048


def test_normalisation_follows_all_but_depthwise_and_the_classifier() -> None:
    for layer in xception_layers():
        assert layer.norm == (layer.kind not in ("depthwise", "linear"))
        assert layer.bias == (layer.kind == "linear")


def test_a_rectangular_grey_image() -> None:
    layers = xception_layers(0.1, (50, 71), num_classes=7, in_channels=1)
    model = Xception(0.1, num_classes=7, in_channels=1)
    check_counts(layers, model, (1, 50, 71))


def by_the_figure(model: Xception, x: Tensor) -> Tensor:
    """Figure 5 of the paper, straight from the weights; ReLU and pooling are placed here."""
    parts = model.features

    def separable(x: Tensor, part: nn.Module) -> Tensor:
        x = F.conv2d(x, part.depthwise.weight, padding=1, groups=x.shape[1])
        return part.norm(F.conv2d(x, part.pointwise.weight))

    x = F.relu(parts.conv1.norm(F.conv2d(x, parts.conv1.conv.weight, stride=2)))
    x = F.relu(parts.conv2.norm(F.conv2d(x, parts.conv2.conv.weight)))
    for number in range(1, 13):
        block = parts.get_submodule(f"block{number}")
        start = x
        y = x if number == 1 else F.relu(x)
        y = separable(y, block.body.separable1)
        y = separable(F.relu(y), block.body.separable2)
        if number in (1, 2, 3, 12):
            short = F.conv2d(start, block.shortcut.conv.weight, stride=2)
            x = F.max_pool2d(y, 3, stride=2, padding=1) + block.shortcut.norm(short)
        else:
            x = separable(F.relu(y), block.body.separable3) + start
    x = F.relu(separable(x, parts.exit.separable1))
    x = F.relu(separable(x, parts.exit.separable2))
    return model.classifier(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("size", [(75, 75), (64, 90)])
def test_the_module_computes_what_the_figure_says(size: tuple[int, int]) -> None:
    x = torch.randn(4, 3, *size, dtype=torch.float64)
    model = Xception(0.1, num_classes=5).double()
    settled(model, x)
    with torch.no_grad():
        scores = model(x)
        assert scores.std(dim=0).mean() > 1e-3
        torch.testing.assert_close(scores, by_the_figure(model, x))


def test_a_block_adds_its_input_and_leaves_it_as_it_was() -> None:
    block = Xception(0.1).features.block4
    assert isinstance(block, XceptionBlock)
    nn.init.zeros_(block.body.separable3.norm.weight)  # the residual is nothing
    x = torch.randn(2, 72, 9, 9)
    before = x.clone()
    assert torch.equal(block(x), before)
    assert torch.equal(x, before)


def test_gradients() -> None:
    check_gradients(Xception(0.1, num_classes=10), torch.randn(4, 3, 64, 70))


def test_one_model_takes_images_of_any_size() -> None:
    model = Xception(0.1, num_classes=5).eval()
    with torch.no_grad():
        for size in ((7, 7), (32, 32), (71, 50)):
            assert model(torch.zeros(2, 3, *size)).shape == (2, 5)


@pytest.mark.parametrize(("name", "value", "expected"), BAD_ARGUMENTS)
def test_bad_arguments(name: str, value: Any, expected: str) -> None:
    makers = [xception_layers] if name == "resolution" else [xception_layers, Xception]
    for make in makers:
        message = message_of(lambda make=make: make(**{name: value}), SpecError)
        assert re.match(re.escape(expected.format(repr(value))), message), message


def test_an_image_too_small() -> None:
    message = message_of(lambda: xception_layers(resolution=6), SpecError)
    assert re.match(r"resolution=\(6, 6\): conv2 .* \(2, 2\) is left: .* larger", message)
