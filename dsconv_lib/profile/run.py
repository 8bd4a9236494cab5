"""One run of a model, as for inference, under a meter; it leaves the model as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dsconv_lib.profile.operations import COUNTED, Cost, base, cost_of, name_of, why_free
from dsconv_lib.spec import SpecError


class Meter(TorchDispatchMode):
    """While it is on, `write` gets what each operation costs: the ledger's `forward`, and later its `backward`."""

    def __init__(self, write: Callable[[str, Cost, list[Tensor], list[Tensor]], None]) -> None:
        super().__init__()
        self.write = write

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the first profile the seconds in which torch would import its compiler; see `undisturbed`."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation of torch and write down what it cost."""
        kwargs = kwargs or {}
        name = name_of(func)
        product = base(name) in COUNTED
        free = None if product else why_free(func)
        if not product and free is None:
            # Under inference_mode an operation that is made of others arrives in one piece.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        if product and all(t.layout == torch.strided for t in tensors):
            cost = cost_of(name, args, outputs[0])
        elif free:
            cost = Cost(free, 0)
        else:
            cost = Cost(name.replace("::", ".") if "::" in name else f"aten.{name}", None)
        self.write(name, cost, tensors, outputs)
        return result


def inputs_of(
    model: nn.Module, input_size: Sequence[int] | Tensor | tuple[Tensor, ...], batch: int
) -> tuple[Tensor, ...]:
    """Return what `profile` runs a model on: zeros of one size, or the given tensors."""
    given = (input_size,) if isinstance(input_size, Tensor) else tuple(input_size)
    tensors = tuple(t for t in given if isinstance(t, Tensor))
    if not tensors:
        like = next(model.parameters(), torch.empty(0))  # the model's own device and dtype
        shape: Any = (batch, *given)
        return (torch.zeros(shape, device=like.device, dtype=like.dtype),)
    if len(tensors) < len(given) or batch != 1:
        raise SpecError(
            f"input_size={tuple(type(t).__name__ for t in given)} with batch={batch}: expected the sizes of one "
            f"input, or nothing but tensors, which have their own batch, and no other batch"
        )
    return tensors


def differentiate(model: nn.Module, inputs: tuple[Tensor, ...], outputs: object) -> None:
    """Let autograd go back from every output, without touching any `.grad`."""
    ends = [t for t in tree_leaves(outputs) if isinstance(t, Tensor) and t.requires_grad]
    wanted = [t for t in (*model.parameters(), *inputs) if t.requires_grad]
    if ends and wanted:
        torch.autograd.grad(ends, wanted, [torch.ones_like(t) for t in ends], allow_unused=True)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run as for inference, with attention as plain products, uncompiled; put modes and buffers back at the end."""
    # Module by module: a part of the model may be frozen in the other mode.
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        model.eval()
        # A compiled model has loaded the compiler; its kernels would hide the operations.
        compiled = "torch._dynamo" in sys.modules
        eager = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
        with sdpa_kernel(SDPBackend.MATH), eager:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, before in buffers:
            module._buffers[name] = buffer
            with torch.no_grad():
                buffer.copy_(before)
