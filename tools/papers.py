#!/usr/bin/env python3
"""Writes the pages that recompute what others print: `chapters/papers.md` and `chapters/claims.md`.

The figures and the statements lie in `chapters/papers.json` and `chapters/claims.json`, with their calculations;
the text around the tables lies in `tools/pages`. No verdict is stored: each follows from what the calculations give.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import recount

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("papers", "claims")
Entry = Mapping[str, Any]

# ---- Verdicts on figures ---------------------------------------------------------------------------

REPRODUCED = "reproduced"
OTHERWISE = "by another convention"
LABEL = "misprinted label"
NOT_REPRODUCED = "not reproduced"
UNCOUNTABLE = "cannot be counted"
NOT_PRINTED = "not printed"
FIGURE_VERDICTS = (REPRODUCED, OTHERWISE, LABEL, NOT_REPRODUCED, UNCOUNTABLE, NOT_PRINTED)

# What a figure may count, in the order of trial; the first of each list is the course's convention.
CONVENTIONS = {
    "mult-adds": {
        "MACs": "macs({})",
        "linear layers left out": "macs(convolutions({}))",
        "first layer left out": "macs(after_stem({}))",
        "taps on padding zeros left out": "inside({})",
        "the average counted too, one addition per pixel and channel": "macs({0}) + averaged({0})",
        "FLOPs, two for each MAC": "flops({})",
    },
    "parameters": {
        "weights": "weights({})",
        "biases too": "with_biases({})",
        "biases, and scale and shift of batch normalisation too": "trainable({})",
        "biases, and shift, mean and variance of batch normalisation too": "with_biases({}, 3)",
        "biases, and all four numbers of batch normalisation too": "with_biases({}, 4)",
        "linear layers left out": "weights(convolutions({}))",
    },
}


class Trial(NamedTuple):
    """One calculation of a figure: what it counts, how, what it gives, and how it fits what is printed.

    `value` is in the unit of the printed figure; `fit` is "" (not at all), "rounded", or a coarser way of rounding.
    """

    name: str
    expression: str
    value: float | Fraction
    fit: str
    relabelled: bool = False


def number(printed: str) -> Decimal:
    """Return the number in a printed figure such as "s2" or "4.24"."""
    return Decimal(re.search(r"\d+(\.\d+)?", printed)[0])  # type: ignore[index]


def exact(value: float | Fraction) -> Decimal:
    """Return the value as a decimal number, long enough that rounding it cannot go wrong."""
    if isinstance(value, Fraction):
        return Decimal(value.numerator) / Decimal(value.denominator)
    return Decimal(value)


def fit(printed: str, value: float | Fraction, *, may_truncate: bool) -> str:
    """Say how the value becomes the printed figure: "rounded", "truncated", to fewer digits, or "" for not at all."""
    wanted, got = number(printed), exact(value)
    last_digit = Decimal(1).scaleb(int(wanted.as_tuple().exponent))
    if got.quantize(last_digit, ROUND_HALF_UP) == wanted:
        return "rounded"
    if may_truncate and got.quantize(last_digit, ROUND_DOWN) == wanted:
        return "truncated"
    digits = wanted.normalize().as_tuple()
    # A single digit would fit too much.
    if len(digits.digits) > 1 and int(digits.exponent) > 0:
        coarse = Decimal(1).scaleb(int(digits.exponent))
        if got.quantize(coarse, ROUND_HALF_UP) == wanted:
            return f"{len(digits.digits)} significant digits"
    return ""


def calculations(figure: Entry) -> list[tuple[str, str, bool]]:
    """List (name, expression, relabelled) of all that is tried for a figure; the course's convention is first."""
    found = [(*item, False) for item in figure.get("calculations", {}).items()]
    if "network" in figure:
        networks = {"": figure["network"], **figure.get("variants", {})}
        for variant, network in networks.items():
            for name, pattern in CONVENTIONS[figure["quantity"]].items():
                full = ", ".join(filter(None, (variant, name)))
                found.append((full, pattern.format(network), False))
    found += [(*item, False) for item in figure.get("extra", {}).items()]
    found += [(*item, True) for item in figure.get("relabelled", {}).items()]
    return found


def trials(figure: Entry) -> list[Trial]:
    """Compute everything that is tried for a figure; only the course's own count may also be cut off.

    A convention that changes nothing in this network, such as biases where there are none, is left out.
    """
    scale = 10**6 if figure["unit"] == "M" else 1
    done: list[Trial] = []
    for place, (name, expression, relabelled) in enumerate(calculations(figure)):
        value = recount.evaluate(expression)
        value = Fraction(value, scale) if isinstance(value, int | Fraction) else value / scale
        if value in [trial.value for trial in done]:
            continue
        how = fit(figure["printed"], value, may_truncate=place == 0) if figure["printed"] else ""
        done.append(Trial(name, expression, value, how, relabelled))
    return done


