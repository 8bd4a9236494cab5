"""One submission's process: bubblewrap around it, a pipe each way, and an end to everything it did.

Inside there are Python, NumPy and two files of this package, all read-only, and a small scratch folder in memory.
There is no network, no home, no /proc, no environment, no second process, and never the library, the exercise or
another submission.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from typing import IO

import numpy as np

from dsconv_lib.classroom.grading import GradingError, protocol, seccomp
from dsconv_lib.classroom.grading.protocol import Decoder, Json, ProtocolError

NOBODY = 65534
PACKAGE = Path(__file__).parent
SCRATCH = "/scratch"
# One thread, so that the time a submission takes is its own, and the same names for all.
ENVIRONMENT = {
    "HOME": SCRATCH,
    "LANG": "C.UTF-8",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "PATH": "",
    "PYTHONHASHSEED": "0",
    "TMPDIR": SCRATCH,
}
START = (
    "import sys; sys.path[:0] = {paths!r}; "
    "import runpy; runpy.run_module('dsconv_lib.classroom.grading.worker', run_name='__main__')"
)
ENDING = 5.0  # seconds for a killed sandbox to go
STARTING = 60.0  # seconds until NumPy is imported, on the busiest of machines
# Root needs no namespace to be allowed the others. The worker becomes nobody before it reads a line of the
# submission: in a namespace of root's it would still own root's files and devices.
AS_ROOT = (
    *(f"--unshare-{name}" for name in ("ipc", "pid", "net", "uts", "cgroup-try")),
    *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"),
)


class Died(RuntimeError):  # noqa: N818 - an event, not a mistake of ours
    """The process is no longer there to answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a submission may use: seconds, bytes, threads.

    `call` and `cell` are for one of each, `total` for the submission, `memory` for the address space of its only
    process, `scratch` for the files it may keep, `restarts` for the cells that may kill it before it is given up.
    """

    call: float = 10.0
    cell: float = 20.0
    total: float = 120.0
    memory: int = 1 << 30
    scratch: int = 32 << 20
    threads: int = 64
    descriptors: int = 64
    restarts: int = 5


class Process:
    """A running sandbox. `ask` is the only way in; `close` leaves nothing of it."""

    def __init__(
        self, command: list[str], settings: Json, *, confined: bool, errors: IO[bytes] | None
    ) -> None:
        self._confined = confined
        inside_in, self._requests = os.pipe()
        self._replies, inside_out = os.pipe()
        passed = [inside_in, inside_out]
        if confined:
            program = _readable(seccomp.program())
            passed.append(program)
            command = [command[0], "--seccomp", f"{program}", *command[1:]]
        settings = settings | {"streams": [inside_in, inside_out]}
        try:
            self._process = subprocess.Popen(
                [*command, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors or subprocess.DEVNULL,
                env=ENVIRONMENT,
                pass_fds=passed,
                start_new_session=True,
                cwd=None if confined else tempfile.gettempdir(),
            )
        except BaseException:
            for each in (self._requests, self._replies):
                os.close(each)
            raise
        finally:
            for each in passed:
                os.close(each)
        os.set_blocking(self._requests, False)
        os.set_blocking(self._replies, False)

    def ask(self, message: Json, arrays: bytes = b"", *, seconds: float) -> tuple[Json, Decoder]:
        """Send a request and wait for its reply.

        Raises:
            TimeoutError: if there is none within that many seconds.
            Died: if the process ended, or sent what is no reply to this request.
        """
        # A frame written in advance cannot know the nonce, and so counts as nothing.
        nonce = secrets.token_hex(8)
        deadline = monotonic() + seconds
        try:
            protocol.send(self._requests, message | {"nonce": nonce}, arrays, deadline=deadline)
            reply, decoder = protocol.receive(self._replies, deadline=deadline)
        except (EOFError, BrokenPipeError):
            raise Died("ended the process") from None
        except ProtocolError:
            raise Died("wrote into the grader's pipe") from None
        if reply.get("nonce") != nonce:
            raise Died("wrote into the grader's pipe")
        return reply, decoder

    def kill(self) -> None:
        """Kill the process and all it started, without waiting."""
        # bubblewrap waits for its child, the first process inside, with which the kernel ends the others. Killed
        # before it, bubblewrap leaves the child to an init, and in a container there may be none that waits for it.
        if not self._confined:
            self._kill_group()
        elif (inner := self._child()) is not None:
            with suppress(ProcessLookupError):
                os.kill(inner, signal.SIGKILL)

    def _child(self) -> int | None:
        """Wait for bubblewrap's child; return its id, or None if there is none any more.

        bubblewrap can be told to write the id down. While it does so, the end of the grader leaves a child that
        waits for ever.
        """
        while self._process.poll() is None:
            for entry in filter(str.isdigit, os.listdir("/proc")):
                with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended by now
                    status = Path("/proc", entry, "stat").read_text(errors="replace")
                    if int(status.rpartition(")")[2].split()[1]) == self._process.pid:
                        return int(entry)
            sleep(0.001)
        return None

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process and all it started, and wait until they have gone."""
        self.kill()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._kill_group()
            self._process.wait()
        os.close(self._requests)
        # The pipe closes when the last of them has let go.
        try:
            gone = _drained(self._replies)
        finally:
            os.close(self._replies)
        if self._confined and not gone:
            raise GradingError("a sandbox did not end: look for processes named bwrap")


