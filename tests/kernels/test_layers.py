"""Networks whose depthwise layers are put on the kernels and back."""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from dsconv_lib import layers, spec
from dsconv_lib.kernels import DepthwiseConv2d, swap_in, swap_out, swapped
from dsconv_lib.models import MobileNetV1


def network() -> nn.Module:
    return nn.Sequential(
        layers.of(spec.standard(3, 8, 16, 3, padding=1)),
        layers.of(spec.separable(8, 6, 16, 3, padding=1, stride=2), norm_relu=True),
        layers.of(spec.depthwise(6, 16, (3, 1), padding=(1, 0), dilation=(1, 2))),
    )


def test_a_network_computes_the_same(device: str) -> None:
    theirs = network().to(device)
    ours = copy.deepcopy(theirs)
    before = copy.deepcopy(ours.state_dict())
    x = torch.randn(4, 3, 6, 6, device=device)
    with swapped(ours) as names:
        assert names == ("1.depthwise", "2")
        assert [type(ours.get_submodule(name)) for name in names] == [DepthwiseConv2d] * 2
        assert list(ours.state_dict()) == list(before)
        assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
        for model in (theirs, ours):
            model(x).square().sum().backward()
    for (name, expected), got in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, rtol=1e-4, atol=1e-5, msg=name)
    assert not any(type(module) is DepthwiseConv2d for module in ours.modules())


def test_the_layers_come_back_after_an_error(device: str) -> None:
    model = network().to(device)
    with pytest.raises(ZeroDivisionError), swapped(model):
        assert 1 / 0
    assert type(model[2]) is nn.Conv2d


def test_every_depthwise_layer_of_mobilenet_and_no_other(device: str) -> None:
    model = MobileNetV1(0.25).to(device)
    taken = swap_in(model)
    assert len(taken) == 13
    assert all(name.endswith("depthwise.conv") for name in taken)
    assert swap_in(model) == (), "taken already"
    swap_out(model)
    assert swap_in(model) == taken


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, groups=4),  # has a bias
        nn.Conv2d(4, 4, 3, groups=2, bias=False),
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, padding="same"),
        nn.Conv2d(4, 4, 3, groups=4, bias=False, padding=1, padding_mode="reflect"),
        nn.Conv1d(4, 4, 3, groups=4, bias=False),
        nn.ConvTranspose2d(4, 4, 3, groups=4, bias=False),
    ],
    ids=str,
)
def test_layers_that_are_left_alone(layer: nn.Module) -> None:
    before = type(layer)
    assert swap_in(layer) == ()
    assert type(layer) is before


# In a process of its own: without Triton, and then without the interpreter
ELSEWHERE = """
import sys
import dsconv_lib.train, dsconv_lib.models
assert "triton" not in sys.modules
from importlib import machinery
from dsconv_lib.errors import UserError
find = machinery.PathFinder.find_spec
machinery.PathFinder.find_spec = lambda name, *rest: None if name == "triton" else find(name, *rest)
try:
    import dsconv_lib.kernels
except UserError as error:
    print(error)
machinery.PathFinder.find_spec = find

import torch
from dsconv_lib.kernels import KernelError, depthwise_conv2d, swap_in
model = torch.nn.Conv2d(2, 2, 3, groups=2, bias=False)
for call in (lambda: swap_in(model), lambda: depthwise_conv2d(torch.ones(1, 2, 3, 3), model.weight)):
    try:
        call()
    except KernelError as error:
        print(error)
assert type(model) is torch.nn.Conv2d
"""


def test_only_the_kernels_need_triton_and_without_its_interpreter_they_refuse_a_cpu() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    missing, *refused = done.stdout.splitlines()
    assert missing.startswith("a kernel for a GPU, on Linux, needs triton: ")
    assert len(refused) == 2
    assert all(line.startswith("device cpu: expected a CUDA GPU") for line in refused)
