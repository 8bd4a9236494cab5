"""What is written: formulas, and terms."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from dsconv_lib.errors import UserError

GLOSSARY = Path(__file__).resolve().parents[2] / "chapters" / "glossary.md"


def same(first: str, second: str) -> bool:
    """Say whether two formulas are equal for all values of their letters; n and N are two letters.

    Both are computed exactly for four draws of the letters, out of a billion each. Formulas that differ agree in none
    of them but by a chance in far more than a billion.

    Raises:
        UserError: if a formula has more in it than letters, numbers, + - * / and brackets.

    >>> same("1/N + 1/K**2", "(N + K**2)/(N*K**2)"), same("M*(K**2 + n)", "M*(K**2 + N)")
    (True, False)
    """
    for formula in (first, second):
        if not re.fullmatch(r"[A-Za-z\d\s+*/()-]+", formula):
            raise UserError(f"{formula!r}: expected letters, numbers, + - * / and brackets alone")
    letters = sorted(set(re.findall(r"[A-Za-z]\w*", f"{first} {second}")))
    for draw in np.random.default_rng(0).integers(1, 10**9, (4, len(letters))):
        values = {letter: Fraction(int(value)) for letter, value in zip(letters, draw, strict=True)}
        if eval(f"({first}) - ({second})", {"__builtins__": {}}, values) != 0:
            return False
    return True


def in_glossary(term: str) -> bool:
    """Say whether the book's glossary has this term.

    Raises:
        UserError: where the library is installed apart from the book.
    """
    if not GLOSSARY.exists():
        expected = "a clone of the course, installed with pip install -e ."
        raise UserError(f"{GLOSSARY} is missing: expected {expected}")
    return term in GLOSSARY.read_text(encoding="utf-8").lower()
