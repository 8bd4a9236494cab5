"""What the commands share: the console, and errors that take one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console

from dsconv_lib.errors import UserError

Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes a GPU if there is one.")
]
DATA = "CIFAR-10's train.parquet and test.parquet (or DSCONV_DATA); else a download."
Data = Annotated[Path | None, typer.Option(metavar="FOLDER", help=DATA)]


def open_console(*, quiet: bool = False) -> Console:
    """Return the console to print on; a quiet one prints nothing."""
    # In a file or a pipe there is no width to keep to, and a table cut at 80 columns loses numbers.
    console = Console(quiet=quiet)
    return console if console.is_terminal else Console(width=160, quiet=quiet)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error the user can act on as one line, exit code 1; others keep a traceback."""
    try:
        yield
    except UserError as error:
        _end(str(error))
    except RuntimeError as error:
        # Known by its name: a command that needs no torch should not wait for it here.
        if type(error).__name__ != "OutOfMemoryError":
            raise
        _end("the GPU's memory is full: give a smaller --batch-size or --batch")


def _end(message: str) -> NoReturn:
    typer.echo(f"dsconv: {' '.join(message.split())}", err=True)
    raise typer.Exit(1) from None
