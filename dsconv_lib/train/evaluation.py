"""What a trained network is worth on images it has not seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib.train import processes
from dsconv_lib.train.step import precision


def evaluate(
    model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 1000, flip: bool = False
) -> tuple[float, float]:
    """Mean cross-entropy (natural logarithm, labels as they are) and accuracy (a fraction).

    The model is put into evaluation mode for this and then back. Images are normalised, shape (N, C, H, W), as
    `prepare` has them, labels of shape (N,) on the same device. `flip` takes the mean of the scores of each image and
    of its mirror image: that doubles the work of a test; say so wherever the accuracy is printed.

    >>> scores = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]]).reshape(3, 2, 1, 1)
    >>> loss, accuracy = evaluate(nn.Flatten(), scores, torch.tensor([0, 1, 1]))
    >>> f"{loss:.3f}, {accuracy:.3f}"
    '0.856, 0.667'
    """
    was_training = model.training
    model.eval()
    loss, hits = torch.zeros((2,), device=images.device)
    # Where several processes train together, each tests its share.
    mine = slice(processes.rank(), None, processes.count())
    batches = images[mine].split(batch_size), labels[mine].split(batch_size)
    with torch.no_grad(), precision(images.device):
        for batch, expected in zip(*batches, strict=True):
            scores = model(batch)
            if flip:
                scores = (scores + model(batch.flip(3))) / 2
            loss += F.cross_entropy(scores, expected, reduction="sum")
            hits += (scores.argmax(dim=1) == expected).sum()
    model.train(was_training)
    loss, hits = processes.total(loss), processes.total(hits)
    return loss.item() / len(images), hits.item() / len(images)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, *, flip: bool = False) -> float:
    """Fraction of the images that `model` names rightly. Arguments as in `evaluate`.

    >>> scores = torch.tensor([[2.0, 0.0], [0.0, 1.0]]).reshape(2, 2, 1, 1)
    >>> accuracy(nn.Flatten(), scores, torch.tensor([0, 0]))
    0.5
    """
    return evaluate(model, images, labels, flip=flip)[1]
