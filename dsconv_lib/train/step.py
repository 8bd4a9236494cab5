"""One step of training, run as it stands or recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dsconv_lib.train.recipes import TrainingError

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Way(NamedTuple):
    """Where and how a step is run.

    `device` is "auto", a GPU where there is one, "cpu" or "cuda". `compile` lets torch.compile fuse the network's
    operations; the first step takes long. `graph` records one step and replays it (a CUDA graph), for one process on a
    GPU. `kernels` lets depthwise layers compute with the library's own Triton kernels, for a GPU; after training they
    are torch's own again.

    >>> Way("cuda", compile=True)
    Way(device='cuda', compile=True, graph=False, kernels=False)
    """

    device: str = "auto"
    compile: bool = False
    graph: bool = False
    kernels: bool = False


def precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a network runs on a device: bfloat16 on a GPU, else float32."""
    # Tensor cores run bfloat16; most CPUs have no fast path for it, and a CPU run is the reference.
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


@contextmanager
def timed_algorithms() -> Iterator[None]:
    """Let cuDNN time its algorithms for each new shape and keep the fastest; batches keep theirs."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def make_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    *,
    way: Way = Way(),
    label_smoothing: float = 0.0,
    after: Callable[[], object] | None = None,
) -> Step:
    """Make the function that learns from one batch.

    Args:
        network: maps images (B, C, H, W) to scores (B, classes).
        optimiser: holds the network's parameters.
        way: how to run it: compiled, recorded, both or neither.
        label_smoothing: share of the target that is spread over all classes.
        after: called when the weights have moved.

    Returns:
        A function of images and labels (B,), all on one device. It returns the mean loss and the number of right
        answers, both before the weights move, as tensors: reading them would make a GPU wait.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> step = make_step(network, torch.optim.SGD(network.parameters(), lr=0.5))
    >>> images, labels = torch.eye(4).reshape(4, 1, 2, 2), torch.tensor([0, 1, 2, 0])
    >>> losses = [step(images, labels)[0].item() for _ in range(3)]
    >>> losses[0] > losses[1] > losses[2]
    True
    """
    forward = compiled(network) if way.compile else network

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with precision(images.device):
            scores = forward(images)
            loss = F.cross_entropy(scores, labels, label_smoothing=label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if after is not None:
            after()
        return loss.detach(), (scores.detach().argmax(dim=1) == labels).sum()

    return Recorded(step) if way.graph else step


def compiled(network: nn.Module, *, backend: str = "inductor") -> Callable[[Tensor], Tensor]:
    """Let torch.compile fuse a network's operations: fewer passes over the same numbers.

    Raises:
        TrainingError: at the first call, if the network cannot be compiled on this machine.
    """
    # Here, as this part of torch takes a second to import.
    from torch._dynamo.exc import TorchDynamoException

    # A program for each size of batch, and no part uncompiled unnoticed: but processes have to talk in between.
    alone = not isinstance(network, nn.parallel.DistributedDataParallel)
    fast = torch.compile(network, backend=backend, dynamic=False, fullgraph=alone)

    def forward(images: Tensor) -> Tensor:
        try:
            return cast(Tensor, fast(images))
        except TorchDynamoException as error:
            raise TrainingError(
                f"torch.compile cannot build this network here ({str(error).splitlines()[0]}): "
                f"on a CPU it needs a C++ compiler; train without it"
            ) from error

    return forward


def on_kernels(model: nn.Module, wanted: bool = True) -> AbstractContextManager[object]:
    """Let a network's depthwise layers compute with the library's Triton kernels, if that is wanted.

    Raises:
        KernelError: if Triton is not installed, or the network is not on a GPU.
    """
    if not wanted:
        return nullcontext()
    # Here, as the kernels need Triton, which a CPU has no use for.
    from dsconv_lib.kernels import swapped

    return swapped(model)


class Recorded:
    """A step as one CUDA graph: the CPU queues one launch where it queued several hundred.

    The first batches run as they are, on a stream of their own, so that algorithms are chosen and buffers exist. The
    next one is recorded, and from then on each batch is copied to where the recording reads it, and the recording is
    replayed. All batches must have one shape.
    """

    UNRECORDED = 3

    def __init__(self, step: Step) -> None:
        self.step, self.seen = step, 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch, as the step does."""
        self.seen += 1
        if self.seen <= self.UNRECORDED:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                result = self.step(images, labels)
            torch.cuda.current_stream().wait_stream(self.stream)
            return result
        if self.graph is None:
            self.images, self.labels = images.clone(), labels.clone()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.loss, self.hits = self.step(self.images, self.labels)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        return self.loss.clone(), self.hits.clone()


class Average:
    """An exponential moving average of a model's weights and stored statistics."""

    def __init__(self, model: nn.Module, average: nn.Module, keep: float) -> None:
        pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        self.averages, self.weights = map(list, zip(*moving, strict=True))
        # Counts of steps are not averaged.
        self.counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        self.update = get_ema_multi_avg_fn(keep)

    def __call__(self) -> None:
        """Take the weights as they are now into the average."""
        self.update(self.averages, self.weights, 0)
        for average, count in self.counts:
            average.copy_(count)
