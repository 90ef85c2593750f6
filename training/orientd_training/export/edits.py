"""Exported graphs made smaller and more supple, with the same weights. See `onnx_file`, too."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

_SMALL = 1024  # numbers that stay as they are: biases and the like


def with_half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large weights in float16, which it takes to float32 by itself when it is opened.

    Raises:
        ValueError: a weight is too large for a float16.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    casts = []
    for tensor in made.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _SMALL:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ValueError(f"{name} holds numbers that are too large")
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}.whole", to=onnx.TensorProto.FLOAT))
    inputs = [each for each in made.graph.input if each.name not in {cast.output[0] for cast in casts}]
    nodes = [*casts, *made.graph.node]
    del made.graph.node[:], made.graph.input[:]
    made.graph.node.extend(nodes)
    made.graph.input.extend(inputs)
    return made


def of_any_side(model: onnx.ModelProto, grid: int) -> onnx.ModelProto:
    """An exported graph that takes squares of any side at which its last features can be divided into `grid` × `grid` cells.

    Two things are fixed in the exported graph: the sides of its input, and the cells that an AveragePool makes of its last
    features.

    Raises:
        ValueError: something else is fixed, too.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    pools = [node for node in graph.node if node.op_type == "AveragePool"]
    if len(pools) != (1 if grid else 0):
        raise ValueError(f"it has {len(pools)} average pools")
    for pool in pools:
        _free_pool(graph, pool, grid)
    for side in graph.input[0].type.tensor_type.shape.dim[1:3]:
        side.dim_param = "side"
    del graph.value_info[:]
    return made


def _free_pool(graph: onnx.GraphProto, pool: onnx.NodeProto, grid: int) -> None:
    """The means of cells by parting rows, then columns, of whatever number (0 in a shape: as it is; -1: what is left)."""
    (given,), (means,), channels = pool.input, pool.output, _channels(graph, pool.input[0])
    constants = {"rows": [0, channels * grid, -1, 0], "columns": [0, channels * grid, grid, -1], "down": [2], "across": [3]}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.int64), f"cells.{name}") for name, value in constants.items()
    )
    nodes = [
        helper.make_node("Reshape", [given, "cells.rows"], ["cells.by_row"]),
        helper.make_node("ReduceMean", ["cells.by_row", "cells.down"], ["cells.row_means"], keepdims=1),
        helper.make_node("Reshape", ["cells.row_means", "cells.columns"], ["cells.by_column"]),
        helper.make_node("ReduceMean", ["cells.by_column", "cells.across"], [means], keepdims=0),
    ]
    place = list(graph.node).index(pool)
    all_nodes = [*graph.node[:place], *nodes, *graph.node[place + 1 :]]
    del graph.node[:]
    graph.node.extend(all_nodes)


def _channels(graph: onnx.GraphProto, name: str) -> int:
    for value in graph.value_info:
        if value.name == name:
            return int(value.type.tensor_type.shape.dim[1].dim_value)
    raise ValueError(f"the channels of {name} are not stated")
