"""Depthwise-separable convolution, step by step: the library behind the course.

Read the modules in the order of the chapters: `spec`, `loops`, `ops`, `cost`, `layers`, `models`, `profile`,
`data`, `train`. Each of the first five has the same four names: standard, depthwise, pointwise, separable.
"""

__version__ = "0.1.0"
