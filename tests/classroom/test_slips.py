"""Wrong programs for the operations, as students write them, and the one message that each must get.

A program is the solution's own code with one slip in it: another way to the wrong answer than the
one that `Mistake.wrong` takes.
"""

import numpy as np
import pytest

from dsconv_lib.classroom.check import feedback
from tests.classroom.exercise_files import EXERCISES, ROOT, code

OPERATIONS = {
    "standard": ("01-normal-convolution", "convolution"),
    "depthwise": ("02-depthwise-convolution", "depthwise"),
    "pointwise": ("03-pointwise-convolution", "pointwise"),
    "separable": ("04-depthwise-separable", "separable"),
    "rows as vectors": ("05-multiplications-to-seconds", "vectors"),
}
PAD = "(0, 0), (0, 0), (padding, padding), (padding, padding)"
NO_PAD, END_PAD = "(0, 0), " * 4, "(0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)"
# Slips that standard, depthwise and separable convolution share: what is replaced, by what, and how
# the message begins.
WINDOWS = [
    (PAD, NO_PAD, "The padding is ignored"),
    (PAD, END_PAD, "The padding is on one side"),
    (" // stride + 1", " // stride", "The last row and column are missing"),
    ("i * stride, j * stride", "i, j", "The number of outputs is right, and their windows"),
    (" // stride + 1", " + 1", "The stride is ignored", ("i * stride, j * stride", "i, j")),
    (
        "- k_w) // stride + 1",
        "- k_w) + 1",
        "The stride is used along one direction only",
        ("j * stride", "j"),
    ),
]
SLIPS = {
    "standard": [
        *WINDOWS,
        ("windows, weight)", "windows, weight[:, :, ::-1, ::-1])", "The kernel is flipped"),
        ("bmuv,nmuv", "bmuv,nmvu", "Rows and columns of the kernel are exchanged"),
        ("windows, weight)", "windows[:, :1], weight[:, :1])", "Only channel 0 is read"),
        ("windows, weight)", "windows[:, -1:], weight[:, -1:])", "Only the last channel counts"),
        ("windows, weight)", "windows, weight) / weight[0].size", "A mean is taken"),
        ("windows, weight)", "windows[:1], weight)", "Every image of the batch gets"),
        ("x.dtype)", "x.dtype)\n    weight = weight.swapaxes(0, 1)", "The two channel axes"),
        ("    return y", "    return y.tolist()", "It returns a list, expected a numpy array"),
    ],
    "depthwise": [
        *WINDOWS,
        ("* weight[:, 0])", "* weight[:, 0, ::-1, ::-1])", "The kernel is flipped"),
        (".sum(axis=(2, 3))", ".sum(axis=(1, 2, 3))[:, None]", "The channels are summed: in"),
        (
            "(windows * weight[:, 0]).sum(axis=(2, 3))",
            "np.einsum('bmuv,nuv->bn', padded[:, :, top : top + k_h, left : left + k_w], weight[:, 0])",
            "Each filter reads all channels",
        ),
        ("    return y", "    return y.sum(axis=1, keepdims=True)", "The channels are summed into"),
        (
            "np.repeat(padded, multiplier, axis=1)",
            "np.tile(padded, (1, multiplier, 1, 1))",
            "Filter n reads channel n % M",
        ),
        (
            "    return y",
            "    new = (len(x), multiplier, -1, rows, columns)\n"
            "    old = (len(x), -1, multiplier, rows, columns)\n"
            "    return y.reshape(old).swapaxes(1, 2).reshape(new).reshape(y.shape)",
            "The order of the filters is another",
        ),
        (
            "    k_h, k_w",
            "    weight, multiplier = weight[::multiplier], 1\n    k_h, k_w",
            "Each channel has one output",
        ),
        (".sum(", ".mean(", "A mean is taken where a sum is due"),
        ("* weight[:, 0])", "* weight[:, 0].swapaxes(1, 2))", "Rows and columns of the kernel"),
        ("(windows *", "(windows[:1] *", "Every image of the batch gets"),
    ],
    "pointwise": [
        ('"nm,bmij->bnij"', '"mn,bmij->bnij"', "The matrix is transposed"),
        ("::stride, ::stride", ":, :", "The stride is ignored"),
        ("::stride, ::stride", "::stride, :", "The stride is used along one direction only"),
        ("::stride, ::stride", "stride - 1 :: stride, stride - 1 :: stride", "The stride begins"),
        ("0, 0], read)", "0, 0][:, :1], read[:, :1])", "Only channel 0 is read"),
        ("0, 0], read)", "0, 0][:, -1:], read[:, -1:])", "Only the last channel counts"),
        ("read)", "read) / x.shape[1]", "A mean is taken over the channels"),
        ("->bnij", "->bnji", "Rows and columns of the image are exchanged"),
        ("->bnij", "->bijn", "The channels are in the last axis"),
        ("read)", "read).sum(axis=1, keepdims=True)", "The outputs are added up to one channel"),
        (
            "::stride, ::stride]",
            "::stride, ::stride][:, :, : x.shape[2] // stride, : x.shape[3] // stride]",
            "The last row and column are missing where",
        ),
        ("read)", "read[:1]).repeat(len(x), axis=0)", "Every image of the batch gets"),
    ],
    "separable": [
        *WINDOWS,
        ("* depthwise_weight[:, 0])", "* depthwise_weight[:, 0, ::-1, ::-1])", "The kernel is"),
        ("pointwise_weight[:, :, 0, 0]", "pointwise_weight[:, :, 0, 0].T", "The pointwise matrix"),
        ("0, 0], filtered)", "0, 0], np.maximum(filtered, 0))", "There is a ReLU between"),
        (
            "0, 0], filtered)",
            "0, 0], filtered[:, :, ::stride, ::stride])",
            "The stride is used twice",
        ),
        (
            "np.repeat(padded, multiplier, axis=1)",
            "np.tile(padded, (1, multiplier, 1, 1))",
            "Filter n reads channel n % M",
        ),
        (
            ".sum(axis=(2, 3))",
            ".sum(axis=(1, 2, 3))[:, None]",
            "The channels are already summed in the first half",
        ),
        (
            "    return np.einsum",
            "    return filtered\n    np.einsum",
            "The second half is missing",
        ),
        (
            "    padded = np.pad",
            "    return pointwise(x[:, :, ::stride, ::stride], pointwise_weight)\n    padded = np.pad",
            "The first half is missing",
        ),
        (
            "    padded = np.pad",
            "    x = pointwise(x, pointwise_weight)\n    padded = np.pad",
            "The halves are in the other order",
            ("    return np.einsum", "    return filtered\n    np.einsum"),
        ),
        (
            "    return np.einsum",
            "    matrix = pointwise_weight[:, :, 0, 0]\n"
            "    place = [n % len(depthwise_weight) for n in range(len(matrix))]\n"
            "    own = matrix[range(len(matrix)), place][:, None, None]\n"
            "    return filtered[:, place] * own\n    np.einsum",
            "The channels are not mixed in the second half",
        ),
    ],
    "rows as vectors": [
        ("channels * along, along)", "along, along)", "The vector of tap v begins v numbers"),
        (
            "np.tile(weight, (1, 1, length // channels))",
            "np.repeat(weight, length // channels, axis=2)",
            "Each weight is repeated by itself",
        ),
        ("np.tile(weight,", "np.tile(weight[::-1, ::-1],", "The kernel is flipped"),
        ("(down, down, channels * along,", "(down, channels * along, down,", "Rows and columns"),
        ("np.tile(weight,", "np.tile(weight[:, :, :1].repeat(channels, axis=2),", "All channels"),
        ("vectors, tiled)", "vectors, tiled) / k**2", "A mean is taken"),
        ("vectors, tiled)", "vectors[:, :1], tiled[:1])", "The taps of the first kernel row alone"),
        ("vectors, tiled)", "vectors[:, -1:, -1:], tiled[-1:, -1:])", "The taps overwrite"),
        ("- k + 1", "- k", "The last row and the last pixel", ("(k - 1) *", "k *")),
        (
            "vectors, tiled)",
            "vectors, tiled).reshape(height, -1, channels)",
            "The channels have an axis of their own",
        ),
        (
            "vectors, tiled)",
            "vectors, tiled).reshape(height, -1, channels).sum(axis=2)",
            "The channels are summed",
        ),
        (
            "vectors, tiled)",
            "vectors, tiled).tolist()",
            "It returns a list, expected a numpy array",
        ),
    ],
}


