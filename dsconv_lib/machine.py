"""The machine and the software that a reading comes from: no figure is worth anything without."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def facts(device: torch.device | None = None) -> dict[str, Any]:
    """Return what a file of results says of the machine, or of the GPU where the reading was taken.

    Returns:
        Of a CPU the name and the number of cores, with torch its threads; of a GPU the name, its driver and CUDA. The
        versions of Python and, where this process has loaded it, of torch.

    >>> sorted({"name", "cores", "Python"} & facts().keys())
    ['Python', 'cores', 'name']
    """
    torch = sys.modules.get("torch")
    versions = {"torch": torch.__version__} if torch else {}
    versions["Python"] = platform.python_version()
    if torch and device is not None and device.type == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.check_output(query, text=True).split()[0]
        name, cuda = torch.cuda.get_device_name(device), torch.version.cuda
        return {"name": name, "driver": driver, **versions, "CUDA": cuda}
    threads = {"threads": torch.get_num_threads()} if torch else {}
    return {"name": _cpu_model(), "cores": os.cpu_count(), **threads, **versions}


def describe(device: torch.device | None = None) -> str:
    """Return the same in one line.

    >>> describe().endswith(f"Python {platform.python_version()}")
    True
    """
    return one_line(facts(device))


def one_line(facts: Mapping[str, Any]) -> str:
    """Write down in one line what `facts` said, here or in a file of results.

    >>> one_line({"name": "a CPU", "cores": 2, "threads": 1, "Python": "3.13.1"})
    'a CPU, 2 cores, 1 thread, Python 3.13.1'
    """
    known = dict(facts)
    parts = [known.pop("name")]
    for name in ("cores", "threads"):
        if count := known.pop(name, None):
            parts.append(f"{count} {name[:-1] if count == 1 else name}")
    return ", ".join(parts + [f"{name} {value}" for name, value in known.items()])


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux alone has it; platform.processor() is empty there
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
