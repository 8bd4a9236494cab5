"""Networks, each built from a table of layers that can be printed and counted."""

from dsconv_lib.models.mobilenet_v1 import MobileNetV1, mobilenet_v1_layers
from dsconv_lib.models.table import Layer, table, total

__all__ = ["Layer", "MobileNetV1", "mobilenet_v1_layers", "table", "total"]
