"""A MobileNetV1 as an ONNX graph: convolutions with normalisation folded in, ReLU, an average, a product."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dsconv_lib.errors import need

OPSET, IR = 17, 10  # old enough for the runtimes of the last years


def graph_of(convolutions: list[nn.Conv2d], classifier: nn.Linear) -> bytes:
    """Write a folded network down as an ONNX model.

    Args:
        convolutions: with a bias each, in their order; ReLU follows each.
        classifier: what maps the average over all pixels to scores.

    Returns:
        The model, with input `images` (B, 3, H, W) and output `scores` (B, classes), of any B, H and W.

    Raises:
        MissingError: without the package onnx.
    """
    onnx = need("onnx", "an ONNX graph", extra="bench")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes: list[Any] = []
    weights: list[Any] = []

    def keep(tensor: Tensor, name: str) -> str:
        weights.append(numpy_helper.from_array(tensor.detach().contiguous().numpy(), name))
        return name

    last = "images"
    for i, conv in enumerate(convolutions):
        assert conv.bias is not None
        assert not isinstance(conv.padding, str)
        inputs = [last, keep(conv.weight, f"weight{i}"), keep(conv.bias, f"bias{i}")]
        (top, left), stride = conv.padding, conv.stride
        window = {
            "kernel_shape": conv.kernel_size,
            "strides": stride,
            "pads": (top, left, top, left),
            "dilations": conv.dilation,
            "group": conv.groups,
        }
        last = f"map{i}"
        nodes.append(helper.make_node("Conv", inputs, [f"sum{i}"], **window))
        nodes.append(helper.make_node("Relu", [f"sum{i}"], [last]))
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pixel"]))
    nodes.append(helper.make_node("Flatten", ["pixel"], ["features"]))
    product = [keep(classifier.weight, "weight"), keep(classifier.bias, "bias")]
    nodes.append(helper.make_node("Gemm", ["features", *product], ["scores"], transB=1))
    image = ["batch", convolutions[0].in_channels, "height", "width"]
    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "MobileNetV1",
        [helper.make_tensor_value_info("images", number, image)],
        [helper.make_tensor_value_info("scores", number, ["batch", classifier.out_features])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written
