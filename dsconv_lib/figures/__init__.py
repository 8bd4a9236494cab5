"""The course's figures: one colour per operation, one width, direct labels."""

from dsconv_lib.figures.bars import draw_layers as draw_layers
from dsconv_lib.figures.bars import draw_macs as draw_macs
from dsconv_lib.figures.bars import draw_shares as draw_shares
from dsconv_lib.figures.images import draw_images as draw_images
from dsconv_lib.figures.ladder import draw_ladder as draw_ladder
from dsconv_lib.figures.runs import draw_runs as draw_runs
from dsconv_lib.figures.runs import draw_speeds as draw_speeds
from dsconv_lib.figures.style import COLOURS as COLOURS
from dsconv_lib.figures.style import use_style as use_style
from dsconv_lib.figures.tensors import draw_operation as draw_operation
from dsconv_lib.figures.tensors import draw_window as draw_window
