"""Training: the parts one by one, then real runs on the digits."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dsconv_lib.data import DATASETS, ImageData, load
from dsconv_lib.models import MobileNetV1, mobilenet_v1_layers
from dsconv_lib.train import (
    RECIPES,
    CheckpointError,
    EpochRecord,
    Progress,
    TrainingError,
    accuracy,
    augment,
    build,
    evaluate,
    fit,
    load_checkpoint,
    parameter_groups,
    pick_device,
    prepare,
    save_checkpoint,
    schedule,
)

ARGUMENTS: dict[str, Any] = {
    "alpha": 0.25,
    "num_classes": 10,
    "in_channels": 1,
    "stem": "small",
    "shallow": True,
}
SHORT = replace(RECIPES["digits"], epochs=2)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load("digits")


@pytest.fixture(scope="module")
def few(digits: ImageData) -> ImageData:
    """Enough for a run of a second; too few to learn from."""
    return replace(
        digits.subset(130), test_images=digits.test_images[:50], test_labels=digits.test_labels[:50]
    )


class Run:
    """A short run on all digits, and what it has left behind."""

    def __init__(self, data: ImageData, folder: Path) -> None:
        self.folder = folder
        self.steps: list[Progress] = []
        self.epochs: list[EpochRecord] = []
        self.model = build(ARGUMENTS, seed=0)
        self.records = fit(
            self.model,
            data,
            SHORT,
            device="cpu",
            folder=folder,
            arguments=ARGUMENTS,
            on_step=self.steps.append,
            on_epoch=self.epochs.append,
        )


@pytest.fixture(scope="module")
def run(digits: ImageData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(digits, tmp_path_factory.mktemp("runs") / "made" / "digits")


def untimed(records: list[EpochRecord]) -> list[EpochRecord]:
    return [replace(record, images_per_second=0, seconds=0) for record in records]


# The recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", 1),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "fast"),
        ("momentum", 1),
        ("weight_decay", -1e-4),
        ("label_smoothing", 1),
        ("warmup", 1),
        ("shift", -1),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_setting_that_makes_no_sense(name: str, value: object) -> None:
    with pytest.raises(TrainingError, match=f"^{name}={value!r}: expected "):
        replace(RECIPES["digits"], **{name: value})


def test_the_device_without_a_gpu() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(TrainingError, match="device='tpu': expected 'auto', 'cpu' or 'cuda'"):
        pick_device("tpu")
    if torch.cuda.is_available():
        assert pick_device().type == pick_device("cuda").type == "cuda"
    else:
        assert pick_device().type == "cpu"
        with pytest.raises(TrainingError, match="finds no CUDA device"):
            pick_device("cuda")


# The learning rate


def test_the_schedule_rises_in_a_line_and_falls_in_a_cosine() -> None:
    factors = [schedule(step, 100, 0.2) for step in range(100)]
    assert factors[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert factors[20] == 1
    assert factors[60] == pytest.approx(0.5)
    assert all(later < earlier for earlier, later in pairwise(factors[20:]))
    assert 0 < factors[-1] < 0.001


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 0.99), (2, 0.5), (3, 0.99)])
def test_a_schedule_of_few_steps_stays_a_factor(steps: int, warmup: float) -> None:
    assert all(0 < schedule(step, steps, warmup) <= 1 for step in range(steps))


# Weight decay


def test_weight_decay_spares_depthwise_filters_norms_and_biases() -> None:
    model = MobileNetV1(0.25, num_classes=10, in_channels=1, stem="small")
    decayed, free = parameter_groups(model, 5e-4)
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    kept = {names[id(parameter)] for parameter in decayed["params"]}
    spared = {names[id(parameter)] for parameter in free["params"]}
    # A grey image's stem has one input channel and one group, and is no depthwise layer.
    assert kept == {
        "features.stem.conv.weight",
        "classifier.weight",
        *(f"features.block{number}_pointwise.conv.weight" for number in range(1, 14)),
    }
    assert spared == set(names.values()) - kept
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_weight_decay_of_the_twin_takes_all_its_filters() -> None:
    decayed, _ = parameter_groups(MobileNetV1(0.25, num_classes=10, separable=False), 1e-4)
    assert len(decayed["params"]) == 15


def test_grouped_convolutions_are_not_depthwise() -> None:
    decayed, free = parameter_groups(nn.Conv2d(8, 8, 3, groups=4, bias=False), 1e-4)
    assert (len(decayed["params"]), len(free["params"])) == (1, 0)
    decayed, free = parameter_groups(nn.Conv2d(8, 16, 3, groups=8, bias=False), 1e-4)
    assert (len(decayed["params"]), len(free["params"])) == (0, 1)


# Tensors and augmentation


def test_prepared_images_have_mean_0_and_deviation_1_by_channel() -> None:
    generator = np.random.default_rng(0)
    train = np.stack(
        [generator.integers(0, 50, (40, 8, 8)), generator.integers(0, 256, (40, 8, 8))]
    )
    images = train.transpose(1, 0, 2, 3).astype(np.uint8)
    data = ImageData("made", images, np.arange(40), images[:5], np.arange(5), ("a",))
    tensors = prepare(data)
    assert torch.allclose(tensors.train_images.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(tensors.train_images.std(dim=(0, 2, 3)), torch.ones(2), atol=1e-5)
    restored = tensors.test_images * tensors.std[:, None, None] + tensors.mean[:, None, None]
    assert np.array_equal((restored * 255).round().numpy(), images[:5])
    assert tensors.test_labels.tolist() == [0, 1, 2, 3, 4]


def test_images_of_one_colour_stay_finite() -> None:
    images = np.full((4, 1, 8, 8), 7, np.uint8)
    data = ImageData("made", images, np.zeros(4, np.int64), images, np.zeros(4, np.int64), ("a",))
    assert prepare(data).train_images.isfinite().all()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_shift_moves_the_image_and_reflects_it_at_the_edge() -> None:
    image = torch.arange(2 * 6 * 6.0).reshape(1, 2, 6, 6)
    images = augment(image.repeat(400, 1, 1, 1), 2, False, seeded())
    padded = nn.functional.pad(image, (2, 2, 2, 2), mode="reflect")[0]
    windows = {
        (top, left): padded[:, top : top + 6, left : left + 6]
        for top in range(5)
        for left in range(5)
    }
    found = [
        next(place for place, window in windows.items() if torch.equal(window, moved))
        for moved in images
    ]
    assert set(found) == set(windows)  # 25 shifts, each image its own


def test_a_shift_never_wraps() -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[..., 0] = 1  # a bar at the left edge
    moved = augment(image.repeat(300, 1, 1, 1), 2, False, seeded())
    assert moved[..., :5].sum() > 0
    assert moved[..., 5:].sum() == 0


def test_a_flip_mirrors_half_of_the_images_and_keeps_their_pixels() -> None:
    images = torch.rand(1000, 3, 4, 5, generator=seeded(1))
    flipped = augment(images, 0, True, seeded())
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    same = (flipped == images).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert 430 < mirrored.sum() < 570
    assert torch.equal(flipped.flatten(2).sort().values, images.flatten(2).sort().values)


def test_no_augmentation_changes_nothing() -> None:
    images = torch.rand(4, 1, 8, 8)
    assert augment(images, 0, False, seeded()) is images


def test_augmentation_depends_on_the_generator_alone() -> None:
    images = torch.rand(50, 1, 8, 8)
    first = augment(images, 1, True, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(first, augment(images, 1, True, seeded(3)))
    assert not torch.equal(first, augment(images, 1, True, seeded(4)))


# Evaluation


def test_accuracy_and_loss_by_hand() -> None:
    class Given(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    scores = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]]).reshape(3, 2, 1, 1)
    labels = torch.tensor([0, 1, 1])
    loss = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 3
    for batch_size in (1, 2, 3, 10):
        measured = evaluate(Given(), scores, labels, batch_size=batch_size)
        assert measured == pytest.approx((loss, 2 / 3))
    assert accuracy(Given(), scores, labels) == pytest.approx(2 / 3)


def test_evaluation_leaves_the_model_as_it_was(few: ImageData) -> None:
    model = build(ARGUMENTS)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = prepare(few)
    accuracy(model.train(), tensors.test_images, tensors.test_labels)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    accuracy(model.eval(), tensors.test_images, tensors.test_labels)
    assert not model.training


# Whole runs


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
    assert (loaded.arguments, loaded.recipe, loaded.data, loaded.epoch) == (
        ARGUMENTS,
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
    records = fit(model, digits, SHORT, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert untimed(records) == untimed(run.records)
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_another_seed_gives_another_run(few: ImageData) -> None:
    recipe = replace(SHORT, epochs=1)
    other = replace(recipe, seed=1)
    same_start = [fit(build(ARGUMENTS), few, each, device="cpu") for each in (recipe, other)]
    assert untimed(same_start[0]) != untimed(same_start[1])
    first, second = build(ARGUMENTS, seed=0), build(ARGUMENTS, seed=1)
    assert not torch.equal(first.classifier.weight, second.classifier.weight)


def test_the_recipe_for_digits_reaches_97_percent(digits: ImageData) -> None:
    model = build({**ARGUMENTS, "alpha": 0.5})
    records = fit(model, digits, RECIPES["digits"], device="cpu")
    assert records[-1].test_accuracy >= 0.97
    assert max(record.learning_rate for record in records) <= RECIPES["digits"].learning_rate


def test_the_twin_trains_too(few: ImageData, tmp_path: Path) -> None:
    arguments = {**ARGUMENTS, "separable": False}
    recipe = replace(SHORT, epochs=1)
    fit(build(arguments), few, recipe, device="cpu", folder=tmp_path, arguments=arguments)
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
    assert len(fit(build(ARGUMENTS), data, recipe, device="cpu")) == 1


# Runs that cannot go on


def test_a_loss_that_is_no_longer_finite_keeps_the_last_checkpoint(
    few: ImageData, tmp_path: Path
) -> None:
    model = build(ARGUMENTS)
    content: list[bytes] = []

    def spoil(record: EpochRecord) -> None:
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
            device="cpu",
            folder=tmp_path,
            arguments=ARGUMENTS,
            on_epoch=spoil,
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
        fit(build(ARGUMENTS), few, recipe, device="cpu")


def test_weights_spoilt_by_the_very_last_step(few: ImageData, tmp_path: Path) -> None:
    """The only loss of the run is finite; the step after it is not."""
    recipe = replace(SHORT, epochs=1, batch_size=1000, learning_rate=1e38, warmup=0)
    with pytest.raises(TrainingError, match="in epoch 1, step 1"):
        fit(build(ARGUMENTS), few, recipe, device="cpu", folder=tmp_path, arguments=ARGUMENTS)
    assert list(tmp_path.iterdir()) == []


def test_a_shift_as_large_as_the_image(few: ImageData) -> None:
    with pytest.raises(TrainingError, match="shift=16: expected fewer pixels"):
        fit(build(ARGUMENTS), few, replace(SHORT, shift=16), device="cpu")


@pytest.mark.parametrize("arguments", [None, {**ARGUMENTS, "alpha": 0.5}])
def test_a_folder_needs_the_arguments_of_the_model(
    arguments: dict[str, Any] | None, few: ImageData, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="expected, with a folder, those of MobileNetV1"):
        fit(build(ARGUMENTS), few, SHORT, device="cpu", folder=tmp_path, arguments=arguments)


def test_a_folder_that_cannot_be_made(few: ImageData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TrainingError, match=r"cannot be made: .*; name another folder"):
            fit(build(ARGUMENTS), few, SHORT, device="cpu", folder=folder, arguments=ARGUMENTS)


# Checkpoints


def content_of(model: MobileNetV1, epoch: int = 1) -> dict[str, Any]:
    return {
        "model": "MobileNetV1",
        "arguments": ARGUMENTS,
        "weights": model.state_dict(),
        "recipe": asdict(SHORT),
        "data": "digits",
        "epoch": epoch,
        "test_accuracy": 0.5,
        "mean": [0.5],
        "std": [0.25],
    }


def test_a_writer_killed_in_the_middle_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A real process writes the file over and over, and is killed with a new one half there."""
    path = tmp_path / "checkpoint.pt"
    partial = tmp_path / "checkpoint.pt.partial"
    code = """
        import sys, torch
        from dsconv_lib.train import load_checkpoint, save_checkpoint
        content = torch.load(sys.argv[1], weights_only=True)
        content["ballast"] = torch.zeros(8_000_000)  # 32 MB: a write that takes its time
        print("ready", flush=True)
        while True:
            content["epoch"] += 1
            save_checkpoint(sys.argv[1], content)
    """
    save_checkpoint(path, content_of(build(ARGUMENTS)))
    left_behind = 0
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        partial.unlink(missing_ok=True)
        until = time.monotonic() + 30
        while time.monotonic() < until and not (partial.exists() and partial.stat().st_size > 0):
            pass
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        assert load_checkpoint(path).data == "digits"
        left_behind += partial.exists()
        if left_behind == 2:
            break
    assert left_behind, "no attempt hit the middle of a write"


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write really fails half-way."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, content_of(build(ARGUMENTS)))
    before = path.read_bytes()
    code = """
        import resource, sys, torch
        from dsconv_lib.train import TrainingError, save_checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            save_checkpoint(sys.argv[1], {"weights": torch.zeros(10_000)})
        except TrainingError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: File too large; what was there stays" in done.stdout
    assert path.read_bytes() == before


LONG = replace(SHORT, epochs=6)


@pytest.fixture(scope="module")
def unbroken(digits: ImageData) -> tuple[list[EpochRecord], dict[str, torch.Tensor]]:
    model = build(ARGUMENTS, seed=0)
    records = fit(model, digits.subset(300), LONG, device="cpu")
    return untimed(records), model.state_dict()


def same(model: nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("stopped_after", [0, 1, 3, 5, 6])
def test_a_stopped_run_resumes_to_the_same_numbers(
    stopped_after: int, digits: ImageData, tmp_path: Path, unbroken: Any
) -> None:
    def stop(now: Progress) -> None:
        if now.epoch == stopped_after + 1 and now.step == 2:
            raise KeyboardInterrupt

    where: dict[str, Any] = {"device": "cpu", "folder": tmp_path, "arguments": ARGUMENTS}
    try:
        fit(build(ARGUMENTS, seed=0), digits.subset(300), LONG, on_step=stop, **where)
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
        on_epoch=lambda record: seen.append(record.epoch),
        **where,
    )
    assert seen == list(range(stopped_after + 1, 7))
    assert untimed(records) == unbroken[0]
    assert same(model, unbroken[1])
    assert same(load_checkpoint(tmp_path / "checkpoint.pt").model, unbroken[1])
    with (tmp_path / "metrics.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + 6


def test_a_run_killed_at_a_random_moment_resumes_to_the_same_numbers(
    digits: ImageData, tmp_path: Path, unbroken: Any
) -> None:
    """A real process, really killed, three times: wherever it was."""
    script = textwrap.dedent("""
        import sys, torch
        from dataclasses import replace
        from dsconv_lib.data import load
        from dsconv_lib.train import RECIPES, build, fit
        torch.set_num_threads(1)
        arguments = eval(sys.argv[2])
        print("ready", flush=True)
        fit(build(arguments, seed=0), load("digits").subset(300),
            replace(RECIPES["digits"], epochs=6), device="cpu", folder=sys.argv[1],
            arguments=arguments, resume=True)
    """)
    here = str(Path(__file__).parents[1])
    chance = np.random.default_rng()
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), repr(ARGUMENTS)],
            env={**os.environ, "PYTHONPATH": here},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

    model = build(ARGUMENTS, seed=0)
    records = fit(
        model,
        digits.subset(300),
        LONG,
        device="cpu",
        folder=tmp_path,
        arguments=ARGUMENTS,
        resume=True,
    )
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
    where: dict[str, Any] = {"device": "cpu", "folder": tmp_path}
    one = replace(LONG, epochs=1)
    fit(build(ARGUMENTS), digits.subset(300), one, arguments=ARGUMENTS, **where)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    recipe = replace(change.get("recipe", one), epochs=1)
    arguments = change.get("arguments", ARGUMENTS)
    data = digits.subset(change.get("count", 300))
    with pytest.raises(TrainingError, match=message):
        fit(build(arguments), data, recipe, arguments=arguments, resume=True, **where)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_resuming_needs_a_folder_and_a_whole_checkpoint(few: ImageData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="resume without a folder"):
        fit(build(ARGUMENTS), few, SHORT, device="cpu", resume=True)
    where: dict[str, Any] = {"device": "cpu", "folder": tmp_path, "arguments": ARGUMENTS}
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="damaged"):
        fit(build(ARGUMENTS), few, SHORT, resume=True, **where)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"half a file"


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be opened: No such file"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, content_of(build(ARGUMENTS)))
    whole = path.read_bytes()
    for content in (b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
            load_checkpoint(path)


class Code:
    """What a file with code in it would hold."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("made-by-a-checkpoint",)


def test_a_checkpoint_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": "MobileNetV1", "arguments": Code()}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "made-by-a-checkpoint").exists()


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for content, held in (
        ({"model": "ResNet"}, "'ResNet'"),
        ({"weights": 1}, "None"),
        ([1, 2], "'list'"),
    ):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=f"holds {held}: expected a checkpoint of Mobile"):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {**ARGUMENTS, "alpha": 0.5}},
        {"arguments": {**ARGUMENTS, "separable": False}},
        {"arguments": {**ARGUMENTS, "depth": 3}},
        {"arguments": {**ARGUMENTS, "alpha": -1}},
        {"weights": {}},
        {"recipe": {"epochs": 1}},
    ],
)
def test_a_checkpoint_that_does_not_fit_itself(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {**content_of(build(ARGUMENTS)), **change})
    with pytest.raises(CheckpointError, match=r"does not fit the model it names \(.+\)"):
        load_checkpoint(path)


def test_the_recipes_mirror_what_may_be_mirrored() -> None:
    assert set(RECIPES) == set(DATASETS)
    assert RECIPES["cifar10"].flip
    assert not RECIPES["digits"].flip  # a mirrored 2 is no digit
