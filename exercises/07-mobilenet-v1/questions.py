"""MobileNetV1: what is asked, the right answers, and the wrong ones that have a name."""

from itertools import pairwise

from dsconv_lib import cost, spec
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question

WRITTEN = {"width-multiplier": 3, "resolution-multiplier": 2}

# Output channels and stride of MobileNetV1's thirteen blocks.
MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]
MOBILENET += [(512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def some_blocks(rng, count):
    """A small network: channels that differ from block to block, and one or two strides."""
    channels = rng.choice([8, 12, 16, 20, 24, 32], size=count)
    return [(int(n), int(rng.choice([1, 2]))) for n in channels]


# ---- Parameters from a list of layers ------------------------------------------------------------


def params(layers, *, bias_of_linear=True, norm=True, taps=None):
    total = 0
    for kind, m, n, k in layers:
        if kind == "linear":
            total += m * n + n * bias_of_linear
            continue
        groups = m if kind == "depthwise" else 1
        total += m // groups * n * (taps or (lambda k: k * k))(k) + 2 * n * norm
    return total


@question(
    "parameters",
    function="parameters",
    points=2,
    reference=params,
    hints=[
        "A filter reads $M / \\text{groups}$ channels: all of them, or one in a depthwise layer.",
        "Each convolution is followed by a BN with two numbers for each of its output channels. The classifier has a bias and no BN.",
    ],
    mistakes=[
        Mistake(
            "The batch normalisations are missing: each has a scale and a shift for every output channel.",
            lambda layers: params(layers, norm=False),
        ),
        Mistake(
            "The classifier's biases are missing: one for each output.",
            lambda layers: params(layers, bias_of_linear=False),
        ),
        Mistake(
            "Depthwise layers are counted as standard ones: their filters read one channel each.",
            lambda layers: params(
                [("standard" if kind == "depthwise" else kind, *rest) for kind, *rest in layers]
            ),
        ),
        Mistake(
            "The kernel's side is taken once: a kernel has D_K times D_K weights.",
            lambda layers: params(layers, taps=lambda k: k),
        ),
        Mistake(
            "Convolutions have a bias in your count: BN does that work, and they have none.",
            lambda layers: params(layers) + sum(n for kind, _, n, _ in layers if kind != "linear"),
        ),
        Mistake(
            "Each BN has one number for a channel in your count: it has two that are learnt.",
            lambda layers: params(layers) - sum(n for kind, _, n, _ in layers if kind != "linear"),
        ),
        Mistake(
            "Each BN has four numbers for a channel in your count: stored mean and variance are not learnt.",
            lambda layers: (
                params(layers) + 2 * sum(n for kind, _, n, _ in layers if kind != "linear")
            ),
        ),
        Mistake(
            "The BN after a layer has its output channels, not its input channels.",
            lambda layers: (
                params(layers, norm=False)
                + sum(2 * m for kind, m, _, _ in layers if kind != "linear")
            ),
        ),
    ],
)
def parameter_lists(rng):
    for count in (1, 2, 3, 4):
        m = int(rng.choice([8, 16, 24]))
        layers = [("standard", 3, m, int(rng.choice([3, 5])))]
        for n, _ in some_blocks(rng, count):
            layers += [("depthwise", m, m, int(rng.choice([3, 5]))), ("pointwise", m, n, 1)]
            m = n
        yield {"layers": [*layers, ("linear", m, int(rng.integers(2, 100)), 1)]}


# ---- MACs of the whole network -------------------------------------------------------------------


def network(resolution, blocks, classes, stem=32, *, stride_in="depthwise", round_up=True):
    """MACs, with the side and stride rules that some of the wrong answers change."""

    def halved(side, stride):
        return -(-side // stride) if round_up else side // stride

    side = halved(resolution, 2)
    total = cost.of(spec.standard(3, stem, side, 3, padding=1)).macs
    m = stem
    for n, stride in blocks:
        after = halved(side, stride)
        total += 9 * m * (after if stride_in == "depthwise" else side) ** 2
        total += m * n * after**2
        m, side = n, after
    return total + m * classes


@question(
    "network",
    function="mobilenet_macs",
    points=4,
    reference=network,
    hints=[
        "With a $3 \\times 3$ kernel, padding 1 and stride $s$ a side of $D$ becomes $\\lfloor (D - 1)/s \\rfloor + 1$. Carry the side along from layer to layer.",
        "In a block the depthwise layer takes the stride and keeps the channels. The pointwise layer changes the channels and keeps the side.",
        "After the last block the average leaves one pixel, and the classifier makes $M \\cdot \\text{classes}$ products.",
    ],
    mistakes=[
        Mistake(
            "Odd sides are rounded down when they are halved: with padding 1 they are rounded up.",
            lambda **k: network(round_up=False, **k),
        ),
        Mistake(
            "The stem does not halve the image in your count: it has stride 2.",
            lambda resolution, **k: network(resolution=2 * resolution, **k),
        ),
        Mistake(
            "The pointwise layers take the stride in your count: the depthwise layers do.",
            lambda **k: network(stride_in="pointwise", **k),
        ),
        Mistake(
            "The classifier is missing.",
            lambda blocks, classes, **k: network(blocks=blocks, classes=0, **k),
        ),
        Mistake(
            "The stem is missing: 3 to 32 channels with a 3 x 3 kernel.",
            lambda resolution, **k: (
                network(resolution=resolution, **k) - 27 * 32 * (-(-resolution // 2)) ** 2
            ),
        ),
        Mistake(
            "The classifier is counted at every pixel of the last map: the average leaves one.",
            lambda resolution, blocks, classes: (
                network(resolution, blocks, 0)
                + blocks[-1][0] * classes * last_side(resolution, blocks) ** 2
            ),
        ),
        Mistake(
            "The strides of the blocks are left out.",
            lambda blocks, **k: network(blocks=[(n, 1) for n, _ in blocks], **k),
        ),
        Mistake(
            "The depthwise layers are missing.",
            lambda blocks, resolution, classes: (
                network(resolution, blocks, classes) - depthwise_part(resolution, blocks)
            ),
        ),
        mistakes.in_flops(network),
    ],
)
def networks(rng):
    yield {"resolution": 224, "blocks": MOBILENET, "classes": int(rng.integers(500, 2000))}
    first, last = some_blocks(rng, 2)
    yield {
        "resolution": 4 * int(rng.integers(10, 30)) + 2,  # its half is odd
        "blocks": [(first[0], 2), *some_blocks(rng, 1), (last[0], 2)],
        "classes": int(rng.integers(5, 50)),
    }
    for resolution in (37, 64, 100, 130):
        blocks = [(int(rng.choice([40, 48])), 2), *some_blocks(rng, 3), (16, 2)]
        yield {"resolution": resolution, "blocks": blocks, "classes": int(rng.integers(5, 50))}


def last_side(resolution, blocks):
    side = -(-resolution // 2)
    for _, stride in blocks:
        side = -(-side // stride)
    return side


def depthwise_part(resolution, blocks):
    total, m = 0, 32
    for place, (n, _) in enumerate(blocks, start=1):
        total += 9 * m * last_side(resolution, blocks[:place]) ** 2
        m = n
    return total


# ---- Predict a width from two others -------------------------------------------------------------


def parts(full, half):
    """P and R of MACs(alpha) = P alpha^2 + R alpha, from alpha = 1 and alpha = 1/2."""
    return 2 * full - 4 * half, 4 * half - full


def predicted(full, half, alpha):
    p, r = parts(full, half)
    return p * alpha**2 + r * alpha


@question(
    "width",
    function="macs_at_width",
    points=2,
    reference=predicted,
    hints=[
        "The network costs $P \\alpha^2 + R \\alpha$. Put in $\\alpha = 1$ and $\\alpha = 1/2$: two equations with two unknowns.",
        "$P + R = \\text{full}$ and $P/4 + R/2 = \\text{half}$. Multiply the second by 4 and subtract the first.",
    ],
    mistakes=[
        Mistake(
            "That is the rule of alpha squared: depthwise layers, stem and classifier have one factor alpha only.",
            lambda full, half, alpha: full * alpha**2,
        ),
        Mistake(
            "That is a straight line through the two points: the cost is bent.",
            lambda full, half, alpha: half + (full - half) * (alpha - 0.5) / 0.5,
        ),
        Mistake("The cost is not in proportion to alpha.", lambda full, half, alpha: full * alpha),
        Mistake(
            "P and R are exchanged: P belongs to alpha squared.",
            lambda full, half, alpha: (
                parts(full, half)[1] * alpha**2 + parts(full, half)[0] * alpha
            ),
        ),
        Mistake(
            "R does not depend on alpha in your formula: those layers have one factor alpha.",
            lambda full, half, alpha: (lambda p: p * alpha**2 + (full - p))((full - half) / 0.75),
        ),
        Mistake(
            "You start from half the width with the rule of alpha squared.",
            lambda full, half, alpha: half * (alpha / 0.5) ** 2,
        ),
    ],
)
def widths(rng):
    for alpha in (0.25, 0.75, 0.1, 1.5):
        p, r = int(rng.integers(40, 500)) * 10**6, int(rng.integers(4, 80)) * 10**6
        yield {"full": p + r, "half": p // 4 + r // 2, "alpha": alpha}


# ---- What a number in the middle has seen --------------------------------------------------------


def field_of_view(kernel_sizes, strides):
    size, jump = 1, 1
    for kernel_size, stride in zip(kernel_sizes, strides, strict=True):
        size += (kernel_size - 1) * jump
        jump *= stride
    return size


def field_with(step):
    """The receptive field by another rule: `step` gets (size, jump, kernel_size, stride)."""

    def wrong(kernel_sizes, strides):
        size, jump = 1, 1
        for kernel_size, stride in zip(kernel_sizes, strides, strict=True):
            size, jump = step(size, jump, kernel_size, stride)
        return size

    return wrong


@question(
    "receptive-field",
    function="receptive_field",
    points=3,
    reference=field_of_view,
    hints=[
        "Without strides: a $3 \\times 3$ layer adds 2 pixels, one on each side. A $1 \\times 1$ layer adds none.",
        "Carry a second number along: how many pixels of the image lie between neighbouring pixels of the present map? It starts at 1.",
        "A layer with the kernel $K$ adds $(K - 1)$ times that number. Then its stride multiplies the number, for the layers after it.",
    ],
    mistakes=[
        Mistake(
            "The strides are left out: after a stride of 2, neighbours on the map are 2 pixels of the image apart.",
            lambda kernel_sizes, strides: 1 + sum(k - 1 for k in kernel_sizes),
        ),
        Mistake(
            "The stride of a layer widens the layer itself in your count: it widens the layers after it.",
            field_with(lambda size, jump, k, s: (size + (k - 1) * jump * s, jump * s)),
        ),
        Mistake(
            "Each layer adds its whole kernel in your count: K taps reach K - 1 steps further than one.",
            field_with(lambda size, jump, k, s: (size + k * jump, jump * s)),
        ),
        Mistake(
            "The strides are added: they multiply.",
            field_with(lambda size, jump, k, s: (size + (k - 1) * jump, jump + s - 1)),
        ),
        Mistake(
            "Only the stride of the layer just before counts in your rule: all strides before it do.",
            field_with(lambda size, jump, k, s: (size + (k - 1) * jump, s)),
        ),
        Mistake(
            "The count begins at 0: before any layer a number has seen one pixel.",
            lambda **k: field_of_view(**k) - 1,
        ),
        Mistake(
            "The kernels are multiplied: windows of neighbours overlap.",
            field_with(lambda size, jump, k, s: (size * k, jump)),
        ),
    ],
)
def receptive_fields(rng):
    def some(*numbers, count):
        return [int(each) for each in rng.choice(numbers, size=count)]

    count = int(rng.integers(2, 6))
    yield {"kernel_sizes": some(3, 5, 7, 9, count=count), "strides": [1] * count}
    first, last = some(3, 5, 7, 9, count=2)
    yield {"kernel_sizes": [first, 1, last], "strides": [*some(2, 3, 4, count=1), 1, 1]}
    yield {"kernel_sizes": some(3, 5, 7, count=4), "strides": [*some(2, 3, count=3), 1]}
    for _ in range(3):
        count = int(rng.integers(4, 8))
        yield {
            "kernel_sizes": some(1, 3, 5, count=count),
            "strides": [2, *some(1, 2, 3, count=count - 2), 2],
        }


# ---- Find the mistakes ---------------------------------------------------------------------------


def grouped(**conv):
    return cost.of(spec.standard(**conv)).macs


def divided_twice(groups, **k):
    return grouped(groups=groups, **k) // groups


def on_another_side(count):
    """A count whose output has the side (D + 2p - K + 1) // s."""

    def wrong(in_size, kernel_size, stride, padding, **k):
        side = (in_size + 2 * padding - kernel_size + 1) // stride
        return kernel_size**2 * count(in_size=side, kernel_size=1, stride=1, padding=0, **k)

    return wrong


@question(
    "counter",
    function="conv_macs",
    points=2,
    reference=grouped,
    hints=[
        "Count a depthwise layer by hand and compare. Each output number reads $M / \\text{groups}$ channels. How many output channels are there?",
        "The second mistake shows at stride 2 with padding 1, on an image with an odd side.",
    ],
    mistakes=[
        Mistake(
            "It still divides by the groups twice: a filter reads M / groups channels, and there are N filters in all groups together.",
            divided_twice,
        ),
        Mistake(
            "The output's side is still wrong: it is (D + 2p - K) // s + 1.",
            on_another_side(grouped),
        ),
        mistakes.unrepaired(on_another_side(divided_twice)),
        Mistake(
            "The groups are left out: a filter reads M / groups channels.",
            lambda groups, **k: grouped(groups=1, **k),
        ),
        mistakes.in_flops(grouped),
        mistakes.left_out(grouped, stride=1),
    ],
)
def counters(rng):
    for stride, padding, groups in [(1, 1, 1), (2, 1, 4), (2, 1, 1), (1, 0, 8), (3, 2, 2)]:
        yield {
            "in_channels": 8 * int(rng.integers(1, 12)),
            "out_channels": 8 * int(rng.integers(1, 12)),
            "in_size": 6 * int(rng.integers(2, 12)) + stride // 2,
            "kernel_size": 3,
            "stride": stride,
            "padding": padding,
            "groups": groups,
        }


# ---- Memory while a network runs -----------------------------------------------------------------


def peak(sizes, itemsize):
    return itemsize * max(a + b for a, b in pairwise(sizes))


@question(
    "peak",
    function="peak_memory",
    points=2,
    reference=peak,
    hints=[
        "While layer $l$ runs, its input and its output exist. When it is done, the input may go.",
        "So look at each pair of neighbours in the list, and take the largest sum.",
    ],
    mistakes=[
        Mistake(
            "All maps are kept in your count: that is needed for training, and not here.",
            lambda sizes, itemsize: itemsize * sum(sizes),
        ),
        Mistake(
            "That is the largest map: while a layer runs, its input and its output both exist.",
            lambda sizes, itemsize: itemsize * max(sizes),
        ),
        Mistake(
            "The two largest maps need not be neighbours.",
            lambda sizes, itemsize: itemsize * sum(sorted(sizes)[-2:]),
        ),
        Mistake(
            "Those are numbers: multiply by the bytes of each.",
            lambda sizes, itemsize: peak(sizes, 1),
        ),
        Mistake("Each number is taken as 4 bytes.", lambda sizes, itemsize: peak(sizes, 4)),
        Mistake(
            "The largest map and the one before it: the one after it may be larger, and so may another pair.",
            lambda sizes, itemsize: (
                lambda i: itemsize * (sizes[i] + sizes[i - 1] if i else sizes[0] + sizes[1])
            )(sizes.index(max(sizes))),
        ),
        Mistake(
            "Only the first pair of maps is looked at.",
            lambda sizes, itemsize: itemsize * (sizes[0] + sizes[1]),
        ),
    ],
)
def peaks(rng):
    def size(low, high):
        return int(rng.integers(low, high))

    yield {"sizes": [size(10, 50), size(100, 200), size(10, 50)], "itemsize": 4}
    yield {"sizes": [size(60, 70), size(80, 90), size(80, 90), size(10, 20)], "itemsize": 2}
    low, high = size(1, 10), size(100, 110)
    yield {"sizes": [size(40, 60), low, high, low, 90 + low, 80], "itemsize": 1}
    yield {"sizes": [low, high, size(60, 70), low], "itemsize": 8}
    yield {"sizes": [size(5, 500) for _ in range(9)], "itemsize": 2}
