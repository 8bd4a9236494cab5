"""What Lighthouse says of the built pages on a slow phone: ``python -m book_builder.lighthouse [--runs N] [PAGE ...]``.

It measures time, so it is no test. It prints a table, writes results/lighthouse.json, and fails below the limits.
"""

import functools
import gzip
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from book_builder import ROOT, chromium
from dsconv_lib.measure import record

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


def measure(address: str) -> dict[str, Any]:
    """One run on one page, as Lighthouse reports it; npm fetches and keeps the program."""
    flags = "--headless=new --no-sandbox --disable-gpu"
    done = subprocess.run(
        [
            *(BIN / "npx", "--yes", f"lighthouse@{VERSION}", address, "--quiet"),
            *("--output=json", "--output-path=stdout", f"--chrome-flags={flags}"),
        ],
        env={
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",  # where npm's scripts find node
            "NPM_CONFIG_IGNORE_SCRIPTS": "true",
            "CHROME_PATH": chromium.program(),
            "CI": "1",
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"Lighthouse failed on {address}:\n{done.stderr[-2000:]}")
    read: dict[str, Any] = json.loads(done.stdout)
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


@contextmanager
def serving(site: Path) -> Iterator[str]:
    """The address at which the folder is served, as a published site is, while this lasts."""
    handler = functools.partial(Compressing, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def known(runs: int) -> dict[str, Any]:
    """What the file says of where and how the pages were measured."""
    browser = subprocess.check_output([chromium.program(), "--version"], text=True)
    return record.head(
        f"Lighthouse's simulated slow phone; medians of {runs} runs; text compressed",
        command="make lighthouse",
        versions={"lighthouse": VERSION, "browser": browser.split(" built")[0].strip()},
    )


def main(
    pages: Annotated[list[str] | None, typer.Argument(help="Pages of the site.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs on each page.")] = 3,
    site: Annotated[Path, typer.Option(help="The built site.")] = ROOT / "_build/html",
    out: Annotated[Path, typer.Option(help="The file to write.")] = ROOT
    / "results/lighthouse.json",
) -> None:
    """Measure, print, store, judge."""
    for page in pages or PAGES:
        if not (site / f"{page}.html").exists():
            sys.exit(f"No page {page} in the built site: type make site, or name one of its pages.")
    with serving(site) as address:
        found = {
            page: summary([measure(f"{address}/{page}.html") for _ in range(runs)])
            for page in pages or PAGES
        }
    record.write(out, known(runs) | {"limits": LIMITS, "pages": found})
    table = Table("page", *LIMITS, *TIMES.values(), "failed")
    below = []
    for page, said in found.items():
        numbers = [*said["scores"].values(), *(said[name] for name in TIMES)]
        table.add_row(page, *map(str, numbers), ", ".join(said["failed"]))
        below += [
            f"{page}: {name} {said['scores'][name]}, expected at least {least}"
            for name, least in LIMITS.items()
            if said["scores"][name] < least
        ]
    Console(width=160).print(table)
    sys.exit("\n".join(below) or 0)


if __name__ == "__main__":
    typer.run(main)
