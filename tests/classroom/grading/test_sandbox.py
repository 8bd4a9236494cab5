"""The sandbox: what it proves before anybody is graded, and what is left when it is killed."""

from __future__ import annotations

import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsconv_lib.classroom.grading import GradingError, seccomp
from dsconv_lib.classroom.grading.sandbox import Limits, Sandbox, preflight
from tests.classroom.grading.traces import gone, processes, unique_memory

LIMITS = Limits(memory=unique_memory(), scratch=2 << 20)


class Weaker(Sandbox):
    """A sandbox with a hole: its command, changed."""

    def __init__(self, change: Callable[[list[str]], list[str]]) -> None:
        super().__init__(LIMITS)
        self._change = change

    @property
    def _command(self) -> list[str]:  # type: ignore[override]
        return self._change(super()._command)


class Owner(Weaker):
    """As for anybody but root: what is inside belongs to whoever runs there."""

    _root = False


def without(*parts: str) -> Callable[[list[str]], list[str]]:
    """Leave out an option and its arguments, wherever they stand together."""

    def change(command: list[str]) -> list[str]:
        found = [n for n in range(len(command)) if tuple(command[n : n + len(parts)]) == parts]
        assert found
        return [
            each
            for n, each in enumerate(command)
            if not any(f <= n < f + len(parts) for f in found)
        ]

    return change


def plus(*parts: str) -> Callable[[list[str]], list[str]]:
    def change(command: list[str]) -> list[str]:
        end = command.index("--dev")
        return [*command[:end], *parts, *command[end:]]

    return change


def holes(sandbox: Sandbox, *hidden: str | Path) -> str:
    with pytest.raises(GradingError, match="does not hold here") as caught:
        preflight(sandbox, hidden)
    return str(caught.value)


def test_it_holds_on_this_machine(tmp_path: Path) -> None:
    preflight(Sandbox(LIMITS), [tmp_path, Path(__file__).parent])
    assert processes(LIMITS.memory) == []


def test_holes_are_found(tmp_path: Path) -> None:
    temporary = tempfile.gettempdir()
    assert "reads a file of yours" in holes(Weaker(plus("--ro-bind", temporary, temporary)))
    found = holes(Weaker(plus("--bind", temporary, temporary)))
    assert "writes a file of yours" in found
    assert "changes a file of yours" in found
    assert "writes /canary" in holes(Owner(without("--remount-ro", "/")))
    assert "writes /dev/canary" in holes(Owner(without("--remount-ro", "/dev")))
    assert "sees processes" in holes(Weaker(plus("--proc", "/proc")))
    assert "knows SECRET" in holes(Weaker(plus("--setenv", "SECRET", "1")))
    library = str(Path(__file__).parents[3])
    assert f"sees {os.__file__}" in holes(Sandbox(LIMITS), os.__file__)
    found = holes(Owner(plus("--ro-bind", library, library)), Path(__file__))
    assert f"sees {__file__}" in found
    assert "ops.py" in found
    assert not Path("/canary").exists()
    assert gone(LIMITS.memory)


def test_calls_that_the_filter_lets_through_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    allow = seccomp.struct.pack("<HBBI", seccomp.RETURN, 0, 0, seccomp.ALLOW)
    monkeypatch.setattr(seccomp, "program", lambda: allow)
    found = holes(Sandbox(LIMITS))
    assert "starts a process" in found
    assert "starts a program" in found
    # The network is another wall behind this one.
    assert "connects" not in found
    if os.geteuid() == 0:
        assert "connects to this machine" in holes(Weaker(without("--unshare-net")))
    assert gone(LIMITS.memory)


def test_limits_that_are_not_lowered_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Richer(Sandbox):
        def start(self, errors=None):
            self.limits = Limits(memory=LIMITS.memory * 8, scratch=LIMITS.scratch * 8)
            process = super().start(errors)
            self.limits = LIMITS
            return process

    assert "takes more memory than it may" in holes(Richer(LIMITS))


def test_root_becomes_nobody() -> None:
    if os.geteuid() == 0:
        assert "changes a device" in holes(Owner(list))
    else:
        preflight(Owner(list))


def test_without_bubblewrap_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GradingError, match=r"bwrap is not on the PATH.*--unsafe"):
        preflight(Sandbox(LIMITS))
    preflight(Sandbox(LIMITS, unsafe=True))


def test_a_bubblewrap_that_does_not_work_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho bwrap: No permissions >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(GradingError, match="does not start here: bwrap: No permissions"):
        preflight(Sandbox(LIMITS))


def test_an_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    with pytest.raises(GradingError, match="a pdp11 machine: expected one of x86_64, aarch64"):
        preflight(Sandbox(LIMITS))


def test_a_stopped_sandbox_starts_nothing() -> None:
    sandbox = Sandbox(LIMITS)
    process = sandbox.start()
    sandbox.stop()
    sandbox.end(process)
    with pytest.raises(GradingError, match="stopped"):
        sandbox.start()
    assert gone(LIMITS.memory)


def test_nothing_is_left_for_an_init_to_reap() -> None:
    """In a container there may be none, and a zombie stays until it is gone."""
    script = (
        "import ctypes, os\n"
        "from dsconv_lib.classroom.grading.sandbox import Limits, Sandbox\n"
        "assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # orphans come here\n"
        f"sandbox = Sandbox(Limits(memory={LIMITS.memory}))\n"
        "first, second, third = (sandbox.start() for _ in range(3))\n"
        "second.ask({'run': ''}, seconds=60)\n"
        "third.ask({'run': ''}, seconds=60)\n"
        "sandbox.end(first)\n"
        "sandbox.end(second)\n"
        "sandbox.stop()\n"
        "sandbox.end(third)\n"
        "try:\n"
        "    print(os.waitpid(-1, 0))\n"
        "except ChildProcessError:\n"
        "    print('none')\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("none\n", "")
    assert gone(LIMITS.memory)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_dies_with_the_grader(number: signal.Signals) -> None:
    script = (
        "from dsconv_lib.classroom.grading.sandbox import Limits, Sandbox\n"
        f"process = Sandbox(Limits(memory={LIMITS.memory})).start()\n"
        "process.ask({'run': ''}, seconds=60)\n"
        "print('started', flush=True)\n"
        "process.ask({'run': 'while True: pass'}, seconds=60)\n"
    )
    grader = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert grader.stdout is not None
    assert grader.stdout.readline() == b"started\n"
    assert processes(LIMITS.memory)
    grader.send_signal(number)
    grader.wait()
    grader.stdout.close()
    assert gone(LIMITS.memory)


def test_it_dies_with_a_grader_that_ends_while_it_starts() -> None:
    script = (
        "from dsconv_lib.classroom.grading.sandbox import Limits, Sandbox\n"
        f"sandbox = Sandbox(Limits(memory={LIMITS.memory}))\n"
        "sandbox.end(sandbox.start())\n"
        "print('started', flush=True)\n"
        "while True: sandbox.end(sandbox.start())\n"
    )
    draw = random.Random(0)
    for _ in range(20):
        grader = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert grader.stdout is not None
        assert grader.stdout.readline() == b"started\n"
        time.sleep(draw.uniform(0, 0.05))
        grader.kill()
        grader.wait()
        grader.stdout.close()
    assert gone(LIMITS.memory)
