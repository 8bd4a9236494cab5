"""Training, from a laptop's CPU to several GPUs: `loop.fit` is the loop, the other files are its parts.

`RECIPES` holds settings that work for each data set of `data`. A run gives the same numbers again
on the same CPU with the same seed and number of threads: all chance comes from one generator, and
torch's own is left as it was.
"""

from dsconv_lib.train.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    build,
    load_checkpoint,
    save_checkpoint,
)
from dsconv_lib.train.errors import TrainingError
from dsconv_lib.train.evaluation import accuracy, evaluate
from dsconv_lib.train.images import Tensors, augment, prepare
from dsconv_lib.train.loop import fit
from dsconv_lib.train.optimiser import SCHEDULES, one_cycle, parameter_groups, schedule
from dsconv_lib.train.processes import joined, pick_device
from dsconv_lib.train.recipes import NETWORKS, RECIPES, Recipe
from dsconv_lib.train.records import METRICS, EpochRecord, StepRecord
from dsconv_lib.train.step import Way

__all__ = [
    "CHECKPOINT",
    "METRICS",
    "NETWORKS",
    "RECIPES",
    "SCHEDULES",
    "Checkpoint",
    "CheckpointError",
    "EpochRecord",
    "Recipe",
    "StepRecord",
    "Tensors",
    "TrainingError",
    "Way",
    "accuracy",
    "augment",
    "build",
    "evaluate",
    "fit",
    "joined",
    "load_checkpoint",
    "one_cycle",
    "parameter_groups",
    "pick_device",
    "prepare",
    "save_checkpoint",
    "schedule",
]
