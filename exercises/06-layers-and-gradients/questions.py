"""Layers and gradients: what is asked, the right answers, and the wrong ones that have a name."""

import numpy as np

from dsconv_lib import ops
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question, whole

WRITTEN = {"bias-before-batch-normalisation": 3, "gradient-of-the-input": 3}


# ---- The gradient of a depthwise weight ----------------------------------------------------------


def weight_gradient(grad_output, x, kernel_size, stride, padding):
    weight = np.zeros((x.shape[1], 1, kernel_size, kernel_size), x.dtype)
    return ops.depthwise_backward(grad_output, x, weight, stride=stride, padding=padding)[1]


def weight_gradient_with_edges(grad_output, x, kernel_size, stride, padding):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="edge")
    return weight_gradient(grad_output, padded, kernel_size, stride, 0)


def unstrided(grad_output, x, kernel_size, stride, padding):
    """Windows that lie one pixel apart, as many as there are outputs."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = grad_output.shape[2:]
    cut = padded[:, :, : rows + kernel_size - 1, : columns + kernel_size - 1]
    return weight_gradient(grad_output, cut, kernel_size, 1, 0)


@question(
    "depthwise-weight",
    function="depthwise_weight_gradient",
    points=4,
    reference=weight_gradient,
    shape="a gradient has the shape of what it belongs to, (M, 1, K, K)",
    hints=[
        "A weight is used at every output position of every image: $\\partial L / \\partial w_{m,u,v} = \\sum_k \\sum_{i,j} "
        "\\delta_{k,m,i,j} \\, x_{k,m,\\,is+u-p,\\,js+v-p}$. "
        "$k$ counts the images.",
        "Pad first. Then tap $(u, v)$ reads the view that begins at row $u$ and column $v$ and takes every `stride`-th pixel, "
        "as many as there are outputs.",
        "`(grad_output * view).sum(axis=(0, 2, 3))` keeps the channel and adds up images, rows and columns.",
    ],
    mistakes=[
        Mistake(
            "The sum over the images is missing: all images of the batch use the same weight.",
            lambda grad_output, x, **k: weight_gradient(grad_output[:1], x[:1], **k),
        ),
        Mistake(
            "A mean is taken over the images: the gradient of a sum of losses is the sum of the gradients.",
            lambda grad_output, x, **k: weight_gradient(grad_output, x, **k) / len(x),
        ),
        Mistake(
            "The gradient is flipped, in rows and columns: tap (u, v) meets the pixel at (i + u, j + v).",
            lambda **k: weight_gradient(**k)[:, :, ::-1, ::-1],
        ),
        Mistake(
            "The channels are summed: a depthwise weight reads one channel, so its gradient does too.",
            lambda grad_output, **k: weight_gradient(
                np.broadcast_to(grad_output.sum(axis=1, keepdims=True), grad_output.shape).copy(),
                **k,
            ),
        ),
        Mistake(
            "The stride is ignored: the views take every `stride`-th pixel.",
            unstrided,
        ),
        Mistake(
            "The border is continued: the padding is zeros, and a tap that falls on it adds nothing.",
            weight_gradient_with_edges,
        ),
        Mistake(
            "Rows and columns of the kernel are exchanged.",
            lambda **k: weight_gradient(**k).swapaxes(2, 3),
        ),
        Mistake(
            "The axis of length 1 is missing: the weight has shape (M, 1, K, K), and so has its gradient.",
            lambda **k: weight_gradient(**k)[:, 0],
        ),
        Mistake(
            "The sign is turned: the step goes against the gradient, and the gradient itself does not.",
            lambda **k: -weight_gradient(**k),
        ),
    ],
)
def depthwise_weight(rng):
    for b, m, h, w, k, stride, padding in [
        (1, 2, 4, 4, 2, 1, 0),
        (2, 3, 5, 6, 3, 1, 1),
        (3, 2, 7, 5, 3, 2, 1),
        (2, 1, 6, 6, 2, 2, 0),
        (2, 2, 7, 8, 3, 3, 2),
    ]:
        rows, columns = ((side + 2 * padding - k) // stride + 1 for side in (h, w))
        dtype = np.float32 if stride == 2 else np.float64
        yield {
            "grad_output": whole(rng, b, m, rows, columns, dtype=dtype),
            "x": whole(rng, b, m, h, w, dtype=dtype),
            "kernel_size": k,
            "stride": stride,
            "padding": padding,
        }


# ---- Both gradients of a pointwise layer ---------------------------------------------------------


def mix_backward(grad_output, x, weight):
    return ops.pointwise_backward(grad_output, x, weight)


def transposed(array):
    return np.ascontiguousarray(array.swapaxes(0, 1))


@question(
    "pointwise-backward",
    function="pointwise_backward",
    points=3,
    reference=mix_backward,
    shape="a gradient has the shape of what it belongs to",
    hints=[
        "Forward, every pixel is multiplied by one matrix $W$ of shape $(N, M)$. A pixel of channel $m$ is read by all $N$ filters.",
        "$\\partial L / \\partial x = W^\\top \\delta$ at each pixel, and $\\partial L / \\partial W = \\sum \\delta \\, x^\\top$ over all pixels and images.",
        "`np.einsum('nm,bnij->bmij', W, grad_output)` and `np.einsum('bnij,bmij->nm', grad_output, x)`. The weight has two more axes.",
    ],
    mistakes=[
        Mistake(
            "The matrix is not transposed on the way back: channel m collects the slopes of all filters n, so the sum runs over n.",
            lambda grad_output, x, weight: (
                mix_backward(grad_output, x, transposed(weight))[0],
                mix_backward(grad_output, x, weight)[1],
            ),
        ),
        Mistake(
            "The gradient of the weight is transposed: it has shape (N, M, 1, 1).",
            lambda grad_output, x, weight: (
                mix_backward(grad_output, x, weight)[0],
                transposed(mix_backward(grad_output, x, weight)[1]),
            ),
        ),
        Mistake(
            "The two gradients are in the other order: first x, then weight.",
            lambda **k: mix_backward(**k)[::-1],
        ),
        Mistake(
            "The gradient of the weight has lost its last two axes: it has shape (N, M, 1, 1).",
            lambda **k: (mix_backward(**k)[0], mix_backward(**k)[1][:, :, 0, 0]),
        ),
        Mistake(
            "The weight's gradient is a mean over the images: it is a sum.",
            lambda grad_output, x, weight: (
                mix_backward(grad_output, x, weight)[0],
                mix_backward(grad_output, x, weight)[1] / len(x),
            ),
        ),
        Mistake(
            "The weight's gradient comes from the first image alone: all images are added up.",
            lambda grad_output, x, weight: (
                mix_backward(grad_output, x, weight)[0],
                mix_backward(grad_output[:1], x[:1], weight)[1],
            ),
        ),
        Mistake(
            "The weight's gradient comes from one pixel: all pixels are added up.",
            lambda grad_output, x, weight: (
                mix_backward(grad_output, x, weight)[0],
                mix_backward(grad_output[..., :1, :1], x[..., :1, :1], weight)[1],
            ),
        ),
    ],
)
def pointwise_backward(rng):
    for b, m, n, h, w in [(1, 3, 3, 2, 2), (2, 3, 4, 3, 2), (3, 4, 2, 1, 5), (2, 2, 2, 4, 4)]:
        dtype = np.float32 if n == 2 else np.float64
        yield {
            "grad_output": whole(rng, b, n, h, w, dtype=dtype),
            "x": whole(rng, b, m, h, w, dtype=dtype),
            "weight": whole(rng, n, m, 1, 1, dtype=dtype),
        }


# ---- Find the mistakes ---------------------------------------------------------------------------


def input_gradient(grad_output, weight):
    b, m, rows, columns = grad_output.shape
    k = weight.shape[2]
    x = np.zeros((b, m, rows + k - 1, columns + k - 1), grad_output.dtype)
    return ops.depthwise_backward(grad_output, x, weight)[0]


def overwritten(grad_output, weight):
    """Each tap stores where it should add."""
    b, m, rows, columns = grad_output.shape
    k = weight.shape[2]
    grad_x = np.zeros((b, m, rows + k - 1, columns + k - 1), grad_output.dtype)
    for u in range(k):
        for v in range(k):
            grad_x[:, :, u : u + rows, v : v + columns] = (
                weight[:, 0, u, v, None, None] * grad_output
            )
    return grad_x


@question(
    "input-gradient",
    function="depthwise_input_gradient",
    points=3,
    reference=input_gradient,
    shape="the input is larger than the output by K - 1 rows and columns",
    hints=[
        "Take a $1 \\times 1$ output, $\\delta = 1$. Then the gradient of the input is the kernel itself, as it lies on the image.",
        "Take a row of two outputs, both with $\\delta = 1$. The pixel in the middle of the image is in two windows, so it collects two terms.",
    ],
    mistakes=[
        Mistake(
            "The taps are still flipped: tap (u, v) goes back to the pixels that it has read, at (i + u, j + v).",
            lambda grad_output, weight: input_gradient(grad_output, weight[:, :, ::-1, ::-1]),
        ),
        Mistake(
            "Each tap still wipes out what the others have left: add with +=, as windows overlap.",
            overwritten,
        ),
        mistakes.unrepaired(
            lambda grad_output, weight: overwritten(grad_output, weight[:, :, ::-1, ::-1])
        ),
        Mistake(
            "Rows and columns of the kernel are exchanged.",
            lambda grad_output, weight: input_gradient(grad_output, weight.swapaxes(2, 3)),
        ),
        Mistake(
            "The channels are summed: a pixel of channel m is read by the filter of channel m alone.",
            lambda grad_output, weight: (
                lambda g: np.broadcast_to(g.sum(axis=1, keepdims=True), g.shape).copy()
            )(input_gradient(grad_output, weight)),
        ),
        Mistake(
            "The border is cut off: pixels at the border are in some window too.",
            lambda grad_output, weight: (
                lambda g, k: g[
                    :,
                    :,
                    k // 2 : g.shape[2] - (k - 1 - k // 2),
                    k // 2 : g.shape[3] - (k - 1 - k // 2),
                ]
            )(input_gradient(grad_output, weight), weight.shape[2]),
        ),
    ],
)
def input_gradients(rng):
    sizes = [(1, 2, 1, 1, 3), (1, 1, 1, 3, 2), (2, 3, 3, 4, 3), (2, 2, 5, 3, 2)]
    for b, m, rows, columns, k in sizes:
        dtype = np.float32 if b == 2 else np.float64
        yield {
            "grad_output": whole(rng, b, m, rows, columns, dtype=dtype),
            "weight": whole(rng, m, 1, k, k, dtype=dtype),
        }


# ---- Batch normalisation -------------------------------------------------------------------------


def batch_norm(x, gamma, beta, eps, *, axes=(0, 2, 3), ddof=0, inside=True):
    mean = x.mean(axis=axes, keepdims=True)
    variance = x.var(axis=axes, keepdims=True, ddof=ddof)
    root = np.sqrt(variance + eps) if inside else np.sqrt(variance) + eps
    return gamma[:, None, None] * (x - mean) / root + beta[:, None, None]


@question(
    "batch-norm",
    function="batch_norm",
    points=2,
    reference=batch_norm,
    shape="batch normalisation changes numbers and no shape",
    hints=[
        "The numbers of one channel are those of all images, rows and columns: `axis=(0, 2, 3)`.",
        "`keepdims=True` leaves axes of length 1, so that mean and variance fit the input again. `gamma[:, None, None]` does the same for $\\gamma$.",
    ],
    mistakes=[
        *mistakes.as_if(
            batch_norm,
            {
                "Each image is normalised by itself: the mean of a channel is taken over the batch too.": {
                    "axes": (2, 3)
                },
                "All channels are normalised together: each channel has a mean and a variance of its own.": {
                    "axes": None
                },
                "Each pixel is normalised by itself: the mean of a channel is taken over rows and columns too.": {
                    "axes": (0,)
                },
                "The mean is taken over the channels: that is another normalisation.": {
                    "axes": (1,)
                },
                "The variance is divided by the count less 1: batch normalisation divides by the count.": {
                    "ddof": 1
                },
                "eps is outside of the root: it is added to the variance.": {"inside": False},
                "eps is left out.": {"eps": 0.0},
            },
        ),
        Mistake(
            "gamma and beta are left out.",
            lambda gamma, beta, **k: batch_norm(
                gamma=np.ones_like(gamma), beta=np.zeros_like(beta), **k
            ),
        ),
    ],
)
def norms(rng):
    sizes = [(4, 3, 2, 3, 1e-1), (2, 2, 4, 4, 1e-2), (3, 3, 3, 3, 1e-1), (6, 2, 1, 1, 1e-2)]
    for b, m, h, w, eps in sizes:
        yield {
            "x": rng.normal(size=(b, m, h, w)) * 2 + 3 * np.arange(m)[:, None, None],
            "gamma": rng.uniform(0.5, 2, size=m),
            "beta": rng.normal(size=m) + 1,
            "eps": eps,
        }


# ---- Folding -------------------------------------------------------------------------------------


def fold(weight, gamma, beta, mean, variance, eps):
    scale = gamma / np.sqrt(variance + eps)
    return weight * scale[:, None, None, None], beta - scale * mean


def fold_with(scale, bias):
    """A fold with another scale or another bias."""

    def wrong(weight, gamma, beta, mean, variance, eps):
        a = scale(gamma, variance, eps)
        return weight * a[:, None, None, None], bias(a, beta, mean)

    return wrong


def right_scale(gamma, variance, eps):
    return gamma / np.sqrt(variance + eps)


def right_bias(a, beta, mean):
    return beta - a * mean


@question(
    "fold",
    function="fold",
    points=3,
    reference=fold,
    shape="the folded weight has the shape of the weight, and the bias has one number for each filter",
    hints=[
        "Put $z = w * x$ into $\\gamma (z - \\mu) / \\sqrt{\\sigma^2 + \\varepsilon} + \\beta$ and sort: what multiplies $w * x$, and what is left?",
        "The factor is $a_n = \\gamma_n / \\sqrt{\\sigma_n^2 + \\varepsilon}$, and the rest is $\\beta_n - a_n \\mu_n$.",
        "Filter $n$ is `weight[n]`. `a.reshape(-1, 1, 1, 1)` lays $a_n$ on all its entries.",
    ],
    mistakes=[
        Mistake(
            "The square root is missing: BN divides by the standard deviation, not by the variance.",
            fold_with(lambda gamma, variance, eps: gamma / (variance + eps), right_bias),
        ),
        Mistake(
            "eps is outside of the root: it is added to the variance.",
            fold_with(lambda gamma, variance, eps: gamma / (np.sqrt(variance) + eps), right_bias),
        ),
        Mistake(
            "eps is left out.",
            fold_with(lambda gamma, variance, eps: gamma / np.sqrt(variance), right_bias),
        ),
        Mistake(
            "gamma is left out of the factor.",
            fold_with(lambda gamma, variance, eps: 1 / np.sqrt(variance + eps), right_bias),
        ),
        Mistake(
            "The mean is subtracted without the factor: BN multiplies after the subtraction.",
            fold_with(right_scale, lambda a, beta, mean: beta - mean),
        ),
        Mistake(
            "The mean is added: BN subtracts it.",
            fold_with(right_scale, lambda a, beta, mean: beta + a * mean),
        ),
        Mistake(
            "beta is multiplied by the factor: BN adds it at the end.",
            fold_with(right_scale, lambda a, beta, mean: a * (beta - mean)),
        ),
        Mistake(
            "The weight is not changed: the factor belongs to it, as to the bias.",
            lambda weight, **k: (weight, fold(weight=weight, **k)[1]),
        ),
        Mistake(
            "The two arrays are in the other order: first the weight.",
            lambda **k: fold(**k)[::-1],
        ),
        Mistake(
            "The factor lies along the wrong axis: the first axis of the weight counts the filters.",
            lambda weight, gamma, beta, mean, variance, eps: (
                weight * right_scale(gamma, variance, eps),
                fold(weight, gamma, beta, mean, variance, eps)[1],
            ),
        ),
    ],
)
def folds(rng):
    for n, m, k, eps in [(3, 2, 3, 1e-5), (4, 1, 4, 1e-3), (2, 5, 1, 1e-1), (3, 3, 3, 1e-2)]:
        yield {
            "weight": rng.normal(size=(n, m, k, k)),
            "gamma": rng.uniform(0.5, 2, size=n),
            "beta": rng.normal(size=n) + 1,
            "mean": rng.normal(size=n) + 2,
            "variance": rng.uniform(0.05, 3, size=n),
            "eps": eps,
        }


# ---- What a training step costs ------------------------------------------------------------------


def step_macs(forward, frozen):
    """Forward everywhere; both gradients, except the input's where nothing before it learns."""
    learning = forward[frozen:]
    return sum(forward) + 2 * sum(learning) - (learning[0] if learning else 0)


