"""A matrix product for the pointwise half: its matrix packed once, bias and ReLU added before a result leaves a register.

A library's product must take any matrix: it packs it anew at each call, and leaves bias and ReLU to another pass. Here
a tile of outputs, some rows of pixels by two registers of channels, stays in registers while the loop over the input
channels runs through it. Each number of a row is multiplied with both registers, so a tile reads one number for each
two multiplications, and as many lanes of the matrix as one row needs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from dsconv_lib.compiled.lanes import BYTES, Lanes, lanes_at, vector_function
from dsconv_lib.spec import Array

# Rows of a tile, and of a smaller one for what is left: 14 rows of two registers, two of the matrix and one number of
# the row fill the 32 registers of AVX-512. Elsewhere one of these lanes is two or four registers.
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
TALL, SHORT = (14, 7) if WIDE else (3, 1)


def panel_width(dtype: Any) -> int:
    """Return how many output channels a tile has."""
    return 2 * BYTES // np.dtype(dtype).itemsize


def pack(matrix: Array) -> Array:
    """Lay the columns of a matrix (M, N) out panel by panel: (panels, M, width), each what a tile reads in its order.

    N is a panel's width at least. The last panel may overlap the one before it.

    >>> pack(np.zeros((5, 40), np.float32)).shape
    (2, 5, 32)
    """
    width, columns = panel_width(matrix.dtype), matrix.shape[1]
    starts = [min(start, columns - width) for start in range(0, columns, width)]
    return np.stack([matrix[:, start : start + width] for start in starts])


def _tile(rows: int, relu: bool) -> Any:
    """Make the function that computes a tile of this many rows, its loop over the input channels written in LLVM's words.

    Numba has no way to name 28 registers; Python, which writes the loop down, has lists.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(_, x, x_at, x_step, panels, panel_at, depth, bias, bias_at, y, y_at, y_step):  # type: ignore[no-untyped-def]
        lanes, size = Lanes(x.dtype), x.dtype.bitwidth // 8
        count = BYTES // size

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            vector, index = context.get_value_type(lanes), context.get_value_type(types.intp)
            x_, at, x_step_, panels_, panel, depth_, bias_, bias_at_, y_, y_at_, y_step_ = arguments

            def place(kind, array, start, shift):  # type: ignore[no-untyped-def]
                start = builder.add(start, index(shift))
                return lanes_at(context, builder, kind, array, start, lanes)

            def loaded(kind, array, start):  # type: ignore[no-untyped-def]
                return [builder.load(place(kind, array, start, n * count), align=size) for n in (0, 1)]

            multiply_add = vector_function(builder, vector, x.dtype.bitwidth)
            numbers = cgutils.create_struct_proxy(x)(context, builder, x_).data
            starts = [builder.add(at, builder.mul(x_step_, index(r))) for r in range(rows)]
            first = loaded(bias, bias_, bias_at_)
            before, loop, after = builder.block, *(builder.append_basic_block(n) for n in ("loop", "after"))
            builder.branch(loop)
            builder.position_at_end(loop)
            m = builder.phi(index)
            totals = [[builder.phi(vector) for _ in first] for _ in range(rows)]
            m.add_incoming(index(0), before)
            weights = loaded(panels, panels_, builder.add(panel, builder.mul(m, index(2 * count))))
            sums = []
            for start, row in zip(starts, totals, strict=True):
                number = builder.load(builder.gep(numbers, [builder.add(start, m)]))
                spread = _spread(builder, number, vector)
                sums.append([builder.call(multiply_add, [spread, w, t]) for w, t in zip(weights, row, strict=True)])
            following = builder.add(m, index(1))
            m.add_incoming(following, loop)
            for row, new in zip(totals, sums, strict=True):
                for total, begun, grown in zip(row, first, new, strict=True):
                    total.add_incoming(begun, before)
                    total.add_incoming(grown, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth_), loop, after)
            builder.position_at_end(after)
            zero = ir.Constant(vector, None)
            for r, row in enumerate(sums):
                start = builder.add(y_at_, builder.mul(y_step_, index(r)))
                for n, value in enumerate(row):
                    if relu:
                        value = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
                    builder.store(value, place(y, y_, start, n * count), align=size)
            return context.get_dummy_value()

        i = types.intp
        return types.void(x, i, i, panels, i, i, bias, i, y, i, i), generate

    return tile


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    """Put one number into every lane."""
    lone = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    where = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    return builder.shuffle_vector(lone, ir.Constant(vector, ir.Undefined), where)


@lru_cache(maxsize=None)
def product_loops(relu: bool) -> Any:
    """Compile the product.

    Returns:
        A function (x, panels, bias, y) that fills y (pixels, N) with x (pixels, M) times the packed matrix, plus bias
        (N,), and, with relu, 0 where that is negative.
    """
    tall, short, single = (_tile(rows, relu) for rows in (TALL, SHORT, 1))

    @njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
    def multiply(x, panels, bias, y):  # type: ignore[no-untyped-def]
        pixels, depth = x.shape
        columns, width = y.shape[1], panels.shape[2]
        for p in range(panels.shape[0]):
            n, at = min(p * width, columns - width), p * depth * width
            row = 0
            while row + TALL <= pixels:
                tall(x, row * depth, depth, panels, at, depth, bias, n, y, row * columns + n, columns)
                row += TALL
            while row + SHORT <= pixels:
                short(x, row * depth, depth, panels, at, depth, bias, n, y, row * columns + n, columns)
                row += SHORT
            while row < pixels:
                single(x, row * depth, depth, panels, at, depth, bias, n, y, row * columns + n, columns)
                row += 1

    return multiply
