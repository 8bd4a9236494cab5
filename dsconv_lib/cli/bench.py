"""`dsconv bench`: what the counts are worth in time on this machine."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import torch
from rich.table import Table
from typer import Option

from dsconv_lib import cost, layers, spec, timing
from dsconv_lib.cli.console import Device, one_line_errors, open_console
from dsconv_lib.machine import describe
from dsconv_lib.train import pick_device

# D_F, M, N of MobileNetV1's blocks
BENCH = ((112, 32, 64), (56, 128, 128), (28, 256, 256), (14, 512, 512))


def bench_command(
    device: Device = "auto",
    batch: Annotated[int, Option(min=1, help="Images at a time.")] = 8,
    repeats: Annotated[int, Option(min=1, help="Timed rounds.")] = 20,
    threads: Annotated[
        int, Option(min=1, help="CPU threads; several disturb each other on a busy machine.")
    ] = 1,
) -> None:
    """Time standard against separable convolutions on this machine, beside their counts."""
    with one_line_errors():
        place = pick_device(device)
        torch.set_num_threads(threads)
    console = open_console()
    title = "standard / separable, 3x3, stride 1"
    shown = Table(title=title, title_justify="left", title_style="bold")
    shown.add_column("layer", no_wrap=True)
    timed = [f"{name} ms" for name in ("standard", "separable", "depthwise", "pointwise")]
    for name in ("count ratio", "time ratio", *timed):
        shown.add_column(name, justify="right")
    with one_line_errors(), console.status("Timing"):
        for size, in_channels, out_channels in BENCH:
            count = 1 / cost.ratio(out_channels, 3)
            seconds = _bench((in_channels, out_channels, size, 3), batch, repeats, place)
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
    sizes: tuple[int, int, int, int], batch: int, repeats: int, place: torch.device
) -> dict[str, float]:
    """Time the convolutions of these sizes, in the order of `spec.standard`, forward."""

    def last(tensor: Any) -> Any:
        return tensor.to(place, memory_format=torch.channels_last)

    standard = spec.standard(*sizes, padding=1)
    x = last(torch.randn(standard.input_shape(batch)))
    separable = last(layers.of(spec.separable(*sizes, padding=1)))
    timed = {"standard": last(layers.of(standard)), "separable": separable}
    timed |= {"depthwise": separable[0], "pointwise": separable[1]}
    with torch.no_grad():
        calls = {name: partial(layer, x) for name, layer in timed.items()}
        return timing.medians(calls, repeats=repeats)
