"""The digits, a few of them, and one short run that several tests look at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dsconv_lib.data import ImageData, load
from tests.runs import Run


@pytest.fixture(scope="session")
def digits() -> ImageData:
    return load("digits")


@pytest.fixture(scope="session")
def few(digits: ImageData) -> ImageData:
    """Enough for a run of a second; too few to learn from."""
    return replace(
        digits.subset(130), test_images=digits.test_images[:50], test_labels=digits.test_labels[:50]
    )


@pytest.fixture(scope="session")
def run(digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(digits, tmp_path_factory.mktemp("runs") / "made" / "digits")
