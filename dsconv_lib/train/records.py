"""What a run says of itself: to the screen as it goes on, to files after each epoch."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import NamedTuple

from dsconv_lib.train.errors import TrainingError

METRICS = "metrics.csv"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch came to; its fields are the columns of metrics.csv.

    `learning_rate` is that of the last step. Training loss (smoothed labels) and accuracy are
    averages over the epoch's changed images, while the weights move; test loss and accuracy are
    taken after it, on the whole test set as it is. Accuracies are fractions. `images_per_second` is
    the training alone, `seconds` the epoch with its test.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    images_per_second: float
    seconds: float


class StepRecord(NamedTuple):
    """Where a running epoch stands: step of steps; loss, accuracy and speed since it began."""

    epoch: int
    step: int
    steps: int
    train_loss: float
    train_accuracy: float
    images_per_second: float


def as_csv(records: list[EpochRecord]) -> bytes:
    """Return the records as the content of metrics.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(EpochRecord))
    writer.writerows(astuple(record) for record in records)
    return text.getvalue().encode()


class Board:
    """The records as curves for TensorBoard, in a run's folder; an earlier run's are replaced.

    Raises:
        TrainingError: if the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, earlier: list[EpochRecord]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingError(
                "tensorboard=True needs the package tensorboard: pip install tensorboard"
            ) from error
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = SummaryWriter(str(folder))
        for record in earlier:
            self.add(record)

    def add(self, record: EpochRecord) -> None:
        """Add one point to each curve."""
        for field in fields(EpochRecord)[1:]:
            value = getattr(record, field.name)
            self.writer.add_scalar(field.name, value, record.epoch)
        self.writer.flush()
