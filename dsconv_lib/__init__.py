"""Depthwise-separable convolution, step by step: the library behind the course.

`spec` makes the noun, a convolution; read the other modules in the order of the chapters: `loops`, `ops`, `cost`,
`layers`, `networks`, `models`, `profile`, `data`, `train`. A module is imported when it is first named, so that
`dsconv_lib.cost` does not wait for torch.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType

__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_") or find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *(module.name for module in iter_modules(__path__))})
