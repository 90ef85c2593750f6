"""ONNX graphs small enough to be right by construction; none of them is a trained model."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from orientd.infer.spec import METADATA_KEY, ModelSpec

SIZE = 32
SPEC = ModelSpec("test", SIZE, temperature=0.5, temperature_views=0.25)


def constant(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def save(path, nodes, constants, spec=SPEC, input_name="pixels", size=SIZE):
    inputs = [helper.make_tensor_value_info(input_name, TensorProto.UINT8, ["n", size, size, 3])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])]
    return write(path, nodes, inputs, outputs, constants, spec)


def write(path, nodes, inputs, outputs, constants, spec):
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if spec is not None:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def half_sums(size, names):
    """Nodes and constants that make "sums" (N, 4) of "grey" (N, size, size): those of its halves in the order of `names`."""
    half = size // 2
    places = {"top": (1, 0), "left": (2, 0), "bottom": (1, half), "right": (2, half)}
    nodes, constants = [], [constant("plane", [1, 2]), constant("last", [1])]
    for name in names:
        axis, start = places[name]
        constants += [constant(f"{name}_{key}", [value]) for key, value in (("0", start), ("1", start + half), ("axis", axis))]
        nodes += [
            helper.make_node("Slice", ["grey", f"{name}_0", f"{name}_1", f"{name}_axis"], [f"{name}_half"]),
            helper.make_node("ReduceSum", [f"{name}_half", "plane"], [f"{name}_sum"], keepdims=0),
            helper.make_node("Unsqueeze", [f"{name}_sum", "last"], [name]),
        ]
    return [*nodes, helper.make_node("Concat", list(names), ["sums"], axis=1)], constants


def sky_finder(path, bias=(0, 0, 0, 0), **options):
    """A model for which the sky is the brightest half: its logits are the sums of the top, left, bottom and right halves.

    A sky at the left comes to the top by a quarter turn clockwise. All sums are exact, so the model errs in no view.
    """
    halves, constants = half_sums(SIZE, ("top", "left", "bottom", "right"))
    nodes = [
        helper.make_node("Cast", [options.get("input_name", "pixels")], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["float", "channels"], ["grey"], keepdims=0),
        *halves,
        helper.make_node("Mul", ["sums", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["logits"]),
    ]
    constants += [constant("channels", [3])]
    constants += [constant("scale", 2.0**-18, np.float32), constant("bias", bias, np.float32)]
    return save(path, nodes, constants, **options)


def upstream(path, names=("top", "left", "bottom", "right"), size=384, spec=None):
    """The same in the layout of deep-image-orientation-detection: normalised float32 planes in, nothing said about itself.

    Each output is a half's mean of the planes weighted by 1, 2 and 4, so that a wrong mean or standard deviation shows.
    """
    halves, constants = half_sums(size, names)
    nodes = [
        helper.make_node("Mul", ["input", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "channels"], ["grey"], keepdims=0),
        *halves,
        helper.make_node("Mul", ["sums", "scale"], ["output"]),
    ]
    constants += [constant("channels", [1]), constant("weights", [[[[1]], [[2]], [[4]]]], np.float32)]
    constants += [constant("scale", 2 / size**2, np.float32)]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch_size", 3, size, size])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch_size", 4])]
    return write(path, nodes, inputs, outputs, constants, spec)


def conv_sky_finder(path, spec=SPEC):
    """The sky finder of two convolutions and a matrix product, with weights that integers cannot hold exactly."""
    half = np.zeros((4, 1, SIZE, SIZE), np.float32)
    half[0, 0, : SIZE // 2] = half[1, 0, :, : SIZE // 2] = half[2, 0, SIZE // 2 :] = half[3, 0, :, SIZE // 2 :] = 1
    half *= np.random.default_rng(3).normal(1, 0.1, half.shape).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "grey"], ["c1"], name="first", kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "halves"], ["c2"], name="second", kernel_shape=[SIZE, SIZE]),
        helper.make_node("Flatten", ["c2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "scale"], ["logits"], name="head"),
    ]
    weights = [constant("grey", np.full((1, 3, 1, 1), 1 / 3), np.float32), constant("halves", half, np.float32)]
    return save(path, nodes, [*weights, constant("scale", np.eye(4) * 2.0**-14, np.float32)], spec=spec)


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
