"""The machine and the software that a reading comes from: no figure is worth anything without."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch


def facts(device: torch.device) -> dict[str, Any]:
    """Return what a results file says of the machine: name, threads or driver, and versions."""
    versions = {"torch": torch.__version__, "Python": platform.python_version()}
    if device.type == "cuda":
        return {
            "name": torch.cuda.get_device_name(device),
            "driver": _driver(),
            **versions,
            "CUDA": torch.version.cuda,
        }
    return {"name": _cpu_model(), "threads": torch.get_num_threads(), **versions}


def describe(device: torch.device) -> str:
    """Return the same in one line."""
    known = facts(device)
    parts = [known.pop("name")]
    threads = known.pop("threads", None)
    if threads:
        parts.append(f"{threads} {'thread' if threads == 1 else 'threads'}")
    return ", ".join(parts + [f"{name} {value}" for name, value in known.items()])


def _driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux alone has it; platform.processor() is empty there
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
