"""What moves the weights: the learning rate's way through a run, and the optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dsconv_lib.train.recipes import Recipe


def schedule(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a line up to 1, then a cosine towards 0.

    Args:
        step: optimiser steps taken before this one, 0 to `steps` - 1.
        steps: optimiser steps of the whole run.
        warmup: fraction of the run on the line, 0 to below 1.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a line up to 1, then a line towards 0. Arguments as above.

    Source: Smith and Topin 2018, Super-convergence; the momentum stays as it is here.

    >>> [one_cycle(step, steps=6, warmup=1 / 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 1 - (step - rising) / (steps - rising)


Factor = Callable[[int, int, float], float]
SCHEDULES: dict[str, Factor] = {"cosine": schedule, "one-cycle": one_cycle}


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Sort a model's parameters for the optimiser: with weight decay, and without.

    Depthwise filters get none, as they have so few weights; nor do biases and batch normalisation,
    which have one or two numbers per channel. All other weights do.

    Source: Howard et al. 2017, MobileNets, section 3.2.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in model.modules():
        # A grey image's first layer has in_channels == groups == 1, and is a standard convolution.
        depthwise = getattr(module, "groups", 1) > 1 and module.groups == module.in_channels
        for parameter in module.parameters(recurse=False):
            (free if depthwise or parameter.ndim == 1 else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def make_optimiser(model: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.SGD:
    """Stochastic gradient descent with Nesterov momentum, on the parameters of `model`."""
    on_gpu, rate = device.type == "cuda", recipe.learning_rate
    return torch.optim.SGD(
        parameter_groups(model, recipe.weight_decay),
        # On a GPU the rate is a tensor: a recorded step reads it anew each time it is replayed.
        lr=torch.tensor(rate, device=device) if on_gpu else rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        fused=on_gpu,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate for the next step, in place where it is a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state, and keep its learning rate where it was: on the device."""
    rates = [group["lr"] for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate
