"""What a sandbox could leave behind."""

from __future__ import annotations

import os
import time
from pathlib import Path


def unique_memory() -> int:
    """Give a limit of memory, 512 MiB and a little, that no other test process uses.

    It stands in a worker's command line as its limit AS, which is how `processes` finds it.
    """
    return (512 << 20) + 4096 * (os.getpid() % 50_000)


def processes(memory: int) -> list[str]:
    """List the processes of sandboxes with this limit, wherever they went in the system."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except (FileNotFoundError, ProcessLookupError):
                continue
            if f'"AS": {memory}' in line:
                found.append(line)
    return found


def gone(memory: int, seconds: float = 10) -> bool:
    """Wait until there are none: the kernel takes a moment to end a killed one's children."""
    until = time.monotonic() + seconds
    while processes(memory):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
