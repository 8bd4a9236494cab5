"""The verdicts on what others print: none is typed in, and each would change with what it rests on."""

import pytest

from book_builder.recount_pages import load
from dsconv_lib.recount import verdicts
from dsconv_lib.recount.expressions import CalculationError
from dsconv_lib.recount.verdicts import judge, judge_claim, readings, trials

FIGURES = load("papers")
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


@pytest.mark.parametrize("figure", FIGURES, ids=BY_ID)
def test_verdict_on_a_figure(figure):
    assert not set(figure) & {"verdict", "value", "true"}
    assert sum(key in figure for key in ("network", "calculations", "uncountable")) == 1
    verdict = judge(figure)
    expected = {
        verdicts.NOT_REPRODUCED: figure["id"] in WRONG,
        verdicts.OTHERWISE: figure["id"] in OTHERWISE,
        verdicts.LABEL: figure["id"] == "14.3",
        verdicts.UNCOUNTABLE: figure["id"] in UNCOUNTABLE,
        verdicts.NOT_PRINTED: figure["id"] == "xception.1",
    }
    assert [name for name, listed in expected.items() if listed] in ([verdict], [])
    assert verdict in expected or verdict == verdicts.REPRODUCED
    assert expected.get(verdict, not any(expected.values()))


@pytest.mark.parametrize("figure", FIGURES, ids=BY_ID)
def test_another_printed_value_would_be_noticed(figure):
    if judge(figure) not in (verdicts.REPRODUCED, verdicts.OTHERWISE, verdicts.LABEL):
        return
    printed, before = figure["printed"], readings(figure)
    places = [place for place, letter in enumerate(printed) if letter.isdigit()]

    def changed(place, step):
        digit = str((int(printed[place]) + step) % 10)
        return figure | {"printed": printed[:place] + digit + printed[place + 1 :]}

    assert judge(changed(places[0], 3)) == verdicts.NOT_REPRODUCED
    for step in (3, 7):
        other = changed(places[-1], step)
        assert readings(other) != before


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
        assert judge(BY_ID[name]) != verdicts.REPRODUCED
        assert judge(BY_ID[name] | {"printed": value}) == verdicts.REPRODUCED, name


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
    assert verdicts.fit(printed, value, may_truncate=True) == expected
    if expected == "truncated":
        assert verdicts.fit(printed, value, may_truncate=False) != expected


def test_conventions_that_the_text_relies_on():
    """One convention for each of the readme's columns, and no other for all four widths of parameters."""

    def fitting(name):
        return {trial.name for trial in trials(BY_ID[name]) if trial.fit == "rounded"}

    parameters = [fitting(f"readme.{n}") for n in (5, 10, 15, 20)]
    shift_mean_variance = "biases, and shift, mean and variance of batch normalisation too"
    assert set.intersection(*parameters) == {shift_mean_variance}
    for n in (6, 7, 8, 9):
        assert fitting(f"readme.{n}") == {"first layer left out"}
    assert "227 pixels, FLOPs, two for each MAC" in readings(BY_ID["9.3"])[0]


def test_faces_have_the_same_verdicts_for_any_likely_number_of_attributes():
    faces = [f for f in FIGURES if f["table"] == "12" and "network" in f]
    before = [judge(figure) for figure in faces]
    for classes in (1, 63):
        others = [f | {"network": f["network"].replace("=40)", f"={classes})")} for f in faces]
        assert others != faces
        assert [judge(figure) for figure in others] == before
    many = [f | {"network": f["network"].replace("=40)", "=64)")} for f in faces]
    assert [judge(figure) for figure in many] != before


def test_recognising_faces_with_a_smaller_output():
    """Table 14, 128 pixels: the classifier could stay with 120 outputs at most, as the note says."""
    figure = BY_ID["14.2"]
    for outputs, verdict in ((120, verdicts.REPRODUCED), (121, verdicts.OTHERWISE)):
        other = figure | {"network": figure["network"].replace("=128)", f"={outputs})")}
        assert judge(other) == verdict


# ---- Statements ------------------------------------------------------------------------------------

CLAIMS = load("claims")
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


@each_claim
def test_verdict_on_a_statement(claim):
    assert set(claim) <= {
        *("id", "claim", "listed", "holds", "fails", "note", "measure", "arguable")
    }
    verdict = judge_claim(claim)
    assert claim["listed"] in verdicts.CLAIM_VERDICTS
    assert (verdict == verdicts.EMPIRICAL) == (claim["id"] in EMPIRICAL) == ("measure" in claim)
    if verdict != claim["listed"]:
        assert claim["arguable"]
    if verdict in (verdicts.WRONG, verdicts.CONVENTION):
        assert claim["note"], "a statement that fails needs the right one beside it"


@each_claim
def test_a_case_that_does_not_hold_is_noticed(claim):
    for where in ("holds", "fails"):
        for case in claim[where]:
            with pytest.raises(CalculationError, match="not True"):
                judge_claim(claim | {where: [f"not ({case})"]})


def test_cases_move_the_verdict():
    claim = next(claim for claim in CLAIMS if claim["id"] == "000-01")
    assert judge_claim(claim) == verdicts.CONVENTION
    assert judge_claim(claim | {"fails": []}) == verdicts.EXACT
    assert judge_claim(claim | {"holds": []}) == verdicts.WRONG
    assert judge_claim(claim | {"holds": [], "fails": []}) == verdicts.EMPIRICAL
