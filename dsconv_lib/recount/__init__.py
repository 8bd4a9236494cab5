"""The vocabulary in which the book recomputes printed figures and tries statements; one import brings all of it.

>>> from dsconv_lib.recount import *
>>> percent(cost.of(part(mobilenet_v1_layers(), "pointwise")).macs, cost.of(mobilenet_v1_layers()).macs)
94.85740726903795
>>> for_all(lambda c: run_loops("pointwise", c).macs == c.M * c.DG ** 2 * c.N)
True

It is the library's own names, and what these lack: `counts` of networks, `cases` of one layer, `arrays`, `texts`.
`expressions` computes a calculation that is written down, and `verdicts` judges a printed figure or a statement by its
calculations.
"""

from math import prod

from dsconv_lib import cost, ops, spec
from dsconv_lib.networks import (
    alexnet_layers,
    googlenet_layers,
    inception_v3_layers,
    mobilenet_v1_layers,
    squeezenet_layers,
    vgg16_layers,
    xception_layers,
)
from dsconv_lib.recount.arrays import (
    best_term,
    compose,
    difference,
    digits,
    distance,
    embed,
    energy,
    mix,
    pixels_seen,
    random,
    rank,
    reads,
)
from dsconv_lib.recount.cases import for_all, one_position, refused, run_loops
from dsconv_lib.recount.counts import (
    averaged,
    convolutions,
    macs_inside,
    part,
    percent,
    points,
    quotient,
    with_biases,
)
from dsconv_lib.recount.texts import in_glossary, same

__all__ = [
    "alexnet_layers", "averaged", "best_term", "compose", "convolutions", "cost", "difference", "digits",
    "distance", "embed", "energy", "for_all", "googlenet_layers", "in_glossary", "inception_v3_layers",
    "macs_inside", "mix", "mobilenet_v1_layers", "one_position", "ops", "part", "percent", "pixels_seen",
    "points", "prod", "quotient", "random", "rank", "reads", "refused", "run_loops", "same", "spec",
    "squeezenet_layers", "vgg16_layers", "with_biases", "xception_layers",
]  # fmt: skip
