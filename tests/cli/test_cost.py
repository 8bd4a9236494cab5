"""`dsconv cost` for every network, as it is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from dsconv_lib import cost, figures
from dsconv_lib.cli.cost import COSTED, CostedModel
from tests import commands
from tests.commands import dsconv

TOTALS = {
    "mobilenet-v1": (568_740_352, 4_231_976, 224),
    "mobilenet-v1-twin": (4_867_293_184, 29_294_088, 224),
    "vgg16": (15_470_264_320, 138_357_544, 224),
    "googlenet": (1_582_671_872, 6_998_552, 224),
    "alexnet": (724_406_816, 60_965_224, 227),
    "squeezenet": (818_924_576, 1_248_424, 224),
    "xception": (8_357_403_496, 22_855_952, 299),
    "inception-v3": (5_713_216_096, 23_834_568, 299),
}
WITH_ALPHA = ("mobilenet-v1", "mobilenet-v1-twin", "vgg16", "xception")


def refused(result: Any, message: str) -> None:
    """As every command refuses, before anything is printed."""
    commands.refused(result, message)
    assert result.stdout == ""


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_every_name_has_a_network() -> None:
    assert set(get_args(CostedModel)) == set(COSTED) == set(TOTALS)


@pytest.mark.parametrize("model", TOTALS)
def test_the_totals(model: str) -> None:
    result = dsconv("cost", model)
    assert result.exit_code == 0, result.output
    macs, trainable, side = TOTALS[model]
    title, *lines = result.stdout.splitlines()
    alpha = ", alpha 1" if model in WITH_ALPHA else ""
    assert title.strip() == f"{model}{alpha}, {side}x{side}"
    rows = [cells(line) for line in lines if line.startswith("│")]
    layers = COSTED[model]()
    assert [row[0] for row in rows[:-1]] == [layer.name for layer in layers]
    assert [row[6] for row in rows[:-1]] == [f"{cost.of(layer).macs:,}" for layer in layers]
    assert [row[9] for row in rows[:-1]] == [f"{layer.trainable:,}" for layer in layers]
    weights = sum(cost.of(layer).params for layer in layers)
    sums = [f"{macs:,}", "100.0%", f"{weights:,}", f"{trainable:,}"]
    assert rows[-1][-4:] == sums
    assert len({len(line) for line in lines if line.startswith("│")}) == 1
    assert "…" not in result.stdout


@pytest.mark.parametrize("model", TOTALS)
def test_size_and_classes_reach_every_network(model: str) -> None:
    result = dsconv("cost", model, "--size", "128", "--classes", "7")
    assert result.exit_code == 0, result.output
    macs = cost.of(COSTED[model](resolution=128, num_classes=7)).macs
    assert f"{macs:,}" in result.stdout
    assert "128x128" in result.stdout.splitlines()[0]


@pytest.mark.parametrize("model", TOTALS)
def test_the_width_multiplier(model: str) -> None:
    result = dsconv("cost", model, "--alpha", "0.5")
    if model in WITH_ALPHA:
        assert f"{cost.of(COSTED[model](alpha=0.5)).macs:,}" in result.stdout
        assert "alpha 0.5" in result.stdout
    else:
        refused(result, rf"--alpha 0\.5: {model} has none, expected no --alpha")


@pytest.mark.parametrize("model", ["vgg16", "xception", "alexnet"])
def test_only_mobilenet_has_a_choice_of_stems(model: str) -> None:
    refused(dsconv("cost", model, "--stem", "small"), rf"--stem small: {model} has none")


@pytest.mark.parametrize("model", TOTALS)
def test_bad_numbers_are_refused_in_one_line(model: str) -> None:
    refused(dsconv("cost", model, "--size", "0"), "resolution=0: expected a positive integer")
    refused(dsconv("cost", model, "--classes", "0"), "num_classes=0: expected a positive integer")
    if model in WITH_ALPHA:
        refused(dsconv("cost", model, "--alpha", "0"), r"alpha=0\.0: expected a number")


def test_an_image_too_small_for_the_network() -> None:
    refused(dsconv("cost", "vgg16", "--size", "31"), r"resolution=\(31, 31\): .* a larger image")


def test_an_unknown_network_names_the_known_ones() -> None:
    result = dsconv("cost", "resnet50")
    assert result.exit_code == 2
    assert "squeezenet" in result.stderr


@pytest.mark.parametrize("model", ["mobilenet-v1", "xception"])
def test_the_plot_is_a_picture_of_the_layers(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    draw = figures.draw_layers

    def watched(layers: Any, *rest: Any) -> Any:
        drawn.append(layers)
        return draw(layers, *rest)

    monkeypatch.setattr(figures, "draw_layers", watched)
    before = dict(mpl.rcParams)
    file = tmp_path / "bars.png"
    result = dsconv("cost", model, "--plot", file)
    assert result.exit_code == 0, result.output
    assert drawn == [COSTED[model]()]
    height, width, _ = plt.imread(file).shape
    assert width == 200 * figures.style.WIDTH
    assert height > 20 * len(drawn[0])
    assert plt.imread(file).std() > 0.05
    assert f"The bars are in {file}." in result.stdout
    assert "total" in result.stdout
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_a_plot_without_an_ending_is_a_png(tmp_path: Path) -> None:
    file = tmp_path / "bars"
    assert dsconv("cost", "alexnet", "--plot", file).exit_code == 0
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/bars.png", "cannot be drawn: .*No such file or directory"),
        ("bars.xyz", "cannot be drawn: .*not supported"),
        (".", "cannot be drawn: "),
    ],
)
def test_a_plot_that_cannot_be_written(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(dsconv("cost", "alexnet", "--plot", name), message)
    assert plt.get_fignums() == []
    assert list(tmp_path.iterdir()) == []
