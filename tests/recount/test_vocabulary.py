"""The words that calculations are made of, where the library has none of its own for them."""

from math import prod

import pytest

from dsconv_lib import ops
from dsconv_lib.errors import UserError
from dsconv_lib.networks import alexnet_layers, mobilenet_v1_layers, squeezenet_layers
from dsconv_lib.recount import counts, texts
from dsconv_lib.recount.arrays import energy, pixels_seen, random, rank, reads
from dsconv_lib.recount.cases import CASES
from dsconv_lib.recount.expressions import evaluate


def test_the_drawn_layers_are_worth_trying():
    assert len(set(CASES)) == 16
    assert {case.s for case in CASES} == {1, 2, 3}
    assert {case.p for case in CASES} == {0, 1, 2}
    assert any(case.N == 1 for case in CASES)
    assert any(case.DK == 1 for case in CASES)
    assert any(case.DF != case.DG > 1 for case in CASES)
    # A formula with one letter wrong does not survive them.
    for formula in ("c.N * c.DF ** 2 * c.DK ** 2 * c.M", "c.N * c.DG ** 2 * c.DK * c.M"):
        assert evaluate(f"not for_all(lambda c: run_loops('standard', c).macs == {formula})")


def test_two_formulas_are_compared_letter_by_letter():
    assert texts.same("N*(S + Q)", "S*N + Q*N")
    assert not texts.same("M*(K**2 + n)", "M*(K**2 + N)")
    assert texts.same("1/N + 1/K**2", "(N + K**2)/(N*K**2)")
    assert not texts.same("K", "K + 0*n + 1")
    with pytest.raises(UserError, match="letters, numbers"):
        texts.same("N", "N.real")


def test_the_glossary_is_the_book_s(monkeypatch, tmp_path):
    assert texts.in_glossary("pointwise")
    monkeypatch.setattr(texts, "GLOSSARY", tmp_path / "glossary.md")
    with pytest.raises(UserError, match="a clone of the course"):
        texts.in_glossary("pointwise")


def test_what_a_layer_looks_at():
    standard, depthwise, pointwise = (
        reads(operation, random(*shape))
        for operation, shape in (
            (ops.standard, (5, 4, 3, 3)),
            (ops.depthwise, (4, 1, 3, 3)),
            (ops.pointwise, (5, 4, 1, 1)),
        )
    )
    assert [r.channels for r in (standard, depthwise, pointwise)] == [4, 1, 4]
    assert [r.pixels for r in (standard, depthwise, pointwise)] == [9, 9, 1]
    for layers in ([(3, 1)], [(3, 2), (3, 2), (5, 1)], [(1, 1), (2, 3), (4, 1)]):
        steps = [prod(stride for _, stride in layers[:place]) for place in range(len(layers))]
        grown = ((kernel - 1) * step for (kernel, _), step in zip(layers, steps, strict=True))
        assert pixels_seen(layers) == 1 + sum(grown)
    assert rank(random(2, 3, 3, 3)) == 2
    assert energy(random(1, 3, 3, 3)) == pytest.approx(1)


def test_taps_inside_the_image_are_those_that_the_numbers_of_zeros_leave():
    (stem,) = mobilenet_v1_layers()[:1]
    # 112 x 112 windows of 3 x 3 taps; with stride 2 and padding 1 only the first of a row or a column hangs over.
    taps = (3 * 112 - 1) ** 2
    assert counts.macs_inside([stem]) == taps * 3 * 32


def test_only_a_network_that_ends_in_an_average_has_one():
    assert counts.averaged(mobilenet_v1_layers()) == 1024 * 7 * 7
    assert counts.averaged(squeezenet_layers(227)) == 1000 * 13 * 13
    assert counts.averaged(alexnet_layers()) == 0
