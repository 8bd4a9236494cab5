"""The workflows take nothing that can change under its name, and run what can be run anywhere."""

import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
TARGETS = re.findall(
    r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
)


def runs(workflow: Path) -> list[str]:
    """Every line of shell in a workflow."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [
        line for job in jobs for step in job["steps"] for line in step.get("run", "").splitlines()
    ]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_hash_beside_its_version(workflow):
    used = re.findall(r"\buses: *(.*)", workflow.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_one_version_in_all_workflows():
    used = {
        action
        for workflow in WORKFLOWS
        for action in re.findall(r"\buses: *(.*)", workflow.read_text(encoding="utf-8"))
    }
    assert len(used) == len({action.partition("@")[0] for action in used}), used


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_the_shell_gets_values_by_its_environment(workflow):
    assert [line for line in runs(workflow) if "${{" in line] == []


def test_what_they_run_is_there():
    lines = [line for workflow in WORKFLOWS for line in runs(workflow)]
    made = [re.match(r"make(?: --silent)?(?: -C \w+)? (\w+)", line) for line in lines]
    targets = {found[1] for found in made if found}
    assert {"book", "changed", "newest", "publishable", "site"} <= targets <= set(TARGETS)
    assert len([line for line in lines if re.search(r"\bmake\b", line)]) == sum(map(bool, made))
    scripts = [line.split()[0] for line in lines if re.match(r"scripts/|\.ci/", line)]
    assert scripts
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
