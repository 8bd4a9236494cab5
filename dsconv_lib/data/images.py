"""Labelled images as arrays, whatever they were read from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dsconv_lib.data.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Labelled images, split into a training and a test set.

    `name` is the one to print beside an accuracy. Images are uint8, shape (N, C, H, W); labels are int64, shape (N,),
    and index `classes`.
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

        >>> from dsconv_lib.data import load_digits
        >>> some = load_digits().subset(100)
        >>> len(some.train_images), len(some.test_images)
        (100, 360)
        """
        if not 2 <= count <= len(self.train_images):
            there = f"{len(self.train_images):,} images of {self.name}"
            raise DataError(f"subset={count}: expected 2 to {there}")
        images, labels = self.train_images[:count], self.train_labels[:count]
        return replace(self, train_images=images, train_labels=labels)
