"""Calculations that are written down: what they may say, and what they give.

A calculation is a Python expression over the vocabulary and a few of Python's own functions, and nothing else: no
import, no foreign attribute, no expression without a call. That is checked first, so that nothing holds by being
written down.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

from dsconv_lib import recount
from dsconv_lib.cost import Cost
from dsconv_lib.errors import UserError
from dsconv_lib.networks import Layer
from dsconv_lib.recount.arrays import Reads
from dsconv_lib.recount.cases import Case, Run
from dsconv_lib.spec import ConvSpec

NAMES: dict[str, Any] = {
    **{name: getattr(recount, name) for name in recount.__all__},
    **{python.__name__: python for python in (abs, any, float, len, max, range, round, sum)},
}
ATTRIBUTES = {
    *(
        "of",
        "ratio",
        "standard",
        "depthwise",
        "pointwise",
        "separable",
        "separable_backward",
    ),  # of cost, spec and ops
    *("shape", "ndim", "sum"),  # of arrays
    *(name for kind in (Cost, ConvSpec, Layer, Case, Run, Reads) for name in dir(kind)),
}
SYNTAX = (
    ast.Expression | ast.Call | ast.keyword | ast.Name | ast.Load | ast.Store | ast.Constant
    | ast.Attribute | ast.BinOp | ast.operator | ast.UnaryOp | ast.unaryop | ast.BoolOp | ast.boolop
    | ast.Compare | ast.cmpop | ast.Tuple | ast.List | ast.Subscript | ast.Slice | ast.Lambda
    | ast.arguments | ast.arg | ast.GeneratorExp | ast.ListComp | ast.comprehension
)  # fmt: skip


class CalculationError(UserError, ValueError):
    """A calculation that says too little, or more than it may; or a case that does not hold."""


def parse(expression: str) -> ast.Expression:
    """Parse a calculation.

    Raises:
        CalculationError: if it uses anything but expressions over `NAMES`, calls none of them, or compares a
            thing with itself.
        SyntaxError: if it is no Python expression.
    """
    tree = ast.parse(expression.strip(), mode="eval")
    nodes = list(ast.walk(tree))
    bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    called = False
    for node in nodes:
        match node:
            case ast.Name(id=name) if name not in bound and name not in NAMES:
                raise CalculationError(f"{expression}: {name} is not one of the names")
            case ast.Attribute(attr=name) if name.startswith("_") or name not in ATTRIBUTES:
                raise CalculationError(f"{expression}: {name} is not one of the attributes")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name))):
                called |= name in NAMES
            case ast.Compare(left=left, comparators=others):
                if len({ast.dump(side) for side in (left, *others)}) <= len(others):
                    raise CalculationError(f"{expression}: compares a thing with itself")
        if not isinstance(node, SYNTAX):
            raise CalculationError(f"{expression}: {type(node).__name__} has no place here")
    if not called:
        raise CalculationError(f"{expression}: calculates nothing, it calls no function")
    return tree


@cache
def evaluate(expression: str) -> Any:
    """Compute a calculation; the errors are those of `parse`, and of the functions that it calls.

    >>> evaluate("cost.of(mobilenet_v1_layers()).macs")
    568740352
    """
    return eval(compile(parse(expression), "<calculation>", "eval"), {"__builtins__": {}, **NAMES})