def pointwise(x, weight):
    return np.einsum("nm,bmij->bnij", weight[:, :, 0, 0], x)


def with_slip(operation, *changes):
    """The solution's function with pieces of its code replaced; each must be there."""
    name, question = OPERATIONS[operation]
    source = code(ROOT / "exercises" / name, "solution.ipynb")[question]
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    names = {"np": np, "pointwise": pointwise}
    exec(source, names)
    question = EXERCISES[name].questions[question]
    return question, names[question.function]


@pytest.mark.parametrize(
    ("operation", "slip"),
    [
        pytest.param(operation, slip, id=f"{operation}:{slip[2]}")
        for operation, slips in SLIPS.items()
        for slip in slips
    ],
)
def test_a_slip_gets_its_own_message(operation, slip):
    old, new, beginning, *more = slip
    question, function = with_slip(operation, (old, new), *more)
    lines = feedback(question, function).splitlines()
    assert "passed" not in lines[0]
    messages = {mistake.message for mistake in question.mistakes} & set(lines)
    if beginning.startswith("It returns"):
        assert not messages
        assert any(line.startswith(beginning) for line in lines), lines
    else:
        assert [message.startswith(beginning) for message in messages] == [True], lines


@pytest.mark.parametrize("operation", OPERATIONS)
def test_at_least_eight_slips_are_recognised_and_none_is_seen_in_the_solution(operation):
    assert len({slip[2] for slip in SLIPS[operation]}) >= 8
    question, function = with_slip(operation)
    assert feedback(question, function).startswith(f"{question.name}: public checks passed")
