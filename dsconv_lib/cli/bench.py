"""`dsconv bench`: what the counts are worth in time on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from dsconv_lib.cli.console import Device, one_line_errors, open_console
from dsconv_lib.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

PARTS = "layers, ladder, roofline or network; again for another. All of them if left out."


def bench_command(
    device: Device = "auto",
    part: Annotated[list[str] | None, Option(help=PARTS)] = None,
    batch: Annotated[int, Option(min=1, help="Images at a time in layers and ladder.")] = 8,
    rounds: Annotated[int, Option(min=1, help="Timed rounds, in which all take turns.")] = 9,
    threads: Annotated[
        int, Option(min=1, help="CPU threads; several disturb each other on a busy machine.")
    ] = 1,
    cpu_time: Annotated[
        bool, Option("--cpu-time", help="Leave out what other programs take; one thread only.")
    ] = False,
    compile: Annotated[
        bool, Option("--compile", help="torch.compile, too: on a CPU that takes minutes.")
    ] = False,
    quick: Annotated[
        bool, Option("--quick", help="Tiny sizes: a look at whether everything runs.")
    ] = False,
    plot: Annotated[Path | None, Option(metavar="FILE", help="Draw the ladder.")] = None,
    json: Annotated[Path | None, Option(metavar="FILE", help="Write all down.")] = None,
) -> None:
    """Time convolutions and MobileNetV1 on this machine, beside their counts and its roofline."""
    console = open_console()
    with one_line_errors():
        # Here, as what they import takes seconds, and a wrong option should not wait for it.
        from dsconv_lib.measure import bench, record
        from dsconv_lib.train import pick_device

        setting = bench.Setting(
            pick_device(device), batch, rounds, threads, cpu_time, quick, compile
        )
        parts = part or (bench.ON_GPU if setting.place.type != "cpu" else tuple(bench.PARTS))
        for name in set(parts) - set(bench.PARTS):
            raise UserError(f"--part {name}: expected one of {', '.join(bench.PARTS)}")
        if plot is not None and "ladder" not in parts:
            raise UserError("--plot without --part ladder: expected the ladder, which is drawn")
        content = _run(setting, parts, console)
        _show(content, console)
        if json is not None:
            record.write(json, content)
            console.print(f"All of it is in {json}.", highlight=False, soft_wrap=True)
        if plot is not None:
            _plot(content["ladder"]["depthwise"], plot)
            console.print(f"The ladder is in {plot}.", highlight=False, soft_wrap=True)


def _run(setting: Any, parts: Any, console: Console) -> dict[str, Any]:
    """Run the bench under a progress bar that names what is being timed."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from dsconv_lib.measure import bench

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=bench.groups(setting, parts), completed=-1)

        def told(name: str) -> None:
            progress.update(bar, description=name, advance=1)

        return bench.bench(setting, parts, told)


def _show(content: dict[str, Any], console: Console) -> None:
    from dsconv_lib.cli.bench_tables import TABLES
    from dsconv_lib.machine import one_line

    for part, tables in TABLES.items():
        if part in content:
            for each in tables(content[part]):
                console.print(each, highlight=False)
    setting, missing = content["setting"], content["missing"]
    threads = ", ".join(f"{name} {said}" for name, said in setting["threads of"].items())
    lines = [
        f"Float32; batch {setting['batch']} where none is named; medians of {setting['rounds']} "
        f"rounds in which all take turns; {setting['clock']}.",
        f"~ {setting['noisy']}",
        *(f"{name}: not measured: {why}" for name, why in missing.items()),
        f"Threads: {threads}.",
        one_line(content["machine"]),
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _plot(depthwise: list[dict[str, Any]], file: Path) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from dsconv_lib.figures import draw_ladder, use_style

    mpl.use("Agg")  # a file needs no window
    with mpl.rc_context():
        use_style()
        figure = draw_ladder(depthwise[0]["rows"])
        try:
            figure.savefig(file, format=file.suffix[1:] or "png")
        except (OSError, ValueError) as error:
            raise UserError(f"--plot {file} cannot be drawn: {error}") from None
        finally:
            plt.close(figure)
