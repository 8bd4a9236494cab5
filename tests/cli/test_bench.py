"""`dsconv bench` as it is typed, with tiny sizes and few rounds: what it prints and writes, and no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dsconv_lib import cost, spec
from dsconv_lib.measure.bench import PARTS
from dsconv_lib.measure.bench.setting import QUICK
from dsconv_lib.measure.record import check
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.roofline import Device, predict
from tests.commands import dsconv, refused

BENCH = ("bench", "--quick", "--device", "cpu", "--rounds", "2", "--batch", "1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """All parts: what was printed and written, and the folder with the picture."""
    folder = tmp_path_factory.mktemp("bench")
    threads = torch.get_num_threads()
    written = ("--json", folder / "bench.json", "--plot", folder / "ladder.png")
    result = dsconv(*BENCH, *written)
    assert result.exit_code == 0, result.output
    assert torch.get_num_threads() == threads
    return result.stdout, json.loads((folder / "bench.json").read_text()), folder


def cells(printed: str, first: str) -> list[list[str]]:
    """The rows of the table with this title."""
    _, _, rest = printed.partition(first)
    table = rest.partition("└")[0]
    rows = [line for line in table.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in rows]


def test_counts_beside_times(whole: tuple[str, dict[str, Any], Path]) -> None:
    printed, content, _ = whole
    rows = cells(printed, "standard / separable")
    assert len(rows) == len(content["layers"]) == len(QUICK)
    for (size, m, n), row, found in zip(QUICK, rows, content["layers"], strict=True):
        both = [cost.of(make(m, n, size, 3, padding=1)) for make in (spec.standard, spec.separable)]
        assert row[0] == found["layer"] == f"{size}x{size}, {m} to {n}"
        assert row[1] == f"{both[0].macs / both[1].macs:.2f}"
        layouts = [found[name]["seconds"] for name in ("standard", "standard, channels first")]
        expected = min(layouts) / found["separable"]["seconds"]
        assert found["time ratio"] == pytest.approx(expected, rel=0.01)
        for name in ("standard", "separable", "depthwise", "pointwise"):
            low, high = found[name]["quartiles"]
            assert 0 < low <= found[name]["seconds"] <= high


def test_the_ladder_is_held_against_the_faster_of_torch(
    whole: tuple[str, dict[str, Any], Path],
) -> None:
    printed, content, folder = whole
    ladder = content["ladder"]["depthwise"]
    tasks = {(each["kernel"], each["task"]) for each in ladder}
    gradients = {"weight gradient", "input gradient", "both gradients"}
    assert tasks == {(kernel, task) for kernel in (3, 5) for task in {"forward", *gradients}}
    for each in ladder:
        for row in each["rows"]:
            seconds = {name: found["seconds"] for name, found in row["readings"].items()}
            fastest = min(seconds["torch"], seconds["torch, channels-last"])
            for name, ratio in row["ratio"].items():
                assert ratio == pytest.approx(seconds[name] / fastest, rel=1e-3)
    forward = ladder[0]
    assert {"nested loops", "shift and add", "tiled rows"} <= forward["mean"].keys()
    rows = cells(printed, "depthwise 3x3, forward")
    assert {row[0]: row[-1] for row in rows} == {
        name: f"{mean:,.2f}" for name, mean in forward["mean"].items()
    }
    assert "torch, two layers" in content["ladder"]["separable"]["mean"]
    assert (folder / "ladder.png").read_bytes().startswith(b"\x89PNG")


def test_the_network_beside_its_prediction(whole: tuple[str, dict[str, Any], Path]) -> None:
    _, content, _ = whole
    network = mobilenet_v1_layers(0.25, 32)
    assert [each["batch"] for each in content["network"]["batches"]] == [1, 4]
    for each in content["network"]["batches"]:
        assert each["MACs"] == cost.of(network, each["batch"]).macs
        assert {"torch, eager", "torch, folded, channels-last"} <= each["readings"].keys()
        for name, found in each["readings"].items():
            share = each["floor"] / found["seconds"]
            assert each["share"][name] == pytest.approx(share, rel=1e-3)
        device = Device.recorded(each["roofline"]["device"])
        predicted = predict(network, device, each["batch"]).layers
        assert {row["layer"]: row["predicted"] for row in each["layers"]} == predicted
        for row in each["layers"]:
            assert row["ratio"] == pytest.approx(row["predicted"] / row["seconds"])


def test_the_file_follows_the_schema_and_names_what_took_part(
    whole: tuple[str, dict[str, Any], Path],
) -> None:
    printed, content, _ = whole
    check(content)
    assert list(content)[-len(PARTS) :] == list(PARTS)
    assert content["setting"]["rounds"] == 2
    assert content["setting"]["threads of"]["torch"] == "1"
    assert content["setting"]["threads of"]["NumPy"].startswith("1 (")
    assert content["machine"]["threads"] == 1
    assert {"numpy", "dsconv_lib"} <= content["versions"].keys()
    assert "medians of 2 rounds" in printed
    assert f"torch {torch.__version__}" in printed
    for name, why in content["missing"].items():
        assert f"{name}: not measured: {why}" in printed
    assert "torch.compile" in content["missing"]


def test_one_part_on_two_threads() -> None:
    result = dsconv(*BENCH, "--part", "layers", "--threads", "2")
    assert result.exit_code == 0, result.output
    assert ", 2 threads, " in result.stdout
    assert "Threads: torch 2, " in result.stdout
    assert "roofline" not in result.stdout
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "stairs"), "--part stairs: expected one of layers, ladder, roofline, network"),
        (("--cpu-time", "--threads", "2"), "--cpu-time with 2 threads on cpu: expected one thread"),
        (("--part", "layers", "--plot", "a.png"), "--plot without --part ladder: expected the"),
    ],
)
def test_what_cannot_be_benched(arguments: tuple[str, ...], message: str) -> None:
    refused(dsconv(*BENCH, *arguments), message)
