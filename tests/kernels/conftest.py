"""Where there is no GPU, Triton's interpreter runs the kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

if DEVICE == "cuda":
    # Else matrix products are refused while algorithms must be deterministic, as below.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
else:
    # Triton reads the variable when a kernel is defined, its own ones included: so it is set before the first import
    # of either, and only for this folder's tests, as the processes that other tests start are not to inherit it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        import triton

        from dsconv_lib.kernels import launch

        for program in (launch.programs.forward, triton.language.sum):
            assert not isinstance(program, triton.JITFunction), "imported before: by which test?"


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def device() -> str:
    return DEVICE


@pytest.fixture(autouse=True)
def _poisoned() -> Iterator[None]:
    """Let new memory hold NaN, so that a number that no kernel has written shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
