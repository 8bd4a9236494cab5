"""Verdicts on printed figures and on statements: each follows from calculations, and none is typed in.

A figure is a mapping: what is `printed` (None where nothing is) and its `unit` ("M" for millions, or ""), and what to
try, each calculation under a name:

    network, quantity  a network, counted by each of the CONVENTIONS of "mult-adds" or "parameters"
    variants           other networks, tried in the same way
    calculations       calculations in place of a network's; the first is the course's own
    extra              more of them
    relabelled         those of what the figure may have been meant for

A statement has the cases in which it `holds` and those in which it `fails`: calculations that have to give True.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from dsconv_lib.recount.expressions import CalculationError, evaluate

Entry = Mapping[str, Any]

REPRODUCED = "reproduced"
OTHERWISE = "by another convention"
LABEL = "misprinted label"
NOT_REPRODUCED = "not reproduced"
UNCOUNTABLE = "cannot be counted"
NOT_PRINTED = "not printed"
FIGURE_VERDICTS = (REPRODUCED, OTHERWISE, LABEL, NOT_REPRODUCED, UNCOUNTABLE, NOT_PRINTED)

EXACT = "exact"
CONVENTION = "needs a convention"
WRONG = "wrong"
EMPIRICAL = "empirical"
CLAIM_VERDICTS = (EXACT, CONVENTION, WRONG, EMPIRICAL)

# What a figure may count, in the order of trial; the first of each list is the course's convention.
CONVENTIONS = {
    "mult-adds": {
        "MACs": "cost.of({}).macs",
        "linear layers left out": "cost.of(convolutions({})).macs",
        "first layer left out": "cost.of({}[1:]).macs",
        "taps on padding zeros left out": "macs_inside({})",
        "the average counted too, one addition per pixel and channel": "cost.of({0}).macs + averaged({0})",
        "FLOPs, two for each MAC": "cost.of({}).flops",
    },
    "parameters": {
        "weights": "cost.of({}).params",
        "biases too": "with_biases({})",
        "biases, and scale and shift of batch normalisation too": "with_biases({}, norm=2)",
        "biases, and shift, mean and variance of batch normalisation too": "with_biases({}, norm=3)",
        "biases, and all four numbers of batch normalisation too": "with_biases({}, norm=4)",
        "linear layers left out": "cost.of(convolutions({})).params",
    },
}


class Trial(NamedTuple):
    """One calculation of a figure: what it counts, how, what it gives, and how it fits what is printed.

    `value` is in the unit of the printed figure; `fit` is "" (not at all), "rounded", or a coarser way of rounding.
    """

    name: str
    expression: str
    value: Fraction
    fit: str
    relabelled: bool


def number(printed: str) -> str:
    """Return the number in a printed figure.

    >>> number("s2"), number("4.24")
    ('2', '4.24')
    """
    found = re.search(r"\d+(\.\d+)?", printed)
    if found is None:
        raise CalculationError(f"printed={printed!r}: expected a number in it")
    return found[0]


def decimals(printed: str) -> int:
    """Count the digits after the point in a printed figure."""
    return len(number(printed).partition(".")[2])


def fit(printed: str, value: float | Fraction, *, may_truncate: bool) -> str:
    """Say how a value becomes the printed figure: "rounded", "truncated", to fewer digits, or "" for not at all.

    >>> fit("569", 568.74, may_truncate=False), fit("15300", 15346.6, may_truncate=False)
    ('rounded', '3 significant digits')
    """
    digits = number(printed)
    above, last = Fraction(value) - Fraction(digits), Fraction(1, 10 ** decimals(printed))
    if -last / 2 <= above < last / 2:  # half of the last digit goes up
        return "rounded"
    if may_truncate and 0 <= above < last:
        return "truncated"
    significant = len(digits.rstrip("0"))
    # A single digit would fit too much.
    if "." not in digits and 1 < significant < len(digits):
        coarse = Fraction(10 ** (len(digits) - significant))
        if -coarse / 2 <= above < coarse / 2:
            return f"{significant} significant digits"
    return ""


def calculations(figure: Entry) -> list[tuple[str, str, bool]]:
    """List (name, expression, relabelled) of all that is tried for a figure; the course's convention is first."""
    found = dict(figure.get("calculations", {}))
    if "network" in figure:
        for variant, network in {"": figure["network"], **figure.get("variants", {})}.items():
            for name, pattern in CONVENTIONS[figure["quantity"]].items():
                found[", ".join(filter(None, (variant, name)))] = pattern.format(network)
    found |= figure.get("extra", {})
    tried = [(name, expression, False) for name, expression in found.items()]
    return tried + [(*item, True) for item in figure.get("relabelled", {}).items()]


def trials(figure: Entry) -> list[Trial]:
    """Compute everything that is tried for a figure; only the course's own count may also be cut off.

    A convention that changes nothing in this network, such as biases where there are none, is left out.

    Raises:
        CalculationError: if a calculation may not be computed, or nothing in what is printed is a number.
    """
    scale = 10**6 if figure["unit"] == "M" else 1
    done: dict[Fraction, Trial] = {}
    for name, expression, relabelled in calculations(figure):
        value = Fraction(evaluate(expression)) / scale
        if value not in done:
            printed = figure["printed"]
            how = fit(printed, value, may_truncate=not done) if printed else ""
            done[value] = Trial(name, expression, value, how, relabelled)
    return list(done.values())


def judge(figure: Entry) -> str:
    """Derive the verdict on a figure from its calculations; the errors are those of `trials`.

    >>> judge({"printed": "569", "unit": "M", "quantity": "mult-adds", "network": "mobilenet_v1_layers()"})
    'reproduced'
    >>> judge({"printed": "529", "unit": "M", "quantity": "mult-adds", "network": "mobilenet_v1_layers()"})
    'not reproduced'
    """
    tried = trials(figure)
    if not tried:
        return UNCOUNTABLE
    if figure["printed"] is None:
        return NOT_PRINTED
    if tried[0].fit == "rounded":
        return REPRODUCED
    fitting = [trial for trial in tried if trial.fit]
    if not fitting:
        return NOT_REPRODUCED
    return LABEL if all(trial.relabelled for trial in fitting) else OTHERWISE


def readings(figure: Entry) -> list[str]:
    """Name what fits a figure, and how it was rounded where that was not to the last printed digit.

    By a coarse rounding that is the course's own count alone, unless nothing else fits.
    """
    tried = trials(figure)
    fitting = [trial for trial in tried if trial.fit]
    best = [trial for trial in fitting if trial.fit == "rounded" or trial is tried[0]]
    return [t.name if t.fit == "rounded" else f"{t.name}, {t.fit}" for t in best or fitting]


def judge_claim(claim: Entry) -> str:
    """Derive the verdict on a statement from where it was shown to hold and where to fail.

    Raises:
        CalculationError: if a case does not come out as True.

    >>> judge_claim({"holds": ["cost.ratio(64, 3) < 1"], "fails": ["cost.ratio(1, 3) > 1"]})
    'needs a convention'
    """
    for expression in (*claim["holds"], *claim["fails"]):
        if (outcome := evaluate(expression)) is not True:
            raise CalculationError(f"{expression} gives {outcome!r}, not True")
    if claim["holds"]:
        return CONVENTION if claim["fails"] else EXACT
    return WRONG if claim["fails"] else EMPIRICAL
