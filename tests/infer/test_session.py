"""A graph of any kind: the file it must be, and all its outputs by name."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from onnx import TensorProto, helper
from support import onnx_graphs

from orientd.errors import ModelError
from orientd.infer.session import Graph


@pytest.fixture
def file(tmp_path):
    """Doubles and negates."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "twice", "minus")]
    nodes = [helper.make_node("Add", ["x", "x"], ["twice"]), helper.make_node("Neg", ["x"], ["minus"])]
    return onnx_graphs.write(tmp_path / "graph.onnx", nodes, ends[:1], ends[1:], [], None)


def test_all_outputs_come_by_name(file):
    answers = Graph(file)(np.array([1, 2], np.float32))
    assert {name: values.tolist() for name, values in answers.items()} == {"twice": [2, 4], "minus": [-1, -2]}


def test_the_file_must_be_the_one_expected(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert Graph(file, digest)
    with pytest.raises(ModelError, match=f"not the one it should be.*{digest}: install orientd again"):
        Graph(file, "0" * 64)


def test_a_run_takes_its_memory_piece_by_piece(file):
    """In one piece for each run, which is the default, eight threads hold 450 MiB instead of 340."""
    assert not Graph(file)._session.get_session_options().enable_mem_pattern


def test_a_file_that_is_missing_or_no_graph_is_told(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        Graph(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Graph(tmp_path / "text.onnx")


def test_onnx_runtime_is_loaded_when_a_graph_is_opened():
    program = "import sys, orientd.witnesses.opened; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
