"""Images on their device, normalised and changed by chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dsconv_lib.data import ImageData
from dsconv_lib.train import (
    augment,
    prepare,
)


def test_prepared_images_have_mean_0_and_deviation_1_by_channel() -> None:
    generator = np.random.default_rng(0)
    train = np.stack(
        [generator.integers(0, 50, (40, 8, 8)), generator.integers(0, 256, (40, 8, 8))]
    )
    images = train.transpose(1, 0, 2, 3).astype(np.uint8)
    data = ImageData("made", images, np.arange(40), images[:5], np.arange(5), ("a",))
    tensors = prepare(data)
    assert torch.allclose(tensors.train_images.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(tensors.train_images.std(dim=(0, 2, 3)), torch.ones(2), atol=1e-5)
    restored = tensors.test_images * tensors.std[:, None, None] + tensors.mean[:, None, None]
    assert np.array_equal((restored * 255).round().numpy(), images[:5])
    assert tensors.test_labels.tolist() == [0, 1, 2, 3, 4]


def test_images_of_one_colour_stay_finite() -> None:
    images = np.full((4, 1, 8, 8), 7, np.uint8)
    data = ImageData("made", images, np.zeros(4, np.int64), images, np.zeros(4, np.int64), ("a",))
    assert prepare(data).train_images.isfinite().all()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_shift_moves_the_image_and_reflects_it_at_the_edge() -> None:
    image = torch.arange(2 * 6 * 6.0).reshape(1, 2, 6, 6)
    images = augment(image.repeat(400, 1, 1, 1), 2, False, seeded())
    padded = nn.functional.pad(image, (2, 2, 2, 2), mode="reflect")[0]
    windows = {
        (top, left): padded[:, top : top + 6, left : left + 6]
        for top in range(5)
        for left in range(5)
    }
    found = [
        next(place for place, window in windows.items() if torch.equal(window, moved))
        for moved in images
    ]
    assert set(found) == set(windows)  # 25 shifts, each image its own


def test_a_shift_never_wraps() -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[..., 0] = 1  # a bar at the left edge
    moved = augment(image.repeat(300, 1, 1, 1), 2, False, seeded())
    assert moved[..., :5].sum() > 0
    assert moved[..., 5:].sum() == 0


def test_a_flip_mirrors_half_of_the_images_and_keeps_their_pixels() -> None:
    images = torch.rand(1000, 3, 4, 5, generator=seeded(1))
    flipped = augment(images, 0, True, seeded())
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    same = (flipped == images).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert 430 < mirrored.sum() < 570
    assert torch.equal(flipped.flatten(2).sort().values, images.flatten(2).sort().values)


def test_no_augmentation_changes_nothing() -> None:
    images = torch.rand(4, 1, 8, 8)
    assert augment(images, 0, False, seeded()) is images


def test_augmentation_depends_on_the_generator_alone() -> None:
    images = torch.rand(50, 1, 8, 8)
    first = augment(images, 1, True, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(first, augment(images, 1, True, seeded(3)))
    assert not torch.equal(first, augment(images, 1, True, seeded(4)))


def test_the_images_to_mirror_can_be_named() -> None:
    images = torch.arange(24.0).reshape(4, 1, 2, 3)
    chosen = torch.tensor([True, False, False, True])
    changed = augment(images, 0, chosen, seeded())
    assert torch.equal(changed[[0, 3]], images[[0, 3]].flip(3))
    assert torch.equal(changed[[1, 2]], images[[1, 2]])


@pytest.mark.parametrize("side", [1, 3, 4])
def test_a_square_is_hidden_with_its_centre_in_the_image(side: int) -> None:
    images = augment(torch.ones(2000, 2, 6, 8), 0, False, seeded(), cutout=side)
    assert torch.equal(images[:, 0], images[:, 1])
    hidden = images[:, 0] == 0
    rows, columns = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert torch.equal(hidden.sum(dim=(1, 2)), rows * columns)  # a rectangle
    # From the square's half, at an edge, to the whole of it.
    assert set(rows.tolist()) == set(columns.tolist()) == set(range((side + 1) // 2, side + 1))
    assert hidden.any(dim=0).all()


def test_a_square_larger_than_the_image_hides_all_of_it() -> None:
    assert not augment(torch.ones(5, 1, 4, 4), 0, False, seeded(), cutout=8).any()
