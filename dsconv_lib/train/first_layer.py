"""A first layer that starts with filters taken from the images, in place of random ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib.train.errors import TrainingError

IMAGES = 5000  # enough for the covariance of some dozens of numbers


def whiten(conv: nn.Conv2d, images: Tensor) -> None:
    """Make the outputs of a convolution uncorrelated and of variance 1, over these images.

    Its filters become the directions in which patches of the images vary most, each divided by the
    standard deviation along it: the largest first, then the same with the other sign, so that a
    ReLU loses nothing. Filters for which no direction is left stay as they are.

    Args:
        conv: a convolution that reads images, weight (N, M, K, K); changed in place.
        images: normalised, shape (B, M, H, W), on the same device.

    Raises:
        TrainingError: if its channels are in groups: a group sees a part of a patch.

    Source: Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU (arXiv 2404.00498).
    """
    if conv.groups > 1:
        raise TrainingError(f"{conv}: expected a first layer without groups for whitened=True")
    with torch.no_grad():
        patches = F.unfold(images[:IMAGES].float(), conv.kernel_size, stride=conv.kernel_size)
        rows = patches.transpose(0, 1).flatten(1)  # one row for each number of a patch
        variances, directions = torch.linalg.eigh(torch.cov(rows))
        # Ascending, in columns. A direction in which nothing varies must not be blown up.
        scaled = directions / (variances + 1e-4 * variances[-1]).sqrt()
        count = min(conv.out_channels // 2, len(variances))
        filters = scaled.flip(1)[:, :count].T.reshape(count, *conv.weight.shape[1:])
        conv.weight[: 2 * count] = torch.cat([filters, -filters]).to(conv.weight.dtype)
