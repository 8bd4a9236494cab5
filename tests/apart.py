"""Processes that do not wait for torch: each is a copy of one that has imported it, and done nothing else."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess

APART = multiprocessing.get_context("forkserver")
# torch imports torch._dynamo for the first optimiser, and the digits these parts of scikit-learn.
APART.set_forkserver_preload(
    ["tests.runs", "pytest", "torch._dynamo", "sklearn.datasets", "sklearn.model_selection"]
)


def apart(target: Callable[..., object], *arguments: object, **environment: str) -> BaseProcess:
    """Call a function in a process of its own, with more in its environment."""
    process = APART.Process(target=_call, args=(environment, target, *arguments))
    process.start()
    return process


def _call(environment: dict[str, str], target: Callable[..., object], *arguments: object) -> None:
    os.environ.update(environment)
    target(*arguments)
