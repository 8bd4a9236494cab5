"""The recomputed figures: nothing in the pages is typed in, and what is typed in holds."""

import json
import re
from pathlib import Path

import papers
import pytest
import recount

ROOT = Path(__file__).parents[1]
FIGURES = papers.load("papers")
BY_ID = {figure["id"]: figure for figure in FIGURES}

# What the text around the tables says is about these figures, and no others.
WRONG = [
    *("1.1", "2.5", "8.1", "10.1", "10.2", "12.5", "12.11", "14.1", "14.4", "text.7", "text.8"),
    *("xception-3.2", "readme.17", "keras.1"),
]
OTHERWISE = [
    *(
        "4.1",
        "7.5",
        "8.2",
        "8.3",
        "9.1",
        "9.3",
        "9.4",
        "9.5",
        "9.6",
        "10.3",
        "10.7",
        "12.9",
        "14.2",
    ),
    *("text.2", "text.4", "text.5", "text.6", "xception-3.1"),
    *(f"readme.{n}" for n in (5, 6, 7, 8, 9, 10, 11, 15, 20)),
]
UNCOUNTABLE = ["12.13", "13.1", "xception-1.1", "xception-2.1", "xception-3.3"]
TABLES = {"1": 2, "2": 8, "3": 8, "4": 4, "5": 4, "6": 8, "7": 8, "8": 4, "9": 6, "10": 10} | {
    **{"12": 13, "13": 1, "14": 4, "text": 10, "Xception T3": 3, "Xception T1": 1},
    **{"Xception T2": 1, "Xception": 1, "TF-slim README": 20, "Keras docs": 1},
}


# ---- Figures ---------------------------------------------------------------------------------------


def test_every_figure_is_there_once():
    assert len(FIGURES) == len(BY_ID) == 117
    assert {name: sum(f["table"] == name for f in FIGURES) for name in TABLES} == TABLES
    text = (ROOT / "chapters" / "papers.md").read_text(encoding="utf-8")
    anchors = re.findall(r'<tr [^>]*id="figure-([^"]+)"', text)
    assert sorted(anchors) == sorted(name.replace(".", "-") for name in BY_ID)


@pytest.mark.parametrize("figure", FIGURES, ids=BY_ID)
def test_verdict_on_a_figure(figure):
    assert not set(figure) & {"verdict", "value", "true"}
    assert sum(key in figure for key in ("network", "calculations", "uncountable")) == 1
    verdict = papers.judge(figure)
    expected = {
        papers.NOT_REPRODUCED: figure["id"] in WRONG,
        papers.OTHERWISE: figure["id"] in OTHERWISE,
        papers.LABEL: figure["id"] == "14.3",
        papers.UNCOUNTABLE: figure["id"] in UNCOUNTABLE,
        papers.NOT_PRINTED: figure["id"] == "xception.1",
    }
    assert [name for name, listed in expected.items() if listed] in ([verdict], [])
    assert verdict in expected or verdict == papers.REPRODUCED
    assert expected.get(verdict, not any(expected.values()))


@pytest.mark.parametrize("figure", FIGURES, ids=BY_ID)
def test_another_printed_value_would_be_noticed(figure):
    if papers.judge(figure) not in (papers.REPRODUCED, papers.OTHERWISE, papers.LABEL):
        return
    printed, before = figure["printed"], papers.readings(papers.trials(figure))
    places = [place for place, letter in enumerate(printed) if letter.isdigit()]

    def changed(place, step):
        digit = str((int(printed[place]) + step) % 10)
        return figure | {"printed": printed[:place] + digit + printed[place + 1 :]}

    assert papers.judge(changed(places[0], 3)) == papers.NOT_REPRODUCED
    for step in (3, 7):
        other = changed(places[-1], step)
        assert papers.readings(papers.trials(other)) != before


def test_a_wrong_figure_becomes_right_with_its_true_value():
    for name, value in {
        **{
            "1.1": "s1",
            "2.5": "1.91",
            "7.5": "291",
            "8.1": "1583",
            "10.1": "5711",
            "keras.1": "569",
        },
        **{
            "12.5": "41",
            "12.11": "13",
            "14.4": "106",
            "readme.17": "30",
            "9.1": "77",
            "9.3": "819",
        },
    }.items():
        assert papers.judge(BY_ID[name]) != papers.REPRODUCED
        assert papers.judge(BY_ID[name] | {"printed": value}) == papers.REPRODUCED, name