def judge(figure: Entry, tried: list[Trial] | None = None) -> str:
    """Derive the verdict on a figure from its calculations."""
    tried = trials(figure) if tried is None else tried
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


def reading(trial: Trial) -> str:
    """Name a calculation that fits, and how it was rounded where that was not to the last printed digit."""
    return trial.name + (f", {trial.fit}" if trial.fit != "rounded" else "")


def readings(tried: list[Trial]) -> list[str]:
    """Name what fits: by a coarse rounding only the course's own count, unless nothing else does."""
    fitting = [trial for trial in tried if trial.fit]
    best = [trial for trial in fitting if trial.fit == "rounded" or trial is tried[0]]
    return [reading(trial) for trial in best or fitting]


def in_digits(value: float | Fraction, printed: str | None) -> str:
    """Write a recomputed value with two digits more than the printed figure, a whole number without any."""
    if float(value).is_integer():
        return f"{int(value):,}"
    places = max(0, -int(number(printed).as_tuple().exponent)) if printed else 0
    return f"{float(value):,.{places + 2}f}"


# ---- Verdicts on statements ------------------------------------------------------------------------

EXACT = "exact"
WRONG = "wrong"
CONVENTION = "needs a convention"
EMPIRICAL = "empirical"
CLAIM_VERDICTS = (EXACT, CONVENTION, WRONG, EMPIRICAL)


def judge_claim(claim: Entry) -> str:
    """Derive the verdict on a statement from where it was shown to hold and where to fail.

    Raises:
        CalculationError: if a case does not come out as True.
    """
    for expression in (*claim["holds"], *claim["fails"]):
        outcome = recount.evaluate(expression)
        if outcome is not True and not (hasattr(outcome, "dtype") and bool(outcome)):
            raise recount.CalculationError(
                f"{claim['id']}: {expression} gives {outcome!r}, not True"
            )
    if claim["holds"]:
        return CONVENTION if claim["fails"] else EXACT
    return WRONG if claim["fails"] else EMPIRICAL


# ---- Pages -----------------------------------------------------------------------------------------

VERDICTS = {"papers": FIGURE_VERDICTS, "claims": CLAIM_VERDICTS}
HEADINGS = {
    "papers": ["figure", "printed", "recomputed", "verdict", "calculation"],
    "claims": ["statement", "verdict", "calculation"],
}
PLACE = re.compile(r"\{\{(.+?)(?::([,.\dfd%]+))?\}\}")


def load(name: str) -> list[dict[str, Any]]:
    """Read the entries of `chapters/NAME.json`."""
    entries: list[dict[str, Any]] = json.loads(
        (ROOT / "chapters" / f"{name}.json").read_text(encoding="utf-8")
    )
    return entries


def fill(text: str, more: Mapping[str, Any] | None = None) -> str:
    """Replace each `{{calculation:format}}` in a text by what it gives."""
    names = dict(more or {})

    def value(match: re.Match[str]) -> str:
        calculation = match[1].strip()
        ours = calculation.partition("(")[0] in names
        # The page's own counts, from the text that lies beside this script.
        result = eval(calculation, {}, names) if ours else recount.evaluate(calculation)
        return format(float(result) if isinstance(result, Fraction) else result, match[2] or "")

    return PLACE.sub(value, text)


def code(expression: str) -> str:
    """Show a calculation; long ones may break after a comma or an operator."""
    return f"<code>{escape(expression)}</code>"


def row(
    cells: list[tuple[str, str, str]], verdict: str, kinds: tuple[str, ...], anchor: str
) -> str:
    """Write one row of a table; a cell is (class, label, HTML), and the first is the row's heading."""
    (_, _, heading), *others = cells
    parts = [f'<th scope="row" role="rowheader">{heading}</th>']
    parts += [
        f'<td role="cell" class="{kind}" data-label="{label}">{html}</td>'
        for kind, label, html in others
    ]
    tone = kinds.index(verdict)
    return (
        f'<tr role="row" id="{anchor}" data-verdict="{verdict}" data-tone="{tone}">'
        + "".join(parts)
        + "</tr>"
    )


def make_table(caption: str, headings: list[str], rows: list[str], css: str = "recount") -> str:
    """Write a table; without blank lines, which would end the HTML block."""
    head = "".join(f'<th scope="col" role="columnheader">{heading}</th>' for heading in headings)
    return "\n".join(
        [
            f'<table class="{css}" role="table">',
            f"<caption>{escape(caption)}</caption>",
            f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>',
            '<tbody role="rowgroup">',
            *rows,
            "</tbody>",
            "</table>",
        ]
    )


def badge(verdict: str) -> str:
    """Show a verdict as a word in a frame."""
    return f'<span class="verdict">{verdict}</span>'


