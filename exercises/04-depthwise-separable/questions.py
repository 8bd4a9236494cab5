"""Depthwise-separable convolution: what is asked, the right answers, and the wrong ones that have a name."""

import numpy as np

from dsconv_lib import cost, ops, spec
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question, whole

WRITTEN = {"ratio": 3, "one-filter-after-all": 3}


# ---- The operation -------------------------------------------------------------------------------


def separate(x, depthwise_weight, pointwise_weight, stride, padding):
    return ops.separable(x, depthwise_weight, pointwise_weight, stride=stride, padding=padding)


def mixed(filtered, pointwise_weight):
    return ops.pointwise(np.ascontiguousarray(filtered), np.ascontiguousarray(pointwise_weight))


def with_filtered(change):
    """The operation with a change between its halves."""

    def wrong(x, depthwise_weight, pointwise_weight, stride, padding):
        filtered = ops.depthwise(x, depthwise_weight, stride=stride, padding=padding)
        return mixed(change(filtered), pointwise_weight)

    return wrong


def with_other_order(x, depthwise_weight, pointwise_weight, stride, padding):
    """Filter n reads channel n % M."""
    m = x.shape[1]
    parts = [
        ops.depthwise(x, depthwise_weight[q * m : (q + 1) * m], stride=stride, padding=padding)
        for q in range(len(depthwise_weight) // m)
    ]
    return mixed(np.concatenate(parts, axis=1), pointwise_weight)


def pointwise_first(x, depthwise_weight, pointwise_weight, stride, padding):
    y = mixed(x, pointwise_weight)
    return ops.depthwise(y, depthwise_weight, stride=stride, padding=padding)


@question(
    "separable",
    function="separable_conv2d",
    points=4,
    reference=separate,
    shape="rows and columns of the output are (H + 2p - K) // s + 1, and there are as many channels as pointwise filters",
    hints=[
        "Write two steps, and look at the shape between them: `(B, M * multiplier, H_out, W_out)`.",
        "Stride and padding belong to the first step. The second one reads every pixel of the map between them.",
        "The second step is one product of matrices: `np.einsum('nk,bkij->bnij', pointwise_weight[:, :, 0, 0], filtered)`.",
    ],
    mistakes=[
        Mistake(
            "The second half is missing: that is the depthwise convolution, and its channels have not met.",
            lambda x, depthwise_weight, pointwise_weight, stride, padding: ops.depthwise(
                x, depthwise_weight, stride=stride, padding=padding
            ),
        ),
        Mistake(
            "The first half is missing: that is the pointwise convolution, and no pixel has met its neighbours.",
            lambda x, depthwise_weight, pointwise_weight, stride, padding: mixed(
                x[:, :, ::stride, ::stride], pointwise_weight
            ),
        ),
        Mistake(
            "The halves are in the other order: the depthwise one comes first.",
            pointwise_first,
        ),
        Mistake(
            "The stride is used twice: it belongs to the depthwise half alone.",
            lambda x, depthwise_weight, pointwise_weight, stride, padding: separate(
                x, depthwise_weight, pointwise_weight, stride, padding
            )[:, :, ::stride, ::stride],
        ),
        *mistakes.windows(separate),
        mistakes.flipped(separate, "depthwise_weight"),
        Mistake(
            "Filter n reads channel n % M: it belongs to input channel n // multiplier.",
            with_other_order,
        ),
        Mistake(
            "There is a ReLU between the halves: the plain separable convolution has nothing there.",
            with_filtered(lambda filtered: np.maximum(filtered, 0)),
        ),
        Mistake(
            "The channels are already summed in the first half: it keeps them apart, and the second half mixes them.",
            with_filtered(
                lambda filtered: np.broadcast_to(
                    filtered.sum(axis=1, keepdims=True), filtered.shape
                )
            ),
        ),
        Mistake(
            "The channels are not mixed in the second half: its sum over the channels is missing.",
            lambda x, depthwise_weight, pointwise_weight, stride, padding: (
                lambda filtered: np.stack(
                    [
                        filtered[:, n % filtered.shape[1]]
                        * pointwise_weight[n, n % filtered.shape[1], 0, 0]
                        for n in range(len(pointwise_weight))
                    ],
                    axis=1,
                )
            )(ops.depthwise(x, depthwise_weight, stride=stride, padding=padding)),
        ),
        Mistake(
            "The pointwise matrix is transposed: weight[n, k] takes channel k of the middle to output n.",
            lambda x, depthwise_weight, pointwise_weight, stride, padding: separate(
                x,
                depthwise_weight,
                np.ascontiguousarray(pointwise_weight.swapaxes(0, 1)),
                stride,
                padding,
            ),
        ),
        mistakes.cut_short(separate),
    ],
)
def separable(rng):
    m = int(rng.integers(2, 5))
    yield {
        "x": whole(rng, 1, m, 6, 6),
        "depthwise_weight": whole(rng, m, 1, 3, 3),
        "pointwise_weight": whole(rng, m, m, 1, 1),
        "stride": 1,
        "padding": 0,
    }
    for b, m, multiplier, n, h, w, k, stride, padding in [
        (2, 3, 1, 4, 7, 8, 3, 2, 1),
        (1, 2, 2, 3, 6, 5, 3, 1, 1),
        (2, 3, 2, 6, 8, 6, 2, 2, 0),
        (1, 1, 3, 2, 5, 9, 3, 1, 1),
        (2, 2, 1, 5, 9, 7, 3, 3, 2),
    ]:
        yield {
            "x": whole(rng, b, m, h, w, dtype=np.float32),
            "depthwise_weight": whole(rng, multiplier * m, 1, k, k, dtype=np.float32),
            "pointwise_weight": whole(rng, n, multiplier * m, 1, 1, dtype=np.float32),
            "stride": stride,
            "padding": padding,
        }
    h, w = map(int, rng.integers(6, 10, size=2))
    yield {
        "x": rng.normal(size=(2, 3, h, w)),
        "depthwise_weight": rng.normal(size=(6, 1, 3, 3)),
        "pointwise_weight": rng.normal(size=(4, 6, 1, 1)),
        "stride": int(rng.integers(1, 4)),
        "padding": int(rng.integers(0, 3)),
    }


# ---- Its cost ------------------------------------------------------------------------------------


def count(**conv):
    c = cost.of(spec.separable(**conv))
    return c.macs, c.params


def halves(k):
    """Positions of the output, and the weights of both halves."""
    side = (k["in_size"] + 2 * k["padding"] - k["kernel_size"]) // k["stride"] + 1
    middle = k["in_channels"] * k["multiplier"]
    return side**2, k["kernel_size"] ** 2 * middle, middle * k["out_channels"]


@question(
    "cost",
    function="separable_cost",
    points=3,
    reference=count,
    hints=[
        "Count the two halves alone. How many channels has the map between them?",
        "The pointwise half reads $\\mu M$ channels, on the small map: the stride has already been taken.",
        "They run one after the other, so their MACs are added, and so are their weights.",
    ],
    mistakes=[
        Mistake(
            "The halves are multiplied: they run one after the other, so their costs are added.",
            lambda **k: (lambda p, d, w: (p * d * p * w, d * w))(*halves(k)),
        ),
        Mistake(
            "The pointwise half is missing.",
            lambda **k: (lambda p, d, w: (p * d, d))(*halves(k)),
        ),
        Mistake(
            "The depthwise half is missing.",
            lambda **k: (lambda p, d, w: (p * w, w))(*halves(k)),
        ),
        Mistake(
            "The pointwise half runs on the large map: the depthwise half comes first and takes the stride.",
            lambda **k: (lambda p, d, w: (p * d + k["in_size"] ** 2 * w, d + w))(*halves(k)),
        ),
        Mistake(
            "The multiplier is missing in the pointwise half: it reads all channels of the map between.",
            lambda **k: (
                lambda p, d, w: (p * (d + w // k["multiplier"]), d + w // k["multiplier"])
            )(*halves(k)),
        ),
        Mistake(
            "The multiplier is missing.",
            lambda multiplier, **k: count(multiplier=1, **k),
        ),
        Mistake(
            "That is the standard convolution.",
            lambda **k: (lambda p, w: (p * w, w))(
                halves(k)[0], k["kernel_size"] ** 2 * k["in_channels"] * k["out_channels"]
            ),
        ),
        *mistakes.macs_and_params(count),
        Mistake(
            "The kernel's side is taken once: a kernel has D_K times D_K weights.",
            lambda **k: (
                lambda p, d, w: (p * (d // k["kernel_size"] + w), d // k["kernel_size"] + w)
            )(*halves(k)),
        ),
        mistakes.left_out(count, stride=1),
        mistakes.left_out(count, padding=0),
    ],
)
def costs(rng):
    for stride, padding, multiplier in [(1, 0, 1), (1, 1, 2), (2, 1, 1), (2, 2, 3), (3, 1, 2)]:
        yield {
            "in_channels": int(rng.integers(2, 100)),
            "out_channels": int(rng.integers(2, 100)),
            "in_size": int(rng.integers(8, 60)),
            "kernel_size": int(rng.choice([2, 3, 5])),
            "stride": stride,
            "padding": padding,
            "multiplier": multiplier,
        }


# ---- "100 times fewer" ---------------------------------------------------------------------------


def needed(kernel_size, times):
    """Smallest N with D_K^2 N >= times (D_K^2 + N)."""
    taps = kernel_size**2
    return None if taps <= times else -(-times * taps // (taps - times))


@question(
    "times-fewer",
    function="channels_needed",
    points=3,
    reference=needed,
    hints=[
        "The standard layer makes $D_K^2 N$ products where the separable one makes $D_K^2 + N$. Write down the inequality.",
        "Bring all terms with $N$ to one side: $N (D_K^2 - t) \\ge t D_K^2$. What if the factor of $N$ is not positive?",
        "Whole numbers need no rounding errors: `-(-a // b)` is $\\lceil a / b \\rceil$.",
    ],
    mistakes=[
        Mistake(
            "The quotient is rounded down: then the saving is a little too small.",
            lambda kernel_size, times: (
                None
                if kernel_size**2 <= times
                else times * kernel_size**2 // (kernel_size**2 - times)
            ),
        ),
        Mistake(
            "One channel too many where the quotient is whole.",
            lambda kernel_size, times: (
                None
                if kernel_size**2 <= times
                else times * kernel_size**2 // (kernel_size**2 - times) + 1
            ),
        ),
        Mistake(
            "The saving stays below the kernel's area, whatever N is: return None where it is out of reach.",
            lambda kernel_size, times: needed(kernel_size, times) or times,
        ),
        Mistake(
            "The pointwise half is left out: without it the saving would be N itself.",
            lambda kernel_size, times: None if kernel_size**2 <= times else times,
        ),
        Mistake(
            "The kernel's side is taken for its area.",
            lambda kernel_size, times: (
                None if kernel_size <= times else -(-times * kernel_size // (kernel_size - times))
            ),
        ),
        Mistake(
            "The kernel's area is the limit and is never reached: for that many times fewer, return None.",
            lambda kernel_size, times: (
                needed(kernel_size, times) if kernel_size**2 != times else kernel_size**4
            ),
        ),
    ],
)
def times_fewer(rng):
    for kind in ("whole", "not whole", "limit", "out of reach", "low", "high"):
        kernel_size = 2 * int(rng.integers(1, 16)) + 1  # odd, and so is its area
        taps = kernel_size**2
        times = {
            "whole": taps - kernel_size,
            "not whole": taps - 2 * int(rng.integers(1, 4)),  # an odd numerator over an even one
            "limit": taps,
            "out of reach": taps + int(rng.integers(1, 50)),
            "low": int(rng.integers(2, taps // 2)),
            "high": int(rng.integers(taps // 2, taps)),
        }[kind]
        yield {"kernel_size": kernel_size, "times": times}


# ---- Always fewer parameters? --------------------------------------------------------------------


def last_loss(kernel_size, multiplier):
    """Largest N with multiplier (D_K^2 + N) >= D_K^2 N."""
    taps = kernel_size**2
    return None if multiplier >= taps else multiplier * taps // (taps - multiplier)


@question(
    "always-fewer",
    function="last_loss",
    points=2,
    reference=last_loss,
    hints=[
        "Both layers have a factor $M$. Compare $\\mu (D_K^2 + N)$ with $D_K^2 N$.",
        "The separable layer has at least as many weights as long as $N (D_K^2 - \\mu) \\le \\mu D_K^2$.",
    ],
    mistakes=[
        Mistake(
            "That holds for a multiplier of 1.",
            lambda kernel_size, multiplier: last_loss(kernel_size, 1),
        ),
        Mistake(
            "The multiplier is left out of the pointwise half: it reads multiplier times M channels.",
            lambda kernel_size, multiplier: (
                None
                if multiplier >= kernel_size**2
                else multiplier * kernel_size**2 // (kernel_size**2 - 1)
            ),
        ),
        Mistake(
            "Equal counts: the separable layer is not cheaper there either, so that N counts.",
            lambda kernel_size, multiplier: (
                None
                if multiplier >= kernel_size**2
                else (multiplier * kernel_size**2 - 1) // (kernel_size**2 - multiplier)
            ),
        ),
        Mistake(
            "That is the first N at which the separable layer is cheaper: the last at which it is not was asked for.",
            lambda kernel_size, multiplier: (
                None if multiplier >= kernel_size**2 else last_loss(kernel_size, multiplier) + 1
            ),
        ),
        Mistake(
            "With a multiplier of D_K squared or more the separable layer is never cheaper: return None.",
            lambda kernel_size, multiplier: last_loss(kernel_size, multiplier) or multiplier,
        ),
        Mistake(
            "There are layers for which it loses: the claim is false.",
            lambda kernel_size, multiplier: 0,
        ),
    ],
)
def losses(rng):
    for kind in ("one", "equal", "limit", "never", "nearly never", "low", "high"):
        kernel_size = int(rng.integers(3, 32))
        taps = kernel_size**2
        multiplier = {
            "one": 1,
            "equal": taps - kernel_size,  # both layers have the same weights at a whole N
            "limit": taps,
            "never": taps + int(rng.integers(1, 50)),
            "nearly never": taps - int(rng.integers(1, 4)),
            "low": int(rng.integers(2, taps // 2)),
            "high": int(rng.integers(taps // 2, taps)),
        }[kind]
        yield {"kernel_size": kernel_size, "multiplier": multiplier}


# ---- One filter after all ------------------------------------------------------------------------


def merge(depthwise_weight, pointwise_weight, in_channels):
    """The standard weight: for each pair (n, m), the sum over the filters of channel m."""
    multiplier = len(depthwise_weight) // in_channels
    kernels = depthwise_weight.reshape(in_channels, multiplier, *depthwise_weight.shape[2:])
    mixing = pointwise_weight.reshape(-1, in_channels, multiplier)
    return np.einsum("nmq,mquv->nmuv", mixing, kernels)


def merge_in_turn(depthwise_weight, pointwise_weight, in_channels):
    kernels = depthwise_weight.reshape(-1, in_channels, *depthwise_weight.shape[2:])
    mixing = pointwise_weight.reshape(len(pointwise_weight), -1, in_channels)
    return np.einsum("nqm,qmuv->nmuv", mixing, kernels)


@question(
    "merge",
    function="merged_weight",
    points=3,
    reference=merge,
    shape="a standard weight has shape (N, M, K_h, K_w)",
    hints=[
        "Take a multiplier of 1 first. Put the formula for $z_m$ into the one for $y_n$, and look at what is multiplied by $x_{m,i+u,j+v}$.",
        "With a multiplier of 1 it is $w^{\\text{pw}}_{n,m} \\, w^{\\text{dw}}_{m,u,v}$.",
        "With a larger one, channel $m$ has $\\mu$ filters, with the numbers from $m \\mu$ to $m \\mu + \\mu - 1$. Their products are added up.",
    ],
    mistakes=[
        Mistake(
            "Only the first filter of each channel counts: with a multiplier above 1 the products of all of them are added up.",
            lambda depthwise_weight, pointwise_weight, in_channels: (
                lambda q: merge(depthwise_weight[::q], pointwise_weight[:, ::q], in_channels)
            )(len(depthwise_weight) // in_channels),
        ),
        Mistake(
            "The filters of channel m are taken as m, m + M, m + 2M: they are neighbours.",
            merge_in_turn,
        ),
        Mistake(
            "The kernels are added to the mixing weights: they are multiplied.",
            lambda depthwise_weight, pointwise_weight, in_channels: (
                pointwise_weight + depthwise_weight[:, 0]
            ),
        ),
        Mistake(
            "The kernels of a channel are averaged: their products are added up.",
            lambda depthwise_weight, pointwise_weight, in_channels: (
                merge(depthwise_weight, pointwise_weight, in_channels)
                * in_channels
                / len(depthwise_weight)
            ),
        ),
        Mistake(
            "The two channel axes are exchanged: the output channels come first.",
            lambda depthwise_weight, pointwise_weight, in_channels: merge(
                depthwise_weight, pointwise_weight, in_channels
            ).swapaxes(0, 1),
        ),
        Mistake(
            "The kernels are flipped: both layers lay them on the image as they are.",
            lambda depthwise_weight, pointwise_weight, in_channels: merge(
                depthwise_weight[:, :, ::-1, ::-1], pointwise_weight, in_channels
            ),
        ),
        Mistake(
            "The sum runs over the input channels: they stay apart in a weight, and meet in the output.",
            lambda depthwise_weight, pointwise_weight, in_channels: merge(
                depthwise_weight, pointwise_weight, in_channels
            ).sum(axis=1, keepdims=True),
        ),
    ],
)
def merges(rng):
    sizes = [(3, 1, 4, 3, 3), (2, 2, 3, 3, 3), (3, 2, 3, 2, 3), (2, 3, 5, 1, 3)]
    for m, multiplier, n, k_h, k_w in sizes:
        yield {
            "depthwise_weight": whole(rng, m * multiplier, 1, k_h, k_w) + 5,
            "pointwise_weight": whole(rng, n, m * multiplier, 1, 1) + 5,
            "in_channels": m,
        }


# ---- Which convolutions are separable? -----------------------------------------------------------


def is_separable(weight):
    """True if, for each input channel, all filters hold multiples of one kernel."""
    n, m = weight.shape[:2]
    slices = weight.reshape(n, m, -1).swapaxes(0, 1)
    return bool((np.linalg.matrix_rank(slices) <= 1).all())


def rank_one(weight):
    return bool((np.linalg.matrix_rank(weight) <= 1).all())


@question(
    "is-it-separable",
    function="is_separable",
    points=3,
    reference=is_separable,
    whole=True,
    hints=[
        "If it is separable, then $w_{n,m,u,v} = a_{n,m} \\, k_{m,u,v}$. Fix $m$: what do the kernels of the different filters $n$ have in common?",
        "For a fixed $m$, write each filter's kernel as a row of $D_K^2$ numbers. All rows are multiples of one row, so this matrix has rank 1, or 0.",
        "`np.linalg.matrix_rank` takes many matrices at once, if they stand in the last two axes.",
    ],
    mistakes=[
        Mistake(
            "You test whether each kernel is a column times a row: that is the spatially separable convolution.",
            rank_one,
        ),
        Mistake(
            "You test whether, within one filter, the kernels are multiples of each other: it is within one input channel that they must be.",
            lambda weight: rank_one(weight.reshape(*weight.shape[:2], -1)),
        ),
        Mistake(
            "You test the whole weight as one matrix: each input channel may have a kernel of its own.",
            lambda weight: rank_one(weight.reshape(len(weight), -1)),
        ),
        Mistake(
            "You test whether the kernels of different filters are equal: multiples will do.",
            lambda weight: bool(np.allclose(weight, weight[:1])),
        ),
        Mistake(
            "A channel that no filter reads has rank 0: that is separable too.",
            lambda weight: bool(
                (
                    np.linalg.matrix_rank(weight.reshape(*weight.shape[:2], -1).swapaxes(0, 1)) == 1
                ).all()
            ),
        ),
        Mistake("Not every convolution is separable.", lambda weight: True),
        Mistake("Some convolutions are separable.", lambda weight: False),
    ],
)
def separables(rng):
    def positive(*shape):
        return rng.integers(1, 5, size=shape).astype(float)

    yes = positive(4, 3, 1, 1) * rng.normal(size=(1, 3, 3, 3))
    yield {"weight": yes}
    no = yes.copy()
    no[int(rng.integers(4)), int(rng.integers(3)), 1, 1] += 1.0
    yield {"weight": no}
    silent = positive(3, 2, 1, 1) * rng.normal(size=(1, 2, 3, 3))
    silent[:, int(rng.integers(2))] = 0.0
    yield {"weight": silent}
    yield {"weight": rng.normal(size=(3, 2, 3, 1)) * rng.normal(size=(3, 2, 1, 3))}
    yield {"weight": positive(3, 4, 1, 1) * rng.normal(size=(3, 1, 3, 3))}
    yield {"weight": rng.normal(size=(1, 3, 2, 2))}
    yield {"weight": rng.normal(size=(5, 1, 3, 3))}
    yield {"weight": np.repeat(rng.normal(size=(1, 2, 2, 2)), 3, axis=0)}
