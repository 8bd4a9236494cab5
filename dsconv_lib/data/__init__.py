"""Two sets of small images to train on: digits, which needs no download, and CIFAR-10.

Both come as the same arrays, as bytes and unprocessed; `train.prepare` makes normalised tensors of
them.
"""

from __future__ import annotations

from pathlib import Path

from dsconv_lib.data.cifar10 import CACHE_VARIABLE, CIFAR10_CLASSES, FOLDER_VARIABLE, load_cifar10
from dsconv_lib.data.digits import DIGITS_SPLIT_SEED, DIGITS_TEST_IMAGES, load_digits
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
    "load_cifar10",
    "load_digits",
]


def load(name: str, folder: str | Path | None = None) -> ImageData:
    """Load a data set by name.

    Args:
        name: "digits" or "cifar10": see `load_digits` and `load_cifar10`.
        folder: where CIFAR-10's files are, if they are not to be downloaded; digits takes none.

    Raises:
        DataError: if the name is unknown, or the data set cannot be had.

    >>> load("digits").train_images.shape
    (1437, 1, 16, 16)
    """
    if name == "digits":
        if folder is not None:
            raise DataError(
                f"folder={str(folder)!r}: expected none, digits ships with scikit-learn"
            )
        return load_digits()
    if name == "cifar10":
        return load_cifar10(folder)
    raise DataError(f"dataset {name!r}: expected one of {', '.join(map(repr, DATASETS))}")
