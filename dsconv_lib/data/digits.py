"""Handwritten digits that ship with scikit-learn: small, and there without a network."""

from __future__ import annotations

import numpy as np

from dsconv_lib.data.errors import need
from dsconv_lib.data.images import ImageData

DIGITS_TEST_IMAGES = 360  # of 1,797: one in five
DIGITS_SPLIT_SEED = (
    0  # part of the data set's definition here: a training run's seed never moves the split
)


def load_digits() -> ImageData:
    """1,797 grey images of 8x8 pixels, enlarged to shape (1, 16, 16) and split with a fixed seed.

    Raises:
        DataError: if scikit-learn is not installed.

    >>> digits = load_digits()
    >>> len(digits.train_images), len(digits.test_images), digits.train_labels[0]
    (1437, 360, np.int64(3))
    """
    datasets = need("sklearn.datasets", "scikit-learn", "digits")
    selection = need("sklearn.model_selection", "scikit-learn", "digits")
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
