"""A run's folder: its metrics, its checkpoint and, if asked for, its curves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from dsconv_lib.files import replace_file
from dsconv_lib.train import processes
from dsconv_lib.train.checkpoint import CHECKPOINT, read, save_checkpoint
from dsconv_lib.train.errors import TrainingError
from dsconv_lib.train.records import METRICS, Board, EpochRecord, as_csv


class RunFolder:
    """The files of one run; of several processes the first one writes them.

    Args:
        folder: made if it is not there.
        settings: what must be the same for a run to be the same; kept in the checkpoint.

    Raises:
        TrainingError: if the folder cannot be written to: after an epoch it is late to say so.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.settings = folder, settings
        self.checkpoint = folder / CHECKPOINT
        self.board: Board | None = None
        if processes.rank() > 0:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"{folder} cannot be made: {error.strerror}; name another folder"
            ) from error
        if not os.access(folder, os.W_OK):
            raise TrainingError(f"{folder} cannot be written to; name another folder")

    def earlier(self) -> dict[str, Any] | None:
        """Content of the checkpoint, or None if the run ended before it had written one.

        Raises:
            TrainingError: if the checkpoint comes from another run than the one that is to go on.
            CheckpointError: if it is damaged.
        """
        saved = processes.from_first(
            lambda: read(self.checkpoint) if self.checkpoint.exists() else None
        )
        if saved is not None:
            self._check_same_run(saved)
        return saved

    def draw(self, earlier: list[EpochRecord]) -> None:
        """Write curves for TensorBoard, too, beginning with earlier records."""
        if processes.rank() == 0:
            self.board = Board(self.folder, earlier)

    def write(self, records: list[EpochRecord], state: Mapping[str, Any]) -> None:
        """Replace the files by those after one more epoch.

        Args:
            records: of all epochs.
            state: what the run needs to go on, `weights` among it.
        """
        if processes.rank() > 0:
            return
        now = {
            "records": [astuple(record) for record in records],
            "epoch": records[-1].epoch,
            "test_accuracy": records[-1].test_accuracy,
        }
        save_checkpoint(self.checkpoint, {**self.settings, **state, **now})
        replace_file(self.folder / METRICS, as_csv(records))
        if self.board is not None:
            self.board.add(records[-1])

    def _check_same_run(self, saved: Mapping[str, Any]) -> None:
        state = {"weights", "moving_weights", "optimiser", "generator", "records"}
        missing = {*state, *self.settings} - saved.keys()
        if missing:
            raise TrainingError(
                f"{self.checkpoint} lacks {', '.join(sorted(missing))}: it can be loaded, and not "
                f"resumed; train again in another folder"
            )
        flat = [{**each, **each["arguments"], **each["recipe"]} for each in (saved, self.settings)]
        for name in flat[1]:
            before, now = (each.get(name) for each in flat)
            if before != now and name not in ("arguments", "recipe"):
                raise TrainingError(
                    f"{name}={now!r}, and the run in {self.folder} has {before!r}: expected the same "
                    f"settings and data to resume it"
                )
