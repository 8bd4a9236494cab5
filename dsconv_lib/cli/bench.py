"""`dsconv bench`: what the counts are worth in time on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from dsconv_lib import cost, layers, spec, timing
from dsconv_lib.cli.console import Device, one_line_errors, open_console
from dsconv_lib.machine import describe
from dsconv_lib.train import pick_device

BENCH = (
    (112, 32, 64),
    (56, 128, 128),
    (28, 256, 256),
    (14, 512, 512),
)  # D_F, M, N of MobileNetV1's blocks


def bench_command(
    device: Device = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 20,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads; several disturb each other on a busy machine.")
    ] = 1,
) -> None:
    """Time standard against separable convolutions on this machine, beside their counts."""
    with one_line_errors():
        place = pick_device(device)
        torch.set_num_threads(threads)
    console = open_console()
    shown = Table(
        title="standard / separable, 3x3, stride 1", title_justify="left", title_style="bold"
    )
    shown.add_column("layer", no_wrap=True)
    for name in (
        "count ratio",
        "time ratio",
        "standard ms",
        "separable ms",
        "depthwise ms",
        "pointwise ms",
    ):
        shown.add_column(name, justify="right")
    with one_line_errors(), console.status("Timing"):
        for size, in_channels, out_channels in BENCH:
            count = 1 / cost.ratio(out_channels, 3)
            seconds = _bench(size, in_channels, out_channels, batch, repeats, place)
            shown.add_row(
                f"{size}x{size}, {in_channels} to {out_channels}",
                f"{float(count):.2f}",
                f"{seconds['standard'] / seconds['separable']:.2f}",
                *(f"{1e3 * taken:,.3f}" for taken in seconds.values()),
            )
    console.print(shown)
    console.print(
        f"Forward pass, batch {batch}, float32, channels-last; "
        f"medians of {repeats} rounds in which the four take turns.\n{describe(place)}",
        highlight=False,
    )


def _bench(
    size: int, in_channels: int, out_channels: int, batch: int, repeats: int, place: torch.device
) -> dict[str, float]:
    def last(tensor: Any) -> Any:
        return tensor.to(place, memory_format=torch.channels_last)

    x = last(torch.randn(batch, in_channels, size, size))
    sizes = (in_channels, out_channels, size, 3)
    standard = last(layers.of(spec.standard(*sizes, padding=1)))
    separable = last(layers.of(spec.separable(*sizes, padding=1)))
    depthwise, pointwise = separable
    with torch.no_grad():
        return timing.medians(
            {
                "standard": lambda: standard(x),
                "separable": lambda: separable(x),
                "depthwise": lambda: depthwise(x),
                "pointwise": lambda: pointwise(x),
            },
            repeats=repeats,
        )
