"""Cells as the worker reads them."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from dsconv_lib.classroom.grading.worker import Runner, parse


def parsed(source: str) -> str:
    return ast.unparse(parse(source))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("  %matplotlib inline\nx = 1", None),
        ('!pip install numpy\n!ls | grep "\'"\nx = 1', "pass\npass\nx = 1"),
        ("if x:\n    !ls\ny = 1", "if x:\n    pass\ny = 1"),
        ("files = !ls\nx = 1", "pass\nx = 1"),
        ("timed = %timeit -o f()\nx = 1", "pass\nx = 1"),
        ("np.sum?\n??np\nx = 1", "pass\npass\nx = 1"),
        ("%%time\nx = 1", "x = 1"),
        ("\n%%capture out\nx = 1", "x = 1"),
        ("%%bash\nx = 1", ""),
        ("%%writefile notes.txt\nnot python", ""),
        ("x = (3\n    % y)", "x = 3 % y"),
        ("x = '''\n%magic\n!ls\n'''", "x = '\\n%magic\\n!ls\\n'"),
        ("x = y if z != 3 else 4", "x = y if z != 3 else 4"),
        ("def f(:\n    pass", None),
        ("%magic\nx = = 1", None),
        ("", ""),
    ],
)
def test_magics_become_nothing_and_python_stays(source: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(SyntaxError):
            parse(source)
    else:
        assert parsed(source) == expected


def test_a_statement_that_fails_is_left_out() -> None:
    names: dict[str, object] = {}
    assert Runner(names).run("x = 1\nimport no_such_package\nx += 1\n1 / 0\nx += 1") == [
        "ModuleNotFoundError",
        "ZeroDivisionError",
    ]
    assert names["x"] == 3


def test_future_imports_last() -> None:
    runner = Runner({})
    assert runner.run("from __future__ import annotations") == []
    assert runner.run("def f(x: Undefined): return x") == []
    assert runner.call("f", {"x": 2}, []) == {"answer": 2}


def test_calls_say_what_became_of_them() -> None:
    runner = Runner({})
    runner.run("def one(): return 1 / 0\ndef two(): return {}\nthree = 3\nimport numpy as np\n")
    assert runner.call("one", {}, []) == {"raised": "ZeroDivisionError"}
    assert runner.call("two", {}, []) == {"unsupported": "dict"}
    assert runner.call("three", {}, []) == {"missing": True}
    assert runner.call("four", {}, []) == {"missing": True}
    buffers: list[bytes] = []
    runner.run("def five(x): return x, np.float32(2)")
    reply = runner.call("five", {"x": np.ones(2)}, buffers)
    assert reply["answer"] == {
        "tuple": [{"array": "<f8", "shape": [2]}, {"scalar": "<f4", "shape": []}]
    }
    assert [len(each) for each in buffers] == [16, 4]
