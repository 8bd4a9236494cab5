"""Devices, and processes that train one network together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.distributed as dist
from torch import nn

from dsconv_lib.data import load
from dsconv_lib.train import (
    TrainingError,
    build,
    fit,
    joined,
    load_checkpoint,
    pick_device,
    processes,
)
from tests.apart import apart
from tests.runs import ARGUMENTS, CPU, SHORT


def test_the_device_without_a_gpu() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(TrainingError, match="device='tpu': expected 'auto', 'cpu' or 'cuda'"):
        pick_device("tpu")
    if torch.cuda.is_available():
        assert pick_device().type == pick_device("cuda").type == "cuda"
    else:
        assert pick_device().type == "cpu"
        with pytest.raises(TrainingError, match="finds no CUDA device"):
            pick_device("cuda")


# Two processes, as torchrun starts them


def train(folder: Path) -> None:
    torch.set_num_threads(1)
    # In float32 the rounding of the first step grows a hundredfold with each of the next ones.
    torch.set_default_dtype(torch.float64)
    with joined(pick_device("cpu")):
        data = load("digits").subset(256)
        recipe = replace(SHORT, batch_size=64, flip="by chance", average=0.5)
        model = build(ARGUMENTS, seed=0)
        fit(model, data, recipe, way=CPU, folder=folder, resume=True)
        if processes.count() == 2:
            for value in model.state_dict().values():
                other = value.clone()
                dist.broadcast(other, src=0)
                assert torch.equal(other, value), "the two processes hold different weights"


def together(folder: Path) -> list[BaseProcess]:
    """Two that train: like torchrun, this process keeps the store where they meet."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{store.port}", "WORLD_SIZE": "2"}
    told |= {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    started = [apart(train, folder, RANK=rank, LOCAL_RANK=rank, **told) for rank in "01"]
    for each in started:
        each.join(300)
    return started


def test_two_processes_match_one_with_the_same_batches(tmp_path: Path) -> None:
    alone = apart(train, tmp_path / "1")
    alone.join(300)
    assert [each.exitcode for each in (alone, *together(tmp_path / "2"))] == [0, 0, 0]
    one, two = (load_checkpoint(tmp_path / each / "checkpoint.pt") for each in "12")
    assert one.epoch == two.epoch == 2
    for name, weights in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], weights, rtol=1e-5, atol=1e-6)
    ours, theirs = (pd.read_csv(tmp_path / each / "metrics.csv") for each in "12")
    timed = ["images_per_second", "seconds"]
    pd.testing.assert_frame_equal(ours.drop(columns=timed), theirs.drop(columns=timed), rtol=1e-7)


def test_alone_there_is_one_process() -> None:
    assert (processes.count(), processes.rank()) == (1, 0)
    value = torch.arange(3.0)
    assert processes.total(value) is value
    assert processes.from_first(lambda: 5) == 5
    model = nn.BatchNorm2d(2)
    with processes.together(model) as network:
        assert network is model
    assert type(model) is nn.BatchNorm2d


@pytest.fixture
def lone_group(tmp_path: Path) -> Iterator[None]:
    """A group of one process, in which the shared statistics are those of its own batch."""
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("lone_group")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shared_batch_normalisation_is_batch_normalisation(dtype: torch.dtype) -> None:
    own, shared = nn.BatchNorm2d(5), nn.BatchNorm2d(5)
    with torch.no_grad():
        for norm in (own, shared):
            norm.weight.copy_(torch.linspace(-1, 2, 5))
            norm.bias.copy_(torch.linspace(3, 1, 5))
    shared.__class__ = processes.SharedBatchNorm2d
    images = torch.randn(4, 5, 3, 3).add(10).to(dtype)
    inputs = [images.clone().requires_grad_() for _ in range(2)]
    upstream = torch.randn(4, 5, 3, 3).to(dtype)
    for norm, x in zip((own, shared), inputs, strict=True):
        norm(x).backward(upstream)
    exact = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=exact, atol=exact)
    torch.testing.assert_close(shared.weight.grad, own.weight.grad, rtol=exact, atol=exact)
    torch.testing.assert_close(shared.state_dict(), own.state_dict(), rtol=1e-5, atol=1e-5)
    own.load_state_dict(shared.state_dict())
    assert torch.equal(shared.eval()(images), own.eval()(images))


def test_statistics_that_cannot_be_shared_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "count", lambda: 2)
    for norm in (
        nn.BatchNorm1d(3),
        nn.BatchNorm2d(3, affine=False),
        nn.BatchNorm2d(3, momentum=None),
    ):
        with (
            pytest.raises(TrainingError, match="share the statistics of BatchNorm2d alone"),
            processes.together(nn.Sequential(norm)),
        ):
            pass
