"""The images of a run: on its device, normalised, and changed by chance as they are drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dsconv_lib.data import ImageData


class Tensors(NamedTuple):
    """A data set on a device: images (N, C, H, W), normalised; int64 labels (N,).

    Images have torch's default type, float32 unless it was changed. `mean` and `std`, shape (C,), are those of the
    training images divided by 255.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor
    std: Tensor


def prepare(data: ImageData, device: str | torch.device = "cpu") -> Tensors:
    """Put a data set on a device, normalised; as small as these images are, all of it fits.

    >>> from dsconv_lib.data import load_digits
    >>> images = prepare(load_digits()).train_images
    >>> f"mean {images.mean().abs():.3f}, standard deviation {images.std():.3f}"
    'mean 0.000, standard deviation 1.000'
    """
    wanted = torch.get_default_dtype()
    both = (torch.from_numpy(images).to(device) for images in (data.train_images, data.test_images))
    train, test = (images.to(wanted).div_(255) for images in both)
    mean = train.mean(dim=(0, 2, 3))
    # Images of one colour have no spread to divide by.
    std = train.std(dim=(0, 2, 3)).clamp_min(1 / 255)
    for images in (train, test):
        images.sub_(mean[:, None, None]).div_(std[:, None, None])
    train, test = (images.contiguous(memory_format=torch.channels_last) for images in (train, test))
    train_labels = torch.from_numpy(data.train_labels).to(device)
    test_labels = torch.from_numpy(data.test_labels).to(device)
    return Tensors(train, train_labels, test, test_labels, mean, std)


def augment(
    images: Tensor, shift: int, flip: bool | Tensor, generator: torch.Generator, *, cutout: int = 0
) -> Tensor:
    """Move each image by up to `shift` pixels each way, mirror some of them, hide a part of each.

    Args:
        images: shape (B, C, H, W), on the generator's device.
        shift: pixels, less than H and W. What moves in at an edge is the image reflected there: no pixel wraps round
            from the far side, and no border of another colour appears.
        flip: mirror left to right with probability 1/2; or which ones to mirror, shape (B,).
        generator: where the chance comes from.
        cutout: side of a square of pixels that is set to 0, the mean of normalised images. Its centre is any pixel of
            the image, so at an edge a part of the square lies outside.

    Returns:
        New images of the same shape, or `images` itself if nothing is asked for.

    Source: DeVries and Taylor 2017, Improved regularization of convolutional neural networks with cutout, section 3.

    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> augment(image, 0, torch.tensor([True]), torch.Generator())
    tensor([[[[2., 1.],
              [4., 3.]]]])
    """
    batch, _, height, width = images.shape
    draw: dict[str, Any] = {"generator": generator, "device": images.device}
    if shift:
        padded = F.pad(images, (shift,) * 4, mode="reflect")
        top = torch.randint(0, 2 * shift + 1, (batch, 1, 1), **draw)
        left = torch.randint(0, 2 * shift + 1, (batch, 1, 1), **draw)
        each = torch.arange(batch, device=images.device)[:, None, None]
        rows = top + torch.arange(height, device=images.device)[:, None]
        columns = left + torch.arange(width, device=images.device)
        images = padded[each, :, rows, columns].movedim(3, 1)
    if flip is True:
        flip = torch.rand(batch, **draw) < 0.5
    if isinstance(flip, Tensor):
        images = torch.where(flip[:, None, None, None], images.flip(3), images)
    if cutout:
        inside = []
        for side in (height, width):
            centre = torch.randint(0, side, (batch, 1), **draw)
            offset = torch.arange(side, device=images.device) - centre + cutout // 2
            inside.append((offset >= 0) & (offset < cutout))
        rows, columns = inside
        images = images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)
    return images
