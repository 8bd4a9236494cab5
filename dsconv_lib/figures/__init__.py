"""The course's figures: one colour per operation, one width, direct labels."""

from dsconv_lib.figures.bars import draw_macs
from dsconv_lib.figures.images import draw_images
from dsconv_lib.figures.network import draw_layers
from dsconv_lib.figures.runs import draw_runs, draw_speeds
from dsconv_lib.figures.shares import draw_shares
from dsconv_lib.figures.style import COLOURS, use_style
from dsconv_lib.figures.tensors import draw_operation, draw_window

__all__ = [
    "COLOURS",
    "draw_images",
    "draw_layers",
    "draw_macs",
    "draw_operation",
    "draw_runs",
    "draw_shares",
    "draw_speeds",
    "draw_window",
    "use_style",
]
