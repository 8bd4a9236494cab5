"""The tables that `dsconv bench` prints, of what a file of its results holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

# Before a median whose rounds lie so far apart that it says little.
NOISY, STEADY = "~", ""
# What a fused network is held against.
FOLDED, RUNTIME = "torch, folded, channels-last", "ONNX Runtime"


def milliseconds(reading: Mapping[str, Any]) -> str:
    """A reading in milliseconds, with half the distance of its quartiles.

    >>> milliseconds({"seconds": 0.002, "quartiles": [0.0019, 0.0021], "noisy": False})
    '2.000 ±0.100'
    """
    low, high = reading["quartiles"]
    mark = NOISY if reading["noisy"] else STEADY
    return f"{mark}{1e3 * reading['seconds']:,.3f} ±{1e3 * (high - low) / 2:,.3f}"


def _table(title: str, columns: Sequence[str]) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold")
    made.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        made.add_column(name, justify="right")
    return made


def of_layers(rows: list[dict[str, Any]]) -> Iterator[Table]:
    """Counts beside times."""
    timed = [name for name in rows[0] if isinstance(rows[0][name], dict)]
    columns = ["layer", "count ratio", "time ratio", *(f"{name} ms" for name in timed)]
    made = _table("standard / separable, 3x3, stride 1", columns)
    for row in rows:
        numbers = f"{row['count ratio']:.2f}", f"{row['time ratio']:.2f}"
        made.add_row(row["layer"], *numbers, *(milliseconds(row[name]) for name in timed))
    yield made


def of_ladder(found: dict[str, Any]) -> Iterator[Table]:
    """Each form's time over that of torch's faster layout: a row for each form, a column for each size."""
    for each in found["depthwise"]:
        kernel = each["kernel"]
        title = f"depthwise {kernel}x{kernel}, {each['task']}: times torch's faster layout"
        yield _ratios(title, each)
    title = "separable block, bias and ReLU in both halves: times torch's two layers, channels-last"
    yield _ratios(title, found["separable"])


def _ratios(title: str, found: dict[str, Any]) -> Table:
    made = _table(title, ["form", *(row["layer"] for row in found["rows"]), "geometric mean"])
    for name, mean in sorted(found["mean"].items(), key=lambda pair: -pair[1]):
        marks = (NOISY if row["readings"][name]["noisy"] else STEADY for row in found["rows"])
        ratios = (row["ratio"][name] for row in found["rows"])
        cells = (f"{mark}{ratio:,.2f}" for mark, ratio in zip(marks, ratios, strict=True))
        made.add_row(name, *cells, f"{mean:,.2f}")
    return made


def of_roofline(found: dict[str, Any]) -> Iterator[Table]:
    """The machine's rates, and the shares of them that were reached."""
    device = found["device"]
    made = _table("roofline", ["rate", ""])
    made.add_row("matrix product", f"{1e-9 * device['flops']:,.1f} GFLOP/s")
    for level in device["levels"]:
        held = level["capacity"]
        size = f", {held / 1024:,.0f} KiB" if held else ""
        made.add_row(f"copy in {level['name']}{size}", f"{1e-9 * level['bandwidth']:,.1f} GB/s")
    made.add_row("ridge of the memory", f"{found['ridge']:.1f} FLOP/byte")
    for kind, share in device["efficiencies"].items():
        start = f"{1e6 * device['latencies'][kind]:.1f} us to start"
        made.add_row(f"efficiency, {kind}", f"{share:.0%}, {start}")
    if found["noisy"]:
        made.add_row("scattered", f"{len(found['noisy'])} of the readings")
    yield made
    if "pointwise in NumPy" in found:
        made = _table(
            "pointwise in NumPy, of the rate of its product 1024x1024", ["layer", "share"]
        )
        for row in found["pointwise in NumPy"]["rows"]:
            mark = NOISY if row["reading"]["noisy"] else STEADY
            made.add_row(row["layer"], f"{mark}{row['share']:.0%}")
        yield made


def of_network(found: dict[str, Any]) -> Iterator[Table]:
    """Each way to run the network, and the eager one layer by layer beside what was predicted."""
    arguments = found["arguments"]
    name = f"MobileNetV1-{arguments['alpha']:g} at {arguments['resolution']}"
    for each in found["batches"]:
        floor = f"its MACs at the rate of a product take {1e3 * each['floor']:,.1f} ms"
        title = f"{name}, batch {each['batch']}: {floor}"
        seconds = {way: reading["seconds"] for way, reading in each["readings"].items()}
        others = [way for way in seconds if way in (FOLDED, RUNTIME)]
        columns = [f"times {way}" for way in others]
        made = _table(title, ["run by", "ms", *columns, "of the product's rate"])
        for way, reading in each["readings"].items():
            ratios = [f"{seconds[way] / seconds[other]:.2f}" for other in others]
            made.add_row(way, milliseconds(reading), *ratios, f"{each['share'][way]:.0%}")
        yield made
    for each in found["batches"]:
        error = each["error"]
        off = f"off by {error['layer']:.0%} in the median layer, {error['total']:+.0%} in total"
        title = f"{name}, torch, eager, batch {each['batch']}: the prediction is {off}"
        made = _table(title, ["layer", "ms", "predicted ms", "predicted / measured"])
        for row in each["layers"]:
            predicted = f"{1e3 * row['predicted']:,.3f}"
            made.add_row(row["layer"], milliseconds(row), predicted, f"{row['ratio']:.2f}")
        yield made


TABLES: dict[str, Callable[[Any], Iterator[Table]]] = {
    "layers": of_layers,
    "ladder": of_ladder,
    "roofline": of_roofline,
    "network": of_network,
}
