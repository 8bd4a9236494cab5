"""A real HTTP server on this machine, with a small archive in place of the published one."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from dsconv_lib.data.download import Source

FILE = "cifar-10-binary.tar.gz"


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def record(label: int, image: np.ndarray) -> bytes:
    """One image of shape (H, W, 3) as the archive has it: its class, then plane after plane."""
    return bytes([label]) + b"".join(image[:, :, channel].tobytes() for channel in range(3))


@dataclass
class Server:
    """What the local server holds, how it behaves, and the Range header of each request it got."""

    content: bytes
    url: str = ""
    status: int = 200
    ranges: bool = True
    encoding: str | None = None
    cut: int | None = None  # close the connection after this many bytes
    stall: threading.Event | None = None  # wait for this after `cut` bytes, and go on
    asked: list[str | None] = field(default_factory=list)

    def source(self, sha256: str | None = None) -> Source:
        right = hashlib.sha256(self.content).hexdigest()
        return Source("cifar10", self.url, sha256 or right, instead="name a folder with --data")


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    state = Server(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            start = int(wanted[len("bytes=") : -1]) if wanted and state.ranges else 0
            status = state.status
            if status == 200 and start:
                status = 206 if start < len(state.content) else 416
            body = state.content[start:] if status < 400 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 206:
                last, size = len(state.content) - 1, len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
            if state.encoding:
                self.send_header("Content-Encoding", state.encoding)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body[: state.cut])
                if state.stall:
                    state.stall.wait(60)
                    self.wfile.write(body[state.cut :])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as local:
        state.url = f"http://127.0.0.1:{local.server_port}/{FILE}"
        thread = threading.Thread(target=local.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        if state.stall:
            state.stall.set()
        local.shutdown()
        thread.join()
