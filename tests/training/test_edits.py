"""Graphs that take two sides, and graphs with halved weights, answer as they did."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support import onnx_graphs, training_runs

from orientd.errors import ModelError
from orientd.infer.session import Graph
from orientd.infer.spec import ModelSpec
from orientd.witnesses.opened import FOLDER

torch = pytest.importorskip("torch")

from orientd_training.config import Phase, TrainConfig  # noqa: E402
from orientd_training.export import onnx_file, witnesses  # noqa: E402
from orientd_training.export.edits import of_any_side, with_half_weights  # noqa: E402
from orientd_training.fit.network import Network, Served  # noqa: E402

from orientd.infer.engine import Engine, load_spec  # noqa: E402

PUBLISHED = Path(__file__).parents[3] / "shared" / "weights"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    __import__("tqdm").tqdm.monitor_interval = 0  # torch's exporter shows bars with it, and it would leave a thread behind
    with training_runs.one_thread():
        yield


@pytest.fixture(scope="module")
def network():
    """MobileNetV2 as the bundled model has it, with weights of no meaning, those of the grid among them."""
    torch.manual_seed(1)
    recipe = TrainConfig(
        name="a",
        train=Path("a"),
        phases=(Phase(192, 1),),
        validation=Path("b"),
        backbone="mobilenetv2_100",
        pad_type="same",
        head_grid=3,
        mean=127.5,
        std=127.5,
    )
    made = Network(recipe, init=False).eval()
    torch.nn.init.normal_(made.extra.weight, std=0.05)
    return made


def photos(side):
    return np.random.default_rng(2).integers(0, 256, (3, side, side, 3), np.uint8)


@pytest.mark.slow
def test_a_graph_takes_two_sides_and_does_as_torch_does_at_both(network, tmp_path):
    out = tmp_path / "model.onnx"
    assert onnx_file.export(network, ModelSpec("a", 192), out, photos(192)) <= onnx_file.TOLERANCE
    engine = Engine(out)
    assert engine.spec == ModelSpec("a", 192, second_size=288)
    served = Served(network).eval()
    for side in engine.spec.sides:
        with torch.inference_mode():
            expected = served(torch.from_numpy(photos(side))).numpy()
        assert engine.logits(photos(side)) == pytest.approx(expected, abs=1e-3)
        assert engine.by_view(np.repeat(photos(side)[:1], 8, 0)).shape == (8, 4)


@pytest.mark.slow
def test_one_whose_cells_do_not_fit_takes_one_side(network, tmp_path):
    out = tmp_path / "model.onnx"
    assert onnx_file.export(network, ModelSpec("a", 96), out, photos(96)) <= onnx_file.TOLERANCE
    assert load_spec(out) == ModelSpec("a", 96)
    assert len(Engine(out).look(photos(96))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("second", [288, 0])
def test_a_spec_and_its_graph_must_agree(tmp_path, second):
    """A graph of one side cannot pretend to take two, nor one of any side keep that to itself."""
    fixed = onnx_graphs.sky_finder(tmp_path / "fixed.onnx")
    free = onnx.load(fixed)
    for side in free.graph.input[0].type.tensor_type.shape.dim[1:3]:
        side.dim_param = "side"
    onnx.save(free, tmp_path / "free.onnx")
    wrong = fixed if second else tmp_path / "free.onnx"
    onnx_file.stamp(wrong, wrong, replace(onnx_graphs.SPEC, second_size=second))
    with pytest.raises(ModelError, match="not the agreed form"):
        Engine(wrong)


@pytest.mark.parametrize(("grid", "pools"), [(3, 0), (3, 2), (0, 1)])
def test_a_graph_with_other_pools_is_not_guessed_at(grid, pools):
    nodes = [helper.make_node("AveragePool", ["x"], [f"y{i}"], kernel_shape=[2, 2]) for i in range(pools)]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4, 3])
    graph = helper.make_graph(nodes, "test", [given], [])
    with pytest.raises(ValueError, match=f"{pools} average pools"):
        of_any_side(helper.make_model(graph), grid)


def multiplied(weights, path):
    """A graph that multiplies by a matrix."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in ("x", "y")]
    constants = [onnx_graphs.constant("w", weights, np.float32)]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "test", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return model


def test_halved_weights_answer_nearly_the_same_in_half_the_bytes(tmp_path):
    weights = np.random.default_rng(3).normal(0, 1, (64, 64))
    model = multiplied(weights, tmp_path / "whole.onnx")
    onnx.save(with_half_weights(model), tmp_path / "half.onnx")
    given = np.random.default_rng(4).normal(0, 1, (1, 64)).astype(np.float32)
    whole, half = (Graph(tmp_path / f"{name}.onnx")(given)["y"] for name in ("whole", "half"))
    assert 0 < np.abs(whole - half).max() < 0.02
    assert (tmp_path / "half.onnx").stat().st_size < 0.55 * (tmp_path / "whole.onnx").stat().st_size
    assert half == pytest.approx(given @ weights.astype(np.float16).astype(np.float32), abs=1e-5)


def test_numbers_that_no_float16_holds_are_not_halved(tmp_path):
    with pytest.raises(ValueError, match="too large"):
        with_half_weights(multiplied(np.full((64, 64), 1e6), tmp_path / "whole.onnx"))


@pytest.mark.parametrize("name", witnesses.SOURCES)
def test_the_bundled_models_are_made_of_the_published_ones(name):
    if not PUBLISHED.is_dir():
        pytest.skip("the published models are not here")
    made, bundled = onnx.load_from_string(witnesses.make(name, PUBLISHED)), onnx.load(FOLDER / f"{name}.onnx")
    assert made == bundled
