"""What Python says about an interactive figure: its HTML, its sentence, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError

from dsconv_lib import cost, spec
from dsconv_lib.interactive.calculator import Calculator
from dsconv_lib.interactive.levels import Levels
from dsconv_lib.interactive.roofline import RooflineFigure
from dsconv_lib.interactive.window import SlidingWindow
from dsconv_lib.spec import SpecError

VIEW = "application/vnd.jupyter.widget-view+json"


def test_a_notebook_gets_the_live_view_and_html_that_needs_no_kernel():
    data, _ = InteractiveShell.instance().display_formatter.format(Calculator())
    assert set(data) == {"text/plain", "text/html", VIEW}
    html = data["text/html"]
    assert html.startswith('<div role="group" aria-label="Calculator of the cost of a layer">\n<p>')
    assert " id=" not in html
    assert "http" not in html


def test_no_text_ends_the_script_or_the_attribute_early():
    html = Calculator(label='"</script><b>').static_html()
    assert html.count("</script>") == 1
    assert 'aria-label="&quot;&lt;/script&gt;&lt;b&gt;"' in html


@pytest.mark.parametrize("figure", [Calculator(), Levels(), RooflineFigure(), SlidingWindow()])
def test_its_text_is_the_same_in_every_process(figure):
    kind = type(figure)
    program = (
        f"from {kind.__module__} import {kind.__name__} as F; print(f := F(), f.static_html())"
    )
    command = [sys.executable, "-c", program]
    outputs = {subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)}
    assert [o.decode() for o in outputs] == [f"{figure} {figure.static_html()}\n"]
    assert " id=" not in figure.static_html()


def test_it_shows_its_values_and_no_address():
    assert repr(Calculator(stride=2, padding=2)) == (
        "Calculator(in_channels=3, in_size=8, kernel_size=5, multiplier=1, out_channels=256, padding=2, stride=2)"
    )


def test_the_first_state_is_the_example_of_the_front_page():
    assert Calculator().sentence == (
        "Standard: 1,228,800 MACs. Separable: 4,800 + 49,152 = 53,952 MACs, 22.78 times fewer."
    )


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ({"out_channels": 1}, "4,992 MACs, 1.04 times as many."),
        ({"out_channels": 4, "kernel_size": 2, "multiplier": 2}, "MACs, exactly as many."),
    ],
)
def test_where_nothing_is_saved(values, end):
    assert Calculator(**values).sentence.endswith(end)


@given(
    in_channels=st.integers(1, 1024),
    out_channels=st.integers(1, 1024),
    in_size=st.integers(1, 224),
    kernel_size=st.integers(1, 11),
    stride=st.integers(1, 4),
    multiplier=st.integers(1, 8),
)
def test_the_sentence_has_the_library_s_numbers(multiplier, **sizes):
    sizes |= {"padding": 5}
    sentence = Calculator(multiplier=multiplier, **sizes).sentence
    both = cost.of(spec.separable(multiplier=multiplier, **sizes)).macs
    window = {k: v for k, v in sizes.items() if k != "out_channels"}
    first = cost.of(spec.depthwise(multiplier=multiplier, **window)).macs
    assert f"Standard: {cost.of(spec.standard(**sizes)).macs:,} MACs." in sentence
    assert f"Separable: {first:,} + {both - first:,} = {both:,} MACs," in sentence


def test_values_of_no_convolution_are_refused():
    with pytest.raises(TraitError, match="kernel_size"):
        Calculator(kernel_size=12)
    with pytest.raises(TraitError, match="padding"):
        Calculator(padding="valid")
    with pytest.raises(SpecError, match="expected stride 1, as in torch"):
        Calculator(stride=2).static_html()
    with pytest.raises(SpecError, match="expected a smaller kernel or more padding"):
        Calculator(in_size=4, padding=0).static_html()
