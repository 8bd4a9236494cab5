"""`dsconv release`: the notebooks of an exercise, from its source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsconv_lib.classroom import release
from dsconv_lib.cli.console import one_line_errors


def release_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Folders of exercises; without any, all of them.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the exercises are.")] = Path("exercises"),
) -> None:
    """Make student.ipynb and solution.ipynb from an exercise's source.md."""
    with one_line_errors():
        for name in names or sorted(path.parent.name for path in folder.glob("*/source.md")):
            changed = release.write(folder / name)
            typer.echo(f"{name}: {', '.join(changed) or 'unchanged'}")
