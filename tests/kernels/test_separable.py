"""The fused kernel against torch's own layers: depthwise, normalisation, ReLU, pointwise, normalisation, ReLU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from dsconv_lib import layers
from dsconv_lib import spec as specs
from dsconv_lib.kernels import KernelError, Weights, fold, launch, separable_conv2d
from dsconv_lib.kernels.tiles import SeparableTile
from dsconv_lib.spec import SeparableSpec
from tests.kernels.test_depthwise import ERROR, close, in_channels_last

HALVES = "depthwise", "depthwise_norm", "pointwise", "pointwise_norm"
SMALL = SeparableTile((1, 2), patches=16, channels=16, warps=4, outputs=16)


def eager(conv: SeparableSpec, device: str, dtype: torch.dtype, seed: int = 0) -> nn.Sequential:
    """Make the layers as they are after training: no scale, shift, mean or variance is what it was at the start."""
    torch.manual_seed(seed)
    model = layers.of(conv, norm_relu=True)
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 2)
    return model.eval().to(device, dtype)


def halves(model: nn.Sequential) -> list[Any]:
    return [model.get_submodule(name) for name in HALVES]


def window(conv: SeparableSpec) -> dict[str, Any]:
    first = conv.depthwise
    padding = tuple(before for before, _ in first.pads)
    return {"stride": first.stride, "padding": padding, "dilation": first.dilation}


def image(conv: SeparableSpec, batch: int, device: str, dtype: torch.dtype) -> Tensor:
    return torch.randn(conv.depthwise.input_shape(batch)).to(device, dtype)


@torch.no_grad()
def check(
    conv: SeparableSpec,
    batch: int,
    dtype: torch.dtype,
    device: str,
    tile: SeparableTile | None = None,
) -> None:
    model = eager(conv, device, dtype)
    x = image(conv, batch, device, dtype)
    weights = fold(*halves(model))
    y = separable_conv2d(x, weights, conv.depthwise.kernel_size, **window(conv), tile=tile)
    assert y.dtype == dtype
    assert in_channels_last(y)
    # In float64, so that what is left is the kernel's own rounding.
    close(y, model.double()(x.double()), dtype)


@pytest.mark.parametrize("dtype", ERROR)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_the_layers_of_a_mobilenet(
    device: str, kernel_size: int, stride: int, dtype: torch.dtype
) -> None:
    # Odd sizes, more channels than a tile and not a multiple of it; the usual tile.
    padding = (kernel_size - 1) // 2
    conv = specs.separable(37, 45, (9, 7), kernel_size, stride=stride, padding=padding)
    check(conv, 3, dtype, device)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "in_size", "batch"),
    [
        (1, 1, (1, 1), 1),
        (1, 20, (3, 4), 2),
        (20, 1, (4, 3), 2),
        (40, 24, (1, 1), 1),
        (16, 32, (1, 6), 1),
        (33, 17, (2, 2), 5),
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_one_channel_one_pixel_one_image(
    device: str,
    in_channels: int,
    out_channels: int,
    in_size: tuple[int, int],
    batch: int,
    stride: int,
    kernel_size: int,
) -> None:
    padding = (kernel_size - 1) // 2
    conv = specs.separable(
        in_channels, out_channels, in_size, kernel_size, stride=stride, padding=padding
    )
    check(conv, batch, torch.float32, device, SMALL)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw: st.DrawFn) -> SeparableSpec:
    """Draw one of any kernel: images may be smaller than it, zeros wider."""
    kernel_size, dilation = draw(pairs), draw(pairs)
    padding = tuple(draw(st.integers(0, k)) for k in kernel_size)
    span = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    least = (max(1, n - 2 * p) for n, p in zip(span, padding, strict=True))
    in_size = tuple(side + draw(st.integers(0, 6)) for side in least)
    channels = st.integers(1, 40)
    return specs.separable(
        draw(channels),
        draw(channels),
        in_size,
        kernel_size,
        stride=draw(pairs),
        padding=padding,
        dilation=dilation,
    )


tiles = st.builds(
    SeparableTile,
    patch=st.tuples(st.integers(1, 2), st.integers(1, 4)),
    patches=st.sampled_from([16, 32]),
    channels=st.sampled_from([16, 32]),
    warps=st.just(4),
    outputs=st.sampled_from([16, 64]),
)


# To look for a smaller example takes the interpreter minutes.
@settings(max_examples=25, phases=[Phase.generate])
@given(conv=convolutions(), batch=st.integers(1, 3), dtype=st.sampled_from(list(ERROR)), tile=tiles)
def test_any_convolution_with_any_share_of_the_work(
    device: str, conv: SeparableSpec, batch: int, dtype: torch.dtype, tile: SeparableTile
) -> None:
    check(conv, batch, dtype, device, tile)


@torch.no_grad()
def test_it_rounds_where_two_layers_round(device: str) -> None:
    # In float16: the interpreter cuts off where a GPU rounds to bfloat16.
    half = torch.float16
    x = torch.randn(2, 24, 5, 5).to(device, half)
    taps, matrix = torch.randn(24, 1, 3, 3).to(device), torch.randn(24, 8).to(device, half)
    between = F.conv2d(x.float(), taps, padding=1, groups=24).relu().to(half)
    expected = torch.einsum("bchw,cn->bnhw", between.float(), matrix.float()).relu().to(half)
    zeros = torch.zeros(24, device=device)
    weights = Weights(taps.flatten(1).t().contiguous(), zeros, matrix, zeros[:8])
    got = separable_conv2d(x, weights, 3, padding=1, tile=SMALL)
    # All but a few, as sums in another order may round otherwise.
    assert (got == expected).float().mean() > 0.97


@torch.no_grad()
def test_folding_takes_a_bias_and_a_normalisation_without_scale(device: str) -> None:
    conv = specs.separable(5, 7, 4, 3, padding=1)
    model = eager(conv, device, torch.float32)
    for name, half in conv._asdict().items():
        setattr(model, name, layers.of(half, bias=True).to(device))
        plain = nn.BatchNorm2d(half.out_channels, affine=False).to(device).eval()
        plain.running_mean.normal_()
        setattr(model, f"{name}_norm", plain)
    x = image(conv, 2, device, torch.float32)
    y = separable_conv2d(x, fold(*halves(model)), 3, padding=1, tile=SMALL)
    close(y, model.double()(x.double()), torch.float32)


@torch.no_grad()
def test_it_hides_no_nan(device: str) -> None:
    conv = specs.separable(4, 3, 5, 3, padding=1)
    model = eager(conv, device, torch.float32)
    x = image(conv, 1, device, torch.float32)
    x[0, 2, 0, 0] = torch.nan
    y = separable_conv2d(x, fold(*halves(model)), 3, padding=1, tile=SMALL)
    assert torch.equal(y.isnan(), model(x).isnan())
    assert y.isnan().sum() == 3 * 4


def guarded(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same numbers, in a row, in the middle of NaN, and all of that memory."""
    memory = numbers.new_full((numbers.numel() + 128,), torch.nan)
    inner = memory[64:-64]
    inner.copy_(numbers.flatten())
    return inner, memory


