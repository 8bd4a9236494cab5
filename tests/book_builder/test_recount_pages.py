"""The pages that recompute what others print: written from the data, and every calculation on them runs."""

import json
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from bs4 import BeautifulSoup

from book_builder import ROOT
from book_builder.recount_pages import PAGES, PLACE, load, render
from dsconv_lib.recount.expressions import evaluate
from dsconv_lib.recount.verdicts import calculations

IMPORT = "from dsconv_lib.recount import *"
FRESH = f"""
import json, sys
from fractions import Fraction

vocabulary = {{}}
exec("{IMPORT}", vocabulary)
values = [eval(expression, dict(vocabulary)) for expression in json.load(sys.stdin)]
assert "torch" not in sys.modules
print(json.dumps([value if isinstance(value, bool) else str(Fraction(value)) for value in values]))
"""


def page(name):
    return (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf-8")


def printed_numbers():
    """Each calculation on the page of papers, and the number with its unit that stands beside it."""
    found = []
    for row in BeautifulSoup(page("papers"), "html.parser").select("table.recount tr[id]"):
        for code in row.select("td.how > code"):
            found.append((code.text, row.select_one("td.ours").text))
        for item in row.select("li"):
            found.append((item.code.text, item.strong.text + item.strong.next_sibling))
    return found


def cases():
    """Each calculation on the page of statements."""
    return [code.text for code in BeautifulSoup(page("claims"), "html.parser").select("li > code")]


def stored():
    """Each calculation in the data, and in the texts of data and pages."""
    texts = []
    for figure in load("papers"):
        yield from (expression for _, expression, _ in calculations(figure))
        texts.append(figure.get("note", ""))
    for claim in load("claims"):
        yield from (*claim["holds"], *claim["fails"])
        texts += [claim["note"], claim.get("arguable", "")]
    for name in PAGES:
        text = (ROOT / "book_builder" / "pages" / f"{name}.md").read_text(encoding="utf-8")
        texts.append(re.sub(r"\{\{[a-z ]+\}\}", "", text))  # without the page's own counts
    yield from (calculation for calculation, _ in PLACE.findall("".join(texts)))


@pytest.fixture(scope="module")
def fresh():
    """What each calculation gives in an interpreter that has the vocabulary and nothing else."""
    wanted = list(dict.fromkeys([*(code for code, _ in printed_numbers()), *cases(), *stored()]))
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(wanted, json.loads(done.stdout), strict=True))


def test_each_calculation_on_the_page_of_papers_gives_the_number_beside_it(fresh):
    assert len(printed_numbers()) == page("papers").count("<code>") > 600
    for code, printed in printed_numbers():
        number, unit = re.fullmatch(r"([\d,.]+)( [M%])?( \(.*\))? ?", printed).groups()[:2]
        value = Fraction(fresh[code]) / (10**6 if unit == " M" else 1)
        decimals = len(number.partition(".")[2])
        assert f"{float(value):,.{decimals}f}" == number, code


def test_each_calculation_on_the_page_of_statements_gives_true(fresh):
    assert len(cases()) == page("claims").count("<code>") > 150
    assert [code for code in cases() if fresh[code] is not True] == []


def test_stored_calculations_give_in_a_fresh_interpreter_what_the_pages_rest_on(fresh):
    for code in stored():
        value = evaluate(code)
        assert fresh[code] == (value if isinstance(value, bool) else str(Fraction(value))), code


@pytest.mark.parametrize("name", PAGES)
def test_the_import_that_makes_them_run_stands_on_the_page(name):
    assert f"After `{IMPORT}`" in page(name)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_command_writes(name):
    assert page(name) == render(name), "type: python -m book_builder.recount_pages"


@pytest.mark.parametrize(("name", "anchor"), [("papers", "figure"), ("claims", "claim")])
def test_every_entry_has_its_row(name, anchor):
    anchors = re.findall(rf'<tr [^>]*id="{anchor}-([^"]+)"', page(name))
    assert sorted(anchors) == sorted(entry["id"].replace(".", "-") for entry in load(name))
    assert name == "papers" or anchors == sorted(anchors)


@pytest.mark.parametrize(("name", "entries"), [("papers", 117), ("claims", 111)])
def test_counts_at_the_top_of_a_page(name, entries):
    rows = re.findall(r"^\| ([a-z ]+) \|.*\| (\d+) \|$", page(name), re.MULTILINE)
    assert [verdict for verdict, _ in rows] == list(PAGES[name][1])
    assert sum(int(count) for _, count in rows) == entries
    for verdict, count in rows:
        assert page(name).count(f'data-verdict="{verdict}"') == int(count)


@pytest.mark.parametrize("name", PAGES)
def test_the_data_is_stored_in_one_form(name):
    text = json.dumps(load(name), ensure_ascii=False, indent=1) + "\n"
    assert (ROOT / "chapters" / f"{name}.json").read_text(encoding="utf-8") == text
