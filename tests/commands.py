"""`dsconv` as it is typed, for the tests of every command."""

from __future__ import annotations

import re
from typing import Any

from typer.testing import CliRunner

from dsconv_lib.cli import app


def dsconv(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Any, message: str) -> None:
    """Exit code 1 and one line on stderr, no traceback."""
    assert result.exit_code == 1
    assert re.fullmatch(rf"dsconv: .*{message}.*\n", result.stderr), result.stderr
    assert "Traceback" not in result.output
