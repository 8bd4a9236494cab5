"""Runs one submission: takes cells and calls from a pipe, and sends back what they return.

It runs inside the sandbox, with `protocol` and NumPy alone beside it. Whatever a submission does to this process, it
can only make it send other values, for calls whose right answers are not here.
"""

from __future__ import annotations
import __future__

import ast
import itertools
import json
import os
import re
import resource
import sys
from types import ModuleType
from typing import Any

from dsconv_lib.classroom.grading import protocol
from dsconv_lib.classroom.grading.protocol import ProtocolError, UnsupportedError, encode

MAGIC = re.compile(r"(?P<indent>\s*)(?:[%!?]|[\w., \[\]'\"]+=\s*[%!]|.*\?\s*$)")
# Cell magics whose cell is Python; the cells of all others are text.
PYTHON_MAGICS = ("capture", "debug", "prun", "time", "timeit")
PROBLEMS = 5  # told of one cell


def main() -> None:
    """Obey frames until the pipe closes."""
    settings = json.loads(sys.argv.pop())
    _lower(settings["limits"])
    if settings["uid"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["uid"]] * 3)
        os.setresuid(*[settings["uid"]] * 3)
    requests, replies = settings["streams"]
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv[:] = [""]
    runner = Runner(vars(module))
    while True:
        try:
            request, decoder = protocol.receive(requests)
        except EOFError:
            # Not sys.exit: a submission's finalisers have nothing left to say.
            os._exit(0)
        arrays: list[bytes] = []
        if "run" in request:
            reply = {"problems": runner.run(request["run"])}
        else:
            arguments = {name: decoder.value(tree) for name, tree in request["arguments"].items()}
            reply = runner.call(request["call"], arguments, arrays)
        nonce = {"nonce": request["nonce"]}
        try:
            protocol.send(replies, nonce | reply, b"".join(arrays))
        except ProtocolError:
            protocol.send(replies, nonce | {"unsupported": "value that is too large"})


class Runner:
    """The names a submission has defined so far."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        # As IPython and the notebook's set-up cell have them; here they do nothing, or print.
        names.update(check=_Check(), display=print)
        self.functions: dict[str, Any] = {}
        # An annotation may name a package that is not there.
        self.flags = __future__.annotations.compiler_flag

    def run(self, source: str) -> list[str]:
        """Run a cell, statement by statement; return the names of the exceptions that it raised.

        A statement that fails is left out and the next one runs: a package that is not there must not cost the
        functions below its import.
        """
        try:
            tree = parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ["SyntaxError"]
        problems = []
        for statement in itertools.chain.from_iterable(map(_apart, tree.body)):
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                for each in statement.names:
                    feature = getattr(__future__, each.name, None)
                    self.flags |= feature.compiler_flag if feature else 0
            try:
                cell = ast.Module([statement], [])
                code = compile(cell, "<cell>", "exec", self.flags, dont_inherit=True)
                exec(code, self.names)
            except BaseException as error:  # SystemExit too: a cell may end itself, not the rest
                problems.append(type(error).__name__)
            self.functions.update({n: f for n, f in self.names.items() if callable(f)})
        return problems[:PROBLEMS]

    def call(self, name: str, arguments: dict[str, Any], arrays: list[bytes]) -> dict[str, Any]:
        """Call a function; say what it returned, or why it did not."""
        function = self.names.get(name)
        if not callable(function):
            function = self.functions.get(name)  # its name was given to one of its results
        if not callable(function):
            return {"missing": True}
        try:
            return {"answer": encode(function(**arguments), arrays)}
        except UnsupportedError as error:
            return {"unsupported": str(error)}
        except BaseException as error:
            arrays.clear()
            return {"raised": type(error).__name__}


def parse(source: str) -> ast.Module:
    """Parse a cell as Jupyter would, but for its magics, which do nothing here.

    Raises:
        SyntaxError: if what is left is not Python.
    """
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        if [*lines[first][2:].split(), ""][0] not in PYTHON_MAGICS:
            return ast.Module([], [])
        lines[first] = ""
    while True:
        try:
            return ast.parse("\n".join(lines))
        except SyntaxError as error:
            # The line that is not Python is a magic, or else the cell is wrong.
            number = (error.lineno or 0) - 1
            found = MAGIC.match(lines[number]) if 0 <= number < len(lines) else None
            if found is None:
                raise
            while lines[number].endswith("\\") and number + 1 < len(lines):
                lines[number] = ""
                number += 1
            lines[number] = found["indent"] + "pass"


def _apart(statement: ast.stmt) -> list[ast.stmt]:
    """Make `import a, b` two statements: one that fails must not cost the other."""
    if isinstance(statement, ast.Import) and len(statement.names) > 1:
        return [ast.copy_location(ast.Import([each]), statement) for each in statement.names]
    return [statement]


class _Check:
    """What the notebook's checks are where marks are given: nothing happens."""

    def __call__(self, *_: object) -> None:
        pass

    def case(self, *_: object) -> dict[str, Any]:
        return {}


def _lower(limits: dict[str, int]) -> None:
    """Lower this process's limits, by the names of `resource`; it cannot raise them again."""
    for name, limit in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(kind)[1]
        lowered = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (lowered, lowered))


if __name__ == "__main__":
    main()
