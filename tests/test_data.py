"""The data sets, real and damaged."""

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
from sklearn.datasets import load_digits

from dsconv_lib.data import CIFAR10_CLASSES, DataError, load

REAL_CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10"


def encoded(pixels: np.ndarray, image_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format)
    return buffer.getvalue()


def table(contents: list[bytes | None], labels: list[int | None]) -> pa.Table:
    images = [
        {"bytes": content, "path": f"cat/{row:04}.png"} for row, content in enumerate(contents)
    ]
    return pa.table({"img": images, "label": pa.array(labels, pa.int64())})


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)


@pytest.fixture
def tiny(tmp_path: Path, pixels: np.ndarray) -> Callable[[str], Path]:
    """Writes a CIFAR-10 of four training and two test images."""

    def write(image_format: str = "PNG") -> Path:
        contents = [encoded(image, image_format) for image in pixels]
        parquet.write_table(table(contents[:4], [0, 9, 3, 3]), tmp_path / "train.parquet")
        parquet.write_table(table(contents[4:], [1, 2]), tmp_path / "test.parquet")
        return tmp_path

    return write


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


def test_an_unknown_name() -> None:
    with pytest.raises(DataError, match="dataset 'mnist': expected one of 'digits', 'cifar10'"):
        load("mnist")


def test_digits_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected none, digits ships with scikit-learn"):
        load("digits", tmp_path)


@pytest.mark.parametrize("value", [None, ""])
def test_no_folder_at_all(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DSCONV_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("DSCONV_DATA", value)
    with pytest.raises(DataError, match=r"no folder given for cifar10: .*--data.*DSCONV_DATA"):
        load("cifar10")


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
        ("sklearn", "scikit-learn", "digits"),
    ],
)
def test_a_package_that_is_not_installed(
    module: str, package: str, dataset: str, tiny: Callable[[str], Path]
) -> None:
    """An entry of None in sys.modules makes the import fail as if the package were not there."""
    folder = repr(str(tiny("PNG"))) if dataset == "cifar10" else None
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from dsconv_lib.data import DataError, load\n"
        f"try: load({dataset!r}, {folder})\n"
        f"except DataError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        f"{dataset} needs the package {package}, which cannot be imported"
    )
    assert f"pip install {package}" in done.stdout