@pytest.mark.parametrize(
    ("printed", "value", "expected"),
    [
        ("569", 568.74, "rounded"),
        ("290", 290.68, "truncated"),
        ("0.15", 0.1509, "rounded"),
        ("0.5", 0.45, "rounded"),
        ("720", 724.4, "2 significant digits"),
        ("15300", 15346.6, "3 significant digits"),
        ("5000", 5467.9, ""),  # one digit says too little
        ("s2", 1, ""),
        ("4866", 4867.29, ""),
    ],
)
def test_what_fits_a_printed_figure(printed, value, expected):
    assert papers.fit(printed, value, may_truncate=True) == expected
    if expected == "truncated":
        assert papers.fit(printed, value, may_truncate=False) != expected


def test_conventions_that_the_text_relies_on():
    """One convention for each of the readme's columns, and no other for all four widths of parameters."""

    def fitting(name):
        return {trial.name for trial in papers.trials(BY_ID[name]) if trial.fit == "rounded"}

    parameters = [fitting(f"readme.{n}") for n in (5, 10, 15, 20)]
    shift_mean_variance = "biases, and shift, mean and variance of batch normalisation too"
    assert set.intersection(*parameters) == {shift_mean_variance}
    for n in (6, 7, 8, 9):
        assert fitting(f"readme.{n}") == {"first layer left out"}
    assert "227 pixels, FLOPs, two for each MAC" in papers.readings(papers.trials(BY_ID["9.3"]))[0]


def test_faces_have_the_same_verdicts_for_any_likely_number_of_attributes():
    faces = [f for f in FIGURES if f["table"] == "12" and "network" in f]
    before = [papers.judge(figure) for figure in faces]
    for classes in (1, 63):
        others = [f | {"network": f["network"].replace(", 40)", f", {classes})")} for f in faces]
        assert others != faces
        assert [papers.judge(figure) for figure in others] == before
    many = [f | {"network": f["network"].replace(", 40)", ", 64)")} for f in faces]
    assert [papers.judge(figure) for figure in many] != before


def test_recognising_faces_with_a_smaller_output():
    """Table 14, 128 pixels: the classifier could stay with 120 outputs at most, as the note says."""
    figure = BY_ID["14.2"]
    for outputs, verdict in ((120, papers.REPRODUCED), (121, papers.OTHERWISE)):
        other = figure | {"network": figure["network"].replace(", 128)", f", {outputs})")}
        assert papers.judge(other) == verdict


# ---- Statements ------------------------------------------------------------------------------------

CLAIMS = papers.load("claims")
NUMBER_OF_CLAIMS = {"000": 21, "001": 16, "002": 25, "003": 19, "004": 30}
EMPIRICAL = [
    *("000-02", "000-03", "000-04", "000-20", "001-05", "001-06", "001-07", "001-11", "001-12"),
    *("001-13", "001-15", "001-16", "002-02", "002-03", "002-07", "002-25", "003-02", "004-01"),
    *("004-02", "004-17"),
]
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=[claim["id"] for claim in CLAIMS])


def test_every_statement_is_there_once():
    expected = [
        f"{text}-{n:02}" for text, count in NUMBER_OF_CLAIMS.items() for n in range(1, count + 1)
    ]
    assert [claim["id"] for claim in CLAIMS] == expected
    assert len(expected) == 111
    text = (ROOT / "chapters" / "claims.md").read_text(encoding="utf-8")
    assert re.findall(r'<tr [^>]*id="claim-([^"]+)"', text) == expected


@each_claim
def test_verdict_on_a_statement(claim):
    assert set(claim) <= {
        *("id", "claim", "listed", "holds", "fails", "note", "measure", "arguable")
    }
    verdict = papers.judge_claim(claim)
    assert claim["listed"] in papers.CLAIM_VERDICTS
    assert (verdict == papers.EMPIRICAL) == (claim["id"] in EMPIRICAL) == ("measure" in claim)
    if verdict != claim["listed"]:
        assert claim["arguable"]
    if verdict in (papers.WRONG, papers.CONVENTION):
        assert claim["note"], "a statement that fails needs the right one beside it"


