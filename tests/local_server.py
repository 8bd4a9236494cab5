"""A real HTTP server on this machine, with a small archive in place of the published one."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

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
    """What the local server holds, how it behaves, and how often it was asked."""

    content: bytes
    url: str = ""
    status: int = 200
    cut: int | None = None  # close the connection after this many bytes
    asked: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    state = Server(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content[: state.cut])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as local:
        state.url = f"http://127.0.0.1:{local.server_port}/{FILE}"
        thread = threading.Thread(target=local.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        local.shutdown()
        thread.join()
