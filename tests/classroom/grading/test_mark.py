"""An exercise made ready for marking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dsconv_lib.classroom.grading.mark import Paper
from dsconv_lib.classroom.question import ExerciseError, Question

TOY = Path(__file__).parent / "exercises" / "toy"
HEAD = "from dsconv_lib.classroom.question import question\n"


def exercise(tmp_path: Path, text: str) -> Path:
    (tmp_path / "questions.py").write_text(HEAD + text)
    return tmp_path


def test_points_and_cases() -> None:
    paper, again, other = Paper(TOY, 1), Paper(TOY, 1), Paper(TOY, 2)
    assert paper.points == {"scale": 3, "size": 1, "why": 2}
    assert paper.questions[0].sent == again.questions[0].sent
    assert paper.questions[0].sent != other.questions[0].sent
    assert paper.questions[0].sizes[0].endswith("float64")


def test_a_reference_that_changes_its_input_harms_nobody(tmp_path: Path) -> None:
    text = (
        "import numpy as np\n"
        "def reference(x):\n    x *= 2\n    return x\n"
        "@question('q', function='f', points=1, reference=reference)\n"
        "def q(rng):\n    yield {'x': np.ones(1)}\n"
    )
    prepared = Paper(exercise(tmp_path, text), 0).questions[0]
    assert np.frombuffer(prepared.sent[0][1]) == 1.0
    assert prepared.diagnoser.diagnose([np.array([2.0])]).problems == [""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no questions"),
        (
            "@question('q', function='f', points=1, reference=len)\ndef q(rng):\n    return []\n",
            "draws no cases",
        ),
        (
            "@question('q', function='f', points=1, reference=len)\ndef q(rng):\n    yield {'x': {}}\n",
            "a case with a dict: expected arrays",
        ),
        (
            "import numpy as np\n"
            "@question('q', function='f', points=1, reference=lambda n: np.zeros(n))\n"
            "def q(rng):\n    yield {'n': 9_000_000}\n",
            "a case of more than 64 MiB",
        ),
        (
            "WRITTEN = {'q': 1}\n"
            "@question('q', function='f', points=1, reference=lambda x: x)\ndef q(rng):\n    yield {'x': 1}\n",
            "has 'q' twice",
        ),
    ],
)
def test_an_exercise_that_cannot_be_marked_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ExerciseError, match=message):
        Paper(exercise(tmp_path, text), 0)


def test_points_are_for_each_case_or_for_all_together() -> None:
    def question(whole: bool) -> Question:
        return Question(
            name="q", function="f", points=3, cases=lambda rng: [], reference=len, whole=whole
        )

    assert [question(False).score(right, 4) for right in (0, 2, 3, 4)] == [0, 1.5, 2.25, 3]
    assert [question(True).score(right, 4) for right in (0, 2, 3, 4)] == [0, 0, 0, 3]
