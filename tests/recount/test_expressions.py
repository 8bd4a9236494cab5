"""A calculation calculates, and says nothing else."""

import pytest

from book_builder.recount_pages import PLACE, load
from dsconv_lib.recount.expressions import CalculationError, evaluate, parse
from dsconv_lib.recount.verdicts import calculations


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("True", "calls no function"),
        ("2 + 2 == 4", "calls no function"),
        ("(lambda: 3)()", "calls no function"),
        (
            "cost.of(mobilenet_v1_layers()).macs == cost.of(mobilenet_v1_layers()).macs",
            "with itself",
        ),
        ("open('x')", "not one of the names"),
        ("part.__globals__", "not one of the attributes"),
        ("spec.np.savetxt('x', random(1))", "not one of the attributes"),
        ("random(1).tofile('x')", "not one of the attributes"),
        ("[part := 3]", "no place here"),
    ],
)
def test_a_calculation_has_to_calculate(expression, complaint):
    with pytest.raises(CalculationError, match=complaint):
        evaluate(expression)


def test_every_calculation_calculates():
    for figure in load("papers"):
        for _, expression, _ in calculations(figure):
            parse(expression)
        for calculation, _ in PLACE.findall(figure.get("note", "")):
            parse(calculation)
    for claim in load("claims"):
        for case in (*claim["holds"], *claim["fails"]):
            parse(case)
        for calculation, _ in PLACE.findall(claim["note"] + claim.get("arguable", "")):
            parse(calculation)
