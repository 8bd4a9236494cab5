"""Images that took long to decode, kept as arrays in the user's cache folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from dsconv_lib.data.errors import need
from dsconv_lib.data.images import ImageData

CACHE_VARIABLE = "DSCONV_CACHE"
FORMAT = 1  # of the file and of what is decoded: raised with either, it makes old files unread
DIGITS = 16  # of a hash, in a file's name


def cache_folder() -> Path:
    """The folder that DSCONV_CACHE names, or the operating system's place for caches."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else need("pooch", "pooch", "cifar10").os_cache("dsconv")


def decoded_once(key: str, decode: Callable[[], ImageData]) -> ImageData:
    """What `decode` returns, from the cache if it is there.

    A file's name ends in its own hash, so that a damaged one is never read: it is decoded anew.

    Args:
        key: hash of all that the images are decoded from, hexadecimal.
        decode: makes the images.
    """
    stem = f"images-{FORMAT}-{key[:DIGITS]}"
    data = _read(stem)
    if data is None:
        data = decode()
        _write(stem, data)
    return data


def _read(stem: str) -> ImageData | None:
    try:
        for path in cache_folder().glob(f"{stem}-*.npz"):
            if path.stem == f"{stem}-{_hash(path)}":
                with np.load(path, allow_pickle=False) as arrays:
                    return ImageData(
                        **{
                            **arrays,
                            "name": str(arrays["name"]),
                            "classes": tuple(map(str, arrays["classes"])),
                        }
                    )
    except OSError:
        pass  # a file that cannot be read is as good as none
    return None


def _write(stem: str, data: ImageData) -> None:
    folder = cache_folder()
    arrays = {field.name: getattr(data, field.name) for field in fields(data)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            path = Path(scratch, "images.npz")
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, folder / f"{stem}-{_hash(path)}.npz")
    except OSError:
        # A home that is full or read-only, as on many clusters, is no reason not to train: the
        # images are the same, and each run waits some seconds for them.
        pass


def _hash(path: Path) -> str:
    digest: str = need("pooch", "pooch", "cifar10").file_hash(path)
    return digest[:DIGITS]
