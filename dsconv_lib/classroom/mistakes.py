"""Mistakes that are made in more than one chapter.

Each maker takes the right function, which it calls with a case's arguments by name. Needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dsconv_lib.classroom.question import Mistake

Function = Callable[..., Any]


def fixed(function: Function, **values: Any) -> Function:
    """The function, with these values whatever the case says.

    >>> fixed(lambda side, stride: side // stride, stride=1)(side=8, stride=2)
    8
    """
    return lambda **case: function(**case | values)


def as_if(function: Function, values: Mapping[str, Mapping[str, Any]]) -> list[Mistake]:
    """Mistakes that are the right function with other values, by message.

    >>> (wrong,) = as_if(pow, {"That is the square.": {"exp": 2}})
    >>> wrong.wrong(base=3, exp=4)
    9
    """
    return [Mistake(message, fixed(function, **each)) for message, each in values.items()]


def left_out(function: Function, **value: Any) -> Mistake:
    """An argument is as good as not there, at the value that changes nothing.

    >>> left_out(lambda side, stride: side // stride, stride=1).message
    'The stride is left out.'
    """
    (name,) = value
    return Mistake(f"The {name} is left out.", fixed(function, **value))


def unrepaired(given: Function) -> Mistake:
    """The function that was to be repaired is handed in as it was given.

    >>> unrepaired(max).wrong(3, 4)
    4
    """
    return Mistake("Nothing is repaired yet: this is what the given function returns.", given)


def in_flops(count: Function) -> Mistake:
    """A number of MACs is counted in FLOPs.

    >>> in_flops(lambda macs: macs).wrong(macs=3)
    6
    """
    return Mistake("That is FLOPs, two for each MAC.", lambda **case: 2 * count(**case))


def macs_and_params(count: Function) -> list[Mistake]:
    """Two slips with a pair of MACs and parameters.

    >>> [each.wrong(macs=3) for each in macs_and_params(lambda macs: (macs, 1))]
    [(1, 3), (6, 1)]
    """
    order = "The two numbers are in the other order: first the MACs."
    flops = "The first number is FLOPs: a multiplication and an addition together are 1 MAC."
    return [
        Mistake(order, lambda **case: count(**case)[::-1]),
        Mistake(flops, lambda **case: (2 * count(**case)[0], count(**case)[1])),
    ]


def flipped(convolve: Function, weight: str = "weight") -> Mistake:
    """The kernel is laid on the image upside down, as in mathematics; `weight` is its argument's name.

    >>> flipped(lambda kernel: kernel, "kernel").wrong(kernel=np.arange(4).reshape(1, 1, 2, 2)).ravel()
    array([3, 2, 1, 0])
    """
    return Mistake(
        "The kernel is flipped, in rows and columns: deep learning lays it on the image as it is.",
        lambda **case: convolve(**case | {weight: case[weight][:, :, ::-1, ::-1]}),
    )


def windows(convolve: Function) -> list[Mistake]:
    """Five ways to lay the windows wrongly; `convolve` has `x`, `stride` and `padding` among its arguments.

    >>> from dsconv_lib.ops import depthwise
    >>> case = {"x": np.ones((1, 1, 5, 5)), "weight": np.ones((1, 1, 3, 3)), "stride": 2, "padding": 1}
    >>> [mistake.wrong(**case).shape[2:] for mistake in windows(depthwise)]
    [(5, 5), (3, 3), (3, 5), (2, 2), (3, 3)]
    """

    def apart_by_one(**case: Any) -> Any:
        rows, columns = convolve(**case).shape[2:]
        return fixed(convolve, stride=1)(**case)[:, :, :rows, :columns]

    def padded_at_the_end(x: np.ndarray, padding: int, **case: Any) -> Any:
        padded = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
        return convolve(x=padded, padding=0, **case)

    apart = "The number of outputs is right, and their windows lie 1 pixel apart: window i begins at row i * stride."
    ignored = (
        "The stride is ignored: neighbouring outputs read windows that lie `stride` pixels apart."
    )
    padded = "The padding is ignored: put `padding` rows and columns of zeros on each side first."
    end = "The padding is on one side: zeros belong before the first row and column as well as after the last."
    return [
        Mistake(ignored, fixed(convolve, stride=1)),
        Mistake(apart, apart_by_one),
        one_direction(convolve),
        Mistake(padded, fixed(convolve, padding=0)),
        Mistake(end, padded_at_the_end),
    ]


def one_direction(convolve: Function) -> Mistake:
    """The stride holds for the rows alone.

    >>> one_direction(lambda stride: stride).wrong(stride=2)
    (2, 1)
    """
    message = "The stride is used along one direction only: it holds for rows and for columns."
    return Mistake(message, lambda stride, **case: convolve(stride=(stride, 1), **case))


def cut_short(convolve: Function) -> Mistake:
    """The number of windows is one too small along both sides.

    >>> cut_short(lambda x: x).wrong(x=np.ones((1, 1, 4, 4))).shape
    (1, 1, 3, 3)
    """
    message = "The last row and column are missing: the size is (H + 2p - K) // s + 1, with the 1."
    return Mistake(message, lambda **case: convolve(**case)[:, :, :-1, :-1])


def first_image(convolve: Function) -> Mistake:
    """The first image of the batch stands for all; `convolve` has `x` among its arguments.

    >>> first_image(lambda x: x).wrong(x=np.array([3, 4]))
    array([3, 3])
    """
    message = "Every image of the batch gets the first one's output: the loop over images is lost."
    return Mistake(message, lambda x, **case: np.repeat(convolve(x=x[:1], **case), len(x), axis=0))
