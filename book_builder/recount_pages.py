"""Write the pages that recompute what others print: ``python -m book_builder.recount_pages``.

The figures and the statements lie in `chapters/papers.json` and `chapters/claims.json`, with their calculations. The
text around the tables, and the tables' HTML, lie in `book_builder/pages`. No verdict is stored: `dsconv_lib.recount`
derives each.
"""

import json
import re
from collections import Counter
from fractions import Fraction
from typing import Any

from jinja2 import Environment, PackageLoader

from book_builder import ROOT
from dsconv_lib.recount import verdicts
from dsconv_lib.recount.expressions import evaluate

PAGES = {
    "papers": (verdicts.judge, verdicts.FIGURE_VERDICTS),
    "claims": (verdicts.judge_claim, verdicts.CLAIM_VERDICTS),
}
PLACE = re.compile(r"\{\{(.+?)(?::([,.\dfd%]+))?\}\}")
TABLE = re.compile(r"^<!-- table (.+?): (.+) -->$", re.MULTILINE)


def load(name: str) -> list[dict[str, Any]]:
    """The entries of `chapters/NAME.json`."""
    entries: list[dict[str, Any]] = json.loads(
        (ROOT / "chapters" / f"{name}.json").read_text(encoding="utf-8")
    )
    return entries


def fill(text: str) -> str:
    """Replace each `{{calculation:format}}` in a text by what it gives.

    >>> fill("{{cost.ratio(256, 3):.3f}} of the MACs")
    '0.115 of the MACs'
    """

    def value(match: re.Match[str]) -> str:
        result = evaluate(match[1])
        return format(float(result) if isinstance(result, Fraction) else result, match[2] or "")

    return PLACE.sub(value, text)


def in_digits(value: Fraction, printed: str | None) -> str:
    """A recomputed value with two digits more than the printed figure, a whole number without any."""
    if float(value).is_integer():
        return f"{int(value):,}"
    places = verdicts.decimals(printed) if printed else 0
    return f"{float(value):,.{places + 2}f}"


def render(name: str) -> str:
    """A page: the text of `book_builder/pages/NAME.md`, its calculations done and its tables in their places."""
    judge_entry, kinds = PAGES[name]
    judged = [(entry, judge_entry(entry)) for entry in load(name)]
    counts = Counter(verdict for _, verdict in judged)
    counts["entries"] = len(judged)
    counts["arguable"] = sum("arguable" in entry for entry, _ in judged)
    counts["differing"] = sum(entry.get("listed", verdict) != verdict for entry, verdict in judged)
    loader = PackageLoader("book_builder", "pages")
    pages = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.globals |= {"fill": fill, "in_digits": in_digits}
    pages.globals |= {"readings": verdicts.readings, "trials": verdicts.trials}

    def table(match: re.Match[str]) -> str:
        wanted, caption = match[1].split(" | "), match[2]
        here = [(entry, v) for entry, v in judged if entry.get("table", entry["id"][:3]) in wanted]
        found = Counter(verdict for _, verdict in here)
        caption += ": " + ", ".join(f"{found[v]} {v}" for v in kinds if found[v])
        html = pages.get_template("table.html").render(
            name=name, caption=caption, judged=here, verdicts=kinds
        )
        return re.sub(r"\n\s+", "", html)

    text = (ROOT / "book_builder" / "pages" / f"{name}.md").read_text(encoding="utf-8")
    for what in (*kinds, "entries", "arguable", "differing"):
        text = text.replace("{{" + what + "}}", str(counts[what]))
    return TABLE.sub(table, fill(text))


def main() -> None:
    """Write the pages."""
    for name in PAGES:
        (ROOT / "chapters" / f"{name}.md").write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    main()
