"""Inception V3. Source: Szegedy et al. 2016 (arXiv 1512.00567), Figures 5 to 7, and the network its authors released.

The released network differs from the paper's Table 1 in the stem and names the channels that the paper leaves out.
"""

from __future__ import annotations

from dsconv_lib.networks.layer import Layer
from dsconv_lib.networks.stack import Stack
from dsconv_lib.spec import Size


def inception_v3_layers(resolution: Size = 299, *, num_classes: int = 1000) -> list[Layer]:
    """List the layers of Inception V3: a stem, eleven modules, one linear layer; no auxiliary classifier.

    The modules have the names they have in Keras. Two of them, mixed3 and mixed8, halve the map.

    Args:
        resolution: side of the input image in pixels, or (height, width); 75 at least.
        num_classes: outputs of the classifier.

    Raises:
        SpecError: naming the argument, its value and what was expected.

    >>> from dsconv_lib import cost
    >>> cost.of(inception_v3_layers()).macs
    5713216096
    """
    stack = Stack(resolution, norm=True)
    stack.conv("stem.conv1", 32, 3, stride=2).conv("stem.conv2", 32, 3)
    stack.conv("stem.conv3", 64, 3, padding=1).pool(3, 2)
    stack.conv("stem.conv4", 80, 1).conv("stem.conv5", 192, 3).pool(3, 2)
    for number, project in enumerate((32, 64, 64)):
        _small_kernels(stack, f"mixed{number}", project)
    _halve_to_768(stack, "mixed3")
    for number, narrow in enumerate((128, 160, 160, 192), start=4):
        _rows_and_columns(stack, f"mixed{number}", narrow)
    _halve_to_1280(stack, "mixed8")
    for number in (9, 10):
        _forks(stack, f"mixed{number}")
    return stack.average().classifier(num_classes)


def _small_kernels(stack: Stack, name: str, project: int) -> None:
    """Append the module of Figure 5: two 3x3 convolutions, one after the other, see what a 5x5 one sees."""
    stack.branches(
        stack.branch().conv(f"{name}.1x1", 64, 1),
        stack.branch().conv(f"{name}.5x5.reduce", 48, 1).conv(f"{name}.5x5", 64, 5, padding=2),
        stack.branch()
        .conv(f"{name}.double.reduce", 64, 1)
        .conv(f"{name}.double.3x3a", 96, 3, padding=1)
        .conv(f"{name}.double.3x3b", 96, 3, padding=1),
        stack.branch().conv(f"{name}.pool", project, 1),
    )


def _halve_to_768(stack: Stack, name: str) -> None:
    """Append the first module that halves the map; its third branch is pooling alone."""
    stack.branches(
        stack.branch().conv(f"{name}.3x3", 384, 3, stride=2),
        stack.branch()
        .conv(f"{name}.double.reduce", 64, 1)
        .conv(f"{name}.double.3x3a", 96, 3, padding=1)
        .conv(f"{name}.double.3x3b", 96, 3, stride=2),
        stack.branch().pool(3, 2),
    )


def _rows_and_columns(stack: Stack, name: str, narrow: int) -> None:
    """Append the module of Figure 6: a row of seven pixels, then a column, in place of a square."""
    stack.branches(
        stack.branch().conv(f"{name}.1x1", 192, 1),
        stack.branch()
        .conv(f"{name}.7x7.reduce", narrow, 1)
        .conv(f"{name}.7x7.row", narrow, (1, 7), padding=(0, 3))
        .conv(f"{name}.7x7.column", 192, (7, 1), padding=(3, 0)),
        stack.branch()
        .conv(f"{name}.double.reduce", narrow, 1)
        .conv(f"{name}.double.column1", narrow, (7, 1), padding=(3, 0))
        .conv(f"{name}.double.row1", narrow, (1, 7), padding=(0, 3))
        .conv(f"{name}.double.column2", narrow, (7, 1), padding=(3, 0))
        .conv(f"{name}.double.row2", 192, (1, 7), padding=(0, 3)),
        stack.branch().conv(f"{name}.pool", 192, 1),
    )


def _halve_to_1280(stack: Stack, name: str) -> None:
    """Append the second module that halves the map."""
    stack.branches(
        stack.branch().conv(f"{name}.3x3.reduce", 192, 1).conv(f"{name}.3x3", 320, 3, stride=2),
        stack.branch()
        .conv(f"{name}.7x7.reduce", 192, 1)
        .conv(f"{name}.7x7.row", 192, (1, 7), padding=(0, 3))
        .conv(f"{name}.7x7.column", 192, (7, 1), padding=(3, 0))
        .conv(f"{name}.7x7.3x3", 192, 3, stride=2),
        stack.branch().pool(3, 2),
    )


def _forks(stack: Stack, name: str) -> None:
    """Append the module of Figure 7: two branches end in a fork, a row and a column of three pixels."""

    def fork(stem: Stack, branch: str) -> Stack:
        return stem.branches(
            stem.branch().conv(f"{name}.{branch}.row", 384, (1, 3), padding=(0, 1)),
            stem.branch().conv(f"{name}.{branch}.column", 384, (3, 1), padding=(1, 0)),
        )

    stack.branches(
        stack.branch().conv(f"{name}.1x1", 320, 1),
        fork(stack.branch().conv(f"{name}.3x3.reduce", 384, 1), "3x3"),
        fork(
            stack.branch()
            .conv(f"{name}.double.reduce", 448, 1)
            .conv(f"{name}.double.3x3", 384, 3, padding=1),
            "double",
        ),
        stack.branch().conv(f"{name}.pool", 192, 1),
    )
