"""VGG16: the table of layers, the torch module and the paper tell one story."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib import cost
from dsconv_lib.models import VGG16
from dsconv_lib.networks import vgg16_layers
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

PAPER = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
POOLED = (1, 3, 6, 9, 12)  # the convolutions before a pooling


def by_hand(form: str, alpha: float, side: int, classes: int = 1000) -> tuple[int, int]:
    """MACs and trainable parameters of the paper's column D, or of its form for small images."""
    small = form == "small"
    widths = [3, *(max(8, int(alpha * n)) for n in PAPER)]
    macs = params = 0
    for number, (m, n) in enumerate(pairwise(widths)):
        macs += side**2 * 9 * m * n
        params += 9 * m * n + (2 * n if small else n)
        if number in POOLED:
            side //= 2
    hidden = int(alpha * 4096)
    linear = [widths[-1], classes] if small else [widths[-1] * side**2, hidden, hidden, classes]
    for m, n in pairwise(linear):
        macs += m * n
        params += m * n + n
    return macs, params


@pytest.mark.parametrize("form", ["imagenet", "small"])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("side", [224, 32, 65])
def test_counts(form: Any, alpha: float, side: int) -> None:
    layers = vgg16_layers(alpha, side, form=form)
    model = on_meta(lambda: VGG16(alpha, side, form=form))
    check_counts(layers, model, (3, side, side))
    check_names(layers, model, (3, side, side))
    trainable = sum(layer.trainable for layer in layers)
    assert (cost.of(layers).macs, trainable) == by_hand(form, alpha, side)


def test_a_real_forward_pass_counts_the_same() -> None:
    check_counts(vgg16_layers(), VGG16(), (3, 224, 224))


def test_the_network_of_the_paper() -> None:
    layers = vgg16_layers()
    assert cost.of(layers).macs == 15_470_264_320
    assert cost.of(layers[:-3]).macs == 15_346_630_656  # without the linear layers
    assert sum(layer.trainable for layer in layers) == 138_357_544
    assert [layer.spec.out_channels for layer in layers] == [*PAPER, 4096, 4096, 1000]
    sides = [*(224,) * 2, *(112,) * 2, *(56,) * 3, *(28,) * 3, *(14,) * 3]
    assert [layer.spec.out_size for layer in layers[:-3]] == [(side, side) for side in sides]
    assert layers[-3].spec.in_channels == 512 * 7 * 7
    assert all(layer.bias and not layer.norm for layer in layers)


def test_the_form_for_small_images() -> None:
    layers = vgg16_layers(resolution=32, num_classes=10, form="small")
    assert cost.of(layers).macs == 313_201_664
    assert sum(layer.trainable for layer in layers) == 14_724_042
    assert len(layers) == 14
    assert all(layer.norm and not layer.bias for layer in layers[:-1])
    assert (layers[-1].bias, layers[-1].norm) == (True, False)
    assert layers[-1].spec.in_channels == 512


def test_a_rectangular_grey_image() -> None:
    layers = vgg16_layers(0.25, (64, 96), num_classes=7, in_channels=1)
    assert layers[-3].spec.in_channels == 128 * 2 * 3
    model = VGG16(0.25, (64, 96), num_classes=7, in_channels=1)
    check_counts(layers, model, (1, 64, 96))
    assert model(torch.zeros(2, 1, 64, 96)).shape == (2, 7)


def by_the_table(model: VGG16, x: Tensor, small: bool) -> Tensor:
    """The paper's column D, straight from the weights."""
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for number, conv in enumerate(convs):
        x = F.conv2d(x, conv.weight, conv.bias, padding=1)
        if small:
            x = norms[number](x)
        x = F.relu(x)
        if number in POOLED:
            x = F.max_pool2d(x, 2)
    x = x.mean(dim=(2, 3)) if small else x.flatten(1)
    *hidden, last = (module for module in model.modules() if isinstance(module, nn.Linear))
    for linear in hidden:
        x = F.relu(linear(x))
    return last(x)


@pytest.mark.parametrize("form", ["imagenet", "small"])
def test_the_module_computes_what_the_paper_says(form: Any) -> None:
    model = VGG16(0.25, 64, num_classes=5, form=form).double()
    for conv in model.modules():  # without normalisation the default weights fade to nothing
        if isinstance(conv, nn.Conv2d):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    x = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    settled(model, x)
    with torch.no_grad():
        scores = model(x)
        assert scores.std(dim=0).mean() > 1e-3
        torch.testing.assert_close(scores, by_the_table(model, x, form == "small"))


@pytest.mark.parametrize("form", ["imagenet", "small"])
def test_gradients(form: Any) -> None:
    model = VGG16(0.125, 32, num_classes=10, form=form).double()
    check_gradients(model, torch.randn(4, 3, 32, 32, dtype=torch.float64))


def test_the_small_form_takes_images_of_any_size() -> None:
    model = VGG16(0.125, num_classes=5, form="small").eval()
    with torch.no_grad():
        for size in ((32, 32), (33, 70), (64, 48)):
            assert model(torch.zeros(2, 3, *size)).shape == (2, 5)


def test_half_of_the_hidden_numbers_are_dropped_in_training_alone() -> None:
    model = VGG16(0.25, 32, num_classes=5)
    numbers = torch.full((1, model.hidden.linear1.linear.in_features), 1.0)
    drops = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [drop.p for drop in drops] == [0.5, 0.5]
    assert torch.equal(model.eval().hidden(numbers), model.hidden(numbers))
    assert not torch.equal(model.train().hidden(numbers), model.hidden(numbers))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *BAD_ARGUMENTS,
        *(
            ("form", value, "form={}: expected one of 'imagenet', 'small'")
            for value in ("cifar", None, 1)
        ),
    ],
)
@pytest.mark.parametrize("make", [vgg16_layers, VGG16])
def test_bad_arguments(make: Any, name: str, value: Any, expected: str) -> None:
    message = message_of(lambda: make(**{name: value}), SpecError)
    assert re.match(re.escape(expected.format(repr(value))), message), message


@pytest.mark.parametrize("form", ["imagenet", "small"])
def test_an_image_too_small(form: Any) -> None:
    message = message_of(lambda: vgg16_layers(resolution=(40, 31), form=form), SpecError)
    assert re.match(r"resolution=\(40, 31\): pooling .* \(2, 1\) is left: .* larger", message)
    assert vgg16_layers(resolution=32, form=form)
