"""Two sets of small images to train on: digits, which needs no download, and CIFAR-10.

Both come as the same arrays, as bytes and unprocessed; `train.prepare` makes normalised tensors of them.
"""

from __future__ import annotations

from pathlib import Path

from dsconv_lib.data.cifar10 import CIFAR10_CLASSES as CIFAR10_CLASSES
from dsconv_lib.data.cifar10 import load_cifar10
from dsconv_lib.data.digits import load_digits
from dsconv_lib.data.errors import DataError
from dsconv_lib.data.images import ImageData as ImageData

DATASETS = ("digits", "cifar10")


def load(name: str, folder: str | Path | None = None) -> ImageData:
    """Load "digits" or "cifar10", as `load_digits` and `load_cifar10` do; digits takes no folder.

    Raises:
        DataError: if the name is unknown, or the data set cannot be had.

    >>> load("digits").train_images.shape
    (1437, 1, 16, 16)
    """
    if name == "digits":
        if folder is not None:
            given = f"folder={str(folder)!r}"
            raise DataError(f"{given}: expected none, digits ships with scikit-learn")
        return load_digits()
    if name == "cifar10":
        return load_cifar10(folder)
    raise DataError(f"dataset {name!r}: expected one of {', '.join(map(repr, DATASETS))}")
