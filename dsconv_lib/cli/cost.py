"""`dsconv cost`: what each layer of a network costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Annotated, Literal

from rich.table import Table
from typer import Argument, Option

from dsconv_lib import networks
from dsconv_lib.cli.console import one_line_errors, open_console
from dsconv_lib.errors import UserError
from dsconv_lib.networks.mobilenet_v1 import Stem
from dsconv_lib.spec import SpecError

CONVENTION = (
    "One multiply-add is 1 MAC, 2 FLOPs; every tap of the window counts, on padding zeros too.\n"
    "MACs and params leave out bias and batch normalisation; trainable has them."
)
CostedModel = Literal[
    "mobilenet-v1",
    "mobilenet-v1-twin",
    "vgg16",
    "googlenet",
    "alexnet",
    "squeezenet",
    "xception",
    "inception-v3",
]
COSTED: dict[CostedModel, Callable[..., list[networks.Layer]]] = {
    "mobilenet-v1": networks.mobilenet_v1_layers,
    "mobilenet-v1-twin": partial(networks.mobilenet_v1_layers, separable=False),
    "vgg16": networks.vgg16_layers,
    "googlenet": networks.googlenet_layers,
    "alexnet": networks.alexnet_layers,
    "squeezenet": networks.squeezenet_layers,
    "xception": networks.xception_layers,
    "inception-v3": networks.inception_v3_layers,
}


def cost_command(
    model: Annotated[CostedModel, Argument(help="The network.")],
    size: Annotated[
        int | None, Option(help="Side of the image in pixels (from the network).")
    ] = None,
    alpha: Annotated[
        float | None, Option(help="Width multiplier (1), where the network has one.")
    ] = None,
    stem: Annotated[
        Stem | None, Option(help="small does not halve the image in MobileNetV1's first layer.")
    ] = None,
    classes: Annotated[int, Option(help="Outputs of the classifier.")] = 1000,
    plot: Annotated[
        Path | None, Option(metavar="FILE.png", help="Also draw one bar per layer, into this file.")
    ] = None,
) -> None:
    """Print what each layer of a network costs, for one image."""
    layers_of = COSTED[model]
    taken = signature(layers_of).parameters
    given = {"resolution": size, "alpha": alpha, "stem": stem, "num_classes": classes}
    given = {name: value for name, value in given.items() if value is not None}
    with one_line_errors():
        for name in given.keys() - taken.keys():
            raise SpecError(f"--{name} {given[name]}: {model} has none, expected no --{name}")
        network = layers_of(**given)
        if plot is not None:
            _plot(network, plot)
    rows = networks.table(network)
    rows.insert(rows.columns.get_loc("params"), "of all", rows["macs"] / rows["macs"].sum())
    height, width = network[0].spec.in_size
    width_multiplier = f", alpha {alpha or 1:g}" if "alpha" in taken else ""
    title = f"{model}{width_multiplier}, {height}x{width}"
    shown = Table(title=title, title_justify="left", title_style="bold")
    forms = {"stride": "", "macs": ",", "of all": ".1%", "params": ",", "trainable": ","}
    for name in rows:
        side: Literal["left", "right"] = "right" if name in forms else "left"
        shown.add_column(name.replace("macs", "MACs"), no_wrap=True, justify=side)
    for row in rows.to_dict("records"):
        shown.add_row(*(format(value, forms.get(name, "")) for name, value in row.items()))
    shown.add_section()
    total = {"layer": "total"} | {n: format(rows[n].sum(), f) for n, f in forms.items() if f}
    shown.add_row(*(total.get(name, "") for name in rows), style="bold")
    console = open_console()
    console.print(shown)
    console.print(CONVENTION, highlight=False)
    if plot is not None:
        console.print(f"The bars are in {plot}.", highlight=False, soft_wrap=True)


def _plot(network: list[networks.Layer], file: Path) -> None:
    # Here, as drawing takes a second to import, and a table is not drawn.
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from dsconv_lib.figures import draw_layers, use_style

    mpl.use("Agg")  # a file needs no window
    with mpl.rc_context():
        use_style()
        figure = draw_layers(network)
        try:
            figure.savefig(file, format=file.suffix[1:] or "png")
        except (OSError, ValueError) as error:
            raise UserError(f"--plot {file} cannot be drawn: {error}") from None
        finally:
            plt.close(figure)
