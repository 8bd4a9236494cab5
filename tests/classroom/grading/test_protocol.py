"""Frames: what is sent arrives, and nothing else gets through."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from time import monotonic

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dsconv_lib.classroom.grading.protocol import (
    LENGTHS,
    MAX_MESSAGE,
    Decoder,
    ProtocolError,
    UnsupportedError,
    encode,
    receive,
    send,
)

DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    arrays.arrays(DTYPES, SHAPES),
    arrays.arrays(DTYPES, ()).map(lambda array: array[()]),
)
VALUES = st.recursive(
    LEAVES,
    lambda each: st.lists(each, max_size=3) | st.lists(each, max_size=3).map(tuple),
    max_leaves=6,
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue  # the test closed it


def equal(one: object, other: object) -> None:
    """Same kind, same values; arrays may differ in byte order."""
    assert type(one) is type(other)
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for each, its in zip(one, other, strict=True):
            equal(each, its)
    elif isinstance(one, (np.ndarray, np.generic)):
        assert one.dtype.newbyteorder("<") == other.dtype.newbyteorder("<")
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other or (one != one and other != other)


def there_and_back(value: object) -> object:
    buffers: list[bytes] = []
    tree = json.loads(json.dumps(encode(value, buffers)))
    decoder = Decoder(b"".join(buffers))
    found = decoder.value(tree)
    decoder.done()
    return found


@given(VALUES)
def test_what_is_sent_arrives(value: object) -> None:
    equal(there_and_back(value), value)


def test_arrays_of_any_layout_arrive_and_can_be_changed() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    for view in (x.T, x[:, ::-1], x[:, :, 1], np.broadcast_to(x[0, 0, 0], (3, 3)), x[:0]):
        found = there_and_back(view)
        equal(found, view.copy())
        assert found.flags.writeable


@pytest.mark.parametrize(
    "value",
    [{}, {1}, object(), 1j, np.array(["text"]), np.array([None]), np.zeros(2, "c8"), b"bytes"],
)
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(UnsupportedError):
        encode([value], [])


def test_endless_nesting_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(UnsupportedError):
        encode(endless, [])


@pytest.mark.parametrize(
    "tree",
    [
        {},
        [],
        [1],
        {"list": 3},
        {"other": 1},
        {"array": "<f8"},
        {"array": "<f8", "shape": 3},
        {"array": "<f8", "shape": [-1, -8]},
        {"array": "<f8", "shape": [True]},
        {"array": "<f8", "shape": [1.0]},
        {"array": "<f8", "shape": [2]},
        {"array": "<f8", "shape": [1 << 62, 1 << 62]},
        {"array": "<f8", "shape": [0, 1 << 62]},
        {"array": "<f8", "shape": [0, 1 << 26, 1 << 26, 1 << 26]},
        {"array": "<f8", "shape": [1] * 100},
        {"array": "|O", "shape": [1]},
        {"array": "<U2", "shape": [1]},
        {"array": ["<f8"], "shape": [1]},
        {"scalar": "<f4", "shape": [2]},
        json.loads('{"list": [' * 100 + "1" + "]}" * 100),
    ],
)
def test_trees_that_lie_are_refused(tree: object) -> None:
    with pytest.raises(ProtocolError):
        Decoder(bytes(8)).value(tree)


def test_bytes_left_over_are_refused() -> None:
    decoder = Decoder(bytes(16))
    assert decoder.value({"array": "<f8", "shape": []}) == 0
    with pytest.raises(ProtocolError):
        decoder.done()


def test_a_frame_passes(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    send(writing, {"text": "é"}, b"12345678", deadline=monotonic() + 5)
    message, decoder = receive(reading, deadline=monotonic() + 5)
    assert message == {"text": "é"}
    assert decoder.value({"array": "<i8", "shape": [1]}).shape == (1,)


@pytest.mark.parametrize(
    "raw",
    [
        LENGTHS.pack(MAX_MESSAGE + 1, 0),
        LENGTHS.pack(0, 0xFFFFFFFF),
        LENGTHS.pack(0, 0),
        LENGTHS.pack(2, 0) + b"[]",
        LENGTHS.pack(3, 0) + b"\xff\xff\xff",
        LENGTHS.pack(9000, 0) + b"[" * 9000,
        LENGTHS.pack(9000, 0) + b"1" * 9000,
    ],
)
def test_bytes_that_are_no_frame_are_refused(pipe: tuple[int, int], raw: bytes) -> None:
    reading, writing = pipe
    os.write(writing, raw)
    with pytest.raises(ProtocolError):
        receive(reading, deadline=monotonic() + 5)


def test_nobody_waits_for_ever(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, LENGTHS.pack(10, 0) + b"half")
    with pytest.raises(TimeoutError):
        receive(reading, deadline=monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        send(writing, {}, bytes(1 << 20), deadline=monotonic() + 0.05)


def test_an_end_is_told_from_a_wait(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, LENGTHS.pack(10, 0) + b"half")
    os.close(writing)
    with pytest.raises(EOFError):
        receive(reading, deadline=monotonic() + 5)


def test_a_frame_that_is_too_large_is_not_sent(pipe: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError):
        send(pipe[1], {"text": "x" * MAX_MESSAGE}, deadline=monotonic() + 5)
