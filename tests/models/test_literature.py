"""The networks that are tables only: a torch module written here, and plain arithmetic, agree with each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from dsconv_lib import cost
from dsconv_lib.networks import (
    Layer,
    alexnet_layers,
    googlenet_layers,
    inception_v3_layers,
    squeezenet_layers,
)
from dsconv_lib.spec import SpecError
from tests.networks import Branches, check_counts, on_meta
from tests.strategies import message_of

Table = Callable[..., list[Layer]]


def conv(m: int, n: int, kernel: Any, padding: Any = 0, stride: int = 1, groups: int = 1) -> Any:
    return nn.Sequential(
        nn.Conv2d(m, n, kernel, stride=stride, padding=padding, groups=groups), nn.ReLU()
    )


def normed(m: int, n: int, kernel: Any, padding: Any = 0, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(m, n, kernel, stride=stride, padding=padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n), nn.ReLU())


def caffe_pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def ending(m: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(m, 1000))


def alexnet(pixels: int = 36) -> nn.Sequential:
    """`pixels` of the last map after pooling: 36 for images of 227 pixels."""
    return nn.Sequential(
        *(conv(3, 96, 11, stride=4), nn.MaxPool2d(3, 2)),
        *(conv(96, 256, 5, padding=2, groups=2), nn.MaxPool2d(3, 2)),
        conv(256, 384, 3, padding=1),
        conv(384, 384, 3, padding=1, groups=2),
        *(conv(384, 256, 3, padding=1, groups=2), nn.MaxPool2d(3, 2)),
        *(nn.Flatten(), nn.Linear(256 * pixels, 4096), nn.ReLU()),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)),
    )


def squeezenet() -> nn.Sequential:
    def fire(m: int, squeeze: int, expand: int) -> nn.Sequential:
        return nn.Sequential(
            conv(m, squeeze, 1),
            Branches(conv(squeeze, expand, 1), conv(squeeze, expand, 3, padding=1)),
        )

    return nn.Sequential(
        *(conv(3, 96, 7, stride=2), caffe_pool()),
        *(fire(96, 16, 64), fire(128, 16, 64), fire(128, 32, 128), caffe_pool()),
        *(fire(256, 32, 128), fire(256, 48, 192), fire(384, 48, 192), fire(384, 64, 256)),
        *(caffe_pool(), fire(512, 64, 256)),
        *(conv(512, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def googlenet() -> nn.Sequential:
    def inception(m: int, one: int, r3: int, n3: int, r5: int, n5: int, pool: int) -> Branches:
        return Branches(
            conv(m, one, 1),
            nn.Sequential(conv(m, r3, 1), conv(r3, n3, 3, padding=1)),
            nn.Sequential(conv(m, r5, 1), conv(r5, n5, 5, padding=2)),
            nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(m, pool, 1)),
        )

    return nn.Sequential(
        *(conv(3, 64, 7, padding=3, stride=2), caffe_pool()),
        *(conv(64, 64, 1), conv(64, 192, 3, padding=1), caffe_pool()),
        inception(192, 64, 96, 128, 16, 32, 32),
        inception(256, 128, 128, 192, 32, 96, 64),
        caffe_pool(),
        inception(480, 192, 96, 208, 16, 48, 64),
        inception(512, 160, 112, 224, 24, 64, 64),
        inception(512, 128, 128, 256, 24, 64, 64),
        inception(512, 112, 144, 288, 32, 64, 64),
        inception(528, 256, 160, 320, 32, 128, 128),
        caffe_pool(),
        inception(832, 256, 160, 320, 32, 128, 128),
        inception(832, 384, 192, 384, 48, 128, 128),
        ending(1024),
    )


def inception_v3() -> nn.Sequential:
    def pooled(m: int, n: int) -> nn.Sequential:
        return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), normed(m, n, 1))

    def row(m: int, n: int, kernel: int = 7) -> nn.Sequential:
        return normed(m, n, (1, kernel), padding=(0, kernel // 2))

    def column(m: int, n: int, kernel: int = 7) -> nn.Sequential:
        return normed(m, n, (kernel, 1), padding=(kernel // 2, 0))

    def fork() -> Branches:
        return Branches(row(384, 384, 3), column(384, 384, 3))

    def figure_5(m: int, pool: int) -> Branches:
        return Branches(
            normed(m, 64, 1),
            nn.Sequential(normed(m, 48, 1), normed(48, 64, 5, padding=2)),
            nn.Sequential(normed(m, 64, 1), normed(64, 96, 3, 1), normed(96, 96, 3, 1)),
            pooled(m, pool),
        )

    def figure_6(n: int) -> Branches:
        return Branches(
            normed(768, 192, 1),
            nn.Sequential(normed(768, n, 1), row(n, n), column(n, 192)),
            nn.Sequential(normed(768, n, 1), column(n, n), row(n, n), column(n, n), row(n, 192)),
            pooled(768, 192),
        )

    def figure_7(m: int) -> Branches:
        return Branches(
            normed(m, 320, 1),
            nn.Sequential(normed(m, 384, 1), fork()),
            nn.Sequential(normed(m, 448, 1), normed(448, 384, 3, padding=1), fork()),
            pooled(m, 192),
        )

    return nn.Sequential(
        *(normed(3, 32, 3, stride=2), normed(32, 32, 3), normed(32, 64, 3, padding=1)),
        nn.MaxPool2d(3, 2),
        *(normed(64, 80, 1), normed(80, 192, 3), nn.MaxPool2d(3, 2)),
        *(figure_5(192, 32), figure_5(256, 64), figure_5(288, 64)),
        Branches(
            normed(288, 384, 3, stride=2),
            nn.Sequential(normed(288, 64, 1), normed(64, 96, 3, 1), normed(96, 96, 3, stride=2)),
            nn.MaxPool2d(3, 2),
        ),
        *(figure_6(128), figure_6(160), figure_6(160), figure_6(192)),
        Branches(
            nn.Sequential(normed(768, 192, 1), normed(192, 320, 3, stride=2)),
            nn.Sequential(
                *(normed(768, 192, 1), row(192, 192), column(192, 192)),
                normed(192, 192, 3, stride=2),
            ),
            nn.MaxPool2d(3, 2),
        ),
        *(figure_7(1280), figure_7(2048), ending(2048)),
    )


NETWORKS: list[tuple[Table, Callable[[], nn.Module]]] = [
    (alexnet_layers, alexnet),
    (squeezenet_layers, squeezenet),
    (googlenet_layers, googlenet),
    (inception_v3_layers, inception_v3),
]
SMALLEST = {
    alexnet_layers: 67,
    squeezenet_layers: 21,
    googlenet_layers: 31,
    inception_v3_layers: 75,
}


# --- counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "make"), NETWORKS)
def test_the_usual_resolution(table: Table, make: Callable[[], nn.Module]) -> None:
    layers = table()
    check_counts(layers, on_meta(make), layers[0].spec.input_shape()[1:])


@pytest.mark.parametrize(("table", "make"), NETWORKS[1:])
@pytest.mark.parametrize("size", [(224, 224), (227, 227), (299, 299), (230, 129), (90, 75)])
def test_other_resolutions(table: Table, make: Any, size: tuple[int, int]) -> None:
    check_counts(table(size), on_meta(make), (3, *size))


@pytest.mark.parametrize(("size", "pixels"), [((224, 224), 25), ((227, 300), 6 * 8), ((67, 67), 1)])
def test_other_resolutions_of_alexnet(size: tuple[int, int], pixels: int) -> None:
    """Its first linear layer has weights for each pixel, so every size has a module of its own."""
    check_counts(alexnet_layers(size), on_meta(lambda: alexnet(pixels)), (3, *size))


@pytest.mark.parametrize(
    ("layers", "count", "macs", "trainable"),
    [
        (alexnet_layers(), 8, 724_406_816, 60_965_224),
        (squeezenet_layers(), 26, 818_924_576, 1_248_424),
        (squeezenet_layers(227), 26, 832_667_936, 1_248_424),
        (googlenet_layers(), 58, 1_582_671_872, 6_998_552),
        (inception_v3_layers(), 95, 5_713_216_096, 23_834_568),
    ],
)
def test_totals(layers: list[Layer], count: int, macs: int, trainable: int) -> None:
    assert len(layers) == count
    assert cost.of(layers).macs == macs
    assert sum(layer.trainable for layer in layers) == trainable


def test_alexnet_by_hand() -> None:
    convolutions = [
        55**2 * 11**2 * 3 * 96,
        27**2 * 5**2 * 48 * 256,  # 48 of the 96 channels: two groups
        13**2 * 3**2 * 256 * 384,
        13**2 * 3**2 * 192 * 384,
        13**2 * 3**2 * 192 * 256,
    ]
    linear = [6**2 * 256 * 4096, 4096 * 4096, 4096 * 1000]
    assert [cost.of(layer).macs for layer in alexnet_layers()] == [*convolutions, *linear]


def test_squeezenet_by_hand() -> None:
    macs = 109**2 * 7**2 * 3 * 96
    m = 96
    for squeeze, side in [
        *((16, 54), (16, 54), (32, 54)),
        *((32, 27), (48, 27), (48, 27), (64, 27)),
        (64, 13),
    ]:
        macs += side**2 * squeeze * (m + 4 * squeeze + 9 * 4 * squeeze)
        m = 8 * squeeze
    assert cost.of(squeezenet_layers()).macs == macs + 13**2 * 512 * 1000


def test_googlenet_by_hand() -> None:
    macs = 112**2 * 7**2 * 3 * 64 + 56**2 * (64 * 64 + 9 * 64 * 192)
    m = 192
    for side, one, reduce3, n3, reduce5, n5, pool in [
        *((28, 64, 96, 128, 16, 32, 32), (28, 128, 128, 192, 32, 96, 64)),
        *((14, 192, 96, 208, 16, 48, 64), (14, 160, 112, 224, 24, 64, 64)),
        *((14, 128, 128, 256, 24, 64, 64), (14, 112, 144, 288, 32, 64, 64)),
        *((14, 256, 160, 320, 32, 128, 128), (7, 256, 160, 320, 32, 128, 128)),
        (7, 384, 192, 384, 48, 128, 128),
    ]:
        read_the_input = m * (one + reduce3 + reduce5 + pool)
        macs += side**2 * (read_the_input + 9 * reduce3 * n3 + 25 * reduce5 * n5)
        m = one + n3 + n5 + pool
    assert cost.of(googlenet_layers()).macs == macs + 1024 * 1000


@pytest.mark.parametrize(
    ("module", "millions"),
    [
        *(("3a", 128), ("3b", 304), ("4a", 73), ("4b", 88), ("4c", 100)),
        *(("4d", 119), ("4e", 170), ("5b", 71)),
    ],
)
def test_the_operations_that_the_paper_of_googlenet_prints(module: str, millions: int) -> None:
    """Column ops of Table 1, in the rows where it follows from the row's own channels."""
    macs = [
        cost.of(layer).macs for layer in googlenet_layers() if layer.name.startswith(f"{module}.")
    ]
    assert millions in (sum(macs) // 10**6, round(sum(macs) / 1e6))


# --- structure -------------------------------------------------------------------------------


def start_and_end(layers: list[Layer], module: str) -> tuple[tuple[int, ...], int]:
    """Shape of the map that a module reads, and the number of channels that it hands on."""
    inside = [n for n, layer in enumerate(layers) if layer.name.split(".")[0] == module]
    after = layers[inside[-1] + 1].spec
    return layers[inside[0]].spec.input_shape()[1:], after.in_channels


def test_googlenet_modules() -> None:
    layers = googlenet_layers()
    names = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    ends = [start_and_end(layers, name)[1] for name in names]
    assert ends == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    starts = [start_and_end(layers, name)[0] for name in names]
    sides = [28, 28, 14, 14, 14, 14, 14, 7, 7]
    assert starts == [(m, d, d) for m, d in zip([192, *ends], sides, strict=False)]
    assert all(layer.bias and not layer.norm for layer in layers)


def test_inception_v3_modules() -> None:
    layers = inception_v3_layers()
    names = [f"mixed{number}" for number in range(11)]
    ends = [start_and_end(layers, name)[1] for name in names]
    assert ends == [256, 288, 288, *(768,) * 5, 1280, 2048, 2048]
    starts = [start_and_end(layers, name)[0] for name in names]
    sides = [35] * 4 + [17] * 5 + [8] * 2
    assert starts == [(m, d, d) for m, d in zip([192, *ends], sides, strict=False)]
    stem = [layer.spec.out_size[0] for layer in layers[:5]]
    assert stem == [149, 147, 147, 73, 71]
    assert all(layer.norm and not layer.bias for layer in layers[:-1])


def test_squeezenet_maps() -> None:
    sides = {layer.name: layer.spec.in_size[0] for layer in squeezenet_layers()}
    squeezes = [sides[f"fire{number}.squeeze"] for number in range(2, 10)]
    assert squeezes == [54, 54, 54, 27, 27, 27, 27, 13]
    of_the_paper = {layer.name: layer.spec.in_size[0] for layer in squeezenet_layers(227)}
    squeezes = [of_the_paper[f"fire{number}.squeeze"] for number in range(2, 10)]
    assert squeezes == [55, 55, 55, 27, 27, 27, 27, 13]
    assert squeezenet_layers()[-1].spec.output_shape() == (1, 1000, 13, 13)
    assert {layer.kind for layer in squeezenet_layers()} == {"standard", "pointwise"}


def test_alexnet_maps() -> None:
    layers = alexnet_layers()
    assert [layer.spec.out_size[0] for layer in layers] == [55, 27, 13, 13, 13, 1, 1, 1]
    assert [layer.spec.groups for layer in layers] == [1, 2, 1, 2, 2, 1, 1, 1]
    assert alexnet_layers(224)[0].spec.out_size == (54, 54)  # not the paper's 55


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "make"), NETWORKS)
def test_the_smallest_image(table: Table, make: Callable[[], nn.Module]) -> None:
    """The one that torch takes too: a pixel less, and both refuse."""
    smallest = SMALLEST[table]
    assert f"{smallest} at least" in (table.__doc__ or "")
    assert table(smallest)
    pattern = rf"resolution=\({smallest - 1}, {smallest}\): \S+ has a window .* expected a larger"
    message = message_of(lambda: table((smallest - 1, smallest)), SpecError)
    assert re.match(pattern, message), message

    def forward(side: int) -> None:
        model = alexnet(1) if make is alexnet else make()
        model.to("meta").eval()(torch.empty(1, 3, side, side, device="meta"))

    forward(smallest)
    with pytest.raises(RuntimeError):
        forward(smallest - 1)


@pytest.mark.parametrize("table", [table for table, _ in NETWORKS])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("resolution", value) for value in (0, -1, 224.0, True, None, "224", (), (224,))),
        *(("num_classes", value) for value in (0, -1, 1.5, True, None, "10")),
    ],
)
def test_bad_arguments(table: Table, name: str, value: Any) -> None:
    message = message_of(lambda: table(**{name: value}), SpecError)
    assert message.startswith(f"{name}={value!r}: expected "), message


@pytest.mark.parametrize("table", [table for table, _ in NETWORKS])
def test_the_number_of_classes(table: Table) -> None:
    usual, ten = table(), table(num_classes=10)
    assert usual[:-1] == ten[:-1]
    assert ten[-1].spec.out_channels == 10