@torch.no_grad()
def test_it_stays_within_its_arrays(device: str) -> None:
    conv = specs.separable(19, 21, (5, 3), 3, padding=1)
    model = eager(conv, device, torch.float32)
    x, weights = image(conv, 2, device, torch.float32), fold(*halves(model))
    expected = model(x).permute(0, 2, 3, 1).flatten()
    y, memory = guarded(torch.zeros_like(expected))
    arrays = [guarded(each)[0] for each in (x.permute(0, 2, 3, 1), *weights)]
    patches = SMALL.count(conv.depthwise.out_size, 2)
    grid = (triton.cdiv(patches, SMALL.patches) * triton.cdiv(21, SMALL.outputs),)
    constants = launch.separable_constants(conv.depthwise, 21, torch.float32, SMALL)
    launch.programs.separable[grid](y, *arrays, patches, **constants)
    close(y, expected.double(), torch.float32)
    assert memory.isnan().sum() == 128


# As a part of torch


@torch.no_grad()
def test_what_torch_asks_of_an_operation(device: str) -> None:
    conv = specs.separable(6, 9, (5, 4), 3, stride=(2, 1), padding=1)
    weights = fold(*halves(eager(conv, device, torch.bfloat16)))
    x = image(conv, 2, device, torch.bfloat16)
    sizes = [3, 3, 2, 1, 1, 1, 1, 1]
    for tile in ([], SMALL.numbers):
        torch.library.opcheck(torch.ops.dsconv.separable.default, (x, *weights, sizes, tile))


