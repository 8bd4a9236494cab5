"""A vector register in a compiled loop: sixteen float32, or eight float64, side by side, in one instruction.

Left alone, a compiler gives up on a loop that writes to several places: it cannot see that none of them overlaps what
the loop reads. These functions say it: `load` and `store` move 64 bytes, neighbouring channels of one pixel.
Where a processor's registers are narrower, one of these is two or four of them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

BYTES = 64


class Lanes(types.Type):
    """As many numbers as fill `BYTES`."""

    def __init__(self, dtype: Any) -> None:
        super().__init__(f"Lanes({dtype})")
        self.dtype = dtype


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        number = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(number, BYTES * 8 // kind.dtype.bitwidth))


def lanes_at(context: Any, builder: Any, kind: Any, array: Any, start: Any, lanes: Any) -> Any:
    """Point to the lanes that begin at an element of a contiguous array, counted from its first."""
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    place = builder.gep(data, [start])
    return builder.bitcast(place, context.get_value_type(lanes).as_pointer())


def require_contiguous(array: Any) -> None:
    """Refuse, while a loop is compiled, an array whose elements do not follow each other in memory."""
    if array.layout != "C":
        raise TypingError(f"{array}: expected a contiguous array, as elements are counted through")


def vector_function(builder: Any, vector: Any, bits: int) -> Any:
    """Return LLVM's multiply and add of vectors of numbers of so many bits."""
    kind = ir.FunctionType(vector, [vector] * 3)
    name = f"llvm.fmuladd.v{vector.count}f{bits}"
    return cgutils.get_or_insert_function(builder.module, kind, name)


@intrinsic
def load(_: Any, array: Any, start: Any) -> Any:
    """Read the lanes of a contiguous array that begin at element `start`, counted through all dimensions."""
    require_contiguous(array)
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_, start_ = arguments
        place = lanes_at(context, builder, signature.args[0], array_, start_, lanes)
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return lanes(array, types.intp), generate


@intrinsic
def store(_: Any, array: Any, start: Any, value: Any) -> Any:
    """Write lanes to a contiguous array, from element `start` on."""
    require_contiguous(array)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_, start_, value_ = arguments
        place = lanes_at(context, builder, signature.args[0], array_, start_, value)
        builder.store(value_, place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def zeros(_: Any, array: Any) -> Any:
    """Return lanes of zeros, of the type of an array's numbers."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(lanes), None)

    return lanes(array), generate


@intrinsic
def multiply_add(_: Any, a: Any, b: Any, total: Any) -> Any:
    """Return a * b + total, lane by lane, in one instruction where the processor has it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(total)
        return builder.call(vector_function(builder, vector, total.dtype.bitwidth), arguments)

    return total(a, b, total), generate


@intrinsic
def maximum(_: Any, a: Any, b: Any) -> Any:
    """Return the larger of a and b, lane by lane; of a NaN in a, the NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = arguments
        return builder.select(builder.fcmp_ordered("<", first, second), second, first)

    return a(a, b), generate
