"""Records as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dsconv_lib.errors import MissingError
from dsconv_lib.train.records import Board, EpochRecord


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, 0.1 / epoch, 2.0 / epoch, 0.5, 1.5 / epoch, 0.25 * epoch, 100.0, 3.0)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder)).Reload()
    return {
        name: [(point.step, point.value) for point in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_each_record_is_a_point_on_each_curve(tmp_path: Path) -> None:
    board = Board(tmp_path, [])
    board.add(record(1))
    board.add(record(2))
    drawn = curves(tmp_path)
    assert drawn["test_accuracy"] == [(1, 0.25), (2, 0.5)]
    assert drawn["train_loss"] == [(1, 2.0), (2, 1.0)]
    assert len(drawn) == 7


def test_a_resumed_run_draws_each_epoch_once(tmp_path: Path) -> None:
    killed = Board(tmp_path, [])
    for epoch in (1, 2, 3):  # the third was drawn, and its checkpoint never written
        killed.add(record(epoch))
    killed.writer.close()
    resumed = Board(tmp_path, [record(1), record(2)])
    resumed.add(record(3))
    assert [step for step, _ in curves(tmp_path)["test_loss"]] == [1, 2, 3]


def test_without_the_package_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingError, match=r"needs tensorboard: .* pip install '\.\[curves\]'"):
        Board(tmp_path, [])
