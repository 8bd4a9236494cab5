"""The rows of the table: which module ran an operation, which row a gradient belongs to, and what is a weight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from dsconv_lib.profile.operations import VECTOR_PRODUCTS, Cost, base


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


@dataclass
class Run:
    """One run of one module, and the rows of the operations right in it."""

    layer: str
    type: str
    rows: list[Row] = field(default_factory=list)


@dataclass(kw_only=True)
class Row:
    """One line of the table; None is a number that is not known."""

    run: Run
    operation: str
    output: str
    elements: int
    macs: int | None
    params: int = 0
    reads: int | None = 0
    writes: int | None = 0
    bytes: int | None = 0
    backward: int | None = 0
    vectors: bool = False


class Ledger:
    """The rows of a profile, written operation by operation while a batch of `batch` inputs runs."""

    def __init__(self, model: nn.Module, batch: int) -> None:
        self.rows: list[Row] = []
        self.weights = Weights(model)
        self._batch = batch
        self._running = [Run("", type(model).__name__)]
        # Autograd numbers the steps that it will go back through: where the step of each number was made.
        self._origins: dict[int, Run | Row] = {}

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Know which module is running."""

        def enter(name: str, module: nn.Module, _: object) -> None:
            self._running.append(Run(name, type(module).__name__))

        def leave(_: nn.Module, __: object, output: object) -> None:
            run = self._running.pop()
            if isinstance(output, Tensor):
                # A product sees (batch * positions, features); its layer may return them in more dimensions.
                same = [row for row in run.rows if row.elements == output.numel()]
                if same:
                    same[-1].output = self._shape(output)

        with ExitStack() as hooks:
            for name, module in model.named_modules():
                before = module.register_forward_pre_hook(partial(enter, name), prepend=True)
                hooks.enter_context(before)
                # Also after an exception: the model may catch it.
                hooks.enter_context(module.register_forward_hook(leave, always_call=True))
            yield

    def forward(self, name: str, cost: Cost, tensors: list[Tensor], outputs: list[Tensor]) -> None:
        """Write down an operation of the forward pass, if it has products, holds weights or is unknown."""
        run = self._running[-1]
        # The step that autograd has just made for this operation, if it has made one.
        step = torch._C._autograd._get_sequence_nr() - 1
        self._origins.setdefault(step, run)
        inside = [self.weights.inside(t) for t in tensors]
        parameters = frozenset[nn.Parameter]().union(*(p for p in inside if p))
        free = cost.macs == 0 and not cost.factors
        if free and tensors and None not in inside:
            for output in outputs:
                self.weights.add(output, parameters)
        elif not free or parameters:
            last = run.rows[-1] if run.rows else None
            # A bias that is added to a product afterwards belongs to it.
            bias = free and base(name) == "add"
            row = last if bias and last and last.macs != 0 else self._row(run, cost, outputs)
            row.vectors |= base(name) in VECTOR_PRODUCTS
            row.params += self.weights.first_use(parameters)
            if isinstance(self._origins[step], Run):
                self._origins[step] = row

    def backward(self, name: str, cost: Cost, tensors: list[Tensor], outputs: list[Tensor]) -> None:
        """Add what an operation of the backward pass makes to the row whose gradient it is."""
        step = torch._C._current_autograd_node()
        origin = self._origins.get(step._sequence_nr()) if step else None
        macs = cost.macs
        if isinstance(origin, Row) and origin.vectors and name == "mul" and len(tensors) == 2:
            macs = outputs[0].numel()
        if macs == 0:
            return
        if not isinstance(origin, Row):
            origin = self._row(origin or self._running[-1], Cost(self._kind(cost), 0), outputs)
        known = macs is not None and origin.backward is not None
        origin.backward = (origin.backward or 0) + (macs or 0) if known else None

    def _row(self, run: Run, cost: Cost, outputs: list[Tensor]) -> Row:
        row = Row(
            run=run,
            operation=self._kind(cost),
            output=self._shape(outputs[0]) if outputs else "",
            elements=outputs[0].numel() if outputs else 0,
            macs=cost.macs,
        )
        if cost.factors:
            # In a convolution the second factor is a weight, wherever it comes from.
            read = cost.factors if cost.kind == "matmul" else cost.factors[:1]
            row.reads = sum(t.numel() for t in read if t not in self.weights)
            row.writes = row.elements
            row.bytes = sum(t.numel() * t.element_size() for t in (*cost.factors, outputs[0]))
        elif cost.macs is None:
            row.reads = row.writes = row.bytes = None
        self.rows.append(row)
        run.rows.append(row)
        return row

    def _kind(self, cost: Cost) -> str:
        """Tell the product with a weight, which is what a linear layer makes, from that of two activations."""
        linear = cost.kind == "matmul" and any(t in self.weights for t in cost.factors)
        return "linear" if linear else cost.kind

    def _shape(self, output: Tensor) -> str:
        """Write a shape without the batch, also where the batch shares its dimension with something else."""
        first, *rest = output.shape or (1,)
        first = first if first % self._batch else first // self._batch
        return "x".join(map(str, rest if first == 1 else [first, *rest]))


def _storage(tensor: Tensor) -> int | None:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return None  # sparse and other tensors without one