def _drained(stream: int) -> bool:
    """Read until nobody can write any more; tell whether that came to pass in time."""
    deadline = monotonic() + ENDING
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while (left := deadline - monotonic()) > 0:
        if poll.poll(1000 * left) and not os.read(stream, 1 << 16):
            return True
    return False


class Sandbox:
    """Starts processes with the same limits, and can end all of them at once.

    bubblewrap ends with the thread that started it, so a process must be started by the thread that waits for it.
    """

    def __init__(self, limits: Limits | None = None, *, unsafe: bool = False) -> None:
        self.limits = limits or Limits()
        self.unsafe = unsafe
        self._live: set[Process] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def start(self, errors: IO[bytes] | None = None) -> Process:
        """Start a process, whose complaints go to `errors`.

        Raises:
            GradingError: if the sandbox was stopped.
        """
        given = self.limits
        limits = {"CPU": int(given.total) + 5, "AS": given.memory, "FSIZE": given.scratch}
        limits |= {"NPROC": given.threads, "NOFILE": given.descriptors, "CORE": 0}
        settings = {"uid": NOBODY if self._root else None, "limits": limits}
        process = Process(self._command, settings, confined=not self.unsafe, errors=errors)
        with self._lock:
            self._live.add(process)
            stopped = self._stopped
        if stopped:
            self.end(process)
            raise GradingError("stopped")
        return process

    def end(self, process: Process) -> None:
        """Close a process, once."""
        with self._lock:
            mine = process in self._live
            self._live.discard(process)
        if mine:
            process.close()

    def stop(self) -> None:
        """End every process, and start no other."""
        with self._lock:
            self._stopped = True
            live = list(self._live)
        for process in live:
            process.kill()

    @cached_property
    def _root(self) -> bool:
        return not self.unsafe and os.geteuid() == 0

    @cached_property
    def _command(self) -> list[str]:
        python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
        flags = [python, "-I", "-S", "-B", "-c"]
        site = Path(np.__file__).parents[1]
        if self.unsafe:
            return [*flags, START.format(paths=[str(site), str(PACKAGE.parents[2])])]
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise GradingError(
                "bwrap is not on the PATH: submissions run inside bubblewrap; install it (sudo "
                "apt-get install bubblewrap), or add --unsafe to run them with your own rights"
            )
        return [
            bubblewrap,
            *(AS_ROOT if self._root else ["--unshare-all", "--uid", f"{NOBODY}"]),
            *("--die-with-parent", "--hostname", "sandbox"),
            *_mounts(python, site, self.limits.scratch),
            *("--chdir", SCRATCH, "--"),
            *flags,
            START.format(paths=["/grader", str(site)]),
        ]


def _mounts(python: str, site: Path, scratch: int) -> list[str]:
    """Make what is seen inside: Python, the system's shared libraries, NumPy, the worker."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = [Path(name) for name in ("/usr/lib", "/usr/lib64", "/lib", "/lib64")]
    if sys.base_prefix != "/usr":
        libraries.append(Path(sys.base_prefix, "lib"))
    mounts: list[list[str]] = []
    for library in libraries:
        if library.is_symlink():
            mounts.append(["--symlink", os.readlink(library), str(library)])
        elif library.is_dir():
            mounts.append(["--ro-bind", str(library), str(library)])
            # Whatever else is installed there is hidden: the reference may be among it.
            for pattern in (f"{version}/*-packages", "python3/*-packages"):
                mounts += [_tmpfs(folder, 65536, "0555") for folder in library.glob(pattern)]
    for path in (Path("/etc/ld.so.cache"), Path(python), site / "numpy", site / "numpy.libs"):
        if path.exists():
            mounts.append(["--ro-bind", str(path), str(path)])
    inside = "/grader/dsconv_lib/classroom/grading"
    for name in ("worker.py", "protocol.py"):
        mounts.append(["--ro-bind", str(PACKAGE / name), f"{inside}/{name}"])
    # The folders that lead to a mount: bubblewrap might let root alone go through them.
    above = {str(parent) for mount in mounts for parent in Path(mount[-1]).parents} - {"/"}
    folders = [["--perms", "0755", "--dir", each] for each in sorted(above)]
    own = [["--dev", "/dev"], _tmpfs("/dev/shm", scratch, "1777"), ["--remount-ro", "/dev"]]
    own += [_tmpfs(SCRATCH, scratch, "1777"), ["--remount-ro", "/"]]
    return [part for mount in (*folders, *mounts, *own) for part in mount]


def _tmpfs(folder: str | Path, size: int, permissions: str) -> list[str]:
    return ["--perms", permissions, "--size", str(size), "--tmpfs", str(folder)]


def _readable(data: bytes) -> int:
    """Put bytes into a pipe; return the end to read them from."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


