"""The command line: `dsconv train`, `cost` and `bench`, and `grade` and `review` for instructors."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dsconv_lib import cost as costs
from dsconv_lib import layers, timing, train
from dsconv_lib.data import DataError, load
from dsconv_lib.grading import commands as grading
from dsconv_lib.models import (
    Layer,
    alexnet_layers,
    googlenet_layers,
    inception_v3_layers,
    mobilenet_v1_layers,
    squeezenet_layers,
    table,
    total,
    vgg16_layers,
    xception_layers,
)
from dsconv_lib.models.mobilenet_v1 import Stem
from dsconv_lib.spec import SpecError

CONVENTION = (
    "One multiply-add is 1 MAC, 2 FLOPs; every tap of the window counts, on padding zeros too.\n"
    "MACs and params leave out bias and batch normalisation; trainable has them."
)
# Width, where no --alpha is given, and depth for each data set: digits are few and small.
NETWORKS: dict[str, dict[str, Any]] = {
    "digits": {"alpha": 0.5, "shallow": True},
    "cifar10": {"alpha": 1.0, "shallow": False},
}
CostedModel = Literal[
    "mobilenet-v1",
    "mobilenet-v1-twin",
    "vgg16",
    "googlenet",
    "alexnet",
    "squeezenet",
    "xception",
    "inception-v3",
]
COSTED: dict[CostedModel, Callable[..., list[Layer]]] = {
    "mobilenet-v1": mobilenet_v1_layers,
    "mobilenet-v1-twin": partial(mobilenet_v1_layers, separable=False),
    "vgg16": vgg16_layers,
    "googlenet": googlenet_layers,
    "alexnet": alexnet_layers,
    "squeezenet": squeezenet_layers,
    "xception": xception_layers,
    "inception-v3": inception_v3_layers,
}
BENCH = (
    (112, 32, 64),
    (56, 128, 128),
    (28, 256, 256),
    (14, 512, 512),
)  # D_F, M, N of MobileNetV1's blocks

app = typer.Typer(
    help="Depthwise-separable convolution: train it, count it, time it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes a GPU if there is one.")
]


app.command("grade")(grading.grade)
app.command("review")(grading.review)


@app.command("train")
def train_command(
    dataset: Annotated[
        Literal["digits", "cifar10"],
        typer.Option(help="digits needs no download and trains within a minute."),
    ] = "digits",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where cifar10's train.parquet and test.parquet are (or DSCONV_DATA).",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data (from the recipe).")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step (from the recipe).")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest one (from the recipe).")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Width multiplier (0.5 for digits, 1 for cifar10).")
    ] = None,
    twin: Annotated[
        bool, typer.Option("--twin", help="Standard 3x3 convolutions in place of separable ones.")
    ] = False,
    seed: Annotated[
        int, typer.Option(help="The same seed and threads give the same run on a CPU.")
    ] = 0,
    device: Device = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads (1 for digits, torch's choice for cifar10)."),
    ] = None,
    subset: Annotated[
        int | None, typer.Option(metavar="N", help="Train on the first N images; test on all.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the results go (a new folder under runs/)."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let --out replace the results of an earlier run.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, to the same numbers.")
    ] = False,
) -> None:
    """Train MobileNetV1 for small images, or its twin with standard convolutions."""
    started = perf_counter()
    console = _console()
    with _one_line_errors():
        given: dict[str, Any] = {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
        }
        recipe = replace(
            train.RECIPES[dataset], seed=seed, **{k: v for k, v in given.items() if v is not None}
        )
        place = train.pick_device(device)
        # Threads of so small a network mostly wait for each other: on a busy machine two took the
        # digits ten times as long as one, on an idle one they saved a sixth.
        if threads is not None or dataset == "digits":
            torch.set_num_threads(threads or 1)
        folder = _out_folder(out, f"{dataset}-twin" if twin else dataset, overwrite, resume)
        with console.status(f"Reading {dataset}"):
            images = load(dataset, data)
        if subset is not None:
            images = images.subset(subset)
        arguments = {
            **NETWORKS[dataset],
            "num_classes": len(images.classes),
            "in_channels": images.train_images.shape[1],
            "stem": "small",
            "separable": not twin,
        }
        if alpha is not None:
            arguments["alpha"] = alpha
        network = mobilenet_v1_layers(resolution=images.train_images.shape[2:], **arguments)
        model = train.build(arguments, recipe.seed)
        console.print(
            f"{'The twin of ' if twin else ''}MobileNetV1, alpha {arguments['alpha']:g}, "
            f"on {images.name}: {len(images.train_labels):,} training and "
            f"{len(images.test_labels):,} test images, {recipe.epochs} "
            f"{'epoch' if recipe.epochs == 1 else 'epochs'} on {place.type}",
            highlight=False,
        )
        records = _fit_with_bar(console, model, images, recipe, device, folder, arguments, resume)

    results = Table.grid(padding=(0, 2))
    results.add_column()
    results.add_column(overflow="fold")
    results.add_row("test accuracy", f"{records[-1].test_accuracy:.2%} on {images.name}")
    results.add_row("parameters", f"{sum(layer.trainable for layer in network):,}")
    results.add_row("MACs", f"{total(network).macs:,} for one image")
    results.add_row("time", f"{perf_counter() - started:,.1f} s")
    results.add_row("checkpoint", str(folder / train.CHECKPOINT))
    results.add_row("metrics", str(folder / train.METRICS))
    console.print(results)


def _fit_with_bar(
    console: Console,
    model: torch.nn.Module,
    images: Any,
    recipe: train.Recipe,
    device: str,
    folder: Path,
    arguments: dict[str, Any],
    resume: bool,
) -> list[train.EpochRecord]:
    columns = (
        TextColumn("epoch {task.fields[epoch]}/" + str(recipe.epochs)),
        BarColumn(bar_width=20),
        TextColumn(
            "loss {task.fields[loss]}  accuracy {task.fields[accuracy]}  "
            "{task.fields[speed]} images/s"
        ),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, epoch=1, loss="-", accuracy="-", speed="-")

        def step(now: train.Progress) -> None:
            bar.update(
                task,
                total=recipe.epochs * now.steps,
                completed=(now.epoch - 1) * now.steps + now.step,
                epoch=now.epoch,
                loss=f"{now.train_loss:.3f}",
                accuracy=f"{now.train_accuracy:.1%}",
                speed=f"{now.images_per_second:,.0f}",
            )

        def epoch(record: train.EpochRecord) -> None:
            console.print(
                f"epoch {record.epoch:>3}  loss {record.train_loss:.3f}  "
                f"test loss {record.test_loss:.3f}  test accuracy {record.test_accuracy:7.2%}  "
                f"{record.images_per_second:>9,.0f} images/s",
                highlight=False,
            )

        return train.fit(
            model,
            images,
            recipe,
            device=device,
            folder=folder,
            arguments=arguments,
            resume=resume,
            on_step=step,
            on_epoch=epoch,
        )


@app.command("cost")
def cost_command(
    model: Annotated[CostedModel, typer.Argument(help="The network.")],
    size: Annotated[
        int | None, typer.Option(help="Side of the image in pixels (from the network).")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Width multiplier (1), where the network has one.")
    ] = None,
    stem: Annotated[
        Stem | None,
        typer.Option(help="small does not halve the image in MobileNetV1's first layer."),
    ] = None,
    classes: Annotated[int, typer.Option(help="Outputs of the classifier.")] = 1000,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Also draw one bar per layer, into this file."),
    ] = None,
) -> None:
    """Print what each layer of a network costs, for one image."""
    layers_of = COSTED[model]
    taken = signature(layers_of).parameters
    given = {"resolution": size, "alpha": alpha, "stem": stem, "num_classes": classes}
    given = {name: value for name, value in given.items() if value is not None}
    with _one_line_errors():
        for name in given.keys() - taken.keys():
            raise SpecError(f"--{name} {given[name]}: {model} has none, expected no --{name}")
        network = layers_of(**given)
    if plot is not None:
        _plot(network, plot)
    rows = table(network)
    macs = total(network).macs
    height, width = network[0].spec.in_size
    title = [model, f"alpha {alpha or 1:g}"] if "alpha" in taken else [model]
    shown = Table(
        title=", ".join([*title, f"{height}x{width}"]), title_justify="left", title_style="bold"
    )
    for name in ("layer", "kind", "input", "kernel", "stride", "output"):
        shown.add_column(name, no_wrap=True, justify="right" if name == "stride" else "left")
    for name in ("MACs", "of all", "params", "trainable"):
        shown.add_column(name, no_wrap=True, justify="right")
    for row in rows.to_dict("records"):
        shown.add_row(
            *(str(row[name]) for name in ("layer", "kind", "input", "kernel", "stride", "output")),
            f"{row['macs']:,}",
            f"{row['macs'] / macs:.1%}",
            f"{row['params']:,}",
            f"{row['trainable']:,}",
        )
    shown.add_section()
    sums = (f"{macs:,}", f"{1:.1%}", f"{rows['params'].sum():,}", f"{rows['trainable'].sum():,}")
    shown.add_row("total", *[""] * 5, *sums, style="bold")
    console = _console()
    console.print(shown)
    console.print(CONVENTION, highlight=False)
    if plot is not None:
        console.print(f"The bars are in {plot}.", highlight=False, soft_wrap=True)


def _plot(network: list[Layer], file: Path) -> None:
    # Here, as drawing takes a second to import, and the other commands do not draw.
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from dsconv_lib.figures import draw_layers, use_style

    mpl.use("Agg")  # a file needs no window
    with mpl.rc_context():
        use_style()
        figure = draw_layers(network)
        try:
            figure.savefig(file, format=file.suffix[1:] or "png")
        except (OSError, ValueError) as error:
            typer.echo(f"dsconv: --plot {file} cannot be drawn: {error}", err=True)
            raise typer.Exit(1) from None
        finally:
            plt.close(figure)


@app.command("bench")
def bench_command(
    device: Device = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 20,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads; several disturb each other on a busy machine.")
    ] = 1,
) -> None:
    """Time standard against separable convolutions on this machine, beside their counts."""
    with _one_line_errors():
        place = train.pick_device(device)
        torch.set_num_threads(threads)
    console = _console()
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
    with _one_line_errors(), console.status("Timing"):
        for size, in_channels, out_channels in BENCH:
            count = 1 / costs.ratio(out_channels, 3)
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
        f"medians of {repeats} rounds in which the four take turns.\n{_machine(place)}",
        highlight=False,
    )


def _bench(
    size: int, in_channels: int, out_channels: int, batch: int, repeats: int, place: torch.device
) -> dict[str, float]:
    def last(tensor: Any) -> Any:
        return tensor.to(place, memory_format=torch.channels_last)

    x = last(torch.randn(batch, in_channels, size, size))
    standard = last(layers.standard(in_channels, out_channels, 3, padding=1))
    separable = last(layers.separable(in_channels, out_channels, 3, padding=1))
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


def _machine(place: torch.device) -> str:
    software = f"torch {torch.__version__}, Python {platform.python_version()}"
    if place.type == "cuda":
        return f"{torch.cuda.get_device_name(place)}, {software}"
    threads = torch.get_num_threads()
    return f"{_cpu_model()}, {threads} {'thread' if threads == 1 else 'threads'}, {software}"


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux alone has it; platform.processor() is empty there
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _out_folder(out: Path | None, name: str, overwrite: bool, resume: bool) -> Path:
    """Choose where results go: an earlier run's are replaced only if that was asked for."""
    if resume:
        if out is None or not out.is_dir() or overwrite:
            raise train.TrainingError(
                "--resume goes on with an earlier run: expected --out with the folder of that run, "
                "and no --overwrite"
            )
        return out
    if out is None:
        numbered = (Path("runs", name if n == 1 else f"{name}-{n}") for n in range(1, 10**6))
        return next(folder for folder in numbered if not folder.exists())
    held = [name for name in (train.CHECKPOINT, train.METRICS) if (out / name).exists()]
    if held and not overwrite:
        raise train.TrainingError(
            f"{out} holds {' and '.join(held)} of an earlier run: "
            f"add --resume to go on with it, name another --out, or add --overwrite to replace it"
        )
    return out


def _console() -> Console:
    console = Console()
    # In a file or a pipe there is no width to keep to, and a table cut at 80 columns loses numbers.
    return console if console.is_terminal else Console(width=160)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Print an error the user can act on as one line, exit code 1; others keep a traceback."""
    try:
        yield
    except torch.OutOfMemoryError:
        typer.echo(
            "dsconv: the GPU's memory is full: give a smaller --batch-size or --batch", err=True
        )
        raise typer.Exit(1) from None
    except (SpecError, DataError, train.CheckpointError, train.TrainingError) as error:
        typer.echo(f"dsconv: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from None
