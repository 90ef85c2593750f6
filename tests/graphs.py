"""ONNX graphs small enough to be right by construction; none of them is a trained model."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from orientd.spec import METADATA_KEY, ModelSpec

SIZE = 32
SPEC = ModelSpec("test", SIZE, temperature=0.5, temperature_views=0.25)


def constant(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def save(path, nodes, constants, spec=SPEC, input_name="pixels", size=SIZE):
    shape = ["n", size, size, 3]
    inputs = [helper.make_tensor_value_info(input_name, TensorProto.UINT8, shape)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])]
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if spec is not None:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def sky_finder(path, bias=(0, 0, 0, 0), **options):
    """A model for which the sky is the brightest half: its logits are the sums of the top, left, bottom and right halves.

    A sky at the left comes to the top by a quarter turn clockwise. All sums are exact, so the model errs in no view.
    """
    half = SIZE // 2
    nodes = [
        helper.make_node("Cast", [options.get("input_name", "pixels")], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "channels"], ["grey"], keepdims=0),
    ]
    halves = {"top": (1, 0), "left": (2, 0), "bottom": (1, half), "right": (2, half)}
    constants = [constant("channels", [3]), constant("plane", [1, 2]), constant("last", [1])]
    constants += [constant("scale", 2.0**-18, np.float32), constant("bias", bias, np.float32)]
    for name, (axis, start) in halves.items():
        constants += [constant(f"{name}_{key}", [value]) for key, value in (("0", start), ("1", start + half), ("axis", axis))]
        nodes += [
            helper.make_node("Slice", ["grey", f"{name}_0", f"{name}_1", f"{name}_axis"], [f"{name}_half"]),
            helper.make_node("ReduceSum", [f"{name}_half", "plane"], [f"{name}_sum"], keepdims=0),
            helper.make_node("Unsqueeze", [f"{name}_sum", "last"], [name]),
        ]
    nodes += [
        helper.make_node("Concat", list(halves), ["sums"], axis=1),
        helper.make_node("Mul", ["sums", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logits"]),
    ]
    return save(path, nodes, constants, **options)


def convolutional(path):
    """Convolutions and a matrix product with random weights: what real models sum up in an order of the runtime's choice."""
    rng = np.random.default_rng(7)

    def random(name, *shape):
        return constant(name, rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape), np.float32)

    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["small"]),
        helper.make_node("Transpose", ["small"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=24),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["c3"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w4"], ["logits"], transB=1),
    ]
    weights = [random("w1", 24, 3, 3, 3), random("w2", 24, 1, 3, 3), random("w3", 100, 24, 1, 1), random("w4", 4, 100)]
    return save(path, nodes, [constant("scale", 1 / 255, np.float32), *weights])
