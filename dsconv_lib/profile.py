"""What a torch model costs, read off the tensors that really pass through it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
FREE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)  # normalisation makes no MAC by convention


def profile(model: nn.Module, input_size: Sequence[int]) -> pd.DataFrame:
    """Run `model` once on zeros and count the MACs of each layer with forward hooks.

    A convolution's or a linear layer's MACs are the elements of its output times the weights that make one of them;
    bias, normalisation and activations make none. A layer that runs twice counts twice.

    Args:
        model: any module made of convolutions, linear layers and batch normalisation.
        input_size: shape of one input without the batch, such as (3, 224, 224).

    Returns:
        One row per executed layer with weights: layer (its name in the model), type, output (its shape, without
        the batch), macs and params (trainable, bias included).

    Raises:
        TypeError: if a layer with weights of its own is of a type that cannot be counted; it is never taken for 0.
    """
    rows: list[dict[str, object]] = []
    handles = []

    def count(name: str, module: nn.Module, output: Tensor) -> None:
        macs = output.numel() * module.weight[0].numel() if isinstance(module, COUNTED) else 0
        rows.append(
            {
                "layer": name,
                "type": type(module).__name__,
                "output": "x".join(map(str, output.shape[1:])),
                "macs": macs,
                "params": sum(p.numel() for p in module.parameters() if p.requires_grad),
            }
        )

    own = {
        name: module
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    }
    for name, module in own.items():
        if not isinstance(module, COUNTED + FREE):
            raise TypeError(
                f"{name or 'the model'} is a {type(module).__name__}, which has weights but no known cost: "
                f"expected only {', '.join(kind.__name__ for kind in COUNTED + FREE)}"
            )
    like = next(model.parameters(), torch.empty(0))  # the model's own device and dtype
    # Module by module: a part of the model may be frozen in the other mode.
    modes = [(module, module.training) for module in model.modules()]
    try:
        for name, module in own.items():
            handles.append(
                module.register_forward_hook(
                    lambda module, _, output, name=name: count(name, module, output)
                )
            )
        with torch.no_grad():
            model.eval()(torch.zeros(1, *input_size, device=like.device, dtype=like.dtype))
    finally:
        for module, mode in modes:
            module.training = mode
        for handle in handles:
            handle.remove()
    return pd.DataFrame(rows, columns=["layer", "type", "output", "macs", "params"])
