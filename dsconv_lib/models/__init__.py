"""Networks as torch modules, each built from its table in `networks`."""

from dsconv_lib.models.mobilenet_v1 import MobileNetV1
from dsconv_lib.models.vgg import VGG16
from dsconv_lib.models.xception import Xception

__all__ = ["VGG16", "MobileNetV1", "Xception"]
