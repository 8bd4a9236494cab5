"""Pointwise convolution: what is asked, the right answers, and the wrong ones that have a name."""

import math

import numpy as np

from dsconv_lib import cost, ops, spec
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question, whole

WRITTEN = {"narrow-passage": 3, "shuffled-pixels": 2}


# ---- The operation -------------------------------------------------------------------------------


def mix(x, weight, stride):
    return ops.pointwise(x, weight, stride=stride)


@question(
    "pointwise",
    function="pointwise_conv2d",
    points=3,
    reference=mix,
    shape="rows and columns are (H - 1) // s + 1, and there are as many channels as filters",
    hints=[
        "The weight of a $1 \\times 1$ kernel is a matrix: `weight[:, :, 0, 0]`, shape `(N, M)`.",
        "A stride reads every `stride`-th row and column: `x[:, :, ::stride, ::stride]`.",
        "Each pixel is a vector of $M$ numbers, and the matrix takes it to $N$ numbers: `np.einsum('nm,bmij->bnij', ...)`.",
    ],
    mistakes=[
        Mistake(
            "The matrix is transposed: weight[n, m] takes input channel m to output channel n.",
            lambda x, weight, stride: mix(x, np.ascontiguousarray(weight.swapaxes(0, 1)), stride),
        ),
        Mistake(
            "The stride is ignored: every `stride`-th row and column is read, and the others are not.",
            lambda x, weight, stride: mix(x, weight, 1),
        ),
        mistakes.one_direction(mix),
        Mistake(
            "The stride begins late: the first row and column are read, so the pixels are 0, s, 2s.",
            lambda x, weight, stride: mix(x[:, :, stride - 1 :, stride - 1 :], weight, stride),
        ),
        Mistake(
            "Blocks are averaged: a pointwise convolution with a stride reads one pixel of each block.",
            lambda x, weight, stride: np.stack(
                [
                    np.stack(
                        [
                            mix(
                                x[:, :, i : i + stride, j : j + stride].mean(
                                    axis=(2, 3), keepdims=True, dtype=x.dtype
                                ),
                                weight,
                                1,
                            )[:, :, 0, 0]
                            for j in range(0, x.shape[3], stride)
                        ],
                        axis=-1,
                    )
                    for i in range(0, x.shape[2], stride)
                ],
                axis=-2,
            ),
        ),
        Mistake(
            "The channels are not mixed: each one is multiplied by a weight of its own, and the sum over m is missing.",
            lambda x, weight, stride: np.stack(
                [
                    x[:, n % x.shape[1], ::stride, ::stride] * weight[n, n % x.shape[1], 0, 0]
                    for n in range(len(weight))
                ],
                axis=1,
            ),
        ),
        Mistake(
            "Only channel 0 is read: the products of all channels are added up.",
            lambda x, weight, stride: mix(x[:, :1], weight[:, :1], stride),
        ),
        Mistake(
            "Only the last channel counts: add each channel's product to the output, with +=, in place of storing it.",
            lambda x, weight, stride: mix(x[:, -1:], weight[:, -1:], stride),
        ),
        Mistake(
            "A mean is taken over the channels: the products are added up.",
            lambda x, weight, stride: mix(x, weight, stride) / x.shape[1],
        ),
        Mistake(
            "The outputs are added up to one channel: each filter has a channel of its own.",
            lambda x, weight, stride: mix(x, weight, stride).sum(axis=1, keepdims=True),
        ),
        Mistake(
            "Rows and columns of the image are exchanged.",
            lambda x, weight, stride: mix(x, weight, stride).swapaxes(2, 3),
        ),
        Mistake(
            "The channels are in the last axis: the layout is (batch, channels, height, width).",
            lambda x, weight, stride: mix(x, weight, stride).transpose(0, 2, 3, 1),
        ),
        Mistake(
            "The last row and column are missing where the stride does not divide the side: use x[:, :, ::stride, ::stride].",
            lambda x, weight, stride: mix(x, weight, stride)[
                :, :, : x.shape[2] // stride, : x.shape[3] // stride
            ],
        ),
        mistakes.first_image(mix),
    ],
)
def pointwise(rng):
    m = int(rng.integers(2, 5))
    yield {"x": whole(rng, 1, m, 4, 5), "weight": whole(rng, m, m, 1, 1), "stride": 1}
    sizes = [(2, 3, 4, 4, 3, 1), (1, 4, 2, 7, 5, 2), (3, 2, 5, 6, 6, 2), (2, 3, 1, 8, 5, 3)]
    for b, m, n, h, w, stride in sizes:
        yield {
            "x": whole(rng, b, m, h, w, dtype=np.float32),
            "weight": whole(rng, n, m, 1, 1, dtype=np.float32),
            "stride": stride,
        }
    yield {
        "x": rng.normal(size=(2, 5, int(rng.integers(5, 9)), int(rng.integers(5, 9)))),
        "weight": rng.normal(size=(3, 5, 1, 1)),
        "stride": int(rng.integers(1, 4)),
    }


