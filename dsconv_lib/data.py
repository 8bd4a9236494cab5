"""Two sets of small images to train on: digits, which needs no download, and CIFAR-10.

Both come as the same arrays, as bytes and unprocessed; `train.prepare` makes normalised tensors of
them.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATASETS = ("digits", "cifar10")
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
DIGITS_TEST_IMAGES = 360  # of 1,797: one in five
DIGITS_SPLIT_SEED = (
    0  # part of the data set's definition here: a training run's seed never moves the split
)


class DataError(ValueError):
    """Data that is missing, damaged or not what was asked for; the message says what would do."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Labelled images, split into a training and a test set.

    `name` is the one to print beside an accuracy. Images are uint8, shape (N, C, H, W); labels are
    int64, shape (N,), and index `classes`.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def subset(self, count: int) -> ImageData:
        """Keep the first `count` training images and every test image.

        Raises:
            DataError: if there are not that many training images, or `count` is below 2.
        """
        if not 2 <= count <= len(self.train_images):
            raise DataError(
                f"subset={count}: expected 2 to {len(self.train_images):,} images of {self.name}"
            )
        return replace(
            self, train_images=self.train_images[:count], train_labels=self.train_labels[:count]
        )


def load(name: str, folder: str | Path | None = None) -> ImageData:
    """Load a data set by name.

    Args:
        name: "digits", 1,797 grey images of 8x8 pixels that ship with scikit-learn, enlarged to
            16x16, or "cifar10", 60,000 colour images of 32x32.
        folder: where CIFAR-10's `train.parquet` and `test.parquet` are; without it, the environment
            variable DSCONV_DATA is read. Digits takes no folder.

    Returns:
        The images. CIFAR-10 whose files hold JPEG images is named "CIFAR-10 (JPEG)": they have lost
        a little, so an accuracy on them is not one on CIFAR-10.

    Raises:
        DataError: if the name is unknown, no folder is known, a file is missing or damaged, or a
            package that reads it is not installed.
    """
    if name == "digits":
        if folder is not None:
            raise DataError(
                f"folder={str(folder)!r}: expected none, digits ships with scikit-learn"
            )
        return _digits()
    if name == "cifar10":
        found = folder if folder is not None else os.environ.get(FOLDER_VARIABLE)
        if not found:
            raise DataError(
                f"no folder given for cifar10: expected one with train.parquet and test.parquet; "
                f"name it with --data, with load(..., folder), or in the environment variable "
                f"{FOLDER_VARIABLE}"
            )
        return _cifar10(Path(found))
    raise DataError(f"dataset {name!r}: expected one of {', '.join(map(repr, DATASETS))}")


def _digits() -> ImageData:
    datasets = _need("sklearn.datasets", "scikit-learn", "digits")
    selection = _need("sklearn.model_selection", "scikit-learn", "digits")
    images, labels = datasets.load_digits(return_X_y=True)
    # The values run from 0 to 16; spread over 0 to 255 they show as ordinary grey images, and stay
    # 17 distinct levels.
    pixels = (images * 255 // 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    # Each pixel becomes a 2x2 square: MobileNetV1 halves an image four times after a small stem, so
    # one of 8x8 is a single pixel before the last blocks. The doubled images were named rightly
    # about one point more often, on each of two seeds.
    pixels = pixels.repeat(2, axis=2).repeat(2, axis=3)
    train, test = selection.train_test_split(
        np.arange(len(labels)),
        test_size=DIGITS_TEST_IMAGES,
        random_state=DIGITS_SPLIT_SEED,
        stratify=labels,
    )
    labels = labels.astype(np.int64)
    return ImageData(
        name="digits",
        train_images=pixels[train],
        train_labels=labels[train],
        test_images=pixels[test],
        test_labels=labels[test],
        classes=tuple("0123456789"),
    )


def _cifar10(folder: Path) -> ImageData:
    train_images, train_labels, train_format = _read(folder / "train.parquet")
    test_images, test_labels, test_format = _read(folder / "test.parquet")
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
    arrow = _need("pyarrow", "pyarrow", "cifar10")
    parquet = _need("pyarrow.parquet", "pyarrow", "cifar10")
    if not path.is_file():
        raise DataError(
            f"{path} is not there: expected a folder with train.parquet and test.parquet"
        )
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as parquet ({_line(error)}): fetch the file again"
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
    for row, content in enumerate(encoded):
        images[row], image_format = _decode(content, f"{path}, row {row}")
        formats.add(image_format)
    return images, np.array(labels, np.int64), "JPEG" if "JPEG" in formats else "PNG"


def _decode(content: bytes | None, where: str) -> tuple[NDArray[np.uint8], str]:
    pillow = _need("PIL.Image", "pillow", "cifar10")
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


def _need(module: str, package: str, dataset: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{dataset} needs the package {package}, which cannot be imported: "
            f"pip install {package}"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
