"""What each thing in a recipe is worth: the separable network, trained with one changed at a time."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

from dsconv_lib.measure.runs import Setting, train_once
from dsconv_lib.train import Recipe

WHAT = "MobileNetV1 for small images, trained with one thing changed at a time"


def changes(recipe: Recipe) -> list[dict[str, Any]]:
    """List what may be changed, nothing first; one thing at a time, and none that the recipe has.

    >>> from dsconv_lib.train import RECIPES
    >>> changes(RECIPES["cifar10"])[:3]
    [{}, {'learning_rate': 0.2}, {'learning_rate': 0.8}]
    """
    rate, batch = recipe.learning_rate, recipe.batch_size
    listed: list[dict[str, Any]] = [
        {},
        {"learning_rate": rate / 2},
        {"learning_rate": 2 * rate},
        {"batch_size": batch // 4, "learning_rate": rate / 4},
        *({"schedule": each} for each in ("cosine", "one-cycle")),
        *({"label_smoothing": each} for each in (0.0, 0.1, 0.2)),
        *({"shift": each} for each in (0, 2, 4)),
        *({"flip": each} for each in ("no", "by chance", "in turn")),
        *({"cutout": each} for each in (0, 8)),
        *({"average": each} for each in (0.0, 0.99)),
    ]
    return [each for each in listed if not each or replace(recipe, **each) != recipe]


def measure_recipes(
    chosen: Setting, *, seeds: int = 2, first: int | None = None, way: str = "eager"
) -> None:
    """Train `seeds` times with each change, or the `first` ones, and write recipes-cpu.json or recipes-cuda.json.

    What the file already holds is not repeated. `way` names how a step is run.

    Raises:
        TrainingError: if this device has no such way.
        RecordError: if the file that is there has other measurements.
        DataError: if CIFAR-10 cannot be had.
    """
    how = chosen.ways([way])[way]
    images = chosen.images()
    file = chosen.file("recipes", WHAT, images, {"runs": []})
    runs = file.content["runs"]
    for change in changes(chosen.recipe)[:first]:
        for seed in range(seeds):
            if not any((run["change"], run["seed"]) == (change, seed) for run in runs):
                tried = replace(chosen.recipe, seed=seed, **change)
                run = train_once(chosen, images, "separable", tried, how)
                runs.append(run | {"change": change, "way": way})
                file.write()
        reached = [run["accuracy"] for run in runs if run["change"] == change]
        shown = ", ".join(f"{key} {value}" for key, value in change.items())
        print(f"{mean(reached):7.2%}  {shown or 'nothing changed'}")
    print(f"written to {file.path}")