# ---- Its cost ------------------------------------------------------------------------------------


def count(in_channels, out_channels, height, width, stride, batch):
    c = cost.of(spec.pointwise(in_channels, out_channels, (height, width), stride=stride), batch)
    return c.macs, c.params


@question(
    "cost",
    function="pointwise_cost",
    points=2,
    reference=count,
    hints=[
        "Along a side of $H$ pixels the rows $0, s, 2s, \\dots$ are read: that is $\\lceil H/s \\rceil$ rows, or `(H - 1) // s + 1`.",
        "The weights are used again for each image, so the batch multiplies the MACs and not the parameters.",
    ],
    mistakes=[
        Mistake(
            "The number of rows is rounded down: row 0 is read, so H pixels give ceil(H / s) rows.",
            lambda height, width, stride, **k: count(
                height=height // stride, width=width // stride, stride=1, **k
            ),
        ),
        mistakes.left_out(count, stride=1),
        Mistake(
            "The stride divides the rows only: it divides the columns too.",
            lambda width, stride, height, **k: count(
                height=-(-height // stride), width=width, stride=1, **k
            ),
        ),
        Mistake("The batch is left out of the MACs.", lambda batch, **k: count(batch=1, **k)),
        Mistake(
            "The batch multiplies the parameters: all images share them.",
            lambda **k: (count(**k)[0], count(**k)[1] * k["batch"]),
        ),
        *mistakes.macs_and_params(count),
        Mistake(
            "A 3 x 3 kernel is counted: a pointwise kernel has one pixel.",
            lambda **k: tuple(9 * each for each in count(**k)),
        ),
        Mistake(
            "The image is taken as square: it has height times width pixels.",
            lambda width, height, **k: count(height=height, width=height, **k),
        ),
    ],
)
def costs(rng):
    for stride, batch in [(1, 1), (1, 4), (2, 1), (3, 2), (2, 8)]:
        height, width = (int(each) for each in rng.integers(10, 60, size=2))
        yield {
            "in_channels": int(rng.integers(2, 300)),
            "out_channels": int(rng.integers(2, 300)),
            "height": height if stride == 1 else height // stride * stride + 1,
            "width": width + (width == height),
            "stride": stride,
            "batch": batch,
        }


# ---- Two layers are one --------------------------------------------------------------------------


def fuse(first, first_bias, second, second_bias):
    return second @ first, second @ first_bias + second_bias


@question(
    "two-are-one",
    function="fuse",
    points=2,
    reference=fuse,
    shape="the one matrix takes M channels to N, and there is one bias for each of the N",
    hints=[
        "Write down what both layers do to one pixel $x$: $W_2 (W_1 x + b_1) + b_2$.",
        "Multiply out. What stands before $x$, and what is left without it?",
    ],
    mistakes=[
        Mistake(
            "The product is in the other order: the first layer stands next to the pixel, so it is the right factor.",
            lambda first, first_bias, second, second_bias: (
                first @ second,
                second @ first_bias + second_bias,
            ),
        ),
        Mistake(
            "The first bias is added as it is: it goes through the second layer too.",
            lambda first, first_bias, second, second_bias: (
                second @ first,
                first_bias + second_bias,
            ),
        ),
        Mistake(
            "The first bias is lost.",
            lambda first, first_bias, second, second_bias: (second @ first, second_bias),
        ),
        Mistake(
            "The second bias is lost.",
            lambda first, first_bias, second, second_bias: (second @ first, second @ first_bias),
        ),
        Mistake(
            "The second bias goes through the second layer: it is added after it.",
            lambda first, first_bias, second, second_bias: (
                second @ first,
                second @ (first_bias + second_bias),
            ),
        ),
        Mistake(
            "The matrices are multiplied entry by entry: rows meet columns here, with @.",
            lambda first, first_bias, second, second_bias: (
                second * first,
                second @ first_bias + second_bias,
            ),
        ),
        Mistake(
            "The matrices are added: one is applied after the other, so they are multiplied.",
            lambda first, first_bias, second, second_bias: (
                second + first,
                second @ first_bias + second_bias,
            ),
        ),
    ],
)
def two_are_one(rng):
    for m, r, n in [(3, 3, 3), (4, 2, 4), (2, 5, 3), (6, 1, 4)]:
        yield {
            "first": whole(rng, r, m),
            "first_bias": rng.integers(1, 5, size=r).astype(float),
            "second": whole(rng, n, r) + 6,
            "second_bias": rng.integers(1, 5, size=n).astype(float),
        }


# ---- A claim to refute ---------------------------------------------------------------------------


def widest(in_channels, out_channels):
    product, total = in_channels * out_channels, in_channels + out_channels
    return (product - 1) // total


@question(
    "passage",
    function="widest_passage",
    points=2,
    reference=widest,
    hints=[
        "For one pixel the single layer makes $M N$ MACs. How many does the pair make?",
        "The pair makes $M R + R N$. Solve $R (M + N) < M N$ for $R$. Fewer means fewer: equal is not enough.",
        "The largest whole $R$ with $R (M + N) \\le M N - 1$ is `(M * N - 1) // (M + N)`.",
    ],
    mistakes=[
        Mistake(
            "At this R both make the same number of MACs, where M + N divides M N: fewer were asked for.",
            lambda in_channels, out_channels: (
                in_channels * out_channels // (in_channels + out_channels)
            ),
        ),
        Mistake(
            "That is half of the smaller side, the popular guess: it holds for M = N at best, and even there it saves nothing.",
            lambda in_channels, out_channels: min(in_channels, out_channels) // 2,
        ),
        Mistake(
            "A pair with one channel fewer than the smaller side has a lower rank. It is not cheaper for that.",
            lambda in_channels, out_channels: min(in_channels, out_channels) - 1,
        ),
        Mistake(
            "One more would still be cheaper.",
            lambda in_channels, out_channels: widest(in_channels, out_channels) - 1,
        ),
        Mistake(
            "Only the first layer of the pair is counted: the second costs R N.",
            lambda in_channels, out_channels: out_channels - 1,
        ),
        Mistake(
            "The quotient is rounded up.",
            lambda in_channels, out_channels: (
                -(-in_channels * out_channels // (in_channels + out_channels))
            ),
        ),
        Mistake(
            "The two costs are averaged: both layers run, so they are added.",
            lambda in_channels, out_channels: (
                (2 * in_channels * out_channels - 1) // (in_channels + out_channels)
            ),
        ),
    ],
)
def passages(rng):
    n, third, factor = (int(each) for each in rng.integers([20, 1, 2], [400, 50, 50]))
    yield {"in_channels": 2 * n, "out_channels": 2 * n}
    yield {"in_channels": 3 * third, "out_channels": 6 * third}
    yield {"in_channels": int(rng.integers(10, 100)), "out_channels": int(rng.integers(300, 900))}
    yield {"in_channels": 4 * factor, "out_channels": 12 * factor}
    yield {"in_channels": int(rng.integers(100, 200)), "out_channels": int(rng.integers(201, 400))}


# ---- Find the mistake ----------------------------------------------------------------------------


def per_pixel(x, matrix):
    return ops.pointwise(x, matrix[:, :, None, None])


def rows_of(x, *, moved):
    """The pixels as rows, from the channels in the last axis or, wrongly, from where they are."""
    return (x.transpose(0, 2, 3, 1) if moved else x).reshape(-1, x.shape[1])


def reshaped(x, matrix, *, before, after):
    b, _, h, w = x.shape
    y = rows_of(x, moved=before) @ matrix.T
    return y.reshape(b, h, w, -1).transpose(0, 3, 1, 2) if after else y.reshape(b, -1, h, w)


@question(
    "layout",
    function="linear_on_pixels",
    points=3,
    reference=per_pixel,
    shape="the result has the layout (B, N, H, W), like the input",
    hints=[
        "Take an image with a single pixel. Both functions agree there. With two pixels they do not: look at `pixels`, row by row.",
        "A reshape moves nothing in memory. It cannot bring the channels, which lie far apart, next to each other: `transpose` first.",
        "The way back needs the same care. After the product the channels are last, so reshape to `(B, H, W, N)` and transpose.",
    ],
    mistakes=[
        mistakes.unrepaired(lambda x, matrix: reshaped(x, matrix, before=False, after=False)),
        Mistake(
            "The way in is repaired. On the way back the channels are last: reshape to (B, H, W, N), then transpose.",
            lambda x, matrix: reshaped(x, matrix, before=True, after=False),
        ),
        Mistake(
            "The way back is repaired. On the way in the rows are still no pixels: move the channels to the end before the reshape.",
            lambda x, matrix: reshaped(x, matrix, before=False, after=True),
        ),
        Mistake(
            "Rows and columns of the image are exchanged on the way.",
            lambda x, matrix: per_pixel(x, matrix).swapaxes(2, 3),
        ),
        Mistake(
            "The result has its channels last: the layout is (B, N, H, W).",
            lambda x, matrix: per_pixel(x, matrix).transpose(0, 2, 3, 1),
        ),
        Mistake(
            "The matrix is transposed: matrix[n, m] takes channel m to channel n.",
            lambda x, matrix: per_pixel(x, np.ascontiguousarray(matrix.T)),
        ),
    ],
)
def layouts(rng):
    for b, m, n, h, w in [(1, 3, 3, 1, 1), (1, 2, 2, 3, 4), (2, 3, 4, 4, 4), (3, 4, 2, 2, 5)]:
        dtype = np.float32 if n == 4 else np.float64
        yield {"x": whole(rng, b, m, h, w, dtype=dtype), "matrix": whole(rng, n, m, dtype=dtype)}


# ---- Work and traffic ----------------------------------------------------------------------------


def solve(in_channels, out_channels, size, itemsize, intensity, *, flops=2, written=1):
    positions, weights = size**2, in_channels * out_channels
    each = flops * weights * positions
    each -= intensity * itemsize * positions * (in_channels + written * out_channels)
    return math.ceil(intensity * itemsize * weights / each - 1e-12) if each > 0 else None


@question(
    "batch",
    function="batch_needed",
    points=3,
    reference=solve,
    hints=[
        "For a batch of $B$ images: $2 B M N D_G^2$ FLOPs, and $B M D_G^2 + M N + B N D_G^2$ numbers of `itemsize` bytes. "
        "The weights are read once for the whole batch.",
        "Write 'FLOPs at least intensity times bytes', and bring all terms with $B$ to one side.",
        "If the factor of $B$ is not positive, no batch is large enough: the maps alone move too many bytes. Return `None`.",
    ],
    mistakes=[
        *mistakes.as_if(
            solve,
            {
                "The work is in MACs: arithmetic intensity counts FLOPs, 2 for each MAC.": {
                    "flops": 1
                },
                "The output is left out of the traffic: it has to be written.": {"written": 0},
                "Each number is taken as 4 bytes: use `itemsize`.": {"itemsize": 4},
                "The image is taken as one pixel: it has `size` times `size`.": {"size": 1},
            },
        ),
        Mistake(
            "The result is rounded down: then the batch is one image too small.",
            lambda **k: solve(**k) - 1 if solve(**k) else solve(**k),
        ),
        Mistake(
            "A batch of 1 is the answer only where the weights hardly count.",
            lambda **k: 1,
        ),
        Mistake(
            "Where no batch is enough, return None: the factor of B is negative there.",
            lambda **k: solve(**k) or 1,
        ),
    ],
)
def batches(rng):
    layers = [(1, 4, 20.0), (1, 2, 60.0), (7, 4, 40.0), (2, 2, 90.0), (1, 4, 500.0), (14, 4, 10.0)]
    for size, itemsize, intensity in layers:
        yield {
            "in_channels": int(rng.integers(256, 700)),
            "out_channels": int(rng.integers(256, 700)),
            "size": size,
            "itemsize": itemsize,
            "intensity": intensity + float(rng.uniform(0.1, 0.9)),
        }
