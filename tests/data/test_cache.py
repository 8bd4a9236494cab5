"""Decoded images come from the cache unchanged, or are decoded anew."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from dsconv_lib.data import ImageData
from dsconv_lib.data.cache import FORMAT, decoded_once

KEY = "0123456789abcdef" * 4


class Decoder:
    """Makes a few images, and counts how often."""

    def __init__(self, name: str = "CIFAR-10 (JPEG)") -> None:
        rng = np.random.default_rng(0)
        self.times = 0
        self.data = ImageData(
            name=name,
            train_images=rng.integers(0, 256, (3, 3, 4, 4), np.uint8),
            train_labels=np.array([0, 1, 0]),
            test_images=rng.integers(0, 256, (2, 3, 4, 4), np.uint8),
            test_labels=np.array([1, 1]),
            classes=("cat", "dog"),
        )

    def __call__(self) -> ImageData:
        self.times += 1
        return self.data


def same(one: ImageData, other: ImageData) -> bool:
    """Equal values of equal types, the arrays' too."""
    for item in fields(ImageData):
        a, b = getattr(one, item.name), getattr(other, item.name)
        if type(a) is not type(b) or not np.array_equal(a, b):
            return False
        if isinstance(a, np.ndarray) and a.dtype != b.dtype:
            return False
    return True


@pytest.fixture
def decode() -> Decoder:
    return Decoder()


def test_images_are_decoded_once(decode: Decoder) -> None:
    for _ in range(3):
        assert same(decoded_once(KEY, decode), decode.data)
    assert decode.times == 1


def test_another_key_or_format_is_decoded_anew(
    decode: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded_once(KEY, decode)
    other = Decoder("CIFAR-10")
    assert decoded_once(KEY[::-1], other).name == "CIFAR-10"
    assert decoded_once(KEY, decode).name == "CIFAR-10 (JPEG)"
    assert (decode.times, other.times) == (1, 1)
    monkeypatch.setattr("dsconv_lib.data.cache.FORMAT", FORMAT + 1)
    decoded_once(KEY, decode)
    assert decode.times == 2


def test_a_damaged_file_is_decoded_anew(decode: Decoder, cache: Path) -> None:
    decoded_once(KEY, decode)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(0, len(whole), 101)]
    for position in range(0, len(whole), 37):
        changed = bytearray(whole)
        changed[position] ^= 1
        damaged.append(bytes(changed))
    for times, content in enumerate([*damaged, whole + b"\0"], start=2):
        path.write_bytes(content)
        assert same(decoded_once(KEY, decode), decode.data)
        assert decode.times == times
        assert path.read_bytes() == whole  # and is whole again
    assert list(cache.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_does_not_matter(
    decode: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DSCONV_CACHE", str(tmp_path / "file"))
    for times in (1, 2):
        assert same(decoded_once(KEY, decode), decode.data)
        assert decode.times == times
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_error_leaves_nothing_behind(cache: Path) -> None:
    def fails() -> ImageData:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        decoded_once(KEY, fails)
    assert not cache.exists()
