"""What a run says of itself: to the screen as it goes on, to files after each epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from dsconv_lib.errors import need

METRICS = "metrics.csv"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch came to; its fields are the columns of metrics.csv.

    `learning_rate` is that of the last step. Training loss (smoothed labels) and accuracy are averages over the epoch's
    changed images, while the weights move; test loss and accuracy are taken after it, on the whole test set as it is.
    Accuracies are fractions. `images_per_second` is the training alone, `seconds` the epoch with its test.
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


class Board:
    """The records as curves for TensorBoard, in a run's folder; an earlier run's are replaced.

    Raises:
        MissingError: if the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, earlier: list[EpochRecord]) -> None:
        board = need(
            "torch.utils.tensorboard", "tensorboard=True", package="tensorboard", extra="curves"
        )
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = board.SummaryWriter(str(folder))
        for record in earlier:
            self.add(record)

    def add(self, record: EpochRecord) -> None:
        """Add one point to each curve."""
        curves = asdict(record)
        epoch = curves.pop("epoch")
        for name, value in curves.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()
