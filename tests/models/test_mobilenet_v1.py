"""MobileNetV1: the table of layers, the torch module and the paper tell one story."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dsconv_lib import cost, loops, spec
from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import Layer, mobilenet_v1_layers, table
from dsconv_lib.profile import profile
from dsconv_lib.spec import SpecError
from tests.networks import by_hooks, on_meta, settled
from tests.strategies import message_of

ALPHAS = (1.0, 0.75, 0.5, 0.25)
RESOLUTIONS = (224, 192, 160, 128)


def by_hand(alpha: float, side: int) -> tuple[int, int]:
    """MACs and trainable parameters of the paper's Table 1, with its last stride put right."""
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    widths = [int(alpha * width) for width in widths]
    side //= 2
    macs = side**2 * 27 * widths[0]
    params = 27 * widths[0] + 2 * widths[0]
    for (m, n), stride in zip(pairwise(widths), strides, strict=True):
        side = -(-side // stride)
        macs += side**2 * (9 * m + m * n)
        params += 9 * m + 2 * m + m * n + 2 * n
    return macs + widths[-1] * 1000, params + widths[-1] * 1000 + 1000


def check_one_story(layers: list[Layer], model: MobileNetV1, size: tuple[int, ...]) -> None:
    """Compare table and module layer by layer, to the last MAC and the last parameter."""
    found = profile(model, size)
    counted = found[found["type"] != "BatchNorm2d"].reset_index(drop=True)
    rows = table(layers)
    names = [
        "classifier" if layer.kind == "linear" else f"features.{layer.name.replace('.', '_')}.conv"
        for layer in layers
    ]
    assert counted["layer"].tolist() == names
    assert counted["macs"].tolist() == rows["macs"].tolist()
    assert counted["macs"].tolist() == [loops.trips(layer.spec) for layer in layers]
    biases = [layer.spec.out_channels if layer.bias else 0 for layer in layers]
    weights = (counted["params"] - biases).tolist()
    assert weights == rows["params"].tolist()
    outputs = rows["output"].tolist()
    outputs[-1] = outputs[-1].removesuffix("x1x1")
    assert counted["output"].tolist() == outputs
    assert by_hooks(model, size) == rows["macs"].tolist()

    norms = found[found["type"] == "BatchNorm2d"]["params"].tolist()
    assert norms == [2 * layer.spec.out_channels for layer in layers if layer.norm]
    assert found["params"].sum() == rows["trainable"].sum()
    assert found["params"].sum() == sum(p.numel() for p in model.parameters())
    assert found["macs"].sum() == cost.of(layers).macs
    for before, after in pairwise(layers[:-1]):
        assert before.spec.out_channels == after.spec.in_channels
        assert before.spec.out_size == after.spec.in_size


# --- counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_all_sixteen(alpha: float, resolution: int) -> None:
    layers = mobilenet_v1_layers(alpha, resolution)
    check_one_story(layers, on_meta(lambda: MobileNetV1(alpha)), (3, resolution, resolution))
    trainable = sum(layer.trainable for layer in layers)
    assert (cost.of(layers).macs, trainable) == by_hand(alpha, resolution)


@pytest.mark.parametrize(
    "arguments",
    [
        {"separable": False},
        {"shallow": True},
        {"stem": "small", "num_classes": 10},
        {"separable": False, "shallow": True, "stem": "small", "in_channels": 1, "alpha": 0.3},
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (33, 50)])
def test_every_variant(arguments: dict[str, Any], size: tuple[int, int]) -> None:
    layers = mobilenet_v1_layers(resolution=size, **arguments)
    channels = arguments.get("in_channels", 3)
    check_one_story(layers, on_meta(lambda: MobileNetV1(**arguments)), (channels, *size))


def test_a_real_forward_pass_counts_the_same() -> None:
    layers = mobilenet_v1_layers()
    check_one_story(layers, MobileNetV1(), (3, 224, 224))


def test_the_network_of_the_paper() -> None:
    layers = mobilenet_v1_layers()
    assert len(layers) == 28
    assert cost.of(layers).macs == 568_740_352
    assert sum(layer.trainable for layer in layers) == 4_231_976
    assert sum(p.numel() for p in on_meta(MobileNetV1).parameters()) == 4_231_976


def test_the_twin() -> None:
    layers = mobilenet_v1_layers(separable=False)
    assert len(layers) == 15
    assert {layer.kind for layer in layers} == {"standard", "linear"}
    assert cost.of(layers).macs == 4_867_293_184
    assert cost.of(layers).params == 29_281_120


def test_the_counter_of_torch_agrees() -> None:
    with FlopCounterMode(display=False) as counter:
        on_meta(MobileNetV1).eval()(torch.empty(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() == 2 * 568_740_352


def test_costs_scale_with_the_batch() -> None:
    layers = mobilenet_v1_layers(0.25, 128)
    one, three = cost.of(layers), cost.of(layers, 3)
    assert three.macs == 3 * one.macs
    assert three.writes == 3 * one.writes
    assert three.params == one.params


@pytest.mark.parametrize(
    ("alpha", "resolution", "shallow", "macs", "params"),
    [
        (1.0, 224, False, 569, 4.2),
        (0.75, 224, False, 325, 2.6),
        (0.5, 224, False, 149, 1.3),
        (0.25, 224, False, 41, 0.5),
        (1.0, 192, False, 418, 4.2),
        (1.0, 160, False, 290, 4.2),
        (1.0, 128, False, 186, 4.2),
        (0.5, 160, False, 76, 1.3),
        (1.0, 224, True, 307, 2.9),
    ],
)
def test_millions_as_the_paper_prints_them(
    alpha: float, resolution: int, shallow: bool, macs: int, params: float
) -> None:
    layers = mobilenet_v1_layers(alpha, resolution, shallow=shallow)
    found = cost.of(layers).macs / 1e6
    assert macs in (int(found), round(found)), "the paper rounds some and cuts others"
    assert round(sum(layer.trainable for layer in layers) / 1e6, 1) == params


# --- structure -------------------------------------------------------------------------------


def test_the_blocks_of_the_table_in_the_paper() -> None:
    layers = mobilenet_v1_layers()
    assert [layer.kind for layer in layers] == [
        "standard",
        *("depthwise", "pointwise") * 13,
        "linear",
    ]
    assert [layer.spec.stride[0] for layer in layers if layer.kind == "depthwise"] == [
        *(1, 2, 1, 2, 1, 2),
        *(1, 1, 1, 1, 1),
        *(2, 1),
    ]
    assert [layer.spec.out_channels for layer in layers if layer.kind == "pointwise"] == [
        *(64, 128, 128, 256, 256, 512),
        *(512,) * 5,
        *(1024, 1024),
    ]
    stem, classifier = layers[0], layers[-1]
    assert (stem.spec.stride, stem.spec.kernel_size) == ((2, 2), (3, 3))
    assert stem.spec.out_channels == 32
    assert (classifier.bias, classifier.norm) == (True, False)
    assert all(layer.norm and not layer.bias for layer in layers[:-1])
    assert layers[-2].spec.out_size == (7, 7)


def test_the_small_stem_keeps_the_image() -> None:
    small = mobilenet_v1_layers(resolution=32, stem="small")
    assert small[0].spec.out_size == (32, 32)
    assert small[-2].spec.out_size == (2, 2)
    assert mobilenet_v1_layers(resolution=32)[-2].spec.out_size == (1, 1)


def test_shallow_leaves_out_the_five_equal_blocks() -> None:
    full, shallow = mobilenet_v1_layers(), mobilenet_v1_layers(shallow=True)
    gone = [layer for layer in full if layer not in shallow]
    assert len(shallow) == 18
    assert [layer.name for layer in gone] == [
        f"block{n}.{half}" for n in range(7, 12) for half in ("depthwise", "pointwise")
    ]
    assert {
        (layer.spec.in_channels, layer.spec.out_channels, layer.spec.in_size) for layer in gone
    } == {(512, 512, (14, 14))}


@pytest.mark.parametrize("stem", ["imagenet", "small"])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_the_twin_has_the_same_shapes_block_by_block(alpha: float, stem: Any) -> None:
    arguments = {"alpha": alpha, "resolution": (96, 70), "stem": stem}
    separable = mobilenet_v1_layers(**arguments)
    twin = mobilenet_v1_layers(**arguments, separable=False)

    def blocks(layers: list[Layer], half: str) -> dict[str, tuple[int, ...]]:
        return {
            layer.name.partition(".")[0]: layer.spec.output_shape()
            for layer in layers
            if layer.kind in (half, "linear") or layer.name == "stem"
        }

    ends = blocks(separable, "pointwise")
    assert len(ends) == 15
    assert blocks(twin, "standard") == ends
    starts = {
        layer.name.partition(".")[0]: layer for layer in separable if layer.kind == "depthwise"
    }
    for layer in twin[1:-1]:
        first = starts[layer.name.partition(".")[0]].spec
        assert layer.spec.input_shape() == first.input_shape()
        assert (layer.spec.stride, layer.spec.kernel_size) == (first.stride, first.kernel_size)


def test_widths_are_rounded_down_and_eight_at_least() -> None:
    assert mobilenet_v1_layers(0.7)[0].spec.out_channels == 22
    assert mobilenet_v1_layers(0.3)[0].spec.out_channels == 9
    assert {layer.spec.in_channels for layer in mobilenet_v1_layers(0.001)[1:]} == {8}
    assert mobilenet_v1_layers(2)[-1].spec.in_channels == 2048
    assert mobilenet_v1_layers(1) == mobilenet_v1_layers(1.0) == mobilenet_v1_layers()


def test_a_rectangular_image() -> None:
    layers = mobilenet_v1_layers(0.25, (96, 160), num_classes=7)
    assert layers[0].spec.out_size == (48, 80)
    assert layers[-2].spec.out_size == (3, 5)
    model = MobileNetV1(0.25, num_classes=7)
    check_one_story(layers, model, (3, 96, 160))
    assert model(torch.zeros(2, 3, 96, 160)).shape == (2, 7)


# --- the module ------------------------------------------------------------------------------


@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize("stem", ["imagenet", "small"])
def test_scores_and_gradients(separable: bool, stem: Any) -> None:
    model = MobileNetV1(0.25, num_classes=10, in_channels=1, stem=stem, separable=separable)
    x = torch.randn(4, 1, 40, 36, requires_grad=True)
    scores = model(x)
    assert scores.shape == (4, 10)
    assert torch.isfinite(scores).all()
    nn.functional.cross_entropy(scores, torch.tensor([0, 1, 2, 3])).backward()
    for name, tensor in [("x", x), *model.named_parameters()]:
        assert tensor.grad is not None, name
        assert torch.isfinite(tensor.grad).all(), name
        assert tensor.grad.abs().sum() > 0, name


def test_one_model_takes_images_of_any_size() -> None:
    model = MobileNetV1(0.25, num_classes=5).eval()
    with torch.no_grad():
        for size in ((32, 32), (64, 48), (1, 1)):
            assert model(torch.zeros(2, 3, *size)).shape == (2, 5)


def test_every_convolution_is_followed_by_normalisation_and_relu() -> None:
    model = on_meta(lambda: MobileNetV1(0.25))
    assert len(model.features) == 27
    for part in model.features:
        conv, norm, relu = part
        assert [type(conv), type(norm), type(relu)] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        assert conv.bias is None
        assert norm.num_features == conv.out_channels
    assert list(model.features._modules)[:3] == ["stem", "block1_depthwise", "block1_pointwise"]


def test_the_scores_are_the_classifier_of_the_mean_over_all_pixels() -> None:
    x = torch.randn(2, 3, 40, 24, dtype=torch.float64)
    model = settled(MobileNetV1(0.25, num_classes=5, stem="small").double(), x)
    with torch.no_grad():
        pixels = model.features(x)
        assert pixels.std(dim=(2, 3)).mean() > 0.1
        assert pixels.shape == (2, 256, 3, 2)
        expected = pixels.flatten(2).mean(2) @ model.classifier.weight.T + model.classifier.bias
        torch.testing.assert_close(model(x), expected)


def test_images_do_not_influence_each_other_at_inference() -> None:
    x = torch.randn(3, 3, 32, 32)
    model = settled(MobileNetV1(0.25, num_classes=5), x)
    with torch.no_grad():
        scores = model(x)
        assert scores.std(dim=0).mean() > 0.01
        torch.testing.assert_close(scores[1:2], model(x[1:2]), rtol=1e-4, atol=1e-5)


# --- the table -------------------------------------------------------------------------------


def test_the_columns_of_the_table() -> None:
    rows = table(mobilenet_v1_layers())
    assert isinstance(rows, pd.DataFrame)
    columns = [
        "layer",
        "kind",
        "input",
        "kernel",
        "stride",
        "output",
        "macs",
        "params",
        "trainable",
    ]
    assert list(rows.columns) == columns
    assert rows.iloc[0].tolist() == [
        *("stem", "standard", "3x224x224", "3x3", 2, "32x112x112"),
        *(32 * 112 * 112 * 27, 864, 864 + 64),
    ]
    assert rows.iloc[3].tolist() == [
        *("block2.depthwise", "depthwise", "64x112x112", "3x3", 2, "64x56x56"),
        *(64 * 56 * 56 * 9, 576, 576 + 128),
    ]
    assert rows.iloc[-1].tolist() == [
        *("classifier", "linear", "1024x1x1", "1x1", 1, "1000x1x1"),
        *(1_024_000, 1_024_000, 1_025_000),
    ]
    assert rows["layer"].is_unique


def test_shares_of_the_kinds_as_the_paper_prints_them() -> None:
    """Table 2: where the multiply-adds and the weights of MobileNet are."""
    rows = table(mobilenet_v1_layers())
    macs = rows.groupby("kind")["macs"].sum() / rows["macs"].sum() * 100
    assert macs.round(2).to_dict() == {
        "depthwise": 3.06,
        "linear": 0.18,
        "pointwise": 94.86,
        "standard": 1.91,  # the paper prints 1.19, and then its column adds up to 99.29 %
    }


def test_a_layer_adds_bias_and_normalisation_only_to_what_is_trainable() -> None:
    made = spec.standard(3, 8, 8, 3)
    for bias, norm, extra in (
        (False, False, 0),
        (True, False, 8),
        (False, True, 16),
        (True, True, 24),
    ):
        layer = Layer("any", "standard", made, bias=bias, norm=norm)
        assert cost.of(layer) == cost.of(made)
        assert layer.trainable == 216 + extra
    assert cost.of(Layer("any", "standard", made), 2) == cost.of(made, 2)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *(
            ("alpha", value, "alpha={}: expected a number greater than 0, such as 1, 0.75")
            for value in (0, -1, float("nan"), float("inf"), True, "1", None, 1j)
        ),
        *(
            ("resolution", value, "resolution={}: expected a positive integer")
            for value in (0, -224, 224.0, True, None, "224", (224, 0), (224, 224.0))
        ),
        *(
            ("resolution", value, "resolution={}: expected an integer or 2 integers")
            for value in ((), (224,), (8, 8, 8))
        ),
        *(
            (name, value, name + "={}: expected a positive integer")
            for name in ("num_classes", "in_channels")
            for value in (0, -1, 1.5, True, None, "10")
        ),
        *(
            ("stem", value, "stem={}: expected one of 'imagenet', 'small'")
            for value in ("tiny", "", None, 2)
        ),
    ],
)
def test_bad_arguments(name: str, value: Any, expected: str) -> None:
    pattern = re.escape(expected.format(repr(value)))
    makers = [mobilenet_v1_layers] if name == "resolution" else [mobilenet_v1_layers, MobileNetV1]
    for make in makers:
        message = message_of(lambda make=make: make(**{name: value}), SpecError)
        assert re.match(pattern, message), message


def test_numpy_integers_are_sizes_too() -> None:
    side = np.int64(64)
    assert mobilenet_v1_layers(0.5, side) == mobilenet_v1_layers(0.5, 64)
