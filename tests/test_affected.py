"""Which tests `make check` takes for a change."""

from __future__ import annotations

import pytest

from tests.affected import ROOT, affected, behind, changed


@pytest.mark.parametrize(
    ("file", "first", "other"),
    [
        ("dsconv_lib/spec.py", "tests/test_spec.py", "tests/book_builder/test_hooks.py"),
        (
            "dsconv_lib/classroom/grading/protocol.py",
            "tests/classroom/grading/test_protocol.py",
            "tests/test_spec.py",
        ),
        ("tests/test_cost.py", "tests/test_cost.py", "tests/test_spec.py"),
        ("README.md", "tests/test_house.py", "tests/test_spec.py"),
    ],
)
def test_a_change_takes_the_tests_that_stand_on_it(file: str, first: str, other: str) -> None:
    found = affected({file})
    assert first in found
    assert other not in found


def test_what_a_test_stands_on_is_followed_to_the_end() -> None:
    files = behind(ROOT / "tests/test_cost.py")
    assert {
        "dsconv_lib/cost.py",
        "dsconv_lib/spec.py",
        "tests/strategies.py",
        "tests/conftest.py",
    } <= files
    assert not any(file.startswith("dsconv_lib/train") for file in files)


def test_there_is_always_a_change() -> None:
    assert changed()
