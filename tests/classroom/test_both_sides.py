"""The student who works and the page with marks read the same diagnosis of the same answers."""

import json
from functools import cache

import numpy as np
import pytest

from dsconv_lib.classroom.check import feedback
from dsconv_lib.classroom.grading.mark import Paper, mark
from dsconv_lib.classroom.grading.protocol import Decoder
from dsconv_lib.classroom.grading.sandbox import Limits, Sandbox
from dsconv_lib.classroom.grading.worker import Runner
from dsconv_lib.classroom.question import PUBLIC_SEED
from tests.classroom.exercise_files import IDS, QUESTIONS, ROOT


class InProcess:
    """In a sandbox's place: the worker's own code, in this process and with a function that is there."""

    limits = Limits()

    def __init__(self, **functions):
        self.runner = Runner(functions)

    def start(self):
        return self

    def end(self, process):
        pass

    def ask(self, message, arrays=b"", *, seconds):
        if "run" in message:
            return {"problems": self.runner.run(message["run"])}, Decoder(b"")
        given, sent = Decoder(arrays), []
        arguments = {name: given.value(tree) for name, tree in message["arguments"].items()}
        with np.errstate(all="ignore"):  # no warning leaves a sandbox
            reply = self.runner.call(message["call"], arguments, sent)
        return json.loads(json.dumps(reply)), Decoder(b"".join(sent))


@cache
def paper(name):
    """The cases that a student sees, to be marked."""
    return Paper(ROOT / "exercises" / name, PUBLIC_SEED)


def marked(name, question, sandbox, *cells):
    cells = [{"cell_type": "code", "source": cell} for cell in cells]
    row = mark(json.dumps({"cells": cells}).encode(), paper(name), sandbox)
    return row["questions"][question.name]


def known(question, lines):
    return {mistake.message for mistake in question.mistakes} & set(lines)


def told(question, found):
    """The known mistakes on the page."""
    return known(question, (failure["problem"] for failure in found["failures"]))


@pytest.mark.parametrize(("name", "question"), QUESTIONS, ids=IDS)
def test_every_known_mistake_is_the_same_one_on_both_sides(name, question):
    for mistake in question.mistakes:
        lines = feedback(question, mistake.wrong).splitlines()
        found = marked(name, question, InProcess(**{question.function: mistake.wrong}), "pass")
        assert told(question, found) == known(question, lines) == {mistake.message}
        assert f"{found['right']} of {found['cases']} public cases are right" in lines[0]


ODD = {
    "nothing": lambda x, **k: None,
    "a list": lambda x, **k: x.tolist(),
    "a pair": lambda x, **k: (x, x),
    "another shape": lambda x, **k: x[:1, :1],
    "not a number": lambda x, **k: correct(x, **k) * np.nan,
    "one off": lambda x, **k: correct(x, **k) + (np.indices(correct(x, **k).shape).sum(0) == 0),
    "nearly": lambda x, **k: correct(x, **k) * (1 + 1e-5),
    "doubled": lambda x, **k: 2 * correct(x, **k),
    "integers": lambda x, **k: (correct(x, **k) + 1).astype(int),
}


def correct(x, weight, stride, padding):
    (question,) = (each for _, each in QUESTIONS if each.function == "depthwise_conv2d")
    return question.reference(x, weight, stride, padding)


@pytest.mark.parametrize("function", ODD.values(), ids=ODD)
def test_a_difference_is_told_in_the_same_words(function):
    (question,) = (each for _, each in QUESTIONS if each.function == "depthwise_conv2d")
    text = feedback(question, function)
    found = marked("02-depthwise-convolution", question, InProcess(depthwise_conv2d=function), "")
    problem = found["failures"][0]["problem"]
    # The sentences are the same; the notebook puts numbers of the answer at the end of one.
    assert all(words in text for words in problem.rstrip(".").split(". ")), (problem, text)


PROGRAMS = [
    (
        "03-pointwise-convolution",
        "pointwise",
        "import numpy as np\ndef pointwise_conv2d(x, weight, stride):\n"
        "    return np.einsum('mn,bmij->bnij', weight[:, :, 0, 0], x[:, :, ::stride, ::stride])",
        "The matrix is transposed",
    ),
    (
        "03-pointwise-convolution",
        "passage",
        "def widest_passage(in_channels, out_channels):\n    return out_channels - 1",
        "Only the first layer of the pair is counted",
    ),
    (
        "05-multiplications-to-seconds",
        "vectors",
        "import numpy as np\ndef depthwise_rows(image, weight):\n"
        "    k, _, channels = weight.shape\n"
        "    length = image.shape[1] - (k - 1) * channels\n"
        "    shape, (down, along) = (len(image) - k + 1, k, k, length), image.strides\n"
        "    strides = (down, down, along, along)\n"
        "    vectors = np.lib.stride_tricks.as_strided(image, shape, strides)\n"
        "    tiled = np.tile(weight, (1, 1, length // channels))\n"
        "    return np.einsum('hijk,ijk->hk', vectors, tiled)",
        "The vector of tap v begins v numbers later",
    ),
    (
        "08-training",
        "loss",
        "import numpy as np\ndef smoothed_loss(scores, labels, epsilon):\n"
        "    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)\n"
        "    q = np.full(p.shape, epsilon / p.shape[1])\n"
        "    q[np.arange(len(labels)), labels] += 1 - epsilon\n"
        "    return float(-(q * np.log(p)).sum() / len(scores))",
        "Large scores overflow",
    ),
    (
        "01-normal-convolution",
        "unread",
        "def unread_pixels(in_size, kernel_size, stride):\n    return in_size * kernel_size + stride",
        "",
    ),
]


@pytest.mark.parametrize(
    ("name", "asked", "program", "message"), PROGRAMS, ids=[each[1] for each in PROGRAMS]
)
def test_so_it_is_in_the_sandbox(name, asked, program, message):
    (question,) = (each for where, each in QUESTIONS if (where, each.name) == (name, asked))
    names = {}
    exec(program, names)
    lines = feedback(question, names[question.function]).splitlines()
    found = marked(name, question, Sandbox(), program)
    assert told(question, found) == known(question, lines)
    assert [each.startswith(message) for each in told(question, found)] == [True] * bool(message)
