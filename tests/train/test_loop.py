"""Whole runs on the digits, broken ones among them."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dsconv_lib.data import ImageData, load
from dsconv_lib.models import MobileNetV1
from dsconv_lib.networks import mobilenet_v1_layers
from dsconv_lib.train import (
    RECIPES,
    SCHEDULES,
    CheckpointError,
    EpochRecord,
    StepRecord,
    TrainingError,
    Way,
    accuracy,
    build,
    evaluate,
    fit,
    load_checkpoint,
    prepare,
)
from tests.apart import APART, apart
from tests.runs import ARGUMENTS, CPU, SHORT, Run, same, untimed


def test_two_epochs_learn_something(run: Run) -> None:
    first, second = run.records
    assert second.train_loss < first.train_loss
    assert second.train_accuracy > 0.5
    assert second.learning_rate < RECIPES["digits"].learning_rate / 100
    assert not run.model.training


def test_callbacks_see_each_step_and_epoch(run: Run) -> None:
    assert run.epochs == run.records
    assert [(now.epoch, now.step, now.steps) for now in run.steps] == [
        (epoch, step, 23) for epoch in (1, 2) for step in range(1, 24)
    ]
    last = run.steps[-1]
    assert last.train_loss == run.records[-1].train_loss
    assert last.train_accuracy == run.records[-1].train_accuracy
    assert all(0 < now.images_per_second < math.inf for now in run.steps)


def test_the_metrics_file_holds_the_records(run: Run) -> None:
    with (run.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
        "images_per_second",
        "seconds",
    ]
    assert [
        EpochRecord(int(row.pop("epoch")), *(float(value) for value in row.values()))
        for row in rows
    ] == run.records


def test_the_checkpoint_gives_the_same_model_again(run: Run, digits: ImageData) -> None:
    loaded = load_checkpoint(run.folder / "checkpoint.pt")
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint.pt", "metrics.csv"]
    tensors = prepare(digits)
    measured = accuracy(loaded.model, tensors.test_images, tensors.test_labels)
    assert measured == loaded.test_accuracy == run.records[-1].test_accuracy
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name])
    assert (loaded.model.arguments, loaded.recipe, loaded.data, loaded.epoch) == (
        {**ARGUMENTS, "separable": True},
        SHORT,
        "digits",
        2,
    )
    assert loaded.mean == tuple(tensors.mean.tolist())
    assert loaded.std == tuple(tensors.std.tolist())
    assert not loaded.model.training


def test_the_same_seed_gives_the_same_run(run: Run, digits: ImageData) -> None:
    torch.manual_seed(12345)  # what torch draws elsewhere plays no part
    before = torch.get_rng_state()
    model = build(ARGUMENTS, seed=0)
    records = fit(model, digits, SHORT, way=CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert untimed(records) == untimed(run.records)
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_another_seed_gives_another_run(few: ImageData) -> None:
    recipe = replace(SHORT, epochs=1)
    other = replace(recipe, seed=1)
    same_start = [fit(build(ARGUMENTS), few, each, way=CPU) for each in (recipe, other)]
    assert untimed(same_start[0]) != untimed(same_start[1])
    first, second = build(ARGUMENTS, seed=0), build(ARGUMENTS, seed=1)
    assert not torch.equal(first.classifier.weight, second.classifier.weight)


def test_the_recipe_for_digits_reaches_97_percent(digits: ImageData) -> None:
    model = build({**ARGUMENTS, "alpha": 0.5})
    records = fit(model, digits, RECIPES["digits"], way=CPU)
    assert records[-1].test_accuracy >= 0.97
    assert max(record.learning_rate for record in records) <= RECIPES["digits"].learning_rate


def test_the_twin_trains_too(few: ImageData, tmp_path: Path) -> None:
    arguments = {**ARGUMENTS, "separable": False}
    recipe = replace(SHORT, epochs=1)
    fit(build(arguments), few, recipe, way=CPU, folder=tmp_path)
    model = load_checkpoint(tmp_path / "checkpoint.pt").model
    layers = mobilenet_v1_layers(
        0.25, 16, num_classes=10, in_channels=1, stem="small", separable=False, shallow=True
    )
    assert sum(p.numel() for p in model.parameters()) == sum(layer.trainable for layer in layers)


@pytest.mark.parametrize("count", [2, 3, 65, 129])
def test_no_batch_is_left_with_one_image(digits: ImageData, count: int) -> None:
    data = replace(digits.subset(count), test_images=digits.test_images[:2])
    data = replace(data, test_labels=digits.test_labels[:2])
    batch_size = 2 if count == 3 else 64
    recipe = replace(SHORT, epochs=1, batch_size=batch_size, learning_rate=1e-3)
    assert len(fit(build(ARGUMENTS), data, recipe, way=CPU)) == 1


def test_a_loss_that_is_no_longer_finite_keeps_the_last_checkpoint(
    few: ImageData, tmp_path: Path
) -> None:
    model = build(ARGUMENTS)
    content: list[bytes] = []

    def spoil(record: StepRecord | EpochRecord) -> None:
        if isinstance(record, StepRecord):
            return
        content.append((tmp_path / "checkpoint.pt").read_bytes())
        if record.epoch == 2:
            with torch.no_grad():
                model.classifier.weight.fill_(math.nan)

    recipe = replace(SHORT, epochs=4)
    with pytest.raises(
        TrainingError, match=r"no longer finite in epoch 3, step 1: .*learning rate"
    ):
        fit(
            model,
            few,
            recipe,
            way=CPU,
            folder=tmp_path,
            report=spoil,
        )
    assert len(content) == 2
    assert (tmp_path / "checkpoint.pt").read_bytes() == content[1]
    assert load_checkpoint(tmp_path / "checkpoint.pt").epoch == 2
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3


def test_a_learning_rate_that_is_too_high(few: ImageData) -> None:
    recipe = replace(SHORT, learning_rate=1e30, warmup=0)
    with pytest.raises(
        TrainingError, match=r"in epoch 1, step 2: .*lower learning rate than 1e\+30"
    ):
        fit(build(ARGUMENTS), few, recipe, way=CPU)


def test_weights_spoilt_by_the_very_last_step(few: ImageData, tmp_path: Path) -> None:
    """The only loss of the run is finite; the step after it is not."""
    recipe = replace(SHORT, epochs=1, batch_size=1000, learning_rate=1e38, warmup=0)
    with pytest.raises(TrainingError, match="in epoch 1, step 1"):
        fit(build(ARGUMENTS), few, recipe, way=CPU, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_shift_as_large_as_the_image(few: ImageData) -> None:
    with pytest.raises(TrainingError, match="shift=16: expected fewer pixels"):
        fit(build(ARGUMENTS), few, replace(SHORT, shift=16), way=CPU)


def test_a_folder_takes_the_model_that_a_checkpoint_is_loaded_as(
    few: ImageData, tmp_path: Path
) -> None:
    other = nn.Sequential(nn.Flatten(), nn.Linear(256, 10))
    with pytest.raises(TrainingError, match="Sequential with a folder: expected MobileNetV1"):
        fit(other, few, SHORT, way=CPU, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(fit(other, few, SHORT, way=CPU)) == 2  # and without one, any


def test_a_folder_that_cannot_be_made(few: ImageData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TrainingError, match=r"cannot be made: .*; name another folder"):
            fit(build(ARGUMENTS), few, SHORT, way=CPU, folder=folder)


LONG = replace(SHORT, epochs=6)


@pytest.fixture(scope="module")
def unbroken(digits: ImageData) -> tuple[list[EpochRecord], dict[str, torch.Tensor]]:
    model = build(ARGUMENTS, seed=0)
    records = fit(model, digits.subset(300), LONG, way=CPU)
    return untimed(records), model.state_dict()


@pytest.mark.parametrize("stopped_after", [0, 1, 3, 5, 6])
def test_a_stopped_run_resumes_to_the_same_numbers(
    stopped_after: int, digits: ImageData, tmp_path: Path, unbroken: Any
) -> None:
    def stop(now: StepRecord | EpochRecord) -> None:
        if isinstance(now, StepRecord) and (now.epoch, now.step) == (stopped_after + 1, 2):
            raise KeyboardInterrupt

    where: dict[str, Any] = {"way": CPU, "folder": tmp_path}
    try:
        fit(build(ARGUMENTS, seed=0), digits.subset(300), LONG, report=stop, **where)
    except KeyboardInterrupt:
        assert stopped_after < 6

    seen: list[int] = []
    model = build(ARGUMENTS, seed=1)  # the weights come from the file, if there is one
    if not stopped_after:
        model = build(ARGUMENTS, seed=0)
    records = fit(
        model,
        digits.subset(300),
        LONG,
        resume=True,
        report=lambda now: isinstance(now, EpochRecord) and seen.append(now.epoch),
        **where,
    )
    assert seen == list(range(stopped_after + 1, 7))
    assert untimed(records) == unbroken[0]
    assert same(model, unbroken[1])
    assert same(load_checkpoint(tmp_path / "checkpoint.pt").model, unbroken[1])
    with (tmp_path / "metrics.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + 6


def resume(folder: Path, ready: Event) -> None:
    torch.set_num_threads(1)
    data = load("digits").subset(300)
    ready.set()
    fit(build(ARGUMENTS, seed=0), data, LONG, way=CPU, folder=folder, resume=True)


def test_a_run_killed_at_a_random_moment_resumes_to_the_same_numbers(
    digits: ImageData, tmp_path: Path, unbroken: Any
) -> None:
    """A real process, really killed, three times: wherever it was."""
    chance = np.random.default_rng()
    for _ in range(3):
        ready = APART.Event()
        process = apart(resume, tmp_path, ready)
        assert ready.wait(300)
        time.sleep(chance.uniform(0.0, 1.0))
        process.kill()
        process.join()

    model = build(ARGUMENTS, seed=0)
    records = fit(model, digits.subset(300), LONG, way=CPU, folder=tmp_path, resume=True)
    assert untimed(records) == unbroken[0]
    assert same(model, unbroken[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": replace(LONG, seed=5)}, "seed=5, and the run in .* has 0"),
        ({"recipe": replace(LONG, learning_rate=0.5)}, "learning_rate=0.5, .* has 0.2"),
        ({"count": 200}, "images=200, and the run in .* has 300"),
        ({"arguments": {**ARGUMENTS, "alpha": 0.5}}, "alpha=0.5, and the run in .* has 0.25"),
    ],
)
def test_another_run_is_not_resumed(
    change: dict[str, Any], message: str, digits: ImageData, tmp_path: Path
) -> None:
    where: dict[str, Any] = {"way": CPU, "folder": tmp_path}
    one = replace(LONG, epochs=1)
    fit(build(ARGUMENTS), digits.subset(300), one, **where)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    recipe = replace(change.get("recipe", one), epochs=1)
    arguments = change.get("arguments", ARGUMENTS)
    data = digits.subset(change.get("count", 300))
    with pytest.raises(TrainingError, match=message):
        fit(build(arguments), data, recipe, resume=True, **where)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_resuming_needs_a_folder_and_a_whole_checkpoint(few: ImageData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="resume without a folder"):
        fit(build(ARGUMENTS), few, SHORT, way=CPU, resume=True)
    where: dict[str, Any] = {"way": CPU, "folder": tmp_path}
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="damaged"):
        fit(build(ARGUMENTS), few, SHORT, resume=True, **where)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"half a file"


# What a recipe and a call may add


def test_every_batch_of_an_epoch_has_one_size(few: ImageData) -> None:
    sizes: list[int] = []

    class Watched(MobileNetV1):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                sizes.append(len(x))
            return super().forward(x)

    # 130 images in batches of at most 50: three of 43, and one image left out.
    fit(Watched(**ARGUMENTS), few, replace(SHORT, epochs=1, batch_size=50), way=CPU)
    assert sizes == [43, 43, 43]


def test_flips_in_turn_show_each_image_both_ways(few: ImageData) -> None:
    seen: list[torch.Tensor] = []

    class Watched(MobileNetV1):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(x.clone())
            return super().forward(x)

    recipe = replace(SHORT, shift=0, flip="in turn", batch_size=130)
    fit(Watched(**ARGUMENTS), few, recipe, way=CPU)
    first, second = (batch.flatten(1) for batch in seen)
    mirrored = second.unflatten(1, (1, 16, 16)).flip(3).flatten(1)
    # Each image of the first epoch comes mirrored in the second, whatever its place.
    assert (torch.cdist(first, mirrored).min(dim=1).values < 2e-2).all()
    straight = prepare(few).train_images.flatten(1)
    as_it_was = (torch.cdist(first, straight).min(dim=1).values < 2e-2).sum()
    assert 40 < as_it_was < 90  # about half of the 130 start on each side


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_the_schedule_decides_on_the_rate(schedule: Any, few: ImageData) -> None:
    recipe = replace(SHORT, epochs=4, schedule=schedule)
    rates = [r.learning_rate for r in fit(build(ARGUMENTS), few, recipe, way=CPU)]
    steps = 3  # batches of 43
    expected = [
        0.2 * SCHEDULES[schedule](epoch * steps - 1, 4 * steps, recipe.warmup)
        for epoch in (1, 2, 3, 4)
    ]
    assert rates == expected


def test_the_averaged_weights_are_tested_kept_and_resumed(few: ImageData, tmp_path: Path) -> None:
    recipe = replace(SHORT, average=0.9, epochs=4)
    unbroken = build(ARGUMENTS)
    records = fit(unbroken, few, recipe, way=CPU)
    tensors = prepare(few)
    tested = evaluate(unbroken, tensors.test_images, tensors.test_labels)
    assert tested == (records[-1].test_loss, records[-1].test_accuracy)
    plain = build(ARGUMENTS)
    without = fit(plain, few, replace(recipe, average=0.0), way=CPU)
    assert [r.train_loss for r in without] == [r.train_loss for r in records]
    assert not same(plain, unbroken.state_dict())

    def stop(record: StepRecord | EpochRecord) -> None:
        if isinstance(record, EpochRecord) and record.epoch == 2:
            raise KeyboardInterrupt

    where: dict[str, Any] = {"way": CPU, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        fit(build(ARGUMENTS), few, recipe, report=stop, **where)
    model = build(ARGUMENTS)
    resumed = fit(model, few, recipe, resume=True, **where)
    assert untimed(resumed) == untimed(records)
    assert same(model, unbroken.state_dict())
    assert same(load_checkpoint(tmp_path / "checkpoint.pt").model, unbroken.state_dict())


def test_a_recorded_step_needs_a_gpu(few: ImageData) -> None:
    with pytest.raises(TrainingError, match="graph=True: expected one process on a GPU"):
        fit(build(ARGUMENTS), few, SHORT, way=Way("cpu", graph=True))


def test_the_curves_for_tensorboard_are_written_on_request(few: ImageData, tmp_path: Path) -> None:
    where: dict[str, Any] = {"way": CPU, "folder": tmp_path}
    fit(build(ARGUMENTS), few, replace(SHORT, epochs=1), **where)
    assert not list(tmp_path.glob("events*"))
    fit(build(ARGUMENTS), few, replace(SHORT, epochs=1), tensorboard=True, **where)
    assert len(list(tmp_path.glob("events*"))) == 1
    with pytest.raises(TrainingError, match="tensorboard without a folder"):
        fit(build(ARGUMENTS), few, SHORT, way=CPU, tensorboard=True)