@question(
    "training-step",
    function="training_step_macs",
    points=2,
    reference=step_macs,
    hints=[
        "For each layer that learns there are three numbers of the same size: forward, the gradient of its weight, and that of its input.",
        "The gradient of a layer's input is only computed for the layer before it. Which learning layer has no learning layer before it?",
    ],
    mistakes=[
        Mistake(
            "The first layer that learns does not need the gradient of its input: nothing before it learns.",
            lambda forward, frozen: sum(forward) + 2 * sum(forward[frozen:]),
        ),
        Mistake(
            "Backward costs twice the forward pass: a gradient for the weight and one for the input.",
            lambda forward, frozen: sum(forward) + sum(forward[frozen:]),
        ),
        Mistake(
            "The forward pass is missing.",
            lambda forward, frozen: step_macs(forward, frozen) - sum(forward),
        ),
        Mistake(
            "The forward pass of the frozen layers is missing: they still compute.",
            lambda forward, frozen: step_macs(forward, frozen) - sum(forward[:frozen]),
        ),
        Mistake(
            "Frozen layers are counted as if they learnt: without a layer that learns before them, they need no backward pass.",
            lambda forward, frozen: step_macs(forward, 0),
        ),
        Mistake(
            "Frozen layers pass gradients on: that is needed only where a layer before them learns.",
            lambda forward, frozen: step_macs(forward, frozen) + sum(forward[: frozen + 1]),
        ),
        Mistake(
            "The first layer of the network is left out, whether it learns or not.",
            lambda forward, frozen: sum(forward) + 2 * sum(forward[frozen:]) - forward[0],
        ),
    ],
)
def steps(rng):
    for layers, frozen in [(1, 0), (4, 0), (5, 2), (6, 5), (3, 3)]:
        yield {
            "forward": [int(each) for each in rng.integers(100, 10_000, size=layers)],
            "frozen": frozen,
        }
