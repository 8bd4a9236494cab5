"""Write into the README what results/ says of training on a graphics card: ``python -m book_builder.readme``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from book_builder import ROOT
from dsconv_lib.figures import draw_runs, use_style
from dsconv_lib.files import replace_file

MEASURED = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end of measured -->)", re.DOTALL)
PICTURE = "assets/training.png"
NETWORKS = ("separable", "twin")


def measured(folder: Path) -> str:
    """Return lines of Markdown: a table of the runs on a GPU, or that there are none."""
    file = folder / "cifar10-cuda.json"
    if not file.exists():
        return "Training on CIFAR-10 with a graphics card: not measured.\n"
    found = json.loads(file.read_text(encoding="utf-8"))
    machine, recipe = found["machine"], found["recipe"]
    lines = [
        f"![Test accuracy after each epoch, for MobileNetV1 and its twin with standard "
        f"convolutions.]({PICTURE})",
        "",
        f"{found['data']}, {recipe['epochs']} epochs, mean and standard deviation over the seeds, without "
        f"test-time augmentation. {machine['name']}, driver {machine['driver']}, torch {machine['torch']}, "
        f"{found['date']}, commit {found['commit']}: `{found['command']}`.",
        "",
        "| | test accuracy | training | images/s | MACs | parameters | memory |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, runs_of(found, name)) for name in NETWORKS),
    ]
    return "\n".join(lines) + "\n"


def runs_of(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the runs of one of the two networks."""
    return [run for run in found["runs"] if run["network"] == name]


def _row(name: str, runs: list[dict[str, Any]]) -> str:
    accuracy = [100 * run["accuracy"] for run in runs]
    cells = (
        name,
        f"{mean(accuracy):.2f} ± {stdev(accuracy):.2f} % ({len(runs)} seeds)",
        f"{median(run['training_seconds'] for run in runs):.1f} s",
        f"{median(run['images_per_second'] for run in runs):,.0f}",
        f"{runs[0]['macs']:,}",
        f"{runs[0]['trainable']:,}",
        f"{max(run['peak_memory_bytes'] for run in runs) / 1e9:.2f} GB",
    )
    return f"| {' | '.join(cells)} |"


def main(root: Path = ROOT) -> None:
    """Rewrite the README's part between the marks, and draw its picture."""
    readme = root / "README.md"
    text = MEASURED.sub(lambda _: measured(root / "results"), readme.read_text(encoding="utf-8"))
    replace_file(readme, text.encode())
    file = root / "results/cifar10-cuda.json"
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        mpl.use("Agg")
        use_style()
        draw_runs(
            {
                name: [run["test_accuracy_by_epoch"] for run in runs_of(found, name)]
                for name in NETWORKS
            }
        ).savefig(root / PICTURE, metadata={"Software": None})
        plt.close("all")


if __name__ == "__main__":
    main()
