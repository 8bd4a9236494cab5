"""CIFAR-10 from its author's archive, over a server on this machine."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pooch
import pytest
from local_server import FILE, Server, packed, record
from typer.testing import CliRunner

from dsconv_lib.cli import app
from dsconv_lib.data import CIFAR10_CLASSES, DataError, ImageData, cifar10, load
from dsconv_lib.data.cache import cache_folder
from dsconv_lib.data.cifar10 import ARCHIVE, from_archive
from dsconv_lib.data.download import Source, fetch


def is_right(data: ImageData, pixels: np.ndarray) -> bool:
    images = np.concatenate([data.train_images, data.test_images])
    labels = [*data.train_labels.tolist(), *data.test_labels.tolist()]
    return np.array_equal(images, pixels.transpose(0, 3, 1, 2)) and labels == [9, 8, 7, 6, 5, 3]


def files(folder: Path) -> set[str]:
    """What is kept in a folder; a lock is nothing."""
    return {path.name for path in folder.glob("*") if path.suffix != ".lock"}


def test_the_published_archive_is_the_one_of_plain_bytes() -> None:
    assert ARCHIVE.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    # As in the checksums of TensorFlow Datasets for this address, 170,052,171 bytes.
    published = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    assert published == ARCHIVE.sha256


def test_the_cache_is_the_users_unless_another_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == cache
    monkeypatch.setenv("DSCONV_CACHE", "")
    assert cache_folder() == pooch.os_cache("dsconv")
    monkeypatch.delenv("DSCONV_CACHE")
    assert cache_folder() == pooch.os_cache("dsconv")


@pytest.mark.parametrize("variable", [None, ""])
def test_without_a_folder_it_is_downloaded_and_decoded_once(
    variable: str | None,
    server: Server,
    cache: Path,
    pixels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cifar10, "ARCHIVE", server.source())
    if variable is not None:
        monkeypatch.setenv("DSCONV_DATA", variable)
    data = load("cifar10")
    assert is_right(data, pixels)
    assert (data.name, data.classes) == ("CIFAR-10", CIFAR10_CLASSES)
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    for array in (data.train_images, data.test_images):
        assert array.flags.c_contiguous
        assert array.flags.writeable  # torch refuses others
    (cache / FILE).unlink()  # the arrays are enough
    assert is_right(load("cifar10"), pixels)
    assert server.asked == [None]


def test_a_file_that_is_there_is_not_downloaded(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(server.content)
    assert fetch(server.source(), cache).read_bytes() == server.content
    assert server.asked == []


@pytest.mark.parametrize("cut", [1, 5000, -1])
def test_a_download_that_breaks_off_goes_on(
    cut: int, server: Server, cache: Path, pixels: np.ndarray
) -> None:
    server.cut = cut
    received = len(server.content[:cut])
    part = cache / f"{FILE}.part"
    with pytest.raises(DataError, match="the connection broke off") as caught:
        from_archive(server.source())
    assert f"{received:,} bytes are kept in {part}" in str(caught.value)
    assert part.read_bytes() == server.content[:cut]
    assert files(cache) == {part.name}
    server.cut = None
    assert is_right(from_archive(server.source()), pixels)
    assert server.asked == [None, f"bytes={received}-"]
    assert not part.exists()


def test_it_goes_on_as_often_as_needed(server: Server, cache: Path) -> None:
    server.cut = len(server.content) // 3 - 1
    for _ in range(3):
        with pytest.raises(DataError, match="the connection broke off"):
            fetch(server.source(), cache)
    assert fetch(server.source(), cache).read_bytes() == server.content
    assert server.asked == [None, *(f"bytes={n * server.cut}-" for n in (1, 2, 3))]


def test_a_server_that_cannot_go_on_starts_again(server: Server, cache: Path) -> None:
    server.cut = 5000
    with pytest.raises(DataError, match="the connection broke off"):
        fetch(server.source(), cache)
    server.cut, server.ranges = None, False
    assert fetch(server.source(), cache).read_bytes() == server.content


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_that_is_no_beginning_is_dropped(extra: bytes, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{FILE}.part").write_bytes(server.content + extra)
    assert fetch(server.source(), cache).read_bytes() == server.content
    assert server.asked == [f"bytes={len(server.content + extra)}-", None]


def test_a_part_of_another_file_never_counts(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / f"{FILE}.part").write_bytes(bytes(5000))
    with pytest.raises(DataError, match=r"another hash than the published file.* try again"):
        fetch(server.source(), cache)
    assert files(cache) == set()
    assert fetch(server.source(), cache).read_bytes() == server.content


def test_a_killed_download_goes_on(server: Server, cache: Path) -> None:
    server.content = np.random.default_rng(1).bytes(1 << 20)
    server.cut, server.stall = 1 << 19, threading.Event()
    code = (
        f"from pathlib import Path\n"
        f"from dsconv_lib.data.download import Source, fetch\n"
        f"fetch({server.source()!r}, Path({str(cache)!r}))"
    )
    part = cache / f"{FILE}.part"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    server.stall.set()
    server.cut = server.stall = None
    kept = part.stat().st_size
    assert fetch(server.source(), cache).read_bytes() == server.content
    assert server.asked[-1] == f"bytes={kept}-"


def test_of_several_at_once_one_downloads(server: Server, cache: Path) -> None:
    server.cut, server.stall = 5000, threading.Event()
    with ThreadPoolExecutor() as pool:
        downloads = [pool.submit(fetch, server.source(), cache) for _ in range(3)]
        time.sleep(0.5)  # for the other two to ask, if they do
        server.stall.set()
        for download in downloads:
            assert download.result().read_bytes() == server.content
    assert server.asked == [None]


def test_another_hash_is_never_trained_on(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cifar10, "ARCHIVE", server.source(sha256="0" * 64))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"{re.escape(server.url)} has another hash than"):
        load("cifar10")
    result = CliRunner().invoke(app, ["train", "--dataset", "cifar10", "--epochs", "1"])
    assert result.exit_code == 1
    assert "has another hash than the published file" in result.stderr
    assert "Traceback" not in result.output
    assert files(cache) == set()
    assert not (tmp_path / "runs").exists()


def test_a_damaged_file_in_the_cache_is_replaced(
    server: Server, cache: Path, pixels: np.ndarray
) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(server.content[:-1])
    server.status = 503
    with pytest.raises(DataError, match=rf"{FILE} that is there has another hash"):
        from_archive(server.source())
    server.status = 200
    assert is_right(from_archive(server.source()), pixels)
    assert (cache / FILE).read_bytes() == server.content


def test_a_server_that_calls_the_archive_an_encoding(server: Server, cache: Path) -> None:
    server.encoding = "gzip"
    assert fetch(server.source(), cache).read_bytes() == server.content


def test_a_file_that_the_server_has_not(server: Server, cache: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match=r"cannot be downloaded \(the server answered 404"):
        fetch(server.source(), cache)
    assert files(cache) == set()


def test_without_a_network_it_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers here
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{FILE}"
        source = Source(ARCHIVE.dataset, url, ARCHIVE.sha256, ARCHIVE.instead)
        monkeypatch.setattr(cifar10, "ARCHIVE", source)
        with pytest.raises(DataError) as caught:
            load("cifar10")
    message = str(caught.value)
    assert message.startswith(f"{url} cannot be downloaded (no connection, ConnectionError)")
    assert f"copy the file from elsewhere to {cache / FILE}" in message
    assert re.search(
        "a folder with train.parquet and test.parquet with --data,.* DSCONV_DATA", message
    )


def test_a_cache_folder_that_is_none(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DSCONV_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be read or written: .*DSCONV_CACHE"):
        from_archive(server.source())


def test_an_archive_of_something_else(server: Server, pixels: np.ndarray) -> None:
    whole = [f"data_batch_{n}.bin" for n in range(1, 6)]
    for content in (
        b"no archive",
        packed({"test_batch.bin": record(1, pixels[0])}),
        packed(dict.fromkeys([*whole, "test_batch.bin"], b"too short")),
    ):
        server.content = content
        with pytest.raises(DataError, match=rf"{FILE} is no archive of CIFAR-10: "):
            from_archive(server.source())


def test_the_command_trains_on_what_it_downloaded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10, "ARCHIVE", server.source())
    options = "--epochs 1 --alpha 0.1 --batch-size 5 --threads 1 --device cpu"
    result = CliRunner().invoke(app, ["train", "--dataset", "cifar10", *options.split()])
    assert result.exit_code == 0, result.output
    assert "on CIFAR-10: 5 training and 1 test images" in result.stdout
    assert (tmp_path / "runs/cifar10/checkpoint.pt").exists()
