"""What Lighthouse says of the built pages on a slow phone: ``python tools/lighthouse.py [--runs N] [PAGE ...]``.

It measures time, so it is no test. It prints a table, writes results/lighthouse.json, and fails below the limits.
"""

import argparse
import functools
import gzip
import http.server
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from datetime import date
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

import chromium
import torch
from rich.console import Console
from rich.table import Table

from dsconv_lib import machine

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build/html"
TOOL = ROOT / "_build/npm/lighthouse"
RESULT = ROOT / "results/lighthouse.json"
VERSION = "13.5.0"
PAGES = [
    "intro",
    "chapters/01-normal-convolution",
    "chapters/04-depthwise-separable",
    "chapters/07-mobilenet-v1",
    "chapters/08-training",
    "chapters/claims",
    "exercises/04-depthwise-separable/solution",
]
# The least score of each category, out of 100; a search engine's view is reported alone.
LIMITS = {"performance": 80, "accessibility": 100, "best-practices": 100, "seo": 0}
TIMES = {
    "first-contentful-paint": "first paint, ms",
    "largest-contentful-paint": "largest paint, ms",
    "total-blocking-time": "blocked, ms",
    "cumulative-layout-shift": "shift",
    "total-byte-weight": "bytes",
}
BIN = Path(sys.executable).parent


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Serves files as a published site does: text compressed, and kept by the browser."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the file, compressed unless it is an image or a font."""
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = file.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Cache-Control", "max-age=600")
        if file.suffix not in {".png", ".webp", ".woff", ".woff2"}:
            content = gzip.compress(content, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the table is what is printed."""


def install() -> Path:
    """The command, from npm; installed once into a folder that git ignores."""
    package = TOOL / "node_modules/lighthouse"
    described = package / "package.json"
    if not described.exists() or json.loads(described.read_text())["version"] != VERSION:
        TOOL.mkdir(parents=True, exist_ok=True)
        (TOOL / "package.json").write_text("{}\n")
        quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]
        npm = [str(BIN / "npm"), "install", *quiet, f"lighthouse@{VERSION}"]
        # npm's scripts find node on the PATH.
        path = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        if subprocess.run(npm, cwd=TOOL, env=path).returncode:
            sys.exit(f"Could not install lighthouse@{VERSION} with npm; is the network there?")
    return package / "cli/index.js"


def measure(command: Path, address: str) -> dict[str, Any]:
    """One run on one page, as Lighthouse reports it."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        flags = "--headless=new --no-sandbox --disable-gpu"
        done = subprocess.run(
            [
                *(BIN / "node", command, address, "--quiet", "--output=json"),
                *(f"--output-path={report}", f"--chrome-flags={flags}"),
            ],
            env={**os.environ, "CHROME_PATH": chromium.program(), "CI": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"Lighthouse failed on {address}:\n{done.stderr[-2000:]}")
        read: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return read


def summary(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of a page's runs, and the audits that none of them passed in a category with a limit of 100."""
    scores = {
        name: round(100 * median(report["categories"][name]["score"] for report in reports))
        for name in LIMITS
    }
    times = {
        name: round(median(report["audits"][name]["numericValue"] for report in reports), 3)
        for name in TIMES
    }
    failed = {
        ref["id"]
        for name, least in LIMITS.items()
        if least == 100
        for ref in reports[-1]["categories"][name]["auditRefs"]
        if ref["weight"] and reports[-1]["audits"][ref["id"]]["score"] == 0
    }
    # Lighthouse's own measure of how fast the machine was meanwhile: low on one that is busy.
    speed = round(median(report["environment"]["benchmarkIndex"] for report in reports))
    return {"scores": scores, **times, "machine speed": speed, "failed": sorted(failed)}


def main() -> None:
    """Measure, print, store, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    for page in asked.pages:
        if not (asked.site / f"{page}.html").exists():
            sys.exit(f"No page {page} in the built site: type make site, or name one of its pages.")
    command = install()
    handler = functools.partial(Compressing, directory=str(asked.site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pages = {}
    for page in asked.pages:
        address = f"http://127.0.0.1:{server.server_port}/{page}.html"
        pages[page] = summary([measure(command, address) for _ in range(asked.runs)])
    server.shutdown()

    version = subprocess.run(
        [chromium.program(), "--version"], capture_output=True, text=True, check=True
    )
    known = {
        "date": date.today().isoformat(),
        "command": "make lighthouse",
        "what": f"Lighthouse's simulated slow phone; medians of {asked.runs} runs; text compressed",
        "machine": machine.facts(torch.device("cpu"))["name"],
        "cores": os.cpu_count(),
        "versions": {
            "lighthouse": VERSION,
            "browser": version.stdout.split(" built")[0].strip(),
            "Python": platform.python_version(),
        },
        "limits": LIMITS,
        "pages": pages,
    }
    asked.out.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    table = Table("page", *LIMITS, *TIMES.values(), "failed")
    for page, found in pages.items():
        numbers = [found["scores"][name] for name in LIMITS] + [found[name] for name in TIMES]
        table.add_row(page, *map(str, numbers), ", ".join(found["failed"]))
    Console(width=160).print(table)
    below = [
        f"{page}: {name} {found['scores'][name]}, expected at least {least}"
        for page, found in pages.items()
        for name, least in LIMITS.items()
        if found["scores"][name] < least
    ]
    sys.exit("\n".join(below) or 0)


if __name__ == "__main__":
    main()
