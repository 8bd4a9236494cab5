"""Where a run computes: a CPU, a GPU, or several processes that train one network together.

`torchrun` starts the processes and tells each who it is; alone, every function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dsconv_lib.train.recipes import TrainingError

T = TypeVar("T")


def pick_device(device: str = "auto") -> torch.device:
    """Return the device to train on: "auto" takes CUDA where there is one, else the CPU; each process a GPU of its own.

    Raises:
        TrainingError: if the name is not "auto", "cpu" or "cuda", or there is no CUDA device.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if device not in ("auto", "cpu", "cuda"):
        raise TrainingError(f"device={device!r}: expected 'auto', 'cpu' or 'cuda'")
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device='cuda': torch finds no CUDA device here; use 'auto' or 'cpu'")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    index, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if index >= gpus:
        raise TrainingError(
            f"process {index} on this machine finds {gpus} GPUs: "
            f"expected one each; give torchrun a smaller --nproc-per-node"
        )
    return torch.device("cuda", index)


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun has started, for the length of a `with`; alone, do nothing.

    >>> with joined(pick_device("cpu")):
    ...     count()
    1
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, from 0; process 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def total(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; each must call it, with the same shape."""
    if count() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def from_first(read: Callable[[], T]) -> T:
    """Call `read` in process 0 alone, and give every process what it returned."""
    content: list[Any] = [read() if rank() == 0 else None]
    if count() > 1:
        dist.broadcast_object_list(content)
    return cast(T, content[0])


@contextmanager
def together(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the network to call in training: the one given, tied to those of the other processes.

    Gradients are averaged, and batch normalisation takes its mean and variance from the batch of all processes, so that
    N processes learn what one would from the whole batch.
    """
    if count() == 1:
        yield model
        return
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        usual = norm.affine and norm.track_running_stats and norm.momentum is not None
        if type(norm) is not nn.BatchNorm2d or not usual:
            raise TrainingError(
                f"{norm}: several processes share the statistics of BatchNorm2d alone, with "
                f"stored ones, a momentum, a scale and a shift; train this in one process"
            )
    # Same weights, names and buffers, only another forward pass: so the class alone changes.
    for norm in norms:
        norm.__class__ = SharedBatchNorm2d
    try:
        yield nn.parallel.DistributedDataParallel(model)
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the batch of all processes, of which each holds an equal part.

    torch's SyncBatchNorm does it on GPUs alone. Source: Ioffe and Szegedy 2015, Batch normalization, section 3.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, shape (B, C, H, W)."""
        if not self.training:
            return super().forward(x)
        wide = x.to(self.weight.dtype)
        mean = _mean(wide)
        centred = wide - mean
        variance = _mean(centred.square())
        y = centred * torch.rsqrt(variance + self.eps) * self.weight[:, None, None]
        with torch.no_grad():
            values = x.numel() // x.shape[1] * count()
            rate = cast(float, self.momentum)
            cast(Tensor, self.running_mean).lerp_(mean.flatten(), rate)
            unbiased = variance.flatten() * values / (values - 1)
            cast(Tensor, self.running_var).lerp_(unbiased, rate)
            cast(Tensor, self.num_batches_tracked).add_(1)
        return (y + self.bias[:, None, None]).to(x.dtype)


def _mean(x: Tensor) -> Tensor:
    """Mean over batch, height and width of all processes, shape (C, 1, 1)."""
    # Added up in float64: sums of thousands of float32 numbers would be rough.
    sums = x.sum(dim=(0, 2, 3), dtype=torch.float64)
    values = x.numel() // x.shape[1] * count()
    return (cast(Tensor, _Total.apply(sums)) / values).to(x.dtype)[:, None, None]


class _Total(torch.autograd.Function):
    """The sum over all processes: each one's part moves the sum in all of them."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        return total(part)

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> Tensor:
        return total(slopes[0])
