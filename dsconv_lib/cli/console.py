"""What the commands share: the console, and errors that take one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console

from dsconv_lib.data import DataError
from dsconv_lib.spec import SpecError
from dsconv_lib.train import CheckpointError, TrainingError

Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="auto takes a GPU if there is one.")
]


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
    except torch.OutOfMemoryError:
        typer.echo(
            "dsconv: the GPU's memory is full: give a smaller --batch-size or --batch", err=True
        )
        raise typer.Exit(1) from None
    except (SpecError, DataError, CheckpointError, TrainingError) as error:
        typer.echo(f"dsconv: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(1) from None
