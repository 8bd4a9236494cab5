"""Files that a program killed at any moment leaves whole."""

from __future__ import annotations

import os
from pathlib import Path

from dsconv_lib.errors import UserError


class FileError(UserError, OSError):
    """A file that cannot be written; the message says why."""


def replace_file(path: str | Path, content: bytes) -> None:
    """Write a file beside `path`, in a folder that is there, and rename it: that happens whole or not at all.

    Raises:
        FileError: if it cannot be written; what was there stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(f"{folder}/a.txt", b"whole")
    ...     print(Path(folder, "a.txt").read_text())
    whole
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        why = f"{path} cannot be written: {error.strerror}; what was there stays"
        raise FileError(why) from error
