"""What the README says of runs on a GPU is what results/ holds."""

from __future__ import annotations

import json
from pathlib import Path

from book_builder import readme

ROOT = Path(__file__).parents[2]
# Made up: of no machine.
RUN = {
    "training_seconds": 41.26,
    "images_per_second": 123456.7,
    "macs": 46_000_000,
    "trainable": 3_200_000,
    "peak_memory_bytes": 4_560_000_000,
    "test_accuracy_by_epoch": [0.5, 0.9],
}
CONTENT = {
    "data": "CIFAR-10 (JPEG)",
    "recipe": {"epochs": 2},
    "machine": {"name": "some GPU", "driver": "1.2", "torch": "9.9"},
    "date": "2001-02-03",
    "commit": "abc",
    "command": "python tools/results.py",
    "runs": [
        RUN | {"network": "separable", "accuracy": 0.93},
        RUN | {"network": "separable", "accuracy": 0.94},
        RUN | {"network": "twin", "accuracy": 0.95},
        RUN | {"network": "twin", "accuracy": 0.95},
    ],
}


def test_it_shows_what_is_recorded() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = readme.MEASURED.findall(text)
    assert shown == readme.measured(ROOT / "results")
    assert (readme.PICTURE in text) == (ROOT / readme.PICTURE).exists()


def test_a_file_from_a_gpu_becomes_a_table_and_a_picture(tmp_path: Path) -> None:
    for folder in ("results", "assets"):
        (tmp_path / folder).mkdir()
    (tmp_path / "results/cifar10-cuda.json").write_text(json.dumps(CONTENT))
    (tmp_path / "README.md").write_text("a\n<!-- measured -->\nb\n<!-- end of measured -->\nc\n")
    readme.main(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("a\n<!-- measured -->\n![")
    assert text.endswith("|\n<!-- end of measured -->\nc\n")
    row = "| 41.3 s | 123,457 | 46,000,000 | 3,200,000 | 4.56 GB |"
    assert f"| separable | 93.50 ± 0.71 % (2 seeds) {row}" in text
    assert f"| twin | 95.00 ± 0.00 % (2 seeds) {row}" in text
    assert "some GPU, driver 1.2, torch 9.9, 2001-02-03, commit abc" in text
    assert (tmp_path / readme.PICTURE).read_bytes().startswith(b"\x89PNG")
