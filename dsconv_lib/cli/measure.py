"""`dsconv measure`: the files in results/, each by a command of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from dsconv_lib.cli.console import Data, Device, one_line_errors

Out = Annotated[Path, Option(metavar="FOLDER", help="Where to write.")]
Small = Annotated[bool | None, Option(help="The small version (on a CPU, unless told otherwise).")]
Change = Annotated[str, Option(help='Changes to the recipe, as JSON: {"epochs": 30}.')]
Commit = Annotated[str | None, Option(help="The commit, where git cannot tell.")]
RESULTS = Path("results")

measure_app = Typer(
    help="Measure what the book shows, into results/. After an interruption, start again.",
    no_args_is_help=True,
)


# Each parameter of these functions is an option of the command line; each imports its own measurement alone.
@measure_app.command("training")
def training_command(
    data: Data = None,
    out: Out = RESULTS,
    device: Device = "auto",
    small: Small = None,
    seeds: Annotated[int | None, Option(min=2, help="Runs of each network.")] = None,
    change: Change = "{}",
    way: Annotated[
        list[str] | None, Option(help="Time a step in this way beside the plain one (all of them).")
    ] = None,
    step_only: Annotated[bool, Option("--step-only", help="Stop after the steps.")] = False,
    commit: Commit = None,
) -> None:
    """Train a MobileNet and its twin on CIFAR-10: speed of a step, accuracy, a killed run resumed."""
    with one_line_errors():
        from dsconv_lib.measure import runs, training

        chosen = runs.setting(data, device, small, change, out, commit)
        training.measure_training(chosen, seeds=seeds, ways=way, step_only=step_only)


@measure_app.command("recipes")
def recipes_command(
    data: Data = None,
    out: Out = RESULTS,
    device: Device = "auto",
    small: Small = None,
    seeds: Annotated[int, Option(min=2, help="Runs of each recipe.")] = 2,
    change: Change = "{}",
    first: Annotated[int | None, Option(min=1, help="Try the first ones alone.")] = None,
    way: Annotated[str, Option(help="How a step is run.")] = "eager",
    commit: Commit = None,
) -> None:
    """Train with one thing of the recipe changed at a time."""
    with one_line_errors():
        from dsconv_lib.measure import recipes, runs

        chosen = runs.setting(data, device, small, change, out, commit)
        recipes.measure_recipes(chosen, seeds=seeds, first=first, way=way)


@measure_app.command("counters")
def counters_command(out: Out = RESULTS, commit: Commit = None) -> None:
    """Read MobileNetV1 with the counters that people use: torchinfo, ptflops, thop, fvcore."""
    with one_line_errors():
        from dsconv_lib.measure.counters import measure_counters

        measure_counters(out, commit=commit)


@measure_app.command("grading")
def grading_command(
    nbgrader: Annotated[Path, Argument(help="The bin folder of an environment with nbgrader.")],
    out: Out = RESULTS,
    commit: Commit = None,
) -> None:
    """Time `dsconv grade` against nbgrader on the same class."""
    with one_line_errors():
        from dsconv_lib.measure.grading import measure_grading

        measure_grading(nbgrader, out, commit=commit)
