"""Two sets of small images to train on: digits, which needs no download, and CIFAR-10.

Both come as the same arrays, as bytes and unprocessed; `train.prepare` makes normalised tensors of
them.
"""

from __future__ import annotations

import os
from pathlib import Path

from dsconv_lib.data import cifar10
from dsconv_lib.data.cache import CACHE_VARIABLE
from dsconv_lib.data.cifar10 import CIFAR10_CLASSES, FOLDER_VARIABLE
from dsconv_lib.data.digits import DIGITS_SPLIT_SEED, DIGITS_TEST_IMAGES, digits
from dsconv_lib.data.errors import DataError
from dsconv_lib.data.images import ImageData

DATASETS = ("digits", "cifar10")

__all__ = [
    "CACHE_VARIABLE",
    "CIFAR10_CLASSES",
    "DATASETS",
    "DIGITS_SPLIT_SEED",
    "DIGITS_TEST_IMAGES",
    "FOLDER_VARIABLE",
    "DataError",
    "ImageData",
    "load",
]


def load(name: str, folder: str | Path | None = None) -> ImageData:
    """Load a data set by name.

    The download and CIFAR-10's decoded images, 185 MB, are kept in the user's cache folder, or in
    the one that the environment variable DSCONV_CACHE names. A download that was cut off goes on
    where it stopped.

    Args:
        name: "digits", 1,797 grey images of 8x8 pixels that ship with scikit-learn, enlarged to
            16x16, or "cifar10", 60,000 colour images of 32x32.
        folder: where CIFAR-10's `train.parquet` and `test.parquet` are; without it, the environment
            variable DSCONV_DATA is read. Without either, CIFAR-10 is downloaded once, 170 MB, from
            its author's page. Digits takes no folder.

    Returns:
        The images. CIFAR-10 whose files hold JPEG images is named "CIFAR-10 (JPEG)": they have lost
        a little, so an accuracy on them is not one on CIFAR-10.

    Raises:
        DataError: if the name is unknown, a file is missing or damaged, the download fails or has
            another hash than the published file, or a package that reads it is not installed.
    """
    if name == "digits":
        if folder is not None:
            raise DataError(
                f"folder={str(folder)!r}: expected none, digits ships with scikit-learn"
            )
        return digits()
    if name == "cifar10":
        found = folder if folder is not None else os.environ.get(FOLDER_VARIABLE)
        return cifar10.from_folder(Path(found)) if found else cifar10.from_archive(cifar10.ARCHIVE)
    raise DataError(f"dataset {name!r}: expected one of {', '.join(map(repr, DATASETS))}")
