"""CIFAR-10: 60,000 photographs of 32x32 pixels in ten classes (A. Krizhevsky, 2009).

They come from a folder with two parquet files, or in the archive that their author publishes.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from dsconv_lib.data.cache import cache_folder, decoded_once
from dsconv_lib.data.download import Source, fetch
from dsconv_lib.data.errors import DataError, need, one_line
from dsconv_lib.data.images import ImageData

FOLDER_VARIABLE = "DSCONV_DATA"
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
# Of the three archives on that page, the one of plain bytes: the one for Python holds pickles, which
# can run any code when they are read. The hash is the one that TensorFlow Datasets checks too; the
# page itself gives the MD5, c32a1d4ab5d03f1284b67883e8d87530.
ARCHIVE = Source(
    dataset="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    instead=(
        f"name a folder with train.parquet and test.parquet with --data, with load(..., folder), "
        f"or in the environment variable {FOLDER_VARIABLE}"
    ),
)
TRAIN_BATCHES = tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCHES = ("cifar-10-batches-bin/test_batch.bin",)
IMAGE_BYTES = 3 * 32 * 32


def from_archive(source: Source) -> ImageData:
    """CIFAR-10 from its author's archive, which is downloaded unless the cache has it.

    Raises:
        DataError: if it cannot be downloaded, or is not the file whose hash `source` names.
    """
    return decoded_once(source.sha256, lambda: _unpack(fetch(source, cache_folder())))


def from_folder(folder: Path) -> ImageData:
    """CIFAR-10 from `train.parquet` and `test.parquet`: images in `img`, PNG or JPEG, and `label`.

    Raises:
        DataError: if a file is missing or damaged, or holds something else.
    """
    files = folder / "train.parquet", folder / "test.parquet"
    key = hashlib.sha256("".join(map(_hash, files)).encode()).hexdigest()
    return decoded_once(key, lambda: _decode_files(*files))


def _unpack(path: Path) -> ImageData:
    """Read the archive: each image is a byte for its class, then its red, green and blue plane."""
    try:
        with tarfile.open(path) as tar:
            train_images, train_labels = _batches(tar, TRAIN_BATCHES)
            test_images, test_labels = _batches(tar, TEST_BATCHES)
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError) as error:
        raise DataError(f"{path} is no archive of CIFAR-10: {one_line(error)}") from error
    return ImageData(
        name="CIFAR-10",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=CIFAR10_CLASSES,
    )


def _batches(
    tar: tarfile.TarFile, names: tuple[str, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    # extractfile returns None for a folder alone, and the hash vouches for what the archive holds.
    content = b"".join(tar.extractfile(name).read() for name in names)  # type: ignore[union-attr]
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + IMAGE_BYTES)
    images = records[:, 1:].copy()  # writable, as torch wants it
    return images.reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def _hash(path: Path) -> str:
    pooch = need("pooch", "pooch", "cifar10")
    if not path.is_file():
        raise DataError(
            f"{path} is not there: expected a folder with train.parquet and test.parquet"
        )
    try:
        return str(pooch.file_hash(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _decode_files(train: Path, test: Path) -> ImageData:
    train_images, train_labels, train_format = _read(train)
    test_images, test_labels, test_format = _read(test)
    return ImageData(
        name="CIFAR-10" if train_format == test_format == "PNG" else "CIFAR-10 (JPEG)",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=CIFAR10_CLASSES,
    )


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], str]:
    """Read one file: images, labels, and PNG or JPEG."""
    arrow = need("pyarrow", "pyarrow", "cifar10")
    parquet = need("pyarrow.parquet", "pyarrow", "cifar10")
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as parquet ({one_line(error)}): fetch the file again"
        ) from error
    try:
        encoded = table.column("img").combine_chunks().field("bytes").to_pylist()
        labels = table.column("label").to_pylist()
    except (arrow.ArrowException, KeyError, AttributeError):
        columns = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        raise DataError(
            f"{path} has the columns {columns}: "
            f"expected img, a struct with bytes, and label, integers"
        ) from None
    if not encoded:
        raise DataError(f"{path} has no rows: expected at least one image")
    for row, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label < len(CIFAR10_CLASSES):
            raise DataError(
                f"{path}, row {row}: label {label!r}; "
                f"expected an integer from 0 to {len(CIFAR10_CLASSES) - 1}"
            )
    images = np.empty((len(encoded), 3, 32, 32), np.uint8)
    formats = set()
    console = Console(stderr=True)
    for row, content in track(
        enumerate(encoded),
        f"Decoding {path.name}",
        len(encoded),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        images[row], image_format = _decode(content, f"{path}, row {row}")
        formats.add(image_format)
    return images, np.array(labels, np.int64), "JPEG" if "JPEG" in formats else "PNG"


def _decode(content: bytes | None, where: str) -> tuple[NDArray[np.uint8], str]:
    pillow = need("PIL.Image", "pillow", "cifar10")
    try:
        image = pillow.open(io.BytesIO(content or b""), formats=("PNG", "JPEG"))
        # Both are known from the header, before anything is unpacked.
        if image.size != (32, 32) or image.mode != "RGB":
            raise DataError(
                f"{where}: a {image.width}x{image.height} image of mode {image.mode}; "
                f"expected 32x32 and RGB"
            )
        pixels = np.asarray(image).transpose(2, 0, 1)
    except DataError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
    ) as error:  # Pillow raises each of these on damaged images
        raise DataError(
            f"{where}: not a readable PNG or JPEG image; fetch the file again"
        ) from error
    return pixels, str(image.format)
