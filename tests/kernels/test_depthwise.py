"""The kernels against torch's own convolution in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dsconv_lib import spec as specs
from dsconv_lib.kernels import KernelError, depthwise_conv2d, launch
from dsconv_lib.kernels.tiles import Tile
from dsconv_lib.spec import ConvSpec, SpecError

# Share of the error in the length of the result, from rounding it to the type.
ERROR = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 1e-2}


class Numbers(NamedTuple):
    """One convolution: what goes in, and what comes out of torch in float64."""

    spec: ConvSpec
    x: Tensor
    weight: Tensor
    grad_output: Tensor
    y: Tensor
    grad_x: Tensor
    grad_weight: Tensor

    @property
    def arguments(self) -> dict[str, Any]:
        padding = tuple(before for before, _ in self.spec.pads)
        return {"stride": self.spec.stride, "padding": padding, "dilation": self.spec.dilation}

    @property
    def taps(self) -> Tensor:
        return self.weight.flatten(1).t().contiguous()


def numbers(spec: ConvSpec, batch: int, dtype: torch.dtype, device: str, seed: int = 0) -> Numbers:
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype).to(device)

    x, weight = draw(spec.input_shape(batch)), draw(spec.weight_shape)
    grad_output = draw(spec.output_shape(batch))
    made = Numbers(spec, x, weight, grad_output, *[torch.empty(0)] * 3)
    exact = [tensor.double().requires_grad_() for tensor in (x, weight)]
    y = F.conv2d(*exact, groups=spec.groups, **made.arguments)
    grads = torch.autograd.grad(y, exact, grad_output.double())
    return made._replace(y=y.detach(), grad_x=grads[0], grad_weight=grads[1])


def close(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert got.shape == expected.shape
    error = (got.double() - expected).norm()
    assert error <= ERROR[dtype] * expected.norm(), f"{error / expected.norm():.1e}"


def in_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw: st.DrawFn) -> ConvSpec:
    """Draw one; images may be smaller than the kernel, zeros wider."""
    kernel_size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = tuple(draw(st.integers(0, k)) for k in kernel_size)
    span = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    in_size = tuple(
        max(1, n - 2 * p) + draw(st.integers(0, 6)) for n, p in zip(span, padding, strict=True)
    )
    return specs.depthwise(
        draw(st.integers(1, 40)),
        in_size,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )


tiles = st.builds(
    Tile,
    patch=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    patches=st.sampled_from([1, 4, 16]),
    channels=st.sampled_from([8, 32]),
    warps=st.just(1),
)


# To look for a smaller example takes the interpreter minutes.
@settings(max_examples=25, phases=[Phase.generate])
@given(
    spec=convolutions(),
    batch=st.integers(1, 3),
    dtype=st.sampled_from(list(ERROR)),
    tile=tiles,
    at_most=st.integers(1, 4),
)
def test_each_kernel_with_any_share_of_the_work(
    device: str, spec: ConvSpec, batch: int, dtype: torch.dtype, tile: Tile, at_most: int
) -> None:
    given = numbers(spec, batch, dtype, device)
    x = given.x.contiguous(memory_format=torch.channels_last)
    y = launch.forward(x, given.taps, spec, tile)
    close(y, given.y, dtype)
    patch = tuple(side * step for side, step in zip(tile.patch, spec.stride, strict=True))
    tile_x = Tile(patch, tile.patches, tile.channels, tile.warps)
    grad_x = launch.input_gradient(given.grad_output, given.taps, spec, tile_x)
    close(grad_x, given.grad_x, dtype)
    grad_taps = launch.weight_gradient(given.grad_output, x, spec, tile, at_most)
    close(grad_taps.t().reshape(spec.weight_shape), given.grad_weight, torch.float32)
    assert y.dtype == grad_x.dtype == dtype
    assert grad_taps.dtype == torch.float32
    assert in_channels_last(y)
    assert in_channels_last(grad_x)


NETWORK = [
    specs.depthwise(24, (7, 6), 3, padding=1),
    specs.depthwise(70, (5, 8), 3, stride=2, padding=1),
    specs.depthwise(20, 2, 3, padding=1),
    specs.depthwise(4, (6, 5), (5, 2), stride=(1, 3), padding=(2, 0), dilation=(1, 2)),
]


@pytest.mark.parametrize("spec", NETWORK, ids=str)
@pytest.mark.parametrize("dtype", ERROR)
def test_the_operation_and_its_gradients(device: str, spec: ConvSpec, dtype: torch.dtype) -> None:
    given = numbers(spec, 3, dtype, device)
    x, weight = given.x.requires_grad_(), given.weight.requires_grad_()
    y = depthwise_conv2d(x, weight, **given.arguments)
    y.backward(given.grad_output)
    close(y, given.y, dtype)
    close(x.grad, given.grad_x, dtype)
    close(weight.grad, given.grad_weight, dtype)
    assert y.dtype == x.grad.dtype == weight.grad.dtype == dtype
    assert in_channels_last(y)


def test_only_the_gradients_asked_for(device: str) -> None:
    given = numbers(NETWORK[0], 2, torch.float32, device)
    for name, expected in (("x", given.grad_x), ("weight", given.grad_weight)):
        leaves = {"x": given.x.clone(), "weight": given.weight.clone()}
        leaves[name].requires_grad_()
        y = depthwise_conv2d(*leaves.values(), **given.arguments)
        y.backward(given.grad_output)
        close(leaves[name].grad, expected, torch.float32)
    with torch.no_grad():
        assert not depthwise_conv2d(given.x, given.weight).requires_grad


def test_a_gradient_of_any_layout_and_twice_the_same_numbers(device: str) -> None:
    given = numbers(NETWORK[1], 3, torch.float32, device)
    spread = torch.ones((), device=device).expand(given.y.shape)  # as after .sum()
    results = [
        launch.weight_gradient(each, x, given.spec)
        for each in (spread, spread.contiguous())
        for x in (given.x, given.x.contiguous(memory_format=torch.channels_last))
    ]
    assert all(torch.equal(result, results[0]) for result in results)


# As a part of torch


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_what_it_does_for_a_convolution(device: str, dtype: torch.dtype) -> None:
    given = numbers(NETWORK[0], 2, torch.float32, device)
    x, weight = given.x.requires_grad_(), given.weight.requires_grad_()
    with torch.autocast(device, dtype=dtype):
        y = depthwise_conv2d(x, weight, **given.arguments)
        theirs = F.conv2d(x, weight, groups=24, **given.arguments)
    assert y.dtype == theirs.dtype == dtype
    y.backward(given.grad_output.to(dtype))
    close(y, given.y, dtype)
    close(x.grad, given.grad_x, dtype)
    close(weight.grad, given.grad_weight, dtype)
    assert x.grad.dtype == weight.grad.dtype == torch.float32


def test_torch_compile_takes_it_as_it_is(device: str) -> None:
    given = numbers(NETWORK[0], 2, torch.float32, device)

    def step(x: Tensor, weight: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16):
            return depthwise_conv2d(x.relu(), weight, **given.arguments).relu().float()

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    results = []
    for run in (step, compiled):
        leaves = [given.x.clone().requires_grad_(), given.weight.clone().requires_grad_()]
        y = run(*leaves)
        y.backward(given.grad_output)
        results.append([y, *(leaf.grad for leaf in leaves)])
    assert all(map(torch.equal, *results))
    assert in_channels_last(results[1][0])


def test_what_torch_asks_of_an_operation(device: str) -> None:
    given = numbers(NETWORK[3], 2, torch.float32, device)
    sizes = [n for pair in (given.spec.kernel_size, *given.arguments.values()) for n in pair]
    leaves = [given.x.requires_grad_(), given.taps.detach().requires_grad_()]
    depthwise = torch.ops.dsconv.depthwise.default
    torch.library.opcheck(depthwise, (*leaves, sizes))
    to_x = torch.ops.dsconv.depthwise_input_gradient.default
    in_size = list(given.spec.in_size)
    torch.library.opcheck(to_x, (given.grad_output, given.taps.detach(), in_size, sizes))
    to_weight = torch.ops.dsconv.depthwise_weight_gradient.default
    torch.library.opcheck(to_weight, (given.grad_output, given.x.detach(), sizes))


# What is refused


@pytest.mark.parametrize(
    ("x", "weight", "expected"),
    [
        ((2, 3, 4), (3, 1, 3, 3), r"x has shape \(2, 3, 4\) and weight \(3, 1, 3, 3\): expected"),
        ((2, 3, 4, 4), (6, 1, 3, 3), r"weight \(6, 1, 3, 3\): expected \(B, C, H, W\) and \(C, 1"),
        ((2, 3, 4, 4), (3, 3, 3, 3), "a filter for each channel"),
        ((0, 3, 4, 4), (3, 1, 3, 3), r"\(0, 3, 4, 4\) has 0 numbers: expected at least one"),
    ],
)
def test_shapes_that_do_not_fit(
    device: str, x: tuple[int, ...], weight: tuple[int, ...], expected: str
) -> None:
    with pytest.raises(KernelError, match=expected):
        depthwise_conv2d(torch.ones(x, device=device), torch.ones(weight, device=device))


def test_types_that_do_not_fit(device: str) -> None:
    x, weight = torch.ones(1, 2, 3, 3, device=device), torch.ones(2, 1, 3, 3, device=device)
    with pytest.raises(KernelError, match=r"x is torch.float64 and weight torch.float64: expected"):
        depthwise_conv2d(x.double(), weight.double())
    with pytest.raises(KernelError, match=r"torch.bfloat16 and weight torch.float32: .* the same"):
        depthwise_conv2d(x.bfloat16(), weight)
    with pytest.raises(KernelError, match=r"weight on meta: expected one device"):
        depthwise_conv2d(x, weight.to("meta"))
    with pytest.raises(SpecError, match="more than the padded input"):
        depthwise_conv2d(x, weight, dilation=2)


def test_a_map_with_too_many_numbers_for_32_bits() -> None:
    spec = specs.depthwise(2**10, 2**5, 1)
    x = torch.empty(spec.input_shape(2**11), device="meta")
    with pytest.raises(KernelError, match=r"2147483648 numbers: expected .* fewer than 2\^31"):
        launch.forward(x, torch.empty(1, 2**10, device="meta"), spec)
