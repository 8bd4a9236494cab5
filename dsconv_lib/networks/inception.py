"""The networks of inception modules: branches that read one map, with their outputs stacked along the channels.

Sources: GoogLeNet, or Inception V1, is Table 1 of Szegedy et al. 2015 (arXiv 1409.4842). Inception V3 is Figures 5 to 7
of Szegedy et al. 2016 (arXiv 1512.00567), and the network its authors released: that one differs from the paper's Table
1 in the stem and names the channels that the paper leaves out.
"""

from __future__ import annotations

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Slide, Stack
from dsconv_lib.spec import Size

Branch = list[tuple[str, int, Size]]  # name, output channels and kernel of each convolution

# Output channels: 1x1; 3x3 reduction, 3x3; 5x5 reduction, 5x5; projection after pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOL_AFTER = ("3b", "4e")


def googlenet_layers(resolution: Size = 224, *, num_classes: int = 1000) -> list[Layer]:
    """List the layers of GoogLeNet: a stem, nine modules, one linear layer; no auxiliary classifiers.

    The pooling in one branch of each module keeps the size. `resolution` is 31 at least.

    >>> from dsconv_lib import cost
    >>> cost.of(googlenet_layers()).macs
    1582671872
    """
    stack = Stack(resolution, bias=True)
    stack.conv("conv1", 64, 7, stride=2, padding=3).pool(3, 2, ceil=True)
    stack.conv("conv2.reduce", 64, 1).conv("conv2.3x3", 192, 3, padding=1).pool(3, 2, ceil=True)
    for name, (one, reduce3, three, reduce5, five, project) in MODULES.items():
        _module(
            stack,
            name,
            [("1x1", one, 1)],
            [("3x3.reduce", reduce3, 1), ("3x3", three, 3)],
            [("5x5.reduce", reduce5, 1), ("5x5", five, 5)],
            [("pool", project, 1)],
        )
        if name in POOL_AFTER:
            stack.pool(3, 2, ceil=True)
    return stack.average().classifier(num_classes)


def inception_v3_layers(resolution: Size = 299, *, num_classes: int = 1000) -> list[Layer]:
    """List the layers of Inception V3: a stem, eleven modules, one linear layer; no auxiliary classifier.

    The modules have the names they have in Keras. Two of them, mixed3 and mixed8, halve the map. `resolution`
    is 75 at least.

    >>> from dsconv_lib import cost
    >>> cost.of(inception_v3_layers()).macs
    5713216096
    """
    stack = Stack(resolution, norm=True)
    stack.conv("stem.conv1", 32, 3, stride=2).conv("stem.conv2", 32, 3)
    stack.conv("stem.conv3", 64, 3, padding=1).pool(3, 2)
    stack.conv("stem.conv4", 80, 1).conv("stem.conv5", 192, 3).pool(3, 2)
    # Figure 5: two 3x3 convolutions, one after the other, see what a 5x5 one sees.
    double: Branch = [("double.reduce", 64, 1), ("double.3x3a", 96, 3), ("double.3x3b", 96, 3)]
    for number, project in enumerate((32, 64, 64)):
        five: Branch = [("5x5.reduce", 48, 1), ("5x5", 64, 5)]
        _module(stack, f"mixed{number}", [("1x1", 64, 1)], five, double, [("pool", project, 1)])
    _halving(stack, "mixed3", [("3x3", 384, 3)], double)
    for number, narrow in enumerate((128, 160, 160, 192), start=4):
        _rows_and_columns(stack, f"mixed{number}", narrow)
    three: Branch = [("3x3.reduce", 192, 1), ("3x3", 320, 3)]
    _halving(stack, "mixed8", three, [*_seven(192), ("7x7.3x3", 192, 3)])
    for number in (9, 10):
        _forks(stack, f"mixed{number}")
    return stack.average().classifier(num_classes)


def _seven(narrow: int) -> Branch:
    """In place of a square of seven pixels: a row, then a column."""
    return [("7x7.reduce", narrow, 1), ("7x7.row", narrow, (1, 7)), ("7x7.column", 192, (7, 1))]


def _rows_and_columns(stack: Stack, name: str, narrow: int) -> None:
    """Append the module of Figure 6."""
    double: Branch = [
        ("double.reduce", narrow, 1),
        ("double.column1", narrow, (7, 1)),
        ("double.row1", narrow, (1, 7)),
        ("double.column2", narrow, (7, 1)),
        ("double.row2", 192, (1, 7)),
    ]
    _module(stack, name, [("1x1", 192, 1)], _seven(narrow), double, [("pool", 192, 1)])


def _forks(stack: Stack, name: str) -> None:
    """Append the module of Figure 7: two branches end in a fork, a row and a column of three pixels."""
    three = _branch(stack, name, [("3x3.reduce", 384, 1)])
    double = _branch(stack, name, [("double.reduce", 448, 1), ("double.3x3", 384, 3)])
    for end, part in ((three, "3x3"), (double, "double")):
        _module(end, f"{name}.{part}", [("row", 384, (1, 3))], [("column", 384, (3, 1))])
    one, pool = (_branch(stack, name, [conv]) for conv in (("1x1", 320, 1), ("pool", 192, 1)))
    stack.branches(one, three, double, pool)


def _module(stack: Stack, name: str, *branches: Branch) -> None:
    """Append a module that keeps the map's size."""
    stack.branches(*(_branch(stack, name, branch) for branch in branches))


def _halving(stack: Stack, name: str, *branches: Branch) -> None:
    """Append a module whose branches halve the map at their ends; one more is pooling alone."""
    halves = (_branch(stack, name, branch, halve=True) for branch in branches)
    stack.branches(*halves, stack.branch().pool(3, 2))


def _branch(stack: Stack, module: str, convs: Branch, halve: bool = False) -> Stack:
    branch = stack.branch()
    for place, (name, channels, kernel) in enumerate(convs, start=1):
        slide: Slide = {"stride": 2} if halve and place == len(convs) else {"padding": "same"}
        branch.conv(f"{module}.{name}", channels, kernel, **slide)
    return branch
