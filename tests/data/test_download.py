"""CIFAR-10 from its author's archive, over a server on this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dsconv_lib.cli import app
from dsconv_lib.data import CIFAR10_CLASSES, DataError, ImageData, cifar10, load
from tests.local_server import FILE, Server, packed, record

BATCHES = [f"data_batch_{n}.bin" for n in range(1, 6)]


def is_right(data: ImageData, pixels: np.ndarray) -> bool:
    images = np.concatenate([data.train_images, data.test_images])
    labels = [*data.train_labels.tolist(), *data.test_labels.tolist()]
    return np.array_equal(images, pixels.transpose(0, 3, 1, 2)) and labels == [9, 8, 7, 6, 5, 3]


@pytest.fixture(autouse=True)
def published(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local archive in place of the published one."""
    monkeypatch.setattr(cifar10, "ARCHIVE", server.url)
    monkeypatch.setattr(cifar10, "SHA256", server.sha256)


def test_the_published_archive_is_the_one_of_plain_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert cifar10.ARCHIVE == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    # As in the checksums of TensorFlow Datasets for this address, 170,052,171 bytes.
    published = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    assert published == cifar10.SHA256


@pytest.mark.parametrize("variable", [None, ""])
def test_without_a_folder_it_is_downloaded_and_unpacked_once(
    variable: str | None, server: Server, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("DSCONV_DATA", variable)
    data = load("cifar10")
    assert is_right(data, pixels)
    assert (data.name, data.classes) == ("CIFAR-10", CIFAR10_CLASSES)
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    for array in (data.train_images, data.test_images):
        assert array.flags.c_contiguous
        assert array.flags.writeable  # torch refuses others
    assert is_right(load("cifar10"), pixels)
    assert server.asked == 1


@pytest.mark.parametrize("variable", [None, ""])
def test_the_cache_is_the_users_unless_another_is_named(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DSCONV_CACHE")
    if variable is not None:
        monkeypatch.setenv("DSCONV_CACHE", variable)
    load("cifar10")
    assert (tmp_path / "home" / "dsconv" / FILE).is_file()


def test_a_file_that_is_there_is_not_downloaded(
    server: Server, cache: Path, pixels: np.ndarray
) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(server.content)
    assert is_right(load("cifar10"), pixels)
    assert server.asked == 0


@pytest.mark.parametrize("cut", [1, 5000, -1])
def test_a_download_that_breaks_off_leaves_nothing_and_can_be_tried_again(
    cut: int, server: Server, cache: Path, pixels: np.ndarray
) -> None:
    server.cut = cut
    with pytest.raises(DataError, match=r"cannot be downloaded to .*: try again"):
        load("cifar10")
    assert list(cache.iterdir()) == []
    server.cut = None
    assert is_right(load("cifar10"), pixels)


def test_another_hash_is_never_trained_on(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cifar10, "SHA256", "0" * 64)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"{re.escape(server.url)} has another hash than"):
        load("cifar10")
    result = CliRunner().invoke(app, ["train", "--dataset", "cifar10", "--epochs", "1"])
    assert result.exit_code == 1
    assert "has another hash than the published file" in result.stderr
    assert "Traceback" not in result.output
    assert list(cache.iterdir()) == []
    assert not (tmp_path / "runs").exists()


def test_a_damaged_file_in_the_cache_is_replaced(
    server: Server, cache: Path, pixels: np.ndarray
) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(server.content[:-1])
    assert is_right(load("cifar10"), pixels)
    assert (cache / FILE).read_bytes() == server.content


def test_a_file_that_the_server_has_not(server: Server, cache: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match=r"cannot be downloaded to .* \(404 Client Error"):
        load("cifar10")
    assert list(cache.iterdir()) == []


def test_without_a_network_it_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers here
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{FILE}"
        monkeypatch.setattr(cifar10, "ARCHIVE", url)
        with pytest.raises(DataError) as caught:
            load("cifar10")
    message = str(caught.value)
    assert message.startswith(f"{url} cannot be downloaded to {cache} (HTTPConnectionPool")
    assert "copy the file there from elsewhere" in message
    assert re.search(
        "a folder with train.parquet and test.parquet with --data,.* DSCONV_DATA", message
    )


def test_a_cache_folder_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DSCONV_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be downloaded to .*file .*DSCONV_CACHE"):
        load("cifar10")


@pytest.mark.parametrize(
    "members",
    [
        {"test_batch.bin": record(1, np.zeros((32, 32, 3), np.uint8))},
        dict.fromkeys([*BATCHES, "test_batch.bin"], b"too short"),
    ],
)
def test_what_was_unpacked_and_is_not_whole(
    members: dict[str, bytes], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = packed(members)
    monkeypatch.setattr(cifar10, "SHA256", server.sha256)
    with pytest.raises(DataError, match=rf"{FILE}\.untar is no whole CIFAR-10 .*: remove that"):
        load("cifar10")


def test_the_command_trains_on_what_it_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = "--epochs 1 --alpha 0.1 --batch-size 5 --threads 1 --device cpu"
    result = CliRunner().invoke(app, ["train", "--dataset", "cifar10", *options.split()])
    assert result.exit_code == 0, result.output
    assert "on CIFAR-10: 5 training and 1 test images" in result.stdout
    assert (tmp_path / "runs/cifar10/checkpoint.pt").exists()


def test_of_several_processes_one_downloads(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        f"from dsconv_lib.cli import app\n"
        f"from dsconv_lib.data import cifar10\n"
        f"cifar10.ARCHIVE, cifar10.SHA256 = {server.url!r}, {server.sha256!r}\n"
        f"app()"
    )
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    options = "train --dataset cifar10 --epochs 1 --alpha 0.1 --batch-size 5 --threads 1"
    done = subprocess.run(
        [sys.executable, *launcher, *options.split(), "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "1 epoch on 2 processes, cpu" in done.stdout
    assert server.asked == 1
