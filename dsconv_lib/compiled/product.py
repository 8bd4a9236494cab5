"""A matrix product for the pointwise half: its matrix packed once, bias and ReLU done before a result is stored.

A library's product must take any matrix: it packs it anew at each call, and leaves bias and ReLU to another pass. Here
a tile of outputs, some rows of pixels by two registers of channels, stays in registers while the loop over the input
channels runs through it. Each number of a row is multiplied with both registers, so a tile reads one number for each
two multiplications, and as many lanes of the matrix as one row needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from dsconv_lib.compiled.lanes import BYTES, Lanes, require_contiguous, vector_function
from dsconv_lib.spec import Array

# Rows of a tile, and of a smaller one for what is left: 14 rows of two registers, two of the matrix and one number of
# the row fill the 32 registers of AVX-512. Elsewhere one of these lanes is two or four registers.
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
TALL, SHORT = (14, 7) if WIDE else (3, 1)
DEPTH = 256  # input channels in one go: a panel of so many stays in the first-level cache


def panel_width(dtype: Any) -> int:
    """Return how many output channels a tile has."""
    return 2 * BYTES // int(np.dtype(dtype).itemsize)


def pack(matrix: Array) -> Array:
    """Lay the columns of a matrix (M, N) out panel by panel: (panels, M, width), each what a tile reads in its order.

    N is a panel's width at least. The last panel may overlap the one before it.

    >>> pack(np.zeros((5, 40), np.float32)).shape
    (2, 5, 32)
    """
    width, columns = panel_width(matrix.dtype), matrix.shape[1]
    starts = [min(start, columns - width) for start in range(0, columns, width)]
    return np.ascontiguousarray([matrix[:, start : start + width] for start in starts])


@intrinsic(prefer_literal=True)
def tile(_, rows, begun, relu, x, at, panels, panel, y, out, bias, n, steps):
    """Compute a tile of y, its first number at element `out`, its loop over the input channels in LLVM's words.

    Numba has no way to name 28 registers. Python, which writes the loop down, has lists.

    Args:
        rows: a number in the source, how many the tile has.
        begun: True goes on from what is in y, None begins with the bias (N,), from element n on.
        relu: True makes negative results 0; None leaves them.
        x, at: pixels (P, M), and the element of the first that is read.
        panels, panel: what `pack` makes, and the element of the first row that is read.
        y, out: (P, N), and the element that is the tile's first.
        bias, n: (N,), and the tile's first column.
        steps: how many input channels to go; the elements from row to row, of x and of y.
    """
    kinds = x, panels, y, bias
    for kind in kinds:
        require_contiguous(kind)

    def generate(context, builder, signature, arguments):
        values = arguments[3:]
        arrays = [
            _Array(context, builder, kind, values[i])
            for kind, i in zip(kinds, (0, 2, 4, 6), strict=True)
        ]
        starts = [values[i] for i in (1, 3, 5, 7)]
        options = rows.literal_value, begun is not types.none, relu is not types.none
        _write_tile(builder, arrays, starts, cgutils.unpack_tuple(builder, values[8]), options)
        return context.get_dummy_value()

    i = types.intp
    return types.void(rows, begun, relu, x, i, panels, i, y, i, bias, i, steps), generate


class _Array:
    """An array in LLVM's words: numbers and registers of it, by the element they begin at."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        self.vector = context.get_value_type(Lanes(kind.dtype))
        self.bits = kind.dtype.bitwidth
        self._builder = builder
        self._data = cgutils.create_struct_proxy(kind)(context, builder, value).data

    def _place(self, start: Any, register: int) -> Any:
        first = self._builder.add(start, start.type(register * self.vector.count))
        place = self._builder.gep(self._data, [first])
        return self._builder.bitcast(place, self.vector.as_pointer())

    def pair(self, start: Any) -> list[Any]:
        """Load two registers."""
        return [self._builder.load(self._place(start, n), align=self.bits // 8) for n in (0, 1)]

    def store(self, start: Any, pair: list[Any]) -> None:
        """Store two registers."""
        for n, value in enumerate(pair):
            self._builder.store(value, self._place(start, n), align=self.bits // 8)

    def spread(self, start: Any) -> Any:
        """Load one number into every lane."""
        build, undefined = self._builder, ir.Constant(self.vector, ir.Undefined)
        number = build.load(build.gep(self._data, [start]))
        lone = build.insert_element(undefined, number, ir.IntType(32)(0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), self.vector.count), None)
        return build.shuffle_vector(lone, undefined, first)


def _write_tile(
    build: Any,
    arrays: list[_Array],
    starts: list[Any],
    steps: list[Any],
    options: tuple[int, bool, bool],
) -> None:
    """Write down: begin the sums; for each input channel add to all of them; store them."""
    (x, panels, y, bias), (at, panel, out, n) = arrays, starts
    rows, begun, relu = options
    deep, x_step, y_step = steps
    index = deep.type
    pixels = [build.add(at, build.mul(x_step, index(row))) for row in range(rows)]
    outs = [build.add(out, build.mul(y_step, index(row))) for row in range(rows)]
    first = [y.pair(start) if begun else bias.pair(n) for start in outs]
    before, loop, after = build.block, *(build.append_basic_block() for _ in range(2))
    build.branch(loop)
    build.position_at_end(loop)
    m = build.phi(index)
    sums = [[build.phi(x.vector) for _ in pair] for pair in first]
    weights = panels.pair(build.add(panel, build.mul(m, index(2 * x.vector.count))))
    fused = vector_function(build, x.vector, x.bits)
    grown = []
    for pixel, pair in zip(pixels, sums, strict=True):
        number = x.spread(build.add(pixel, m))
        grown.append(
            [build.call(fused, [number, w, s]) for w, s in zip(weights, pair, strict=True)]
        )
    following = build.add(m, index(1))
    for phi, begin, then in [(m, index(0), following), *_flat(sums, first, grown)]:
        phi.add_incoming(begin, before)
        phi.add_incoming(then, loop)
    build.cbranch(build.icmp_signed("<", following, deep), loop, after)
    build.position_at_end(after)
    zero = ir.Constant(x.vector, None)
    for start, pair in zip(outs, grown, strict=True):
        y.store(
            start,
            [build.select(build.fcmp_ordered("<", v, zero), zero, v) if relu else v for v in pair],
        )


def _flat(*tables: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Return what stands in the same place of each table, place by place."""
    return [each for rows in zip(*tables, strict=True) for each in zip(*rows, strict=True)]


@njit(cache=True, nogil=True)
def _panel(begun, relu, x, at, panels, panel, y, bias, n, deep):
    """Compute one panel, `deep` input channels of it."""
    (pixels, depth), columns = x.shape, y.shape[1]
    steps = deep, depth, columns
    row = 0
    while row + TALL <= pixels:
        tile(
            TALL,
            begun,
            relu,
            x,
            row * depth + at,
            panels,
            panel,
            y,
            row * columns + n,
            bias,
            n,
            steps,
        )
        row += TALL
    while row + SHORT <= pixels:
        tile(
            SHORT,
            begun,
            relu,
            x,
            row * depth + at,
            panels,
            panel,
            y,
            row * columns + n,
            bias,
            n,
            steps,
        )
        row += SHORT
    while row < pixels:
        tile(
            1, begun, relu, x, row * depth + at, panels, panel, y, row * columns + n, bias, n, steps
        )
        row += 1


@njit(cache=True, nogil=True)
def multiply(x, panels, bias, y, relu):
    """Fill y (P, N) with x (P, M) times the packed matrix, plus bias (N,); with relu, 0 where that is negative."""
    depth, width = panels.shape[1:]
    even = y.shape[1] // width
    for at in range(0, depth, DEPTH):
        deep = min(DEPTH, depth - at)
        for p in range(even):
            panel = (p * depth + at) * width
            if deep == depth:
                _panel(None, relu, x, at, panels, panel, y, bias, p * width, deep)
            elif at == 0:
                _panel(None, None, x, at, panels, panel, y, bias, p * width, deep)
            elif at + deep < depth:
                _panel(True, None, x, at, panels, panel, y, bias, p * width, deep)
            else:
                _panel(True, relu, x, at, panels, panel, y, bias, p * width, deep)
    if even < len(panels):  # it overlaps its neighbour: begun anew, when that is done
        _panel(None, relu, x, 0, panels, even * depth * width, y, bias, y.shape[1] - width, depth)
