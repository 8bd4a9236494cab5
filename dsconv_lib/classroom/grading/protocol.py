"""Frames between the grader and the process that runs a submission: plain values, never pickles.

A frame is two lengths, a JSON message and the bytes of its arrays, one after the other. It runs on both sides of the
sandbox, so it needs NumPy and the standard library alone.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
from contextlib import suppress
from time import monotonic
from typing import Any

import numpy as np

Json = dict[str, Any]  # an object
MAX_MESSAGE = 2 << 20  # bytes of JSON
MAX_ARRAYS = 64 << 20  # bytes of arrays
MAX_NESTING = 20
LENGTHS = struct.Struct(">II")
# Little-endian, as sent; bool, whole and floating-point numbers are all that a question compares.
KINDS = "|b1 |i1 |u1 <i2 <u2 <i4 <u4 <i8 <u8 <f2 <f4 <f8"
DTYPES = {kind: np.dtype(kind) for kind in KINDS.split()}


class ProtocolError(ValueError):
    """A frame that is not what the protocol allows."""


class UnsupportedError(TypeError):
    """A value that no frame can hold; the message is the name of its type."""


def encode(value: object, arrays: list[bytes], depth: int = 0) -> Any:
    """Turn a value into what JSON can hold; the bytes of its arrays are appended to `arrays`.

    Args:
        value: an array or NumPy number of booleans, whole or floating-point numbers, a bool, int, float, string,
            None, or a tuple or list of such.

    Raises:
        UnsupportedError: if it is anything else.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        dtype = array.dtype.newbyteorder("<") if array.dtype.kind in "biuf" else None
        if dtype is not None and dtype.kind == "f" and dtype.itemsize > 8:
            dtype = np.dtype("<f8")  # longdouble has another layout on each machine
        if dtype is None or dtype.str not in DTYPES:
            raise UnsupportedError(f"array of {array.dtype.name}")
        arrays.append(array.astype(dtype).tobytes())
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: dtype.str, "shape": list(array.shape)}
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (tuple, list)) and depth < MAX_NESTING:
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [encode(each, arrays, depth + 1) for each in value]}
    raise UnsupportedError(type(value).__name__)


class Decoder:
    """Reads the values of one frame, in order; arrays are fresh copies.

    Raises:
        ProtocolError: where a value is none of those that `encode` makes.
    """

    def __init__(self, arrays: bytes) -> None:
        self.rest = memoryview(arrays)

    def value(self, tree: object, depth: int = 0) -> Any:
        """Decode one value."""
        if tree is None or isinstance(tree, (bool, int, float, str)):
            return tree
        if not isinstance(tree, dict) or not tree or depth > MAX_NESTING:
            raise ProtocolError("a value of no known kind")
        kind = next(iter(tree))
        if kind in ("list", "tuple") and isinstance(tree[kind], list):
            items = [self.value(each, depth + 1) for each in tree[kind]]
            return tuple(items) if kind == "tuple" else items
        if kind in ("array", "scalar"):
            array = self._array(tree[kind], tree.get("shape"))
            if kind == "array":
                return array
            if array.ndim == 0:
                return array[()]
        raise ProtocolError("a value of no known kind")

    def _array(self, dtype: object, shape: object) -> np.ndarray[Any, Any]:
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ProtocolError("an array of a dtype that is not allowed")
        if not isinstance(shape, list) or len(shape) > 32:
            raise ProtocolError("an array without a shape")
        if not all(type(side) is int and 0 <= side <= MAX_ARRAYS for side in shape):
            raise ProtocolError("an array of an impossible shape")
        size = math.prod(shape) * DTYPES[dtype].itemsize
        if size > len(self.rest):
            raise ProtocolError("an array of more bytes than were sent")
        taken, self.rest = self.rest[:size], self.rest[size:]
        try:
            return np.frombuffer(taken, dtype=DTYPES[dtype]).reshape(shape).copy()
        except ValueError:  # no bytes, but sides whose product NumPy cannot count
            raise ProtocolError("an array of an impossible shape") from None

    def done(self) -> None:
        """Check that no bytes are left over."""
        if len(self.rest):
            raise ProtocolError("more bytes than the arrays need")


def send(stream: int, message: Json, arrays: bytes = b"", *, deadline: float | None = None) -> None:
    """Write one frame.

    Raises:
        ProtocolError: if it is too large.
        TimeoutError: if it is not taken by the deadline (`time.monotonic`).
        BrokenPipeError: if nobody can read it any more.
    """
    body = json.dumps(message).encode()
    if len(body) > MAX_MESSAGE or len(arrays) > MAX_ARRAYS:
        raise ProtocolError(f"a frame of {len(body) + len(arrays):,} bytes")
    rest = memoryview(LENGTHS.pack(len(body), len(arrays)) + body + arrays)
    while len(rest):
        _wait(stream, select.POLLOUT, deadline)
        with suppress(BlockingIOError):
            rest = rest[os.write(stream, rest) :]


def receive(stream: int, *, deadline: float | None = None) -> tuple[Json, Decoder]:
    """Read one frame.

    Raises:
        ProtocolError: if it is not one.
        TimeoutError: if it is not there by the deadline.
        EOFError: if the other side has gone.
    """
    body, arrays = LENGTHS.unpack(_read(stream, LENGTHS.size, deadline))
    if body > MAX_MESSAGE or arrays > MAX_ARRAYS:
        raise ProtocolError("a frame that is too large")
    text = _read(stream, body, deadline)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a message that is not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError("a message that is not an object")
    return message, Decoder(_read(stream, arrays, deadline))


def _read(stream: int, count: int, deadline: float | None) -> bytes:
    parts = []
    while count:
        _wait(stream, select.POLLIN, deadline)
        try:
            part = os.read(stream, min(count, 1 << 20))
        except BlockingIOError:
            continue
        if not part:
            raise EOFError("the other side has gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _wait(stream: int, event: int, deadline: float | None) -> None:
    if deadline is None:  # the worker's side, which blocks
        return
    poll = select.poll()
    poll.register(stream, event)
    left = deadline - monotonic()
    if left <= 0 or not poll.poll(1000 * left):
        raise TimeoutError
