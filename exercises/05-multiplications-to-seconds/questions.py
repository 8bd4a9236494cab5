"""From multiplications to seconds: what is asked, the right answers, and the wrong ones that have a name."""

import numpy as np

from dsconv_lib import cost, ops, spec
from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question, whole

WRITTEN = {"ceiling": 3, "fusing-loses": 3}


# ---- Work and bytes ------------------------------------------------------------------------------


def work(batch, **conv):
    c = cost.of(spec.standard(**conv), batch)
    return c.flops, c.bytes()


def moving(change):
    """The work with other numbers moved: `change` gets those read, the weights, those written, and the case."""

    def wrong(batch, **conv):
        c = cost.of(spec.standard(**conv), batch)
        return c.flops, 4 * change(c.reads, c.params, c.writes, {"batch": batch, **conv})

    return wrong


def groups_twice(out_channels, groups, **k):
    """Filters and channels are both divided by the groups."""
    flops, moved = work(out_channels=out_channels, groups=groups, **k)
    weights = out_channels * (k["in_channels"] // groups) * k["kernel_size"] ** 2
    return flops // groups, moved - 4 * (weights - weights // groups)


@question(
    "work",
    function="work",
    points=3,
    reference=work,
    hints=[
        "How many numbers does the output have? Each costs as many multiply-adds as a filter has weights.",
        "Count three arrays: the input, the weights, the output. Two of them grow with the batch.",
        "A filter has `(in_channels // groups) * kernel_size**2` weights, and there are `out_channels` filters.",
    ],
    mistakes=[
        Mistake(
            "The first number is MACs: a multiply-add is 2 FLOPs.",
            lambda **k: (work(**k)[0] // 2, work(**k)[1]),
        ),
        Mistake(
            "The second number counts numbers, not bytes: a number takes 4 bytes.",
            lambda **k: (work(**k)[0], work(**k)[1] // 4),
        ),
        Mistake(
            "The two numbers are in the other order: first the FLOPs.",
            lambda **k: work(**k)[::-1],
        ),
        Mistake(
            "The weights are left out of the bytes.",
            moving(lambda read, weights, written, k: read + written),
        ),
        Mistake(
            "The output is left out of the bytes: it is written.",
            moving(lambda read, weights, written, k: read + weights),
        ),
        Mistake(
            "The input is left out of the bytes: it is read.",
            moving(lambda read, weights, written, k: weights + written),
        ),
        Mistake(
            "The weights are read anew for each image: they are read once for the whole batch.",
            moving(lambda read, weights, written, k: read + k["batch"] * weights + written),
        ),
        Mistake(
            "The input is read anew for each window: every number counts once, however many windows it is in.",
            moving(
                lambda read, weights, written, k: (
                    written // k["out_channels"] * k["in_channels"] * k["kernel_size"] ** 2
                    + weights
                    + written
                )
            ),
        ),
        Mistake(
            "The zeros of the padding are read: they are made on the spot.",
            moving(
                lambda read, weights, written, k: (
                    read // k["in_size"] ** 2 * (k["in_size"] + 2 * k["padding"]) ** 2
                    + weights
                    + written
                )
            ),
        ),
        Mistake(
            "The groups are left out: a filter reads in_channels // groups channels.",
            mistakes.fixed(work, groups=1),
        ),
        Mistake(
            "The groups are divided by twice: there are out_channels filters in all.",
            groups_twice,
        ),
        mistakes.left_out(work, batch=1),
        mistakes.left_out(work, stride=1),
        mistakes.left_out(work, padding=0),
    ],
)
def works(rng):
    for kind, kernel_size, stride, padding, batch in [
        ("standard", 3, 1, 1, 1),
        ("depthwise", 3, 1, 1, 4),
        ("pointwise", 1, 1, 0, 8),
        ("depthwise", 5, 2, 2, 2),
        ("two groups", 3, 2, 1, 3),
        ("standard", 2, 2, 0, 2),
    ]:
        in_channels = 2 * int(rng.integers(2, 60))
        yield {
            "in_channels": in_channels,
            "out_channels": in_channels if kind == "depthwise" else 2 * int(rng.integers(2, 60)),
            "in_size": int(rng.integers(8, 60)),
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "groups": {"depthwise": in_channels, "two groups": 2}.get(kind, 1),
            "batch": batch,
        }


# ---- The least time ------------------------------------------------------------------------------


def seconds_with(choose, together=sum):
    """The time of layers, when `choose` makes one of a layer's two times, and `together` one of the layers'."""

    def seconds(layers, flops_per_second, bytes_per_second, start):
        return together(
            [
                start + choose(flops / flops_per_second, moved / bytes_per_second)
                for flops, moved in layers
            ]
        )

    return seconds


least_seconds = seconds_with(max)


def whole_network(layers, start, **rates):
    """As if all layers were one, but for their starts."""
    one = [tuple(map(sum, zip(*layers, strict=True)))]
    return least_seconds(layers=one, start=0.0, **rates) + start * len(layers)


@question(
    "seconds",
    function="least_seconds",
    points=3,
    reference=least_seconds,
    atol=0.0,
    hints=[
        "Take one layer. How long do its multiplications take alone, and its bytes alone? Both go on at the same time.",
        "A layer takes `start + max(flops / flops_per_second, moved / bytes_per_second)`.",
        "The layers wait for each other: add up their times.",
    ],
    mistakes=[
        Mistake(
            "The two times of a layer are added: both go on at the same time, and the longer one counts.",
            seconds_with(lambda compute, memory: compute + memory),
        ),
        Mistake(
            "That is the shorter of the two times: a layer waits for the longer one.",
            seconds_with(min),
        ),
        Mistake(
            "The bytes are left out: that is the time of the multiplications alone.",
            seconds_with(lambda compute, memory: compute),
        ),
        Mistake(
            "The multiplications are left out: that is the time of the bytes alone.",
            seconds_with(lambda compute, memory: memory),
        ),
        Mistake(
            "The maximum is taken over the whole network: the bytes of one layer do not hide behind the multiplications of another.",
            whole_network,
        ),
        Mistake(
            "That is the slowest layer alone: the layers run one after the other.",
            seconds_with(max, together=max),
        ),
        Mistake(
            "That is the mean over the layers: their times add up.",
            seconds_with(max, together=lambda times: sum(times) / len(times)),
        ),
        mistakes.left_out(least_seconds, start=0.0),
        Mistake(
            "The start is counted once: every layer has one.",
            lambda layers, start, **rates: least_seconds(layers=layers, start=0.0, **rates) + start,
        ),
        Mistake(
            "The start hides behind the bytes or the multiplications: nothing else happens in it.",
            lambda layers, start, **rates: sum(
                max(start, least_seconds(layers=[layer], start=0.0, **rates)) for layer in layers
            ),
        ),
        Mistake(
            "The FLOPs are doubled: they are two for each multiply-add already.",
            lambda layers, **k: least_seconds(
                layers=[(2 * flops, moved) for flops, moved in layers], **k
            ),
        ),
        Mistake(
            "The rates are exchanged: FLOPs are divided by FLOP per second, and bytes by bytes per second.",
            lambda flops_per_second, bytes_per_second, **k: least_seconds(
                flops_per_second=bytes_per_second, bytes_per_second=flops_per_second, **k
            ),
        ),
    ],
)
def networks(rng):
    for low, high, starts in [  # layers below and above the ridge; microseconds
        (1, 0, (5, 50)),
        (0, 1, (5, 50)),
        (1, 1, (500, 1000)),  # longer than the layers take
        (3, 2, (5, 50)),
        (2, 4, (5, 50)),
    ]:
        ridge = int(rng.integers(5, 50))
        bytes_per_second = 1e9 * int(rng.integers(5, 50))
        layers = []
        for above in rng.permutation([False] * low + [True] * high):
            moved = int(rng.integers(100_000, 2_000_000))
            times = rng.uniform(1.5, 10) if above else 1 / rng.uniform(1.5, 10)
            layers.append((int(moved * ridge * times), moved))
        yield {
            "layers": layers,
            "flops_per_second": ridge * bytes_per_second,
            "bytes_per_second": bytes_per_second,
            "start": 1e-6 * int(rng.integers(*starts)),
        }


# ---- When the multiplications win ----------------------------------------------------------------


def left_and_due(in_channels, out_channels, pixels, ridge, *, flops=2, itemsize=4, maps=(1, 1)):
    """FLOPs that an image has left when its maps are paid for, and FLOPs that the weights are due."""
    weights = in_channels * out_channels
    moved = pixels * (maps[0] * in_channels + maps[1] * out_channels)
    return flops * pixels * weights - ridge * itemsize * moved, ridge * itemsize * weights


def smallest_batch(**k):
    left, due = left_and_due(**k)
    return -(-due // left) if left > 0 else None


def for_weights(decide):
    """Another answer, of what an image has left and what the weights are due, where anything is left."""

    def wrong(**k):
        left, due = left_and_due(**k)
        return decide(left, due) if left > 0 else None

    return wrong


@question(
    "batch",
    function="smallest_batch",
    points=3,
    reference=smallest_batch,
    hints=[
        "With $B$ images of $P$ pixels there are $2 B P M N$ FLOPs, and $4 (B P (M + N) + M N)$ bytes. Write down the inequality.",
        "Bring all terms with $B$ to one side: $B P \\, (2 M N - 4 R (M + N)) \\ge 4 R M N$. What if the bracket is not positive?",
        "Whole numbers need no rounding errors: `-(-a // b)` is $\\lceil a / b \\rceil$.",
    ],
    mistakes=[
        Mistake(
            "The quotient is rounded down: then the intensity is still below the ridge.",
            for_weights(lambda left, due: due // left),
        ),
        Mistake(
            "One image too many where the quotient is whole: at the ridge is enough.",
            for_weights(lambda left, due: due // left + 1),
        ),
        Mistake(
            "Where the maps alone keep the intensity at the ridge or below, no batch is enough: return None.",
            lambda **k: (lambda left, due: -(-due // left))(*left_and_due(**k)),
        ),
        *mistakes.as_if(
            smallest_batch,
            {
                "MACs are taken for FLOPs: a multiply-add is 2 FLOPs.": {"flops": 1},
                "Numbers are taken for bytes: a number takes 4 bytes.": {"itemsize": 1},
                "The output is left out of the bytes: it is written.": {"maps": (1, 0)},
                "The input is left out of the bytes: it is read.": {"maps": (0, 1)},
                "That is a number of pixels: divide it by the pixels of an image before you round.": {
                    "pixels": 1
                },
            },
        ),
        Mistake(
            "The weights are left out of the bytes: without them the batch would change nothing.",
            for_weights(lambda left, due: 1),
        ),
        Mistake(
            "The weights are read anew for each image: they are read once for the whole batch.",
            for_weights(lambda left, due: 1 if left >= due else None),
        ),
    ],
)
def batches(rng):
    for kind in ("whole", "one", "wide", "narrow", "nearly never", "limit", "never"):
        q, k = int(rng.integers(1, 10)), int(rng.integers(2, 6))
        ridge = q * k if kind == "whole" else int(rng.integers(6, 40))
        in_channels, out_channels = {
            "whole": (5 * ridge, 5 * ridge),  # the batch is 2 k
            "one": (16 * ridge, 16 * ridge),
            "wide": (6 * ridge, 20 * ridge + int(rng.integers(1, 9))),
            "narrow": (20 * ridge + int(rng.integers(1, 9)), 6 * ridge),
            "nearly never": (4 * ridge + 1, 4 * ridge + int(rng.integers(1, 4))),
            "limit": (4 * ridge, 4 * ridge),
            "never": (3 * ridge, 3 * ridge + int(rng.integers(1, 9))),
        }[kind]
        few = int(rng.integers(4, 9))  # so that one image does not pay for the weights
        pixels = {"whole": 5 * q, "one": 56**2, "wide": few, "narrow": few + 1}.get(
            kind, int(rng.integers(3, 15)) ** 2
        )
        yield {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "pixels": pixels,
            "ridge": ridge,
        }


# ---- What fusing saves ---------------------------------------------------------------------------


def moved(batch, **block):
    """Bytes apart and fused."""
    both = spec.separable(**block)
    apart, between = cost.of(both, batch).bytes(), cost.of(both[0], batch).writes
    return apart, apart - 2 * 4 * between


def counting(change):
    """Other counts: `change` gets the numbers of the three maps of an image, the weights, and the batch."""

    def wrong(batch, **block):
        first, second = (cost.of(half) for half in spec.separable(**block))
        maps = first.reads, first.writes, second.writes
        return tuple(4 * each for each in change(*maps, first.params + second.params, batch))

    return wrong


def other_map_between(size):
    """The map between the halves, with another number of numbers for each image."""

    def wrong(batch, **block):
        fused = moved(batch, **block)[1]
        return fused + 2 * 4 * batch * size(block), fused

    return wrong


def out_size(block):
    return spec.separable(**block)[0].out_size[0]


@question(
    "fused",
    function="bytes_moved",
    points=2,
    reference=moved,
    hints=[
        "Apart, four maps cross: the input, the map between the halves as it is written, the same as it is read, and the output.",
        "Fused, the map between does not cross at all. Which numbers are still read, and which are written?",
        "The map between has `in_channels` channels, and rows and columns of the output.",
    ],
    mistakes=[
        Mistake(
            "Fused, the map between the halves still crosses once: it is neither written nor read.",
            counting(lambda x, z, y, w, b: (b * (x + 2 * z + y) + w, b * (x + z + y) + w)),
        ),
        Mistake(
            "Apart, the map between the halves counts twice: the first half writes it, and the second one reads it.",
            counting(lambda x, z, y, w, b: (b * (x + z + y) + w, b * (x + y) + w)),
        ),
        Mistake(
            "The map between the halves has rows and columns of the output: the depthwise half takes the stride.",
            other_map_between(lambda block: block["in_channels"] * block["in_size"] ** 2),
        ),
        Mistake(
            "The map between the halves has in_channels channels: the depthwise half makes no new ones.",
            other_map_between(lambda block: block["out_channels"] * out_size(block) ** 2),
        ),
        Mistake(
            "The second number is what fusing saves: what it still moves was asked for.",
            lambda **k: (moved(**k)[0], moved(**k)[0] - moved(**k)[1]),
        ),
        Mistake(
            "Fusing saves no weights: those of both halves are still read.",
            counting(lambda x, z, y, w, b: (b * (x + 2 * z + y) + w, b * (x + y))),
        ),
        Mistake(
            "The weights are left out.",
            counting(lambda x, z, y, w, b: (b * (x + 2 * z + y), b * (x + y))),
        ),
        Mistake(
            "The weights are read anew for each image: they are read once for the whole batch.",
            counting(
                lambda x, z, y, w, b: (b * (x + 2 * z + y + w), b * (x + y + w)),
            ),
        ),
        Mistake(
            "That counts numbers, not bytes: a number takes 4 bytes.",
            lambda **k: tuple(each // 4 for each in moved(**k)),
        ),
        Mistake(
            "The two numbers are in the other order: first the bytes apart.",
            lambda **k: moved(**k)[::-1],
        ),
        mistakes.left_out(moved, batch=1),
        mistakes.left_out(moved, stride=1),
        mistakes.left_out(moved, padding=0),
    ],
)
def blocks(rng):
    for kernel_size, stride, padding, batch in [
        (3, 1, 1, 1),
        (3, 2, 1, 4),
        (5, 1, 2, 2),
        (5, 2, 2, 3),
        (2, 2, 0, 8),
    ]:
        in_channels = int(rng.integers(4, 100))
        yield {
            "in_channels": in_channels,
            "out_channels": in_channels + int(rng.integers(1, 100)),
            "in_size": int(rng.integers(8, 60)),
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "batch": batch,
        }


# ---- Rows that fit -------------------------------------------------------------------------------


def parts(width, in_channels, out_channels, kernel_size, stride):
    """Numbers of an input row, of a filtered row, of an output row, and of both weights."""
    pixels = width // stride
    weights = in_channels * kernel_size**2, in_channels * out_channels
    return width * in_channels, pixels * in_channels, pixels * out_channels, sum(weights)


def numbers(rows, **layer):
    x, z, y, w = parts(**layer)
    return ((rows - 1) * layer["stride"] + layer["kernel_size"]) * x + rows * (z + y) + w


def fitting(cache, each, always):
    """Rows of `each` numbers beside those that are `always` there; as many as fit into so many bytes."""
    return max(0, unclamped(cache, each, always))


def unclamped(cache, each, always):
    return (cache // 4 - always) // each


def by_row_and_always(**layer):
    x, z, y, w = parts(**layer)
    halo = (layer["kernel_size"] - layer["stride"]) * x
    return layer["stride"] * x + z + y, halo + w


def rows_that_fit(cache, **layer):
    return fitting(cache, *by_row_and_always(**layer))


def rows_with(change):
    """Other counts: `change` gets the parts, kernel size and stride, and gives the numbers by row and always there."""

    def wrong(cache, **layer):
        return fitting(cache, *change(*parts(**layer), layer["kernel_size"], layer["stride"]))

    return wrong


@question(
    "rows",
    function="rows_that_fit",
    points=3,
    reference=rows_that_fit,
    hints=[
        "Neighbouring windows overlap. `rows` output rows read `(rows - 1) * stride + kernel_size` input rows.",
        "Some numbers are there once, however many rows you take: the weights, and the input rows that the first window has more than the others add.",
        "You need no formula: raise the number of rows as long as everything fits.",
    ],
    mistakes=[
        Mistake(
            "The halo is left out: windows reach kernel_size - stride rows further than stride times the rows.",
            rows_with(lambda x, z, y, w, k, s: (s * x + z + y, w)),
        ),
        Mistake(
            "Each output row brings kernel_size input rows of its own: neighbouring windows share rows.",
            rows_with(lambda x, z, y, w, k, s: (k * x + z + y, w)),
        ),
        Mistake(
            "The stride is left out of the input rows: windows begin stride rows apart.",
            rows_with(lambda x, z, y, w, k, s: (x + z + y, (k - 1) * x + w)),
        ),
        Mistake(
            "The rows between and of the output are as wide as the input: they have width // stride pixels.",
            rows_with(lambda x, z, y, w, k, s: (s * x + s * (z + y), (k - s) * x + w)),
        ),
        Mistake(
            "The weights are left out.",
            rows_with(lambda x, z, y, w, k, s: (s * x + z + y, (k - s) * x)),
        ),
        Mistake(
            "The input rows are left out.",
            rows_with(lambda x, z, y, w, k, s: (z + y, w)),
        ),
        Mistake(
            "The filtered rows are left out.",
            rows_with(lambda x, z, y, w, k, s: (s * x + y, (k - s) * x + w)),
        ),
        Mistake(
            "The output rows are left out.",
            rows_with(lambda x, z, y, w, k, s: (s * x + z, (k - s) * x + w)),
        ),
        Mistake(
            "Numbers are taken for bytes: a number takes 4 bytes.",
            lambda cache, **layer: rows_that_fit(4 * cache, **layer),
        ),
        Mistake(
            "That is one row too many, which no longer fits: round down.",
            lambda cache, **layer: (
                lambda rows: rows if numbers(rows, **layer) == cache // 4 else rows + 1
            )(rows_that_fit(cache, **layer)),
        ),
        Mistake(
            "A cache that is exactly full holds everything, too.",
            lambda cache, **layer: rows_that_fit(cache - 4, **layer),
        ),
        Mistake(
            "Not even one row fits there: return 0.",
            lambda cache, **layer: max(1, rows_that_fit(cache, **layer)),
        ),
        Mistake(
            "There cannot be fewer than no rows: where the weights alone fill the cache, return 0.",
            lambda cache, **layer: unclamped(cache, *by_row_and_always(**layer)),
        ),
    ],
)
def caches(rng):
    for kind, kernel_size, stride in [
        ("full", 3, 1),
        ("nearly one more", 3, 1),
        ("nearly one more", 3, 2),
        ("nearly one more", 5, 2),
        ("little left", 3, 1),
        ("little left", 5, 1),
        ("nearly one", 3, 1),
        ("hardly any", 3, 1),
    ]:
        narrow = kind == "full"  # there the weights outweigh a row
        layer = {
            "width": stride * int(rng.integers(*((3, 6) if narrow else (7, 40)))),
            "in_channels": int(rng.integers(8, 64)),
            "out_channels": int(rng.integers(16, 64)),
            "kernel_size": kernel_size,
            "stride": stride,
        }
        rows = int(rng.integers(8, 40))
        room = {
            "full": numbers(rows, **layer),
            "nearly one more": numbers(rows + 1, **layer) - 1,
            "little left": numbers(rows, **layer) + int(rng.integers(1, 50)),
            "nearly one": numbers(1, **layer) - 1,
            "hardly any": parts(**layer)[3] // 2,
        }[kind]
        yield {"cache": 4 * room, **layer}


# ---- Rows as vectors -----------------------------------------------------------------------------


def filtered(image, weight):
    """The output with an axis for the channels: shape (H_out, W_out, C)."""
    channels = weight.shape[2]
    x = image.reshape(len(image), -1, channels).transpose(2, 0, 1)[None]
    y = ops.depthwise(
        np.ascontiguousarray(x), np.ascontiguousarray(weight.transpose(2, 0, 1)[:, None])
    )
    return y[0].transpose(1, 2, 0)


def as_rows(y):
    return np.ascontiguousarray(y).reshape(len(y), -1)


def depthwise_rows(image, weight):
    return as_rows(filtered(image, weight))


def products(image, weight, *, step, lay):
    """The sum of products of vectors, each tap `step` numbers from the one before, with the weights laid along a row."""
    k, _, channels = weight.shape
    height, length = len(image) - k + 1, image.shape[1] - (k - 1) * channels
    y = np.zeros((height, length), image.dtype)
    for u in range(k):
        for v in range(k):
            vectors = image[u : u + height, v * step : v * step + length]
            y += vectors * lay(weight[u, v], length // channels)
    return y


@question(
    "vectors",
    function="depthwise_rows",
    points=4,
    reference=depthwise_rows,
    shape="a row of the output is one vector of W - K + 1 pixels with C numbers each, and there are H - K + 1 rows",
    hints=[
        "Read `K` and `C` off the weight. A row of the output has `image.shape[1] - (K - 1) * C` numbers.",
        "For tap `(u, v)`, take rows `u` to `u + H_out` of the image, from number `v * C` on. That is a slice, and nothing is copied.",
        "`np.tile(weight[u, v], W_out)` repeats the C weights of a tap along a row. Multiply, and add up over the taps.",
        "All taps at once: a view of shape `(H_out, K, K, length)` by `np.lib.stride_tricks.as_strided`, and `np.einsum('hijk,ijk->hk', vectors, tiled)`.",
    ],
    mistakes=[
        Mistake(
            "The vector of tap v begins v numbers later: the next pixel begins C numbers later.",
            lambda image, weight: products(image, weight, step=1, lay=np.tile),
        ),
        Mistake(
            "Each weight is repeated by itself: the C weights of a tap are repeated together, as np.tile does.",
            lambda image, weight: products(image, weight, step=weight.shape[2], lay=np.repeat),
        ),
        Mistake(
            "The kernel is flipped, in rows and columns: deep learning lays it on the image as it is.",
            lambda image, weight: depthwise_rows(image, weight[::-1, ::-1]),
        ),
        Mistake(
            "Rows and columns of the kernel are exchanged.",
            lambda image, weight: depthwise_rows(image, weight.swapaxes(0, 1)),
        ),
        Mistake(
            "All channels have the first one's kernel.",
            lambda image, weight: depthwise_rows(
                image, np.broadcast_to(weight[..., :1], weight.shape)
            ),
        ),
        Mistake(
            "The channels are summed: they stay apart.",
            lambda image, weight: filtered(image, weight).sum(axis=2),
        ),
        Mistake(
            "A mean is taken where a sum is due.",
            lambda image, weight: depthwise_rows(image, weight) / weight[..., 0].size,
        ),
        Mistake(
            "The taps of the first kernel row alone are added up.",
            lambda image, weight: depthwise_rows(
                image, weight * (np.arange(len(weight)) == 0)[:, None, None]
            ),
        ),
        Mistake(
            "The taps overwrite each other, and the last one is left: add them up.",
            lambda image, weight: depthwise_rows(
                image,
                weight
                * (np.arange(weight[..., 0].size) == weight[..., 0].size - 1).reshape(
                    *weight.shape[:2], 1
                ),
            ),
        ),
        Mistake(
            "The last row and the last pixel of each row are missing: there are H - K + 1 and W - K + 1 of them.",
            lambda image, weight: as_rows(filtered(image, weight)[:-1, :-1]),
        ),
        Mistake(
            "The channels have an axis of their own: the pixels of a row stay one vector.",
            filtered,
        ),
    ],
)
def images(rng):
    for h, w, c, k in [(5, 5, 2, 3), (6, 8, 3, 3), (7, 5, 4, 2), (8, 9, 3, 5), (4, 6, 5, 3)]:
        dtype = np.float32 if h % 2 else np.float64
        yield {
            "image": whole(rng, h, w * c, dtype=dtype),
            "weight": whole(rng, k, k, c, dtype=dtype),
        }
