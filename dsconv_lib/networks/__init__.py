"""Networks as tables of their layers, to be printed and counted before any weight exists.

Each function takes `resolution`, the side of the input image in pixels, or (height, width); its docstring says which is
the least. `num_classes` is the number of the classifier's outputs. Where there are more: `alpha` is the width
multiplier, greater than 0: every layer has alpha times the channels, rounded down, 8 at least; `in_channels` are those
of the image, 3 for colour, 1 for grey. All raise `SpecError`, naming the argument, its value and what was expected.
"""

from dsconv_lib.networks.alexnet import alexnet_layers as alexnet_layers
from dsconv_lib.networks.inception import googlenet_layers as googlenet_layers
from dsconv_lib.networks.inception import inception_v3_layers as inception_v3_layers
from dsconv_lib.networks.layer import Layer as Layer
from dsconv_lib.networks.layer import table as table
from dsconv_lib.networks.mobilenet_v1 import mobilenet_v1_layers as mobilenet_v1_layers
from dsconv_lib.networks.squeezenet import squeezenet_layers as squeezenet_layers
from dsconv_lib.networks.vgg import vgg16_layers as vgg16_layers
from dsconv_lib.networks.xception import xception_layers as xception_layers
