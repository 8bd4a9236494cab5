"""The digits, which need no folder and no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dsconv_lib.data import DataError, load


def test_digits_are_those_of_scikit_learn_each_once() -> None:
    data = load("digits")
    assert (data.name, data.classes) == ("digits", tuple("0123456789"))
    assert data.train_images.shape == (1437, 1, 16, 16)
    assert data.test_images.shape == (
        360,
        1,
        16,
        16,
    )
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    images = np.concatenate([data.train_images, data.test_images])
    assert np.array_equal(
        images[..., ::2, ::2], images[..., 1::2, 1::2]
    )  # each pixel is a 2x2 square
    assert images.max() == 255
    assert len(np.unique(images)) == 17
    original = load_digits()
    small = images[:, 0, ::2, ::2].reshape(-1, 64)
    restored = np.round(small / 255 * 16)
    labels = np.concatenate([data.train_labels, data.test_labels])
    ours = np.c_[restored, labels]
    theirs = np.c_[original.data, original.target]
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_the_split_is_the_same_each_time_and_stratified() -> None:
    first, second = load("digits"), load("digits")
    assert np.array_equal(first.test_images, second.test_images)
    shares = np.bincount(first.test_labels) / np.bincount(first.train_labels)
    assert shares.min() > 0.235
    assert shares.max() < 0.265


def test_subset_keeps_the_first_images_and_the_whole_test_set() -> None:
    data = load("digits")
    some = data.subset(50)
    assert np.array_equal(some.train_images, data.train_images[:50])
    assert np.array_equal(some.train_labels, data.train_labels[:50])
    assert len(some.test_images) == 360
    for count in (-1, 0, 1, 1438):
        with pytest.raises(DataError, match=rf"subset={count}: expected 2 to 1,437 images"):
            data.subset(count)


def test_an_unknown_name() -> None:
    with pytest.raises(DataError, match="dataset 'mnist': expected one of 'digits', 'cifar10'"):
        load("mnist")


def test_digits_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected none, digits ships with scikit-learn"):
        load("digits", tmp_path)
