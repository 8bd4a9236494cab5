"""The meter: it sees every operation that torch runs while it is on, and knows what it cost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dsconv_lib.profile.free import name_of, why_free
from dsconv_lib.profile.ledger import Ledger
from dsconv_lib.profile.products import Cost, cost_of, is_product


class Meter(TorchDispatchMode):
    """While it is on, `write` gets what each operation costs: the ledger's `forward`, and later its `backward`."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.weights = ledger.weights
        self.write = ledger.forward

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the first profile the seconds in which torch would import its compiler; see `run.undisturbed`."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one operation of torch and write down what it cost."""
        kwargs = kwargs or {}
        name = name_of(func)
        product = is_product(name)
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
            cost = cost_of(name, args, outputs[0], self.weights)
        elif free:
            cost = Cost(free, 0)
        else:
            cost = Cost(name.replace("::", ".") if "::" in name else f"aten.{name}", None)
        self.write(name, cost, tensors, outputs)
        return result
