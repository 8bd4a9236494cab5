"""What goes wrong with data, said in one line."""

from dsconv_lib.errors import UserError


class DataError(UserError, ValueError):
    """Data that is missing, damaged or not what was asked for; the message says what would do."""


def one_line(error: BaseException) -> str:
    """The message of an error on one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
