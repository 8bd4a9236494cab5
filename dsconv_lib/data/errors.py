"""What goes wrong with data, said in one line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dsconv_lib.errors import UserError


class DataError(UserError, ValueError):
    """Data that is missing, damaged or not what was asked for; the message says what would do."""


def need(module: str, package: str, dataset: str) -> Any:
    """Import a module of a package that only `dataset` needs; DataError says what to install where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{dataset} needs the package {package}, which cannot be imported: pip install {package}"
        ) from error


def one_line(error: BaseException) -> str:
    """The message of an error on one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
