"""The command line, a file for each command, read when its command is called for: none waits for another's imports."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

# The first line of each command's help.
COMMANDS = {
    "train": "Train MobileNetV1 for small images, or its twin with standard convolutions.",
    "cost": "Print what each layer of a network costs, for one image.",
    "bench": "Time convolutions and MobileNetV1 on this machine, beside their counts and its roofline.",
    "measure": "Measure what the book shows, into results/. After an interruption, start again.",
    "release": "Make student.ipynb and solution.ipynb from an exercise's source.md.",
    "grade": "Grade the notebooks of a class: each in a sandbox, on cases that nobody has seen.",
    "review": "Collect the written answers by question, and enter marks given by hand.",
}
# Where a command is that is no function NAME_command in NAME.py; a `typer.Typer` has commands of its own.
ELSEWHERE = {"measure": "measure:measure_app", "review": "grade:review_command"}


def load(name: str) -> Any:
    """Import one of `COMMANDS`, and return it as it is run.

    >>> load("cost").name
    'cost'
    """
    place = ELSEWHERE.get(name, f"{name}:{name}_command")
    found = resolve_name(f"dsconv_lib.cli.{place}")
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
for _name, _line in COMMANDS.items():
    app.command(_name, help=_line)(lambda: None)
