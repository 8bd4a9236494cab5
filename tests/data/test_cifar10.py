"""CIFAR-10 from a folder, whole and damaged."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from dsconv_lib.data import CIFAR10_CLASSES, DataError, load
from tests.photographs import encoded, table

REAL_CIFAR10 = Path(__file__).parents[3] / "shared" / "data" / "cifar10"


@pytest.fixture
def tiny(tmp_path: Path, pixels: np.ndarray) -> Callable[[str], Path]:
    """Writes a CIFAR-10 of four training and two test images."""
    folder = tmp_path / "photographs"
    folder.mkdir()

    def write(image_format: str = "PNG") -> Path:
        contents = [encoded(image, image_format) for image in pixels]
        parquet.write_table(table(contents[:4], [0, 9, 3, 3]), folder / "train.parquet")
        parquet.write_table(table(contents[4:], [1, 2]), folder / "test.parquet")
        return folder

    return write


def test_png_images_arrive_unchanged(
    tiny: Callable[[str], Path], pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny("PNG")
    data = load("cifar10", folder)
    assert (data.name, data.classes) == ("CIFAR-10", CIFAR10_CLASSES)
    assert np.array_equal(data.train_images, pixels[:4].transpose(0, 3, 1, 2))
    assert np.array_equal(data.test_images, pixels[4:].transpose(0, 3, 1, 2))
    assert data.train_labels.tolist() == [0, 9, 3, 3]
    assert data.test_labels.tolist() == [1, 2]
    assert data.train_labels.dtype == np.int64
    monkeypatch.setenv("DSCONV_DATA", str(folder))
    assert np.array_equal(load("cifar10").train_images, data.train_images)


def test_jpeg_images_are_named_so(tiny: Callable[[str], Path]) -> None:
    folder = tiny("JPEG")
    assert load("cifar10", folder).name == "CIFAR-10 (JPEG)"
    row = parquet.read_table(folder / "train.parquet").to_pylist()[0]
    expected = np.asarray(Image.open(io.BytesIO(row["img"]["bytes"]))).transpose(2, 0, 1)
    assert np.array_equal(load("cifar10", folder).train_images[0], expected)


def test_one_jpeg_image_among_png_images_is_enough_for_the_name(
    tiny: Callable[[str], Path], pixels: np.ndarray
) -> None:
    folder = tiny("PNG")
    contents: list[bytes | None] = [encoded(pixels[4]), encoded(pixels[5], "JPEG")]
    parquet.write_table(table(contents, [1, 2]), folder / "test.parquet")
    assert load("cifar10", folder).name == "CIFAR-10 (JPEG)"


@pytest.mark.skipif(not REAL_CIFAR10.is_dir(), reason="no CIFAR-10 beside the repository")
def test_the_real_files() -> None:
    data = load("cifar10", REAL_CIFAR10)
    assert data.name == "CIFAR-10 (JPEG)"
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert np.bincount(data.train_labels).tolist() == [5000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    # The published channel means of CIFAR-10; JPEG moves them by less than one grey level.
    means = data.train_images.mean(axis=(0, 2, 3))
    assert np.allclose(means, [125.3, 123.0, 113.9], atol=1)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"nowhere.train.parquet is not there: expected a folder with"
    ):
        load("cifar10", tmp_path / "nowhere")


def test_a_missing_file(tiny: Callable[[str], Path]) -> None:
    folder = tiny("PNG")
    (folder / "test.parquet").unlink()
    with pytest.raises(DataError, match=r"test\.parquet is not there"):
        load("cifar10", folder)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_damaged_file(keep: int, tiny: Callable[[str], Path]) -> None:
    folder = tiny("PNG")
    path = folder / "train.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        DataError, match=r"train\.parquet cannot be read as parquet .*fetch the file"
    ):
        load("cifar10", folder)


def test_a_file_whose_pages_are_damaged(tiny: Callable[[str], Path]) -> None:
    folder = tiny("PNG")
    path = folder / "train.parquet"
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet"):
        load("cifar10", folder)


@pytest.mark.parametrize(
    "columns",
    [
        {"image": [1], "label": [1]},
        {"img": [b"x"], "label": [1]},
        {"img": [{"path": "x"}], "label": [1]},
        {"img": [{"bytes": b"x"}]},
    ],
)
def test_other_columns(columns: dict[str, list[object]], tiny: Callable[[str], Path]) -> None:
    folder = tiny("PNG")
    parquet.write_table(pa.table(columns), folder / "train.parquet")
    with pytest.raises(DataError, match=r"has the columns .*: expected img, a struct with bytes"):
        load("cifar10", folder)


def test_no_rows(tiny: Callable[[str], Path], pixels: np.ndarray) -> None:
    folder = tiny("PNG")
    parquet.write_table(table([encoded(pixels[0])], [0]).slice(0, 0), folder / "test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet has no rows"):
        load("cifar10", folder)


@pytest.mark.parametrize("label", [-1, 10, None])
def test_a_label_out_of_range(
    label: int | None, tiny: Callable[[str], Path], pixels: np.ndarray
) -> None:
    folder = tiny("PNG")
    contents: list[bytes | None] = [encoded(image) for image in pixels]
    parquet.write_table(table(contents, [0, 1, 2, label, 4, 5]), folder / "train.parquet")
    with pytest.raises(DataError, match=rf"row 3: label {label}; expected an integer from 0 to 9"):
        load("cifar10", folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable PNG or JPEG"),
        (None, "not a readable PNG or JPEG"),
        (b"not an image", "not a readable PNG or JPEG"),
        (encoded(np.zeros((32, 32, 3), np.uint8), "BMP"), "not a readable PNG or JPEG"),
        (
            encoded(np.zeros((28, 32, 3), np.uint8)),
            "a 32x28 image of mode RGB; expected 32x32 and RGB",
        ),
        (encoded(np.zeros((32, 32), np.uint8)), "a 32x32 image of mode L; expected 32x32 and RGB"),
    ],
)
def test_an_image_that_is_none(
    content: bytes | None, message: str, tiny: Callable[[str], Path], pixels: np.ndarray
) -> None:
    folder = tiny("PNG")
    parquet.write_table(table([encoded(pixels[0]), content], [0, 1]), folder / "test.parquet")
    with pytest.raises(DataError, match=rf"test\.parquet, row 1: {message}"):
        load("cifar10", folder)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_truncated_image(
    image_format: str, tiny: Callable[[str], Path], pixels: np.ndarray
) -> None:
    folder = tiny("PNG")
    content = encoded(pixels[0], image_format)
    parquet.write_table(table([content[: len(content) // 2]], [0]), folder / "test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet, row 0: not a readable"):
        load("cifar10", folder)


@pytest.mark.parametrize(
    ("module", "package", "dataset"),
    [
        ("pyarrow", "pyarrow", "cifar10"),
        ("PIL", "pillow", "cifar10"),
        ("pooch", "pooch", "cifar10"),
        ("sklearn", "scikit-learn", "digits"),
    ],
)
def test_a_package_that_is_not_installed(
    module: str, package: str, dataset: str, tiny: Callable[[str], Path]
) -> None:
    """An entry of None in sys.modules makes the import fail as if the package were not there."""
    folder = repr(str(tiny("PNG"))) if module in ("pyarrow", "PIL") else None
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from dsconv_lib.data import load\nfrom dsconv_lib.errors import MissingError\n"
        f"try: load({dataset!r}, {folder})\n"
        f"except MissingError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wanted = "." if dataset == "digits" else "'.[cifar]'"
    says = f"{dataset} needs {package}: in a clone of the course, type pip install {wanted}\n"
    assert done.stdout == says