@torch.no_grad()
def test_torch_compile_takes_it_as_it_is(device: str) -> None:
    conv = specs.separable(6, 9, (5, 4), 3, stride=2, padding=1)
    weights = fold(*halves(eager(conv, device, torch.float32)))

    def run(x: Tensor) -> Tensor:
        return separable_conv2d(x + 1, weights, 3, stride=2, padding=1, tile=SMALL) * 2

    compiled = torch.compile(run, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch in (2, 3):
        x = image(conv, batch, device, torch.float32)
        assert torch.equal(compiled(x), run(x))


def test_the_same_result_from_any_layout_and_tile(device: str) -> None:
    conv = specs.separable(20, 18, (5, 6), 3, padding=1)
    weights = fold(*halves(eager(conv, device, torch.float32)))
    x = image(conv, 2, device, torch.float32)
    last = x.contiguous(memory_format=torch.channels_last)
    other = SeparableTile((2, 1), patches=32, channels=16, warps=4, outputs=32)
    results = [
        separable_conv2d(each, weights, 3, padding=1, tile=tile)
        for each in (x, last)
        for tile in (SMALL, other)
    ]
    assert torch.equal(results[0], results[2])
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


# What is refused


def weights_of(model: nn.Sequential, **other: Tensor) -> Weights:
    return fold(*halves(model))._replace(**other)


def test_tensors_that_do_not_fit(device: str) -> None:
    conv = specs.separable(4, 6, 5, 3, padding=1)
    model = eager(conv, device, torch.float32)
    good, x = weights_of(model), image(conv, 2, device, torch.float32)
    with pytest.raises(KernelError, match=r"x has shape \(4, 5, 5\), the kernel 3 x 3 taps"):
        separable_conv2d(x[0], good, 3)
    with pytest.raises(KernelError, match=r"\(2, 3, 5, 5\).*\(taps, C\), \(C,\), \(C, N\), \(N,\)"):
        separable_conv2d(x[:, :3], good, 3)
    with pytest.raises(KernelError, match=r"the kernel 5 x 5 taps, and the weights \(\(9, 4\)"):
        separable_conv2d(x, good, 5)
    with pytest.raises(KernelError, match=r"\(6, 4\)"):
        separable_conv2d(x, good._replace(matrix=good.matrix.t()), 3)
    with pytest.raises(KernelError, match=r"bfloat16 and the matrix torch.float32: .* the same"):
        separable_conv2d(x.bfloat16(), good, 3)
    with pytest.raises(KernelError, match="float64 and the matrix"):
        separable_conv2d(x.double(), good, 3)
    with pytest.raises(KernelError, match="expected float32, as from fold"):
        separable_conv2d(x, good._replace(bias=good.bias.half()), 3)
    with pytest.raises(KernelError, match=r"the weights on \S+, \S+, \S+, meta: expected one"):
        separable_conv2d(x, good._replace(bias=good.bias.to("meta")), 3)
    with pytest.raises(KernelError, match="a gradient is asked for: expected inference"):
        separable_conv2d(x.requires_grad_(), good, 3)
    with pytest.raises(specs.SpecError, match="more than the padded input"):
        separable_conv2d(x.detach(), good, 3, dilation=3)
    with pytest.raises(KernelError, match=r"\(0, 4, 5, 5\) has 0 numbers"):
        separable_conv2d(x.detach()[:0], good, 3)


def test_an_output_with_too_many_numbers_for_32_bits() -> None:
    # The input alone would do.
    conv = specs.depthwise(1, 2**5, 1)
    shapes = {"taps": (1, 1), "shift": (1,), "matrix": (1, 2**10), "bias": (2**10,)}
    weights = Weights(*(torch.empty(shape, device="meta") for shape in shapes.values()))
    x = torch.empty(conv.input_shape(2**11), device="meta")
    with pytest.raises(KernelError, match=r"2147483648 numbers: expected .* fewer than 2\^31"):
        launch.separable(x, weights, conv)


@pytest.mark.parametrize(
    ("place", "layer"),
    [
        (0, nn.Conv2d(4, 8, 3, groups=4)),
        (0, nn.Conv2d(4, 4, 3, groups=4, padding="same")),
        (0, nn.Conv2d(4, 4, 3, groups=4, padding=1, padding_mode="reflect")),
        (2, nn.Conv2d(4, 6, 3)),
        (2, nn.Conv2d(4, 6, 1, stride=2)),
        (2, nn.Conv2d(4, 6, 1, padding=1)),
        (2, nn.Conv2d(4, 6, 1, groups=2)),
        (2, nn.Conv2d(5, 6, 1)),
    ],
    ids=str,
)
def test_layers_that_are_no_halves(place: int, layer: nn.Module) -> None:
    given = [nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6)]
    fold(*given)
    given[place] = layer
    with pytest.raises(KernelError, match="expected a depthwise convolution with one filter"):
        fold(*given)


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(3), nn.BatchNorm2d(4, track_running_stats=False)], ids=str
)
def test_normalisation_that_cannot_be_folded(norm: nn.BatchNorm2d) -> None:
    with pytest.raises(KernelError, match="expected running statistics of 4 channels"):
        fold(nn.Conv2d(4, 4, 3, groups=4), norm, nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6))