def trial_item(trial: Trial, printed: str | None, unit: str) -> str:
    """Write one calculation that was tried, with what it gives and whether it fits."""
    mark, how = (' class="fits"', f" ({trial.fit})") if trial.fit else ("", "")
    value = f"<strong>{in_digits(trial.value, printed)}</strong>{unit}{how}"
    return f"<li{mark}>{escape(trial.name)}: {value} {code(trial.expression)}</li>"


def figure_row(figure: Entry) -> str:
    """Write the row of one printed figure."""
    tried = trials(figure)
    verdict = judge(figure, tried)
    unit = f" {figure['unit']}" if figure["unit"] else ""
    printed = "–" if figure["printed"] is None else escape(figure["printed"]) + unit
    result = in_digits(tried[0].value, figure["printed"]) + unit if tried else "–"
    words = [badge(verdict)]
    if verdict == NOT_REPRODUCED:
        words.append(f"true value: {result}")
    if verdict in (OTHERWISE, LABEL):
        words.append("; <em>or</em> ".join(escape(text) for text in readings(tried)))
    how = []
    if "note" in figure:
        how.append(escape(fill(figure["note"]), quote=False))
    if "uncountable" in figure:
        how.append(escape(figure["uncountable"]))
    if tried:
        how.append(code(tried[0].expression))
    if len(tried) > 1:
        items = "".join(trial_item(trial, figure["printed"], unit) for trial in tried)
        how.append(
            f'<details class="tried"><summary>{len(tried)} counts tried</summary><ol>{items}</ol></details>'
        )
    cells = [
        ("", "", f"{escape(figure['row'])}<span>{escape(figure['quantity'])}</span>"),
        ("printed", "printed", printed),
        ("ours", "recomputed", result),
        ("says", "verdict", "<br>".join(words)),
        ("how", "calculation", "<br>".join(how).replace("<br><details", "<details")),
    ]
    return row(cells, verdict, FIGURE_VERDICTS, f"figure-{figure['id'].replace('.', '-')}")


def claim_row(claim: Entry) -> str:
    """Write the row of one statement."""
    verdict = judge_claim(claim)
    words = [badge(verdict)]
    if claim["listed"] != verdict:
        words.append(f"listed as: {claim['listed']}")
    how = [escape(fill(claim["note"]), quote=False)] if claim["note"] else []
    if "measure" in claim:
        how.append(f"<em>To measure:</em> {escape(claim['measure'])}")
    if "arguable" in claim:
        how.append(f"<em>Arguable:</em> {escape(fill(claim['arguable']), quote=False)}")
    cases = [("holds", case) for case in claim["holds"]] + [
        ("fails", case) for case in claim["fails"]
    ]
    if cases:
        items = "".join(f"<li>{where}: {code(case)}</li>" for where, case in cases)
        many = f"{len(cases)} case{'s' if len(cases) > 1 else ''} computed"
        how.append(f'<details class="tried"><summary>{many}</summary><ul>{items}</ul></details>')
    cells = [
        ("", "", f"<span>{claim['id']}</span> {escape(claim['claim'])}"),
        ("says", "verdict", "<br>".join(words)),
        ("how", "calculation", "<br>".join(how).replace("<br><details", "<details")),
    ]
    return row(cells, verdict, CLAIM_VERDICTS, f"claim-{claim['id']}")


def render(name: str) -> str:
    """Write a page: the text of `tools/pages/NAME.md`, its calculations done and its tables in their places."""
    entries = load(name)
    judges: dict[str, Callable[[Entry], str]] = {"papers": judge, "claims": judge_claim}
    rows: dict[str, Callable[[Entry], str]] = {"papers": figure_row, "claims": claim_row}
    judged = [(entry, judges[name](entry)) for entry in entries]
    tally = Counter(verdict for _, verdict in judged)
    arguable = sum("arguable" in entry for entry in entries)
    differing = sum("listed" in entry and entry["listed"] != verdict for entry, verdict in judged)
    text = (ROOT / "tools" / "pages" / f"{name}.md").read_text(encoding="utf-8")
    text = fill(
        text,
        {
            "rows": lambda: len(entries),
            "count": lambda verdict: tally[verdict],
            "arguable": lambda: arguable,
            "differing": lambda: differing,
        },
    )

    def where(entry: Entry) -> str:
        return str(entry["table"] if name == "papers" else entry["id"][:3])

    def place(match: re.Match[str]) -> str:
        wanted, caption = match[1].split(" | "), match[2]
        chosen = [rows[name](entry) for entry in entries if where(entry) in wanted]
        found = Counter(verdict for entry, verdict in judged if where(entry) in wanted)
        caption += ": " + ", ".join(f"{found[v]} {v}" for v in VERDICTS[name] if found[v])
        css = "recount" if name == "papers" else "recount statements"
        return make_table(caption, HEADINGS[name], chosen, css)

    return re.sub(r"^<!-- table (.+?): (.+) -->$", place, text, flags=re.MULTILINE)


def main() -> None:
    """Write the pages."""
    for name in PAGES:
        (ROOT / "chapters" / f"{name}.md").write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    main()
