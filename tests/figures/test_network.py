"""The bars of a network have its layers' own numbers and colours."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_hex

from dsconv_lib import cost
from dsconv_lib.figures import COLOURS, draw_layers
from dsconv_lib.networks import mobilenet_v1_layers


@pytest.mark.parametrize("quantity", ["macs", "params"])
@pytest.mark.parametrize("separable", [True, False])
def test_each_layer_has_a_bar_of_its_own_value_and_colour(quantity, separable):
    layers = mobilenet_v1_layers(0.5, 64, separable=separable)
    values = [getattr(cost.of(layer), quantity) for layer in layers]
    operations = {colour.lower() for colour in COLOURS.values()}
    (axes,) = draw_layers(layers, quantity).axes
    assert [bar.get_width() for bar in axes.patches] == values
    assert [text.get_text() for text in axes.get_yticklabels()] == [layer.name for layer in layers]
    assert [text.get_text() for text in axes.texts] == [f"{value:,}" for value in values]
    for bar, layer in zip(axes.patches, layers, strict=True):
        if layer.kind in COLOURS:
            assert to_hex(bar.get_facecolor()) == COLOURS[layer.kind].lower()
        else:
            assert to_hex(bar.get_facecolor()) not in operations


def test_the_first_layer_is_on_top():
    (axes,) = draw_layers(mobilenet_v1_layers()).axes
    bottom, top = axes.get_ylim()
    assert bottom > 27
    assert top < 0


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        draw_layers([])
    with pytest.raises(ValueError, match="expected 'macs' or 'params'"):
        draw_layers(mobilenet_v1_layers(), "flops")
