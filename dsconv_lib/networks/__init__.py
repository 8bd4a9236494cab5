"""Networks as tables of their layers, to be printed and counted before any weight exists."""

from dsconv_lib.networks.alexnet import alexnet_layers
from dsconv_lib.networks.googlenet import googlenet_layers
from dsconv_lib.networks.inception_v3 import inception_v3_layers
from dsconv_lib.networks.layer import Layer, table
from dsconv_lib.networks.mobilenet_v1 import mobilenet_v1_layers
from dsconv_lib.networks.squeezenet import squeezenet_layers
from dsconv_lib.networks.vgg import vgg16_layers
from dsconv_lib.networks.xception import xception_layers

__all__ = [
    "Layer",
    "alexnet_layers",
    "googlenet_layers",
    "inception_v3_layers",
    "mobilenet_v1_layers",
    "squeezenet_layers",
    "table",
    "vgg16_layers",
    "xception_layers",
]
