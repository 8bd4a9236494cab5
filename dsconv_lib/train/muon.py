"""Muon: a step of the same length in every direction that a matrix of weights can move in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Of the polynomial a x + b x^3 + c x^5, applied five times to each singular value from 0 to 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonal(matrix: Tensor) -> Tensor:
    """Replace the singular values of a matrix by numbers near 1, from about 0.7 to 1.2.

    Args:
        matrix: shape (N, M).

    Returns:
        As many numbers, float32; on a GPU the products are made in bfloat16.

    Source: Jordan et al. 2024, Muon, an optimizer for hidden layers in neural networks.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x.to(torch.bfloat16 if x.is_cuda else torch.float32)
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.SGD):
    """Gradient descent in which groups with a "muon_momentum" move by orthogonal matrices.

    A filter (N, M, K, K) counts as the matrix (N, M K K). The other groups move as in SGD.

    torch has a Muon of its own. That one takes matrices alone, no filters, and reads its learning
    rate on the CPU, so a step of it cannot be recorded as a CUDA graph.
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights once."""
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"] if "muon_momentum" in group else ():
                    if weight.grad is not None:
                        self._turn(weight, weight.grad, group["muon_momentum"])
        return super().step(closure)

    def _turn(self, weight: Tensor, slope: Tensor, momentum: float) -> None:
        """Write Muon's direction where the gradient was."""
        state = self.state[weight]
        if "average" not in state:
            state["average"] = torch.zeros_like(slope)
        average = state["average"].lerp_(slope, 1 - momentum)
        ahead = slope.lerp(average, momentum).flatten(1)  # Nesterov's look ahead
        # The square root keeps the change of each output alike where there are more of them.
        longer = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
        slope.copy_(longer * orthogonal(ahead).reshape(slope.shape))
