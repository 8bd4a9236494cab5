"""The numbers in pages that run no code, computed again."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dsconv_lib import cli, cost, ops, spec
from dsconv_lib.classroom.question import load
from dsconv_lib.classroom.release import notebooks
from dsconv_lib.networks import mobilenet_v1_layers

ROOT = Path(__file__).parents[1]
NOTATION = (ROOT / "chapters" / "notation.md").read_text(encoding="utf-8")


def rows(first_cell: str) -> list[list[str]]:
    """Cells of the table rows that begin with this text."""
    found = re.findall(rf"^\| {re.escape(first_cell)}.*\|$", NOTATION, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found]


@pytest.mark.parametrize("page", ["intro.md", "README.md"])
def test_the_worked_example_and_the_network(page):
    text = (ROOT / page).read_text(encoding="utf-8").replace(",", "")
    worked = {"in_size": 8, "kernel_size": 5, "padding": "same"}
    assert str(cost.of(spec.standard(3, 256, **worked)).macs) in text
    assert str(cost.of(spec.separable(3, 256, **worked)).macs) in text
    assert str(cost.of(mobilenet_v1_layers()).macs) in text


def test_the_front_page_adds_up():
    text = (ROOT / "intro.md").read_text(encoding="utf-8")
    first, second = (
        cost.of(spec.depthwise(3, 8, 5, padding="same")),
        cost.of(spec.pointwise(3, 256, 8)),
    )
    assert f"{first.macs:,} + {second.macs:,} = {first.macs + second.macs:,}" in text
    assert f"{sum(layer.trainable for layer in mobilenet_v1_layers()):,}" in text


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("depthwise", cost.of(spec.depthwise(512, 14, 3, padding=1))),
        ("pointwise, 512 to 512", cost.of(spec.pointwise(512, 512, 14))),
        ("separable", cost.of(spec.separable(512, 512, 14, 3, padding=1))),
        ("standard, 512 to 512", cost.of(spec.standard(512, 512, 14, 3, padding=1))),
    ],
)
def test_bytes_and_intensity(row, expected):
    printed = [f"{expected.macs:,}", f"{expected.bytes():,}", f"{expected.intensity():.1f}"]
    assert printed in [cells[1:] for cells in rows(row)]


def test_what_the_conventions_change():
    layers = mobilenet_v1_layers()
    weights, trainable = cost.of(layers).params, sum(layer.trainable for layer in layers)
    normalised = sum(layer.spec.out_channels for layer in layers if layer.norm)
    inside = 0
    for layer in layers:
        spec = layer.spec
        ones = np.ones((1, 1, *spec.in_size)), np.ones((1, 1, *spec.kernel_size))
        taps = ops.standard(*ones, stride=spec.stride, padding=spec.pads[0][0]).sum()
        inside += int(taps) * spec.weight_shape[0] * spec.weight_shape[1]
    for number in (
        cost.of(layers).macs,
        inside,
        weights,
        trainable,
        normalised,
        trainable - weights,
    ):
        assert f"{number:,}" in NOTATION


def test_the_readings_of_other_tools():
    recorded = json.loads((ROOT / "results" / "counters.json").read_text(encoding="utf-8"))
    names = {
        "torchinfo": "torchinfo",
        "ptflops 0.7.5, backend `aten`": "ptflops aten",
        "ptflops 0.7.5, backend `pytorch`": "ptflops pytorch",
        "thop": "thop",
        "fvcore": "fvcore",
        "`FlopCounterMode`": "FlopCounterMode",
    }
    for row, tool in names.items():
        printed = [f"{recorded[how][tool] / 1e6:,.3f}" for how in ("modules", "functions")]
        assert printed in [cells[2:] for cells in rows(row)], tool
    for tool in ("torchinfo", "ptflops", "thop", "fvcore"):
        version = re.match(r"[\d.]*\d", recorded["versions"][tool])[0]
        assert f"{tool} {version}" in NOTATION or f"{tool} {version.rpartition('.')[0]}" in NOTATION


def test_weights_carried_over_from_keras_and_back():
    to_torch, to_keras = re.findall(r"```python\n(.*?)```", NOTATION, re.DOTALL)
    rng = np.random.default_rng(0)
    k, dk = rng.normal(size=(3, 3, 4, 5)), rng.normal(size=(3, 3, 4, 2))
    names = {"k": k, "dk": dk, "images": rng.normal(size=(2, 8, 9, 4)), "M": 4}
    before = dict(names)
    exec(to_torch, names)
    w, dw, x = names["w"], names["dw"], names["x"]

    def keras_depthwise(image, kernel):
        """Keras' own definition: output channel m * multiplier + q, channels last, no padding."""
        side, multiplier = kernel.shape[0], kernel.shape[3]
        out = np.zeros((*(n - side + 1 for n in image.shape[:2]), image.shape[2] * multiplier))
        for i, j, n in np.ndindex(*out.shape):
            m, q = divmod(n, multiplier)
            out[i, j, n] = (image[i : i + side, j : j + side, m] * kernel[:, :, m, q]).sum()
        return out

    expected = keras_depthwise(before["images"][0], dk)
    np.testing.assert_allclose(ops.depthwise(x[:1], dw)[0].transpose(1, 2, 0), expected)
    window = before["images"][0, 0:3, 0:3]
    np.testing.assert_allclose(ops.standard(x, w)[0, :, 0, 0], np.einsum("uvm,uvmn->n", window, k))

    exec(to_keras, names)
    for name, array in before.items():
        np.testing.assert_array_equal(names[name], array)


GUIDE = (ROOT / "chapters" / "instructors.md").read_text(encoding="utf-8")


def test_the_guide_says_what_was_measured():
    found = json.loads((ROOT / "results" / "grading.json").read_text())
    ours = found["dsconv grade"]
    assert f"{ours['submissions']} submissions" in GUIDE
    assert f"took {ours['seconds']:.0f} s" in GUIDE
    assert f"{found['times faster']:.0f} times as long" in GUIDE
    assert ours["seconds"] < 60
    assert found["times faster"] > 5


def test_the_example_question_of_the_guide_works(tmp_path):
    code = re.search(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)[1]
    (tmp_path / "questions.py").write_text(code, encoding="utf-8")
    exercise = load(tmp_path)
    text = re.search(r"^````markdown\n(.*?)^````", GUIDE, re.DOTALL | re.MULTILINE)[1]
    (tmp_path / "source.md").write_text(f"# A question\n\n+++\n\n{text}", encoding="utf-8")
    assert set(notebooks(tmp_path)) == {"student.ipynb", "solution.ipynb"}
    solution = re.search(r"{code-cell}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    names = {}
    exec(solution, names)
    question = exercise.questions["macs"]
    assert list(exercise.written) == ["why-no-kernel"]
    for case in question.draw(seed=1):
        expected = question.reference(**case)
        assert question.right(names[question.function](**case), expected)
        assert not question.right(question.mistakes[0].wrong(**case), expected)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "chapters/instructors.md"])
def test_commands_in_the_pages_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^\$ dsconv (\w+)(.*?)(?:#.*)?$", text, re.MULTILINE)
    for name, options in lines:
        command = cli.load(name)
        if hasattr(command, "commands"):  # as `dsconv measure training` is one of `dsconv measure`
            command = command.commands[options.split()[0]]
        known = {opt for parameter in command.params for opt in parameter.opts}
        assert set(re.findall(r"--[\w-]+", options)) <= known, f"{page}: dsconv {name}{options}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\$ make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page}: make {target}"
