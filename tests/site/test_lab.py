"""An interactive figure in JupyterLab, where a kernel runs: Python sees what the reader chose."""

import json
import os
import subprocess
import sys
import time

import nbformat
import pytest

from dsconv_lib.interactive.calculator import Calculator

CELLS = [
    "from dsconv_lib.interactive.calculator import Calculator\nfigure = Calculator()\nfigure",
    "print('kernel size', figure.kernel_size)",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab, in whose folder is a notebook with those cells."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "figure.ipynb")
    homes = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--IdentityProvider.token="]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, str(folder)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, **homes},
    )
    while not (found := list(folder.glob("JUPYTER_RUNTIME_DIR/jpserver-*.json"))):
        assert server.poll() is None, "JupyterLab ended"
        time.sleep(0.1)
    yield json.loads(found[0].read_text())["url"]
    server.terminate()
    server.wait(timeout=60)


def test_it_is_a_live_widget_there(new_page, lab):
    page = new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{lab}lab/tree/figure.ipynb")
    page.get_by_text("| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".jp-OutputArea-output", has_text="kernel size 5").wait_for()
    figure = page.get_by_role("group", name=Calculator().label)
    figure.get_by_label("kernel size, as a number").fill("3")
    assert figure.locator("[aria-live]").inner_text() == Calculator(kernel_size=3).sentence
    page.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.press("Control+Enter")
    page.locator(".jp-OutputArea-output", has_text="kernel size 3").wait_for()
