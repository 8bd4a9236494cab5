"""A command waits for its own libraries alone, and `dsconv --help` for none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dsconv_lib import cli
from dsconv_lib.networks import mobilenet_v1_layers
from tests.commands import dsconv

ROOT = Path(__file__).parents[2]
# Runs what is typed after it, and says which modules that has imported.
SCRIPT = """
import runpy, sys
try:
    runpy.run_module("dsconv_lib", run_name="__main__")
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported(script: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def of_commands(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("dsconv_lib.cli.")}


def test_help_reads_no_command() -> None:
    modules = imported(SCRIPT, "--help")
    assert not modules & {"torch", "numpy", "pandas", "matplotlib"}
    assert not of_commands(modules)


@pytest.mark.parametrize(
    ("arguments", "own"),
    [(("grade", "--help"), "grade"), (("cost", "mobilenet-v1"), "cost")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_command_that_needs_no_torch_does_not_wait_for_it(
    arguments: tuple[str, ...], own: str
) -> None:
    modules = imported(SCRIPT, *arguments)
    assert of_commands(modules) == {f"dsconv_lib.cli.{own}", "dsconv_lib.cli.console"}
    assert "torch" not in modules


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    command = cli.load(name)
    assert (command.name, command.help.partition("\n")[0]) == (name, cli.COMMANDS[name])


def test_a_command_may_have_commands_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    several = typer.Typer(help="Several.")
    several.command("one")(lambda: typer.echo("the first"))
    several.command("two")(lambda: typer.echo("the second"))
    monkeypatch.setattr("dsconv_lib.cli.cost.several", several, raising=False)
    monkeypatch.setitem(cli.ELSEWHERE, "cost", "cost:several")
    assert dsconv("cost", "two").stdout == "the second\n"


def test_the_library_is_read_module_by_module() -> None:
    names = "print(*sys.modules, file=sys.stderr)"
    assert not imported(f"import sys, dsconv_lib; {names}") & {"torch", "numpy"}
    modules = imported(f"import sys, dsconv_lib; dsconv_lib.cost.ratio(4, 3); {names}")
    assert "dsconv_lib.cost" in modules
    assert "dsconv_lib.loops" not in modules


def test_the_library_has_its_modules_and_no_others() -> None:
    import dsconv_lib

    assert {"cost", "figures", "networks", "profile"} <= set(dir(dsconv_lib))
    assert dsconv_lib.networks.mobilenet_v1_layers is mobilenet_v1_layers
    with pytest.raises(AttributeError, match="has no attribute 'csot'"):
        dsconv_lib.csot  # noqa: B018
