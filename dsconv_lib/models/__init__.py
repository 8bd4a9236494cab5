"""Networks, each built from a table of layers that can be printed and counted."""

from dsconv_lib.models.alexnet import alexnet_layers
from dsconv_lib.models.googlenet import googlenet_layers
from dsconv_lib.models.inception_v3 import inception_v3_layers
from dsconv_lib.models.mobilenet_v1 import MobileNetV1, mobilenet_v1_layers
from dsconv_lib.models.squeezenet import squeezenet_layers
from dsconv_lib.models.table import Layer, table, total
from dsconv_lib.models.vgg import VGG16, vgg16_layers
from dsconv_lib.models.xception import Xception, xception_layers

__all__ = [
    "VGG16",
    "Layer",
    "MobileNetV1",
    "Xception",
    "alexnet_layers",
    "googlenet_layers",
    "inception_v3_layers",
    "mobilenet_v1_layers",
    "squeezenet_layers",
    "table",
    "total",
    "vgg16_layers",
    "xception_layers",
]