# What a submission would try. Each line must fail inside; those that do not are what it returns.
PROBE = """
import os, socket, subprocess, sys

def probe(port, parent, yours, hidden, memory, scratch, environment):
    found = []

    def refused(what, action):
        try:
            action()
        except (OSError, MemoryError, ImportError):
            return
        found.append(what)

    def write(path):
        with open(path, "wb") as stream:
            stream.write(b"0")

    def fill(path):
        with open(path, "wb") as stream:
            for _ in range(scratch // 65536 + 2):
                stream.write(bytes(65536))

    def fork():
        if os.fork() == 0:
            os._exit(0)

    def connect(family, address):
        with socket.socket(family) as stream:
            stream.settimeout(1)
            stream.connect(address)

    refused("connects to this machine", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
    refused("opens a unix socket", lambda: connect(socket.AF_UNIX, "socket"))
    refused("reads a file of yours", lambda: open(yours).close())
    refused("writes a file of yours", lambda: write(yours))
    for path in hidden:
        refused(f"sees {path}", lambda: os.stat(path))
    for path in ("/canary", "/dev/canary", "/grader/canary", os.path.dirname(os.__file__) + "/canary"):
        refused(f"writes {path}", lambda: write(path))
    refused("writes more than its scratch folder holds", lambda: fill("canary"))
    refused("writes more than its shared memory holds", lambda: fill("/dev/shm/canary"))
    refused("imports the library", lambda: __import__("dsconv_lib.classroom.question"))
    refused("starts a process", fork)
    refused("starts a program", lambda: subprocess.run([sys.executable, "-c", ""]))
    refused("signals the grader", lambda: os.kill(parent, 0))
    refused("sees processes", lambda: os.listdir("/proc/1"))
    refused("becomes root", lambda: os.setuid(0))
    refused("changes a device", lambda: os.chmod("/dev/null", 0o666))
    refused("takes more memory than it may", lambda: bytearray(memory))
    if os.getuid() == 0:
        found.append("is root")
    found += [f"knows {name}" for name in os.environ if name not in environment]
    return found
"""


def preflight(sandbox: Sandbox, hidden: Iterable[str | Path] = ()) -> None:
    """Prove that the sandbox confines what runs in it, on this machine, now.

    Args:
        sandbox: the sandbox. With `unsafe` only its start is tried.
        hidden: paths that must not be seen inside.

    Raises:
        GradingError: if it does not start, or lets anything through; the message says what.
    """
    advice = "; grade on another machine, or add --unsafe to run submissions with your own rights"
    with tempfile.TemporaryFile() as errors:
        process = sandbox.start(errors)
        try:
            process.ask({"run": PROBE}, seconds=STARTING)
            found = [] if sandbox.unsafe else probe(process, sandbox.limits, hidden)
        except (Died, TimeoutError):
            errors.seek(0)
            lines = errors.read(10_000).decode(errors="replace").strip().splitlines()
            reason = next((line for line in lines if line.startswith("bwrap")), "it ended at once")
            raise GradingError(f"the sandbox does not start here: {reason}{advice}") from None
        finally:
            sandbox.end(process)
    if found:
        raise GradingError(f"the sandbox does not hold here: code in it {', '.join(found)}{advice}")


def probe(process: Process, limits: Limits, hidden: Iterable[str | Path] = ()) -> list[str]:
    """Try from inside a process, which has run PROBE, what a submission may not do; return what was possible."""
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.NamedTemporaryFile() as own:
        own.write(b"yours")
        own.flush()
        os.fchmod(own.fileno(), 0o666)  # only the sandbox keeps others from it
        unseen = (*hidden, PACKAGE.parents[1] / "ops.py")
        arguments = {
            "port": server.getsockname()[1],
            "parent": os.getpid(),
            "yours": own.name,
            "hidden": [str(Path(path).resolve()) for path in unseen],
            "memory": limits.memory,
            "scratch": limits.scratch,
            "environment": [*ENVIRONMENT, "LC_CTYPE", "PWD"],
        }
        tree = {name: protocol.encode(value, []) for name, value in arguments.items()}
        reply, decoder = process.ask({"call": "probe", "arguments": tree}, seconds=STARTING)
        if "answer" not in reply:
            return [f"gives no answer but {reply}"]
        found: list[str] = decoder.value(reply["answer"])
        if Path(own.name).read_bytes() != b"yours":
            found.append("changes a file of yours")
    return found
