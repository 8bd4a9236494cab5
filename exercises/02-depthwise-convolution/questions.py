"""Depthwise convolution: what is asked, the right answers, and the wrong ones that have a name."""

import numpy as np

from dsconv_lib import cost, ops, spec
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question, whole

WRITTEN = {"share-of-the-standard-layer": 2, "channels-never-meet": 3}


# ---- The operation -------------------------------------------------------------------------------


def convolve(x, weight, stride, padding):
    return ops.depthwise(x, weight, stride=stride, padding=padding)


def summed_over_channels(x, weight, stride, padding):
    y = convolve(x, weight, stride, padding)
    return np.broadcast_to(y.sum(axis=1, keepdims=True), y.shape).copy()


@question(
    "depthwise",
    function="depthwise_conv2d",
    points=4,
    reference=convolve,
    shape="rows and columns of the output are (H + 2p - K) // s + 1, and there are as many channels as filters",
    hints=[
        "Pad first, with `np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))`. After that the window of output row $i$ "
        "and column $j$ begins at row $i s$ and column $j s$ of the padded input.",
        "Filter $n$ reads one channel. Give each filter its channel before the loops: "
        "`np.repeat(padded, multiplier, axis=1)` puts channel `n // multiplier` at place $n$.",
        "For one position, `windows * weight[:, 0]` has shape `(B, M * multiplier, K_h, K_w)`. "
        "Sum over its last two axes, and no other.",
    ],
    mistakes=[
        mistakes.flipped(convolve),
        Mistake(
            "The channels are summed: in a depthwise convolution each output channel reads one input channel.",
            summed_over_channels,
        ),
        Mistake(
            "Each filter reads all channels, and they are summed: filter n reads channel n // multiplier alone.",
            lambda x, weight, stride, padding: ops.standard(
                x, np.repeat(weight, x.shape[1], axis=1), stride=stride, padding=padding
            ),
        ),
        Mistake(
            "The channels are summed into one: in a depthwise convolution nothing is added up across channels.",
            lambda x, weight, stride, padding: convolve(x, weight, stride, padding).sum(
                axis=1, keepdims=True
            ),
        ),
        *mistakes.windows(convolve),
        Mistake(
            "The order of the filters is another: filter n belongs to input channel n // multiplier, "
            "so the filters of one channel are neighbours.",
            lambda x, weight, stride, padding: (
                lambda y: (
                    y.reshape(len(y), x.shape[1], -1, *y.shape[2:]).swapaxes(1, 2).reshape(y.shape)
                )
            )(convolve(x, weight, stride, padding)),
        ),
        Mistake(
            "Filter n reads channel n % M: it belongs to input channel n // multiplier.",
            lambda x, weight, stride, padding: np.concatenate(
                [
                    convolve(x, weight[q * x.shape[1] : (q + 1) * x.shape[1]], stride, padding)
                    for q in range(len(weight) // x.shape[1])
                ],
                axis=1,
            ),
        ),
        Mistake(
            "Each channel has one output: with a multiplier above 1, each channel gets several filters, and all count.",
            lambda x, weight, stride, padding: convolve(
                x, weight[:: len(weight) // x.shape[1]], stride, padding
            ),
        ),
        Mistake(
            "Rows and columns of the kernel are exchanged: weight[n, 0, u, v] has its row first.",
            lambda x, weight, stride, padding: convolve(x, weight.swapaxes(2, 3), stride, padding),
        ),
        mistakes.cut_short(convolve),
        Mistake(
            "A mean is taken where a sum is due: the products of a window are added up.",
            lambda x, weight, stride, padding: (
                convolve(x, weight, stride, padding) / weight[0, 0].size
            ),
        ),
        mistakes.first_image(convolve),
    ],
)
def depthwise(rng):
    m = int(rng.integers(2, 5))
    yield {"x": whole(rng, 1, m, 6, 6), "weight": whole(rng, m, 1, 3, 3), "stride": 1, "padding": 0}
    sizes = [
        (2, 3, 7, 8, 1, 3, 3, 2, 1),
        (1, 2, 6, 5, 2, 3, 3, 1, 1),
        (2, 3, 8, 6, 2, 2, 2, 2, 0),
        (1, 1, 5, 9, 3, 3, 3, 1, 1),
        (1, 3, 7, 6, 1, 3, 1, 1, 0),
        (2, 2, 9, 7, 2, 1, 3, 3, 2),
    ]
    for b, m, h, w, multiplier, k_h, k_w, stride, padding in sizes:
        x = whole(rng, b, m, h, w, dtype=np.float32)
        weight = whole(rng, multiplier * m, 1, k_h, k_w, dtype=np.float32)
        yield {"x": x, "weight": weight, "stride": stride, "padding": padding}
    h, w = map(int, rng.integers(6, 10, size=2))
    m, multiplier = map(int, rng.integers(2, 4, size=2))
    x, weight = rng.normal(size=(2, m, h, w)), rng.normal(size=(multiplier * m, 1, 3, 3))
    stride, padding = int(rng.integers(1, 4)), int(rng.integers(0, 3))
    yield {"x": x, "weight": weight, "stride": stride, "padding": padding}


# ---- Its cost ------------------------------------------------------------------------------------


def count(**conv):
    c = cost.of(spec.depthwise(**conv))
    return c.macs, c.params


def side(in_size, kernel_size, stride, padding):
    return (in_size + 2 * padding - kernel_size) // stride + 1


@question(
    "cost",
    function="depthwise_cost",
    points=2,
    reference=count,
    hints=[
        "Start with the side of the output, $D_G = \\lfloor (D_F + 2p - D_K)/s \\rfloor + 1$.",
        "Count the filters: there are $\\mu M$. Each has $D_K^2$ weights, and uses each of them once at each of the "
        "$D_G^2$ positions.",
    ],
    mistakes=[
        *mistakes.macs_and_params(count),
        Mistake(
            "There is a factor M too much: an output number of a depthwise convolution reads one channel.",
            lambda in_channels, **k: tuple(
                in_channels * each for each in count(in_channels=in_channels, **k)
            ),
        ),
        Mistake(
            "The positions are those of the input: count the positions of the output, stride and padding included.",
            lambda in_size, **k: (
                count(in_size=in_size, **k)[1] * in_size**2,
                count(in_size=in_size, **k)[1],
            ),
        ),
        Mistake(
            "The stride is left out of the output's size.",
            lambda stride, **k: count(stride=1, **k),
        ),
        Mistake(
            "The padding is left out of the output's size, or counted on one side.",
            lambda in_size, kernel_size, stride, padding, **k: count(
                in_size=in_size + padding,
                kernel_size=kernel_size,
                stride=stride,
                padding=0,
                **k,
            ),
        ),
        Mistake(
            "The kernel's side is taken once: a kernel has D_K times D_K weights.",
            lambda kernel_size, **k: tuple(
                each // kernel_size for each in count(kernel_size=kernel_size, **k)
            ),
        ),
        Mistake(
            "The multiplier is left out: each channel has that many filters.",
            lambda multiplier, **k: count(multiplier=1, **k),
        ),
        Mistake(
            "Biases are counted among the weights: in this course they are not, unless a line says so.",
            lambda in_channels, multiplier, **k: (
                lambda macs, params: (macs, params + in_channels * multiplier)
            )(*count(in_channels=in_channels, multiplier=multiplier, **k)),
        ),
        Mistake(
            "One side of the output is taken: it has D_G times D_G positions.",
            lambda in_size, kernel_size, stride, padding, **k: (
                lambda macs, params: (
                    macs // side(in_size, kernel_size, stride, padding),
                    params,
                )
            )(
                *count(
                    in_size=in_size,
                    kernel_size=kernel_size,
                    stride=stride,
                    padding=padding,
                    **k,
                )
            ),
        ),
    ],
)
def costs(rng):
    for multiplier, stride, padding in [(1, 1, 0), (2, 1, 1), (1, 2, 1), (3, 2, 2), (2, 3, 0)]:
        yield {
            "in_channels": int(rng.integers(2, 200)),
            "in_size": int(rng.integers(8, 60)),
            "kernel_size": int(rng.choice([2, 3, 5, 7])),
            "stride": stride,
            "padding": padding,
            "multiplier": multiplier,
        }


# ---- A claim: a standard convolution cannot do this ----------------------------------------------


def embed(weight, in_channels):
    multiplier = len(weight) // in_channels
    full = np.zeros((len(weight), in_channels, *weight.shape[2:]), weight.dtype)
    for n in range(len(weight)):
        full[n, n // multiplier] = weight[n, 0]
    return full


def embed_in_turn(weight, in_channels):
    full = np.zeros((len(weight), in_channels, *weight.shape[2:]), weight.dtype)
    for n in range(len(weight)):
        full[n, n % in_channels] = weight[n, 0]
    return full


@question(
    "as-standard",
    function="as_standard",
    points=3,
    reference=embed,
    shape="a standard weight has shape (N, M, K_h, K_w), and N = M * multiplier here",
    hints=[
        "Start from `np.zeros((N, M, K_h, K_w))`. Which one of its $M$ kernels does filter $n$ keep?",
        "Filter $n$ keeps the kernel for channel `n // multiplier`, and the multiplier is $N / M$.",
    ],
    mistakes=[
        Mistake(
            "Every channel gets the kernel: then the filter adds up all channels. The others must be zero.",
            lambda weight, in_channels: np.repeat(weight, in_channels, axis=1),
        ),
        Mistake(
            "Filter n sits at channel n % M: it belongs to channel n // multiplier.", embed_in_turn
        ),
        Mistake(
            "The kernels are divided by the number of channels: nothing is averaged here.",
            lambda weight, in_channels: embed(weight, in_channels) / in_channels,
        ),
        Mistake(
            "The kernels are flipped: both layers lay them on the image as they are.",
            lambda weight, in_channels: embed(weight, in_channels)[:, :, ::-1, ::-1],
        ),
        Mistake(
            "The two channel axes are exchanged: the output channels come first.",
            lambda weight, in_channels: embed(weight, in_channels).swapaxes(0, 1),
        ),
        Mistake(
            "All filters sit at channel 0.",
            lambda weight, in_channels: np.concatenate(
                [weight, np.zeros_like(weight).repeat(in_channels - 1, axis=1)], axis=1
            ),
        ),
    ],
)
def as_standard(rng):
    for m, multiplier, k_h, k_w in [(3, 1, 3, 3), (2, 2, 3, 3), (3, 2, 2, 3), (4, 3, 1, 2)]:
        dtype = np.float32 if multiplier == 3 else np.float64
        yield {
            "weight": rng.normal(size=(m * multiplier, 1, k_h, k_w)).astype(dtype),
            "in_channels": m,
        }


# ---- Predict, then measure -----------------------------------------------------------------------


def changed(in_size, kernel_size, stride, padding, row, column):
    spoilt = np.zeros((1, 1, in_size, in_size))
    spoilt[0, 0, row, column] = 1.0
    ones = np.ones((1, 1, kernel_size, kernel_size))
    return int(np.count_nonzero(ops.depthwise(spoilt, ones, stride=stride, padding=padding)))


def along(position, in_size, kernel_size, stride, padding):
    first = position + padding - kernel_size + 1
    return [
        i
        for i in range(side(in_size, kernel_size, stride, padding))
        if first <= i * stride < first + kernel_size
    ]


@question(
    "who-reads-it",
    function="outputs_that_read",
    points=3,
    reference=changed,
    hints=[
        "Rows and columns are independent: count the output rows whose window holds the pixel's row, do the same for the columns, "
        "and multiply.",
        "Output row $i$ reads the rows from $i s - p$ to $i s - p + D_K - 1$ of the image. So count the $i$ from 0 to "
        "$D_G - 1$ with $i s - p \\le \\text{row} \\le i s - p + D_K - 1$.",
    ],
    mistakes=[
        Mistake(
            "That is D_K squared, the answer for a pixel far from the border at stride 1.",
            lambda kernel_size, **k: kernel_size**2,
        ),
        *mistakes.as_if(
            changed,
            {
                "The stride is left out: with stride s fewer windows exist, and fewer hold the pixel.": {
                    "stride": 1
                },
                "The padding is left out: it moves the windows, and lets more of them reach a pixel at the border.": {
                    "padding": 0
                },
            },
        ),
        Mistake(
            "The border is left out: there is no output row above the first or below the last.",
            lambda in_size, kernel_size, stride, padding, row, column: (
                len(range((row + padding) % stride, kernel_size, stride))
                * len(range((column + padding) % stride, kernel_size, stride))
            ),
        ),
        Mistake(
            "Rows are counted and columns are not: multiply the two counts.",
            lambda column, row, **k: len(along(row, **k)),
        ),
        Mistake(
            "The two counts are added: each matching row meets each matching column, so they are multiplied.",
            lambda column, row, **k: len(along(row, **k)) + len(along(column, **k)),
        ),
    ],
)
def who_reads_it(rng):
    for kernel_size, stride, padding, at_border in [
        (3, 1, 0, False),
        (4, 1, 1, True),
        (3, 2, 1, False),
        (5, 1, 2, True),
        (2, 1, 0, True),
        (5, 2, 2, True),
        (7, 3, 1, True),
    ]:
        in_size = int(rng.integers(9, 20))
        yield {
            "in_size": in_size,
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "row": int(rng.integers(0, 3) if at_border else rng.integers(3, in_size - 3)),
            "column": int(rng.integers(2, in_size)),
        }


# ---- Work and traffic ----------------------------------------------------------------------------


def flop_per_byte(in_channels, in_size, kernel_size, itemsize):
    c = cost.of(spec.depthwise(in_channels, in_size, kernel_size, padding=kernel_size // 2))
    return c.intensity(itemsize)


def traffic(in_channels, in_size, kernel_size):
    return in_channels * in_size**2, in_channels * kernel_size**2


@question(
    "intensity",
    function="intensity",
    points=2,
    reference=flop_per_byte,
    hints=[
        "The output is as large as the input, so there are $M D_F^2$ output numbers of $D_K^2$ MACs each. A MAC is 2 FLOPs.",
        "Three things are moved: $M D_F^2$ numbers of input, $M D_K^2$ weights and $M D_F^2$ numbers of output, "
        "`itemsize` bytes each.",
    ],
    mistakes=[
        Mistake(
            "The work is in MACs: arithmetic intensity counts FLOPs, 2 for each MAC.",
            lambda **k: flop_per_byte(**k) / 2,
        ),
        *mistakes.as_if(
            flop_per_byte,
            {
                "The traffic is in numbers: multiply by the bytes of each, `itemsize`.": {
                    "itemsize": 1
                },
                "Each number is taken as 4 bytes: use `itemsize`.": {"itemsize": 4},
            },
        ),
        Mistake(
            "The weights are left out of the traffic.",
            lambda in_channels, in_size, kernel_size, itemsize: kernel_size**2 / itemsize,
        ),
        Mistake(
            "The output is left out of the traffic: it has to be written.",
            lambda in_channels, in_size, kernel_size, itemsize: (
                lambda maps, weights: 2 * maps * kernel_size**2 / (itemsize * (maps + weights))
            )(*traffic(in_channels, in_size, kernel_size)),
        ),
        Mistake(
            "The input is read once for each tap: by the convention each number is moved once.",
            lambda in_channels, in_size, kernel_size, itemsize: (
                lambda maps, weights: (
                    2
                    * maps
                    * kernel_size**2
                    / (itemsize * (maps * kernel_size**2 + weights + maps))
                )
            )(*traffic(in_channels, in_size, kernel_size)),
        ),
        Mistake(
            "That is bytes per FLOP, upside down.",
            lambda **k: 1 / flop_per_byte(**k),
        ),
    ],
)
def intensities(rng):
    for itemsize, kernel_size in [(4, 3), (2, 3), (8, 5), (1, 7), (4, 9)]:
        yield {
            "in_channels": int(rng.integers(8, 512)),
            "in_size": int(rng.integers(7, 60)),
            "kernel_size": kernel_size,
            "itemsize": itemsize,
        }


# ---- Find the mistake ----------------------------------------------------------------------------


def causal(x, weight):
    length = x.shape[1]
    past = np.pad(x, ((0, 0), (weight.shape[1] - 1, 0)))
    y = ops.depthwise(past[None, :, None], weight[:, None, None])
    return y[0, :, 0, :length]


def shifted(x, weight, before):
    padded = np.pad(x, ((0, 0), (before, weight.shape[1] - 1 - before)))
    return ops.depthwise(padded[None, :, None], weight[:, None, None])[0, :, 0]


@question(
    "causal",
    function="causal_depthwise",
    points=3,
    reference=causal,
    shape="as many outputs as samples: one for each time",
    hints=[
        "Put in a signal of zeros with a single 1 at time 3. At which times is the output not zero? It may not be before time 3.",
        "A window that ends at time $t$ begins at $t - K + 1$. So the $K - 1$ zeros belong before the signal, and none after it.",
        "The second mistake shows with two channels that differ: look at which kernel the second channel gets.",
    ],
    mistakes=[
        Mistake(
            "It sees the future: the zeros are after the signal. All K - 1 of them belong before it.",
            lambda x, weight: shifted(x, weight, 0),
        ),
        Mistake(
            "It sees half a kernel of the future: the zeros are on both sides. All K - 1 of them belong before the signal.",
            lambda x, weight: shifted(x, weight, (weight.shape[1] - 1) // 2),
        ),
        Mistake(
            "Every channel gets the kernel of channel 0.",
            lambda x, weight: causal(x, np.repeat(weight[:1], len(weight), axis=0)),
        ),
        Mistake(
            "The time is repaired, and every channel still gets the last kernel.",
            lambda x, weight: causal(x, np.repeat(weight[-1:], len(weight), axis=0)),
        ),
        mistakes.unrepaired(
            lambda x, weight: shifted(x, np.repeat(weight[:1], len(weight), axis=0), 0)
        ),
        Mistake(
            "The kernel runs backwards: its last weight belongs to the present.",
            lambda x, weight: causal(x, weight[:, ::-1]),
        ),
        Mistake(
            "It is one step late: the present sample counts too.",
            lambda x, weight: np.pad(causal(x, weight), ((0, 0), (1, 0)))[:, :-1],
        ),
        Mistake(
            "The channels are summed: each signal is filtered alone.",
            lambda x, weight: np.broadcast_to(causal(x, weight).sum(axis=0), x.shape).copy(),
        ),
    ],
)
def causals(rng):
    for channels, length, kernel_size, dtype in [
        (2, 6, 3, np.float64),
        (1, 7, 4, np.float64),
        (3, 9, 2, np.float32),
        (6, 12, 5, np.float64),
    ]:
        yield {
            "x": whole(rng, channels, length, dtype=dtype),
            "weight": whole(rng, channels, kernel_size, dtype=dtype),
        }
