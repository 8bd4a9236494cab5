"""Train with one thing changed at a time, and write to results/ what each change was worth.

The network is the separable one. A change that the recipe already has is left out. What the file
already holds is not repeated.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Annotated, Any

import typer
from measured import ROOT, Change, Commit, Data, Measured, Out, Small, head, setting, train_once
from rich.console import Console

from dsconv_lib.cli.console import Device, one_line_errors
from dsconv_lib.throughput import WAYS
from dsconv_lib.train import Recipe, TrainingError


def changes(recipe: Recipe) -> list[dict[str, Any]]:
    """List what may be changed, nothing first; one thing at a time."""
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
        *({"whitened": each} for each in (False, True)),
        *({"muon": each} for each in (0.0, 0.02, 0.1)),
    ]
    return [each for each in listed if not each or replace(recipe, **each) != recipe]


def main(
    data: Data = None,
    out: Out = ROOT / "results",
    device: Device = "auto",
    small: Small = None,
    seeds: Annotated[int, typer.Option(min=2, help="Runs of each recipe.")] = 2,
    change: Change = "{}",
    first: Annotated[int | None, typer.Option(min=1, help="Try the first ones alone.")] = None,
    way: Annotated[str, typer.Option(help="How a step is run.")] = "eager",
    commit: Commit = None,
) -> None:
    """Train with each change, and write one JSON file."""
    console = Console(width=120)
    with one_line_errors():
        chosen = setting(data, device, small, change)
        place, recipe = chosen.place, chosen.recipe
        if way not in WAYS[place.type]:
            raise TrainingError(f"--way {way}: expected one of {', '.join(WAYS[place.type])}")
        what = "MobileNetV1 for small images, trained with one thing changed at a time"
        file = Measured(
            out / f"recipes-{place.type}.json", head(what, chosen, commit), {"runs": []}
        )
        runs = file.content["runs"]
        for each in changes(recipe)[:first]:
            for seed in range(seeds):
                if not any((run["change"], run["seed"]) == (each, seed) for run in runs):
                    tried = replace(recipe, seed=seed, **each)
                    run = train_once("separable", chosen, tried, WAYS[place.type][way])
                    runs.append(run | {"change": each, "way": way})
                    file.write()
            reached = [run["accuracy"] for run in runs if run["change"] == each]
            shown = ", ".join(
                f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in each.items()
            )
            console.print(f"{mean(reached):7.2%}  {shown or 'nothing changed'}", highlight=False)
        console.print(f"written to {file.path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
