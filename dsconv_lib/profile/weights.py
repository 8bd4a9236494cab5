"""Which tensors are weights: parameters, buffers, and what is computed from nothing else."""

from __future__ import annotations

from torch import Tensor, nn


class Weights:
    """The weights of a model by their storage; all other tensors are activations.

    >>> import torch
    >>> layer = nn.Linear(4, 3)
    >>> weights = Weights(layer)
    >>> layer.weight.T in weights, torch.zeros(4) in weights
    (True, False)
    >>> weights.first_use(weights.inside(layer.bias)), weights.first_use(weights.inside(layer.bias))
    (3, 0)
    """

    def __init__(self, model: nn.Module) -> None:
        self._inside: dict[int, frozenset[nn.Parameter]] = {}
        self._kept: list[Tensor] = []  # or another tensor would get the storage of a weight
        for tensor in model.buffers():
            self.add(tensor, frozenset())
        for parameter in model.parameters():
            self.add(parameter, frozenset({parameter}))
        self._unused = {p for p in model.parameters() if p.requires_grad}

    def add(self, tensor: Tensor, parameters: frozenset[nn.Parameter]) -> None:
        """Take a tensor, computed from these parameters alone, for a weight."""
        storage = _storage(tensor)
        if storage is not None:
            self._inside[storage] = self._inside.get(storage, frozenset()) | parameters
            self._kept.append(tensor)

    def inside(self, tensor: Tensor) -> frozenset[nn.Parameter] | None:
        """Return the parameters in a weight, none for a buffer; None if the tensor is an activation."""
        storage = _storage(tensor)
        return None if storage is None else self._inside.get(storage)

    def __contains__(self, tensor: Tensor) -> bool:
        return self.inside(tensor) is not None

    def first_use(self, parameters: frozenset[nn.Parameter]) -> int:
        """Return how many trainable numbers these parameters hold, those that were asked for before left out."""
        found = parameters & self._unused
        self._unused -= found
        return sum(p.numel() for p in found)


def _storage(tensor: Tensor) -> int | None:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return None  # sparse and other tensors without one
