"""A file of results: measurements, and the command, date, commit, machine and versions they come from."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dsconv_lib
from dsconv_lib import machine
from dsconv_lib.errors import UserError
from dsconv_lib.files import replace_file

if TYPE_CHECKING:
    import torch

# What every file begins with. `machine` is what `machine.facts` says of it: its name, and of a CPU the cores, of a GPU
# the driver. `versions` are those of this library and of all else that took part.
SCHEMA: dict[str, type] = dict.fromkeys(("what", "command", "date", "commit"), str)
SCHEMA |= dict.fromkeys(("machine", "versions"), dict)
NOT_RECORDED = "not recorded"  # in a file that was written before it was asked for


class RecordError(UserError, ValueError):
    """A file of results that is none, or is of other measurements than these."""


def head(
    what: str,
    *,
    command: str | None = None,
    device: torch.device | None = None,
    commit: str | None = None,
    versions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a file says of itself; the measurements follow it.

    Args:
        what: what was measured, in one line, with its unit.
        command: what to type to measure it again; the running `dsconv ...` if it is left out.
        device: where it was measured; the CPU if it is left out.
        commit: the one that was measured; if it is left out, git is asked.
        versions: of the programs that took part, besides Python, torch and this library.

    >>> made = head("nothing", command="make nothing", commit="0123456789")
    >>> [made[key] for key in ("what", "command", "commit")]
    ['nothing', 'make nothing', '0123456789']
    >>> made.keys() == SCHEMA.keys()
    True
    """
    return {
        "what": what,
        "command": command or shlex.join(["dsconv", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit or _commit(),
        "machine": machine.facts(device),
        "versions": {"dsconv_lib": dsconv_lib.__version__, **(versions or {})},
    }


def check(content: Mapping[str, Any]) -> None:
    """Raise RecordError, which says where, unless content follows the schema and has measurements.

    >>> check({"what": "nothing"})
    Traceback (most recent call last):
    dsconv_lib.measure.record.RecordError: 'command' is None: expected a str
    """
    for key, kind in SCHEMA.items():
        if not isinstance(content.get(key), kind) or not content[key]:
            raise RecordError(f"{key!r} is {content.get(key)!r}: expected a {kind.__name__}")
    known = content["machine"].keys()
    if "name" not in known or not known & {"cores", "driver"}:
        raise RecordError(f"machine has {', '.join(known)}: expected name, and cores or driver")
    if content["date"] != NOT_RECORDED:
        datetime.fromisoformat(content["date"])
    if len(content) == len(SCHEMA):
        raise RecordError("there are no measurements")


def write(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `head` and measurements as JSON, whole or not at all; the folder is made if it is not there.

    Raises:
        RecordError: if the content does not follow the schema.
        FileError: if the file cannot be written.
    """
    check(content)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode())


class Measured:
    """A file that is written again after each measurement, and gone on with if it is there.

    `about` is its head, and the settings of all measurements in it; `empty` those, before there are any.

    Raises:
        RecordError: if the file that is there has another commit, machine or setting.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], empty: Mapping[str, Any]) -> None:
        self.path = path
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for key, now in about.items():
            if earlier and key not in ("command", "date") and earlier.get(key) != now:
                raise RecordError(
                    f"{path} holds measurements with {key} {earlier.get(key)!r}, now it is {now!r}: "
                    f"name another --out, or remove the file"
                )
        self.content: dict[str, Any] = {**about, **empty, **earlier}

    def write(self) -> None:
        """Replace the file, whole or not at all."""
        write(self.path, self.content)


def _commit() -> str:
    """The commit that is checked out, and whether files but those in results/ differ from it."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # else it is a checkout of something else
        commit = git("rev-parse", "--short=10", "HEAD")
        tracked = "status", "--porcelain", "--untracked-files=no"
        changes = git(*tracked, "--", ".", ":(exclude)results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"
    return commit + ("-dirty" if changes else "")
