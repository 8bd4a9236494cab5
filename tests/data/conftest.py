"""A cache folder of its own for every test, and a small archive on a local server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.local_server import Server, packed, record, serving


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's own cache is never touched; what a test leaves is removed, it may be large."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DSCONV_CACHE", str(folder))
    monkeypatch.delenv("DSCONV_DATA", raising=False)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture
def archive(pixels: np.ndarray) -> bytes:
    """An archive laid out like the published one, of five training images and a test image."""
    members = {f"data_batch_{n + 1}.bin": record(9 - n, pixels[n]) for n in range(5)}
    return packed({**members, "test_batch.bin": record(3, pixels[5]), "readme.html": b"-"})


@pytest.fixture
def server(archive: bytes) -> Iterator[Server]:
    with serving(archive) as local:
        yield local
