"""The command line, a file for each command, read when its command is called for: none waits for another's imports."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

# Where a command is, a function or a `typer.Typer` with commands of its own, and the first line of its help.
COMMANDS = {
    "train": (
        "dsconv_lib.cli.train:train_command",
        "Train MobileNetV1 for small images, or its twin with standard convolutions.",
    ),
    "cost": (
        "dsconv_lib.cli.cost:cost_command",
        "Print what each layer of a network costs, for one image.",
    ),
    "bench": (
        "dsconv_lib.cli.bench:bench_command",
        "Time standard against separable convolutions on this machine, beside their counts.",
    ),
    "measure": (
        "dsconv_lib.cli.measure:measure_app",
        "Measure what the book shows, into results/. After an interruption, start again.",
    ),
    "release": (
        "dsconv_lib.cli.release:release_command",
        "Make student.ipynb and solution.ipynb from an exercise's source.md.",
    ),
    "grade": (
        "dsconv_lib.cli.grade:grade_command",
        "Grade the notebooks of a class: each in a sandbox, on cases that nobody has seen.",
    ),
    "review": (
        "dsconv_lib.cli.grade:review_command",
        "Collect the written answers by question, and enter marks given by hand.",
    ),
}


def load(name: str) -> Any:
    """Import one of `COMMANDS`, and return it as it is run.

    >>> load("cost").name
    'cost'
    """
    found = resolve_name(COMMANDS[name][0])
    app = typer.Typer()
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)
    return get_group(app).commands[name]


class _Later(TyperGroup):
    """Commands that are known by one line of help until they are called for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(args[0]), rest


app = typer.Typer(
    cls=_Later,
    help="Depthwise-separable convolution: train it, count it, time it; make exercises, grade them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, (_, _line) in COMMANDS.items():
    app.command(_name, help=_line)(lambda: None)
