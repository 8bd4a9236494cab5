"""Handwritten digits that ship with scikit-learn: small, and there without a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv_lib.data.images import ImageData
from dsconv_lib.errors import need


def load_digits() -> ImageData:
    """1,797 grey images of 8x8 pixels, enlarged to shape (1, 16, 16) and split with a fixed seed.

    Raises:
        MissingError: if scikit-learn is not installed.

    >>> digits = load_digits()
    >>> len(digits.train_images), len(digits.test_images), digits.train_labels[0]
    (1437, 360, np.int64(3))
    """
    datasets = need("sklearn.datasets", "digits", package="scikit-learn")
    selection = need("sklearn.model_selection", "digits", package="scikit-learn")
    images, labels = datasets.load_digits(return_X_y=True)
    # Values from 0 to 16, spread over 0 to 255, show as ordinary grey images, and stay 17 distinct levels.
    pixels = (images * 255 // 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    # Each pixel becomes a 2x2 square: MobileNetV1 halves an image four times after a small stem, so one of 8x8 is a
    # single pixel before the last blocks. Doubled, they were named rightly about one point more often, on two seeds.
    pixels = pixels.repeat(2, axis=2).repeat(2, axis=3)
    # One in five to test on. The split is part of the data set: a training run's seed never moves it.
    split: dict[str, Any] = {"test_size": 360, "random_state": 0, "stratify": labels}
    train, test = selection.train_test_split(np.arange(len(labels)), **split)
    labels = labels.astype(np.int64)
    sets = pixels[train], labels[train], pixels[test], labels[test]
    return ImageData("digits", *sets, tuple("0123456789"))
