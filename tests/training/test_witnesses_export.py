"""The models of witnesses as they are made from published ones."""

from itertools import pairwise

import numpy as np
from onnx import TensorProto, helper, load
from orientd_training.export.witnesses import NECK, with_maps
from support import onnx_graphs

from orientd.infer.session import Graph
from orientd.witnesses.layout import MAPS


def test_the_detector_of_things_gives_its_neck_as_well_in_the_order_of_the_maps(tmp_path):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, "rows", "columns"]) for name in ("images", "output")]
    steps = ["images", *NECK, "output"]
    nodes = [helper.make_node("Add", [before, before], [after]) for before, after in pairwise(steps)]
    published = load(onnx_graphs.write(tmp_path / "published.onnx", nodes, ends[:1], ends[1:], [], None))
    before = published.SerializeToString()
    (tmp_path / "things.onnx").write_bytes(with_maps(published).SerializeToString())
    answers = Graph(tmp_path / "things.onnx")(np.ones((1, 1, 2, 3), np.float32))
    assert list(answers) == ["output", *MAPS]
    assert {name: float(values.max()) for name, values in answers.items()} == {"output": 16, "maps8": 2, "maps16": 4, "maps32": 8}
    assert published.SerializeToString() == before
