"""Normal convolution: what is asked, the right answers, and the wrong ones that have a name."""

import numpy as np

from dsconv_lib import cost, ops, spec
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question, whole

WRITTEN = {"output-size": 3, "same-padding": 2}


# ---- The output's size ---------------------------------------------------------------------------


def out_size(in_size, kernel_size, stride, padding, dilation):
    return (in_size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


@question(
    "size",
    function="output_size",
    points=1,
    reference=out_size,
    hints=[
        "From its first tap to its last the kernel spans $d (D_K - 1) + 1$ pixels. How many more rows has the padded image?",
        "Its first row can be row 0, $s$, $2s$, and so on, up to the difference of the two. `//` rounds down.",
    ],
    mistakes=[
        Mistake(
            "One position is missing: the quotient counts the steps after the first one.",
            lambda **k: out_size(**k) - 1,
        ),
        Mistake(
            "The dilation is left out: the kernel spans d (D_K - 1) + 1 pixels.",
            lambda dilation, **k: out_size(dilation=1, **k),
        ),
        Mistake(
            "The span of the dilated kernel is d D_K: there are only D_K - 1 gaps between D_K taps.",
            lambda in_size, kernel_size, stride, padding, dilation: (
                (in_size + 2 * padding - dilation * kernel_size) // stride + 1
            ),
        ),
        Mistake(
            "The padding is counted once: it lies on both sides.",
            lambda in_size, padding, **k: out_size(in_size + padding, padding=0, **k),
        ),
        mistakes.left_out(out_size, stride=1),
        Mistake(
            "The quotient is rounded up: a window that leaves the image does not count.",
            lambda in_size, kernel_size, stride, padding, dilation: (
                -(-(in_size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride) + 1
            ),
        ),
    ],
)
def size(rng):
    halved = 2 * int(rng.integers(10, 113))  # one row is left over, as in 224 pixels
    yield {"in_size": halved, "kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1}
    windows = [(1, 0, 1), (3, 0, 2), (2, 0, 1), (1, 2, 2), (3, 1, 3), (2, 3, 2)]
    for stride, padding, dilation in windows:
        sizes = {"in_size": int(rng.integers(20, 225)), "kernel_size": int(rng.integers(2, 6))}
        yield sizes | {"stride": stride, "padding": padding, "dilation": dilation}


# ---- The operation -------------------------------------------------------------------------------


def convolve(x, weight, stride, padding):
    return ops.standard(x, weight, stride=stride, padding=padding)


@question(
    "convolution",
    function="conv2d",
    points=4,
    reference=convolve,
    shape="rows and columns of the output are (H + 2p - K) // s + 1, and there are as many channels as filters",
    hints=[
        "Pad first, with `np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))`. After that, forget the padding.",
        "One output number is `(window * weight[n]).sum()`, where the window of row $i$ and column $j$ is "
        "`padded[b, :, i * s : i * s + K_h, j * s : j * s + K_w]`: all channels.",
        "Two loops fewer: for one position, `np.einsum('bmuv,nmuv->bn', windows, weight)` gives all images and filters.",
    ],
    mistakes=[
        mistakes.flipped(convolve),
        Mistake(
            "Only channel 0 is read: the products of all channels are added up.",
            lambda x, weight, **k: convolve(x[:, :1], weight[:, :1], **k),
        ),
        Mistake(
            "Only the last channel counts: add each channel's sum to the output, with +=, in place of storing it.",
            lambda x, weight, **k: convolve(x[:, -1:], weight[:, -1:], **k),
        ),
        *mistakes.windows(convolve),
        Mistake(
            "The image is continued at the border: padding means zeros.",
            lambda x, weight, stride, padding: ops.standard(
                np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="edge"),
                weight,
                stride=stride,
            ),
        ),
        Mistake(
            "Rows and columns of the kernel are exchanged: weight[n, m, u, v] has its row first.",
            lambda weight, **k: convolve(weight=weight.swapaxes(2, 3), **k),
        ),
        Mistake(
            "The two channel axes of the weight are exchanged: weight[n, m] has the output channel first.",
            lambda weight, **k: convolve(weight=weight.swapaxes(0, 1), **k),
        ),
        mistakes.cut_short(convolve),
        Mistake(
            "A mean is taken where a sum is due: all products of a window are added up.",
            lambda **k: convolve(**k) / k["weight"][0].size,
        ),
        mistakes.first_image(convolve),
    ],
)
def convolution(rng):
    m = int(rng.integers(2, 5))
    yield {"x": whole(rng, 1, m, 6, 6), "weight": whole(rng, m, m, 3, 3), "stride": 1, "padding": 0}
    for b, m, n, h, w, k_h, k_w, stride, padding in [
        (2, 3, 4, 7, 8, 3, 3, 2, 1),
        (1, 2, 3, 6, 5, 3, 3, 1, 1),
        (2, 3, 2, 8, 6, 2, 2, 2, 0),
        (1, 1, 2, 5, 9, 3, 3, 1, 1),
        (1, 3, 1, 7, 6, 3, 1, 1, 0),
        (2, 2, 4, 9, 7, 1, 3, 3, 2),
    ]:
        x = whole(rng, b, m, h, w, dtype=np.float32)
        weight = whole(rng, n, m, k_h, k_w, dtype=np.float32)
        yield {"x": x, "weight": weight, "stride": stride, "padding": padding}
    h, w = map(int, rng.integers(6, 10, size=2))
    x, weight = rng.normal(size=(2, 3, h, w)), rng.normal(size=(4, 3, 3, 3))
    stride, padding = int(rng.integers(1, 4)), int(rng.integers(0, 3))
    yield {"x": x, "weight": weight, "stride": stride, "padding": padding}


# ---- Its cost ------------------------------------------------------------------------------------


def count(bias, **conv):
    c = cost.of(spec.standard(**conv))
    return c.macs, c.params + conv["out_channels"] * bias


def side(k):
    return out_size(k["in_size"], k["kernel_size"], k["stride"], k["padding"], 1)


@question(
    "cost",
    function="conv2d_cost",
    points=2,
    reference=count,
    hints=[
        "Start with the side of the output, $D_G = \\lfloor (D_F + 2p - D_K)/s \\rfloor + 1$.",
        "Each weight of a filter is used once at each of the $D_G^2$ positions. A bias is a weight that is added and "
        "multiplies nothing.",
    ],
    mistakes=[
        *mistakes.macs_and_params(count),
        Mistake(
            "The bias is counted among the MACs: it is added, and multiplies nothing.",
            lambda **k: (
                count(**k)[0] + k["bias"] * k["out_channels"] * side(k) ** 2,
                count(**k)[1],
            ),
        ),
        Mistake(
            "The bias is missing among the parameters: there is one for each output channel.",
            lambda bias, **k: count(bias=False, **k),
        ),
        Mistake(
            "There is one bias for each output channel, not for each input channel.",
            lambda **k: (
                count(**k)[0],
                count(**k)[1] + k["bias"] * (k["in_channels"] - k["out_channels"]),
            ),
        ),
        Mistake(
            "The positions are those of the input: count the positions of the output, stride and padding included.",
            lambda **k: (count(**k)[0] // side(k) ** 2 * k["in_size"] ** 2, count(**k)[1]),
        ),
        mistakes.left_out(count, stride=1),
        mistakes.left_out(count, padding=0),
        Mistake(
            "The kernel's side is taken once: a kernel has D_K times D_K weights.",
            lambda **k: (
                count(**k)[0] // k["kernel_size"],
                k["kernel_size"] * k["in_channels"] * k["out_channels"]
                + k["bias"] * k["out_channels"],
            ),
        ),
        Mistake(
            "One filter is counted: there are N of them.",
            lambda **k: (
                count(**k)[0] // k["out_channels"],
                k["kernel_size"] ** 2 * k["in_channels"] + k["bias"],
            ),
        ),
    ],
)
def costs(rng):
    options = [(1, 0, False), (1, 1, True), (2, 1, True), (2, 2, False), (3, 0, True)]
    for stride, padding, bias in options:
        m, n = (int(each) for each in rng.choice(np.arange(2, 100), size=2, replace=False))
        yield {
            "in_channels": m,
            "out_channels": n,
            "in_size": int(rng.integers(8, 60)),
            "kernel_size": int(rng.choice([2, 3, 5, 7])),
            "stride": stride,
            "padding": padding,
            "bias": bias,
        }


# ---- Predict, then measure -----------------------------------------------------------------------


def unread(in_size, kernel_size, stride):
    read = np.zeros((in_size, in_size), bool)
    for i in range(0, in_size - kernel_size + 1, stride):
        for j in range(0, in_size - kernel_size + 1, stride):
            read[i : i + kernel_size, j : j + kernel_size] = True
    return int(np.count_nonzero(~read))


def read_rows(in_size, kernel_size, stride):
    positions = (in_size - kernel_size) // stride + 1
    return kernel_size + (positions - 1) * min(stride, kernel_size)


@question(
    "unread",
    function="unread_pixels",
    points=3,
    reference=unread,
    hints=[
        "A pixel is read if its row is read and its column is. So count the rows that are read, say $r$: then $r^2$ pixels are read.",
        "With $s \\le D_K$ neighbouring windows touch or overlap. The rows that are read go from 0 to the end of the last window without a gap.",
        "With $s > D_K$ each window reads $D_K$ rows that no other window reads. In both cases: how many rows does a window "
        "read that the one before it did not?",
    ],
    mistakes=[
        Mistake(
            "Those are the pixels that are read.",
            lambda **k: read_rows(**k) ** 2,
        ),
        Mistake(
            "A pixel is lost as soon as its row or its column is: count all but r times r pixels.",
            lambda in_size, **k: (in_size - read_rows(in_size, **k)) ** 2,
        ),
        Mistake(
            "Those are the rows that nobody reads, and the pixels were asked for.",
            lambda in_size, **k: in_size - read_rows(in_size, **k),
        ),
        Mistake(
            "Only the rest at the end is counted: with a stride above the kernel's side there are gaps between the windows too.",
            lambda in_size, kernel_size, stride: (
                in_size**2 - (((in_size - kernel_size) // stride) * stride + kernel_size) ** 2
            ),
        ),
        Mistake(
            "Pixels are counted once for each window: windows overlap where the stride is smaller than the kernel.",
            lambda in_size, kernel_size, stride: (
                in_size**2 - (((in_size - kernel_size) // stride + 1) * kernel_size) ** 2
            ),
        ),
        Mistake(
            "The corner where lost rows and lost columns cross is counted twice.",
            lambda in_size, **k: 2 * in_size * (in_size - read_rows(in_size, **k)),
        ),
        Mistake("No pixel is lost at stride 1. At a larger one some may be.", lambda **k: 0),
    ],
)
def unreads(rng):
    few, many = (int(each) for each in rng.integers([2, 4], [5, 8]))
    for kernel_size, stride in [
        (many, many),
        (few, few + 1),
        (many, 1),
        (many, int(rng.integers(2, many))),
        (many + 1, 3),
        (1, few),
        (few, many + few),
    ]:
        positions = int(rng.integers(3, 10))
        rest = int(rng.integers(1, stride)) if stride > 1 else 0
        yield {
            "in_size": (positions - 1) * stride + kernel_size + rest,
            "kernel_size": kernel_size,
            "stride": stride,
        }


# ---- Another convention --------------------------------------------------------------------------


def on_pixels(in_size, kernel_size, padding):
    ones = np.ones((1, 1, in_size, in_size)), np.ones((1, 1, kernel_size, kernel_size))
    return int(ops.standard(*ones, padding=padding).sum())


def in_a_row(in_size, kernel_size, padding):
    ones = np.ones((1, 1, 1, in_size)), np.ones((1, 1, 1, kernel_size))
    return int(ops.standard(*ones, padding=(0, padding)).sum())


@question(
    "on-pixels",
    function="macs_on_pixels",
    points=2,
    reference=on_pixels,
    hints=[
        "Do it for one row of pixels first. Window $i$ begins at $i - p$ and ends at $i - p + D_K - 1$. How many of its "
        "taps lie between 0 and $D_F - 1$?",
        "Rows and columns are independent: the count for the square image is the square of the count for a row.",
    ],
    mistakes=[
        Mistake(
            "That is this course's convention: padding zeros count in it, and here they do not.",
            lambda in_size, kernel_size, padding: (
                kernel_size**2 * (in_size + 2 * padding - kernel_size + 1) ** 2
            ),
        ),
        Mistake(
            "Windows that overlap the border are left out: their taps on pixels count.",
            lambda in_size, kernel_size, padding: kernel_size**2 * (in_size - kernel_size + 1) ** 2,
        ),
        Mistake("That is the count for one row of pixels: square it.", in_a_row),
        Mistake(
            "Every pixel is multiplied by every tap: near the border some taps never reach it.",
            lambda in_size, kernel_size, padding: kernel_size**2 * in_size**2,
        ),
        Mistake(
            "The rows alone are counted by pixels: taps may fall beside the image as well as above it.",
            lambda in_size, kernel_size, padding: (
                in_a_row(in_size, kernel_size, padding)
                * kernel_size
                * (in_size + 2 * padding - kernel_size + 1)
            ),
        ),
        mistakes.in_flops(on_pixels),
    ],
)
def on_pixels_cases(rng):
    for kernel_size, padding in [(3, 1), (5, 2), (3, 0), (5, 1), (3, 2), (4, 3)]:
        yield {
            "in_size": int(rng.integers(kernel_size + 1, 30)),
            "kernel_size": kernel_size,
            "padding": padding,
        }


# ---- Find the mistakes ---------------------------------------------------------------------------


def dilated(image, kernel, dilation):
    return ops.standard(image[None, None], kernel[None, None], dilation=dilation)[0, 0]


def broken(image, kernel, dilation, *, swap=True, span=True):
    """The given function, with one of its mistakes or both."""
    y = dilated(image, kernel, dilation)
    rows, columns = y.shape
    if span:
        rows, columns = rows - dilation + 1, columns - dilation + 1
    if swap:
        rows, columns = columns, rows
    made = np.zeros((rows, columns), image.dtype)
    for i in range(rows):
        for j in range(columns):
            window = image[
                i : i + dilation * kernel.shape[0] : dilation,
                j : j + dilation * kernel.shape[1] : dilation,
            ]
            made[i, j] = (window * kernel).sum()
    return made


@question(
    "dilation",
    function="dilated_conv2d",
    points=3,
    reference=dilated,
    shape="rows and columns of the output are H - d (K_h - 1) and W - d (K_w - 1)",
    hints=[
        "Try it with `dilation=1` on an image that is not square. The first mistake has nothing to do with dilation.",
        "The second one shows in the size. How many pixels lie between the first and the last of three taps with a dilation of 2?",
    ],
    mistakes=[
        *mistakes.as_if(
            broken,
            {
                "The span is still dilation * K: between K taps there are K - 1 gaps, so it is dilation * (K - 1) + 1.": {
                    "swap": False
                },
                "Rows and columns of the output are still exchanged.": {"span": False},
            },
        ),
        mistakes.unrepaired(broken),
        Mistake(
            "The dilation is ignored: neighbouring taps read pixels that are `dilation` apart.",
            mistakes.fixed(dilated, dilation=1),
        ),
        Mistake(
            "That is a stride: dilation spreads the taps, and the windows still move by one pixel.",
            lambda image, kernel, dilation: ops.standard(
                image[None, None], kernel[None, None], stride=dilation
            )[0, 0],
        ),
        Mistake(
            "The kernel is flipped.",
            lambda image, kernel, dilation: dilated(image, kernel[::-1, ::-1], dilation),
        ),
    ],
)
def dilations(rng):
    sizes = [(6, 8, 3, 3, 1), (9, 9, 3, 3, 2), (9, 7, 3, 2, 2), (8, 12, 2, 3, 3), (7, 10, 2, 4, 2)]
    for h, w, k_h, k_w, dilation in sizes:
        yield {
            "image": whole(rng, h, w),
            "kernel": whole(rng, k_h, k_w),
            "dilation": dilation,
        }
