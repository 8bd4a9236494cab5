"""What every chapter tells its reader at the beginning, at the end, and in its self-check."""

import re
from pathlib import Path

import pytest

from book_builder import execute

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=[p.stem for p in CHAPTERS])
OPTION = re.compile(r"<details><summary>(.*?)</summary>\n(.*?)\n</details>", re.DOTALL)


def prose(path):
    """The text cells of the chapter, as the reader meets them."""
    return [c.source for c in execute.read(path).cells if c.cell_type == "markdown"]


def bullets(text):
    return re.findall(r"^- (.*)", text, re.MULTILINE)


def between(text, start, end):
    assert text.count(start) == text.count(end) == 1, f"not once each: {start!r}, {end!r}"
    return text.split(start)[1].split(end)[0]


def test_there_are_chapters():
    assert CHAPTERS


@each_chapter
def test_opens_with_aims_and_what_it_needs(path):
    first = prose(path)[0]
    aims = bullets(between(first, "**You will learn to**", "**You need**"))
    assert 3 <= len(aims) <= 5
    for aim in aims:
        assert re.match(r"[a-z]+ ", aim), f"does not begin with what the reader will do: {aim}"
    assert re.search(r"^\*\*You need\*\* \S.*\.$", first, re.MULTILINE | re.DOTALL)


@each_chapter
def test_closes_with_the_same_aims_achieved(path):
    first, text = prose(path)[0], "\n".join(prose(path))
    aims = bullets(between(first, "**You will learn to**", "**You need**"))
    achieved = bullets(between(text, "## What you can do now", "**Sources.**"))
    assert len(achieved) == len(aims)
    for line in achieved:
        assert line.startswith("You "), line


@each_chapter
def test_self_check_explains_every_option(path):
    text = "\n\n".join(prose(path))
    check = text.split("\n## Check yourself\n")[1].split("\n## ")[0]
    questions = re.split(r"^\*\*\d+\.\*\* ", check, flags=re.MULTILINE)[1:]
    assert len(questions) >= 3
    for question in questions:
        options = OPTION.findall(question)
        assert len(options) == question.count("<details") >= 2
        assert len({summary for summary, _ in options}) == len(options)
        right = [answer for _, answer in options if re.match(r"Yes[.,]", answer.strip())]
        assert len(right) == 1, f"one option is right, and its answer says Yes: {question}"
        for summary, answer in options:
            assert len(answer.split()) >= 6, f"does not explain: {summary}"
