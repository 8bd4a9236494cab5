"""Training, from a laptop's CPU to several GPUs: `loop.fit` is the loop, the other files are its parts.

`RECIPES` holds settings that work for each data set of `data`. A run gives the same numbers again on the same CPU with
the same seed and number of threads: all chance comes from one generator, and torch's own is left as it was.
"""

from dsconv_lib.train.checkpoint import CHECKPOINT as CHECKPOINT
from dsconv_lib.train.checkpoint import CheckpointError as CheckpointError
from dsconv_lib.train.checkpoint import build as build
from dsconv_lib.train.checkpoint import load_checkpoint as load_checkpoint
from dsconv_lib.train.checkpoint import save_checkpoint as save_checkpoint
from dsconv_lib.train.evaluation import accuracy as accuracy
from dsconv_lib.train.evaluation import evaluate as evaluate
from dsconv_lib.train.images import augment as augment
from dsconv_lib.train.images import prepare as prepare
from dsconv_lib.train.loop import fit as fit
from dsconv_lib.train.optimiser import SCHEDULES as SCHEDULES
from dsconv_lib.train.optimiser import one_cycle as one_cycle
from dsconv_lib.train.optimiser import parameter_groups as parameter_groups
from dsconv_lib.train.optimiser import schedule as schedule
from dsconv_lib.train.processes import joined as joined
from dsconv_lib.train.processes import pick_device as pick_device
from dsconv_lib.train.recipes import NETWORKS as NETWORKS
from dsconv_lib.train.recipes import RECIPES as RECIPES
from dsconv_lib.train.recipes import Recipe as Recipe
from dsconv_lib.train.recipes import TrainingError as TrainingError
from dsconv_lib.train.records import METRICS as METRICS
from dsconv_lib.train.records import EpochRecord as EpochRecord
from dsconv_lib.train.records import StepRecord as StepRecord
from dsconv_lib.train.step import Way as Way
