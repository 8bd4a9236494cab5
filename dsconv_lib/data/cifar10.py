"""CIFAR-10: 60,000 photographs of 32x32 pixels in ten classes (A. Krizhevsky, 2009).

They come from a folder with two parquet files, or in the archive that their author publishes.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from dsconv_lib.data.errors import DataError, one_line
from dsconv_lib.data.images import ImageData
from dsconv_lib.errors import need

FOLDER_VARIABLE = "DSCONV_DATA"
CACHE_VARIABLE = "DSCONV_CACHE"
NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR10_CLASSES = tuple(NAMES.split())
# Of the three archives on that page, the one of plain bytes: the one for Python holds pickles, which can run any code
# when they are read. The hash is the one that TensorFlow Datasets checks too; the page itself gives the MD5,
# c32a1d4ab5d03f1284b67883e8d87530.
ARCHIVE = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
UNPACKED = "cifar-10-batches-bin"
TRAIN_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCHES = ("test_batch.bin",)
INSTEAD = (
    f"name a folder with train.parquet and test.parquet with --data, with load(..., folder), "
    f"or in the environment variable {FOLDER_VARIABLE}"
)
Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images (N, 3, 32, 32) and their classes


def load_cifar10(folder: str | Path | None = None) -> ImageData:
    """CIFAR-10, from a folder, or from its author's archive, which is downloaded once, 170 MB.

    The archive and what is in it, 185 MB, are kept in the user's cache folder, or in the one that the environment
    variable DSCONV_CACHE names.

    Args:
        folder: has `train.parquet` and `test.parquet`: images in `img`, PNG or JPEG, and `label`. Without it, the
            environment variable DSCONV_DATA is read; without either, the archive.

    Returns:
        60,000 colour images, shape (3, 32, 32). Those of files that hold JPEG images are named "CIFAR-10 (JPEG)": they
        have lost a little, so an accuracy on them is not one on CIFAR-10.

    Raises:
        DataError: if the download fails or has another hash than the published file, a file is missing, damaged or
            holds something else, or a package that reads it is not installed.
    """
    found = folder if folder is not None else os.environ.get(FOLDER_VARIABLE)
    return _from_folder(Path(found)) if found else _from_archive()


def _from_archive() -> ImageData:
    """Read the archive: each image is a byte for its class, then its red, green and blue plane."""
    pooch = need("pooch", "cifar10", extra="cifar")
    progressbar = sys.stderr.isatty() and bool(need("tqdm", "cifar10", extra="cifar"))
    folder = os.environ.get(CACHE_VARIABLE) or pooch.os_cache("dsconv")
    unpack = pooch.Untar([UNPACKED])
    how = {"processor": unpack, "progressbar": progressbar}
    try:
        paths = pooch.retrieve(ARCHIVE, f"sha256:{SHA256}", Path(ARCHIVE).name, folder, **how)
    except ValueError as error:  # pooch's word for another hash
        raise DataError(
            f"{ARCHIVE} has another hash than the published file: what was received is removed; try again, or {INSTEAD}"
        ) from error
    except OSError as error:
        raise DataError(
            f"{ARCHIVE} cannot be downloaded to {folder} ({one_line(error)}): try again, copy the "
            f"file there from elsewhere, name another folder in {CACHE_VARIABLE}, or {INSTEAD}"
        ) from error
    try:
        train, test = _batches(paths, TRAIN_BATCHES), _batches(paths, TEST_BATCHES)
    except (KeyError, ValueError) as error:  # a batch is not there, or has no whole images
        raise DataError(
            f"{unpack.extract_dir} is no whole CIFAR-10 ({one_line(error)}): remove that folder, and try again"
        ) from error
    return ImageData("CIFAR-10", *train, *test, CIFAR10_CLASSES)


def _batches(paths: list[str], names: tuple[str, ...]) -> Labelled:
    files = {Path(path).name: path for path in paths}
    content = [np.fromfile(files[name], np.uint8) for name in names]
    rows = np.concatenate(content).reshape(-1, 1 + 3 * 32 * 32)
    images = np.ascontiguousarray(rows[:, 1:]).reshape(-1, 3, 32, 32)
    return images, rows[:, 0].astype(np.int64)


def _from_folder(folder: Path) -> ImageData:
    formats: set[str] = set()
    train, test = _read(folder / "train.parquet", formats), _read(folder / "test.parquet", formats)
    name = "CIFAR-10" if formats == {"PNG"} else "CIFAR-10 (JPEG)"
    return ImageData(name, *train, *test, CIFAR10_CLASSES)


def _read(path: Path, formats: set[str]) -> Labelled:
    """Read one file: images and labels; add to `formats` what its images are, PNG or JPEG."""
    arrow = need("pyarrow", "cifar10", extra="cifar")
    parquet = need("pyarrow.parquet", "cifar10", package="pyarrow", extra="cifar")
    if not path.is_file():
        raise DataError(
            f"{path} is not there: expected a folder with train.parquet and test.parquet"
        )
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        unread = f"{path} cannot be read as parquet ({one_line(error)}): fetch the file again"
        raise DataError(unread) from error
    try:
        encoded = table.column("img").combine_chunks().field("bytes").to_pylist()
        labels = table.column("label").to_pylist()
    except (arrow.ArrowException, KeyError, AttributeError):
        columns = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        raise DataError(
            f"{path} has the columns {columns}: expected img, a struct with bytes, and label, integers"
        ) from None
    if not encoded:
        raise DataError(f"{path} has no rows: expected at least one image")
    for row, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label < len(CIFAR10_CLASSES):
            last = len(CIFAR10_CLASSES) - 1
            raise DataError(
                f"{path}, row {row}: label {label!r}; expected an integer from 0 to {last}"
            )
    images = np.empty((len(encoded), 3, 32, 32), np.uint8)
    console = Console(stderr=True)
    hidden = not console.is_terminal
    bar = track(encoded, f"Decoding {path.name}", console=console, transient=True, disable=hidden)
    for row, content in enumerate(bar):
        images[row], image_format = _decode(content, f"{path}, row {row}")
        formats.add(image_format)
    return images, np.array(labels, np.int64)


def _decode(content: bytes | None, where: str) -> tuple[NDArray[np.uint8], str]:
    pillow = need("PIL.Image", "cifar10", package="pillow", extra="cifar")
    try:
        image = pillow.open(io.BytesIO(content or b""), formats=("PNG", "JPEG"))
        # Both are known from the header, before anything is unpacked.
        if image.size != (32, 32) or image.mode != "RGB":
            held = f"a {image.width}x{image.height} image of mode {image.mode}"
            raise DataError(f"{where}: {held}; expected 32x32 and RGB")
        pixels = np.asarray(image).transpose(2, 0, 1)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # each comes of a damaged image
        unread = f"{where}: not a readable PNG or JPEG image; fetch the file again"
        raise DataError(unread) from error
    return pixels, str(image.format)
