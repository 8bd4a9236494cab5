"""A file from a public address: resumed where it broke off, named only if its hash is right."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from dsconv_lib.data.errors import DataError, need, one_line

TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A public file: the data set it holds, its address, its hash, and what does instead of it."""

    dataset: str
    url: str
    sha256: str
    instead: str

    @property
    def file(self) -> str:
        """The file's name, in the address and in the cache."""
        return self.url.rpartition("/")[2]


def fetch(source: Source, folder: Path) -> Path:
    """Download a file into a cache folder, unless it is there already.

    What was received before a connection broke off stays in `folder` as a `.part` file, and the
    next call asks the server for the rest only.

    Returns:
        The file, whose hash was compared just now.

    Raises:
        DataError: if the file cannot be had, has another hash, or cannot be written.
    """
    pooch = need("pooch", "pooch", source.dataset)
    locks = need("filelock", "filelock", source.dataset)
    path = folder / source.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Of several processes, as many as there are GPUs, one downloads and the others wait for it.
        # A file that is there is only read, so that its folder may be read-only.
        with nullcontext() if path.exists() else locks.FileLock(f"{path}.lock"):
            pooch.retrieve(
                source.url,
                known_hash=f"sha256:{source.sha256}",
                fname=source.file,
                path=folder,
                downloader=partial(_resume, source=source, path=path),
            )
    except DataError:
        raise
    except ValueError as error:  # pooch's word for another hash
        raise DataError(
            f"{source.url} has another hash than the published file: what was received is removed; "
            f"try again, or {_otherwise(source, path)}"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read or written: {error.strerror or one_line(error)}; "
            f"name another folder in the environment variable DSCONV_CACHE"
        ) from error
    return path


def _resume(url: str, output_file: str, _: object, source: Source, path: Path) -> None:
    """Download to `output_file`, the name that pooch gives a file until its hash is checked."""
    requests = need("requests", "requests", source.dataset)
    broken = need("urllib3.exceptions", "urllib3", source.dataset).HTTPError
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.exists() else 0
    # The bytes as they are stored: some servers declare a .gz file to be gzip's encoding of
    # another, and both the hash and the range are those of the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if have and response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()  # as long as the file or longer, so no beginning of it
                return _resume(url, output_file, _, source, path)
            response.raise_for_status()
            resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if not (response.status_code == requests.codes.partial_content and resumed):
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            with part.open("ab" if have else "wb") as file, _bar() as bar:
                task = bar.add_task(source.file, total=total, completed=have)
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)
                    bar.advance(task, len(chunk))
    except requests.HTTPError as error:
        reason = f"the server answered {error.response.status_code} {error.response.reason}"
        raise DataError(_failed(source, path, reason)) from error
    except requests.RequestException as error:
        reason = f"no connection, {type(error).__name__}"
        raise DataError(_failed(source, path, reason)) from error
    except broken as error:
        kept = f"{part.stat().st_size:,} bytes are kept in {part}, the next try goes on from there"
        raise DataError(_failed(source, path, f"the connection broke off; {kept}")) from error
    os.replace(part, output_file)


def _bar() -> Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _failed(source: Source, path: Path, reason: str) -> str:
    there = f"; the {path} that is there has another hash" if path.exists() else ""
    return (
        f"{source.url} cannot be downloaded ({reason}){there}: "
        f"try again, or {_otherwise(source, path)}"
    )


def _otherwise(source: Source, path: Path) -> str:
    return f"copy the file from elsewhere to {path}, or {source.instead}"
