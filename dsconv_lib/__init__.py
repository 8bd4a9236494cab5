"""Depthwise-separable convolution, step by step: the library behind the course.

Read the modules in the order of the chapters: `spec`, `loops`, `ops`, `cost`, `layers`, `models`, `profile`,
`data`, `train`. Each of the first five has the same four names: standard, depthwise, pointwise, separable.
A module is imported when it is first named, so that `dsconv_lib.cost` does not wait for torch.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

# From the ground floor up.
MODULES = (
    *("spec", "loops", "ops", "cost", "machine", "timing", "layers", "models", "profile"),
    *("data", "train", "kernels", "throughput", "figures"),
)


def __getattr__(name: str) -> ModuleType:
    if name in MODULES:
        return import_module(f"dsconv_lib.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
