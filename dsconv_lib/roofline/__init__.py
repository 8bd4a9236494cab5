"""From multiplications to seconds: what a machine can do, what a layer asks of it, and how long that takes at least.

Two rates bound every layer: multiplications per second, and bytes per second from where its data lie. `Device` holds
them, `Work` is what a layer needs of both, `floor` the time that the scarcer one takes. No layer is faster; how much
slower each kind of layer is, its efficiency, comes from a clock. `predict` then tells the time of a network that was
never run.

Source: Williams, Waterman and Patterson 2009, Roofline (Communications of the ACM 52, 4).
"""

from dsconv_lib.roofline.clock import LARGEST as LARGEST
from dsconv_lib.roofline.clock import Probe as Probe
from dsconv_lib.roofline.clock import Readings as Readings
from dsconv_lib.roofline.clock import measure as measure
from dsconv_lib.roofline.clock import readings as readings
from dsconv_lib.roofline.device import Device as Device
from dsconv_lib.roofline.device import Level as Level
from dsconv_lib.roofline.device import RooflineError as RooflineError
from dsconv_lib.roofline.floor import Floor as Floor
from dsconv_lib.roofline.floor import floor as floor
from dsconv_lib.roofline.prediction import FORMS as FORMS
from dsconv_lib.roofline.prediction import Form as Form
from dsconv_lib.roofline.prediction import Prediction as Prediction
from dsconv_lib.roofline.prediction import Step as Step
from dsconv_lib.roofline.prediction import expected as expected
from dsconv_lib.roofline.prediction import predict as predict
from dsconv_lib.roofline.prediction import steps as steps
from dsconv_lib.roofline.work import Kind as Kind
from dsconv_lib.roofline.work import Work as Work
from dsconv_lib.roofline.work import elementwise as elementwise
from dsconv_lib.roofline.work import fused as fused
from dsconv_lib.roofline.work import norm as norm
from dsconv_lib.roofline.work import of as of
from dsconv_lib.roofline.work import training as training