@each_claim
def test_a_case_that_does_not_hold_is_noticed(claim):
    for where in ("holds", "fails"):
        for case in claim[where]:
            with pytest.raises(recount.CalculationError, match="not True"):
                papers.judge_claim(claim | {where: [f"not ({case})"]})


def test_cases_move_the_verdict():
    claim = next(claim for claim in CLAIMS if claim["id"] == "000-01")
    assert papers.judge_claim(claim) == papers.CONVENTION
    assert papers.judge_claim(claim | {"fails": []}) == papers.EXACT
    assert papers.judge_claim(claim | {"holds": []}) == papers.WRONG
    assert papers.judge_claim(claim | {"holds": [], "fails": []}) == papers.EMPIRICAL


def test_the_drawn_layers_are_worth_trying():
    cases = recount.CASES
    assert len(set(cases)) == 16
    assert {case.s for case in cases} == {1, 2, 3}
    assert {case.p for case in cases} == {0, 1, 2}
    assert any(case.N == 1 for case in cases)
    assert any(case.DK == 1 for case in cases)
    assert any(case.DF != case.DG > 1 for case in cases)
    # A formula with one letter wrong does not survive them.
    for formula in ("c.N * c.DF ** 2 * c.DK ** 2 * c.M", "c.N * c.DG ** 2 * c.DK * c.M"):
        assert recount.evaluate(f"not for_all(lambda c: loop_standard(c) == {formula})")


def test_two_formulas_are_compared_letter_by_letter():
    assert recount.same("N*(S + Q)", "S*N + Q*N")
    assert not recount.same("M*(K**2 + n)", "M*(K**2 + N)")
    assert recount.same("1/N + 1/K**2", "(N + K**2)/(N*K**2)")


def test_what_a_layer_looks_at():
    assert [recount.channels_read(k) for k in ("standard", "depthwise", "pointwise")] == [4, 1, 4]
    assert [recount.pixels_read(k) for k in ("standard", "depthwise", "pointwise")] == [9, 9, 1]
    for layers in ([(3, 1)], [(3, 2), (3, 2), (5, 1)], [(1, 1), (2, 3), (4, 1)]):
        assert recount.pixels_seen(layers) == recount.receptive_field(layers)
    assert recount.rank(recount.random(2, 3, 3, 3)) == 2
    assert recount.energy(recount.random(1, 3, 3, 3)) == pytest.approx(1)


# ---- Calculations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("True", "calls no function"),
        ("2 + 2 == 4", "calls no function"),
        ("(lambda: 3)()", "calls no function"),
        ("macs(mobilenet()) == macs(mobilenet())", "with itself"),
        ("open('x')", "not one of the names"),
        ("macs.__globals__", "private"),
        ("[macs := 3]", "no place here"),
    ],
)
def test_a_calculation_has_to_calculate(expression, complaint):
    with pytest.raises(recount.CalculationError, match=complaint):
        recount.evaluate(expression)


def test_every_calculation_calculates():
    for figure in FIGURES:
        for _, expression, _ in papers.calculations(figure):
            recount.parse(expression)
        for calculation, _ in papers.PLACE.findall(figure.get("note", "")):
            recount.parse(calculation)
    for claim in CLAIMS:
        for case in (*claim["holds"], *claim["fails"]):
            recount.parse(case)
        for calculation, _ in papers.PLACE.findall(claim["note"] + claim.get("arguable", "")):
            recount.parse(calculation)


@pytest.mark.parametrize("name", papers.PAGES)
def test_the_page_is_what_the_script_writes(name):
    stored = (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf-8")
    assert stored == papers.render(name), "type: python tools/papers.py"


@pytest.mark.parametrize(("name", "entries"), [("papers", 117), ("claims", 111)])
def test_counts_at_the_top_of_a_page(name, entries):
    page = (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z ]+) \|.*\| (\d+) \|$", page, re.MULTILINE)
    assert [verdict for verdict, _ in rows] == list(papers.VERDICTS[name])
    assert sum(int(count) for _, count in rows) == entries
    for verdict, count in rows:
        assert page.count(f'data-verdict="{verdict}"') == int(count)


def test_the_data_is_stored_in_one_form():
    for name in papers.PAGES:
        file = ROOT / "chapters" / f"{name}.json"
        text = json.dumps(papers.load(name), ensure_ascii=False, indent=1) + "\n"
        assert file.read_text(encoding="utf-8") == text
