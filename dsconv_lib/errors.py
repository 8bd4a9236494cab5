"""The errors that a user can put right, and the one place that says which package is missing."""

from importlib import import_module
from typing import Any


class UserError(Exception):
    """What was given cannot be worked with; the message says what was expected and what to do."""


class MissingError(UserError, ImportError):
    """A package that is not installed; the message says what brings it."""


def need(module: str, what: str, *, package: str = "", extra: str = "") -> Any:
    """Import a module that only a part of the library needs.

    Args:
        module: its dotted name.
        what: the part that needs it, for the message.
        package: what it is called where it is installed from; `module` if it is left out.
        extra: the extra of this library that brings it; none where the library itself does.

    Raises:
        MissingError: if it cannot be imported.

    >>> need("no_such_module", "this", extra="cifar")
    Traceback (most recent call last):
    dsconv_lib.errors.MissingError: this needs no_such_module: in a clone of the course, type pip install '.[cifar]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        wanted = f"'.[{extra}]'" if extra else "."
        raise MissingError(
            f"{what} needs {package or module}: in a clone of the course, type pip install {wanted}"
        ) from error
