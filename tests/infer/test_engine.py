"""The engine is tested with graphs small enough to be right by construction; none of them is a trained model."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.onnx_graphs import SIZE, SPEC, convolutional, sky_finder

from orientd import commands, orientation
from orientd.errors import EngineUnavailable, ExitCode, ModelError
from orientd.infer import engine as infer
from orientd.infer import session
from orientd.infer.engine import Engine, load_spec
from orientd.infer.spec import ModelSpec


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return Engine(sky_finder(tmp_path_factory.mktemp("models") / "sky.onnx"))


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return Engine(convolutional(tmp_path_factory.mktemp("models") / "net.onnx"))


def landscape():
    picture = np.full((SIZE, SIZE, 3), 20, np.uint8)
    picture[: SIZE // 2] = 220
    return picture


def photos(count, seed=0):
    """Pictures whose four halves all differ in brightness."""
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-3, 3, (2, count, 1, 1, 1))
    y, x = (np.arange(SIZE) - SIZE / 2).reshape(1, SIZE, 1, 1), (np.arange(SIZE) - SIZE / 2).reshape(1, 1, SIZE, 1)
    return (128 + slopes[0] * y + slopes[1] * x + rng.normal(0, 10, (count, SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)


def test_the_class_is_the_clockwise_turn_that_brings_the_sky_to_the_top(sky):
    for index, turn in enumerate(orientation.TURNS):
        wrong = orientation.apply(landscape(), orientation.inverse(orientation.from_turn(turn)))
        (prediction,) = sky.look(wrong[None])
        assert int(np.argmax(prediction.probabilities)) == index
        assert int(np.argmax(sky.look_again(wrong).probabilities)) == index


def test_each_view_is_turned_back_to_the_picture_as_given(sky):
    for picture in photos(8):
        (single,) = sky.look(picture[None])
        assert len(set(single.probabilities)) == 4
        again = sky.look_again(picture)
        assert again.views == 8
        assert set(again.by_view) == {single.probabilities}


@pytest.mark.parametrize("view", infer.VIEWS)
def test_a_view_turned_back_wrongly_is_noticed(sky, monkeypatch, view):
    (single,) = sky.look(photos(1))
    right = infer.TURNED_BACK[view - 1]
    for wrong in (np.roll(right, 1), np.roll(right, 2), np.roll(right, 3), right[[0, 3, 2, 1]]):
        table = infer.TURNED_BACK.copy()
        table[view - 1] = wrong
        monkeypatch.setattr(infer, "TURNED_BACK", table)
        assert sky.look_again(photos(1)[0]).by_view[view - 1] != single.probabilities


def test_a_preference_of_the_model_for_one_class_cancels_out_over_the_views(sky, tmp_path):
    biased = Engine(sky_finder(tmp_path / "biased.onnx", bias=(2, 0, 0.5, -1)))
    picture = photos(1)[0]
    assert biased.look(picture[None])[0].probabilities[0] > sky.look(picture[None])[0].probabilities[0] + 0.1
    assert biased.look_again(picture).probabilities == pytest.approx(sky.look_again(picture).probabilities, rel=1e-12)
    assert len(set(biased.look_again(picture).by_view)) > 1


def test_probabilities_are_the_softmax_of_logits_over_the_temperature(sky):
    picture = photos(1)[0]
    grey = picture.astype(float).sum(axis=2)
    half = SIZE // 2
    logits = np.array([grey[:half].sum(), grey[:, :half].sum(), grey[half:].sum(), grey[:, half:].sum()]) / 2**18

    def softmax(values):
        return np.exp(values) / np.exp(values).sum()

    assert sky.look(picture[None])[0].probabilities == pytest.approx(softmax(logits / SPEC.temperature), rel=1e-6)
    assert sky.look_again(picture).probabilities == pytest.approx(softmax(logits / SPEC.temperature_views), rel=1e-6)


@given(st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4), st.floats(0.05, 20))
def test_probabilities_sum_to_one_and_keep_the_order_of_the_logits(logits, temperature):
    row = infer._softmax(np.array(logits), temperature)
    assert sum(row) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in row)
    assert row[int(np.argmax(logits))] == max(row)


def test_one_look_has_one_view(net):
    (prediction,) = net.look(photos(1))
    assert prediction.by_view == (prediction.probabilities,)
    assert net.look(photos(0)) == []


@settings(max_examples=20)
@given(st.permutations(range(20)), st.integers(1, 20))
def test_answers_do_not_depend_on_batch_size_or_order(net, order, size):
    pictures = photos(20)
    alone = [net.look(picture[None])[0] for picture in pictures]
    together = [p for start in range(0, 20, size) for p in net.look(pictures[list(order)[start : start + size]])]
    assert together == [alone[index] for index in order]


def test_answers_do_not_depend_on_the_thread(net):
    pictures = photos(40)
    expected = net.look(pictures), [net.look_again(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        looks = pool.map(lambda picture: net.look(picture[None])[0], pictures)
        again = pool.map(net.look_again, pictures)
        assert (list(looks), list(again)) == expected


def test_padding_to_the_batch_of_a_gpu_changes_nothing(net, monkeypatch):
    pictures = photos(11)
    expected = net.look(pictures), net.look_again(pictures[0])
    monkeypatch.setattr(net, "_batch", 4)
    assert (net.look(pictures), net.look_again(pictures[0])) == expected


def test_different_pictures_get_different_answers(net):
    assert len({prediction.probabilities for prediction in net.look(photos(20))}) == 20


def test_an_engine_tells_what_it_is(sky, tmp_path):
    path = sky_finder(tmp_path / "again.onnx")
    assert load_spec(path) == load_spec(str(path)) == sky.spec == SPEC
    assert sky.providers == ("CPUExecutionProvider",)
    assert sky._session.get_session_options().intra_op_num_threads == 1
    other = Engine(sky_finder(tmp_path / "other.onnx", bias=(1, 0, 0, 0)))
    assert Engine(path).model_id == sky.model_id != other.model_id
    assert len(sky.model_id) == 16


@pytest.mark.parametrize("opened", [Engine, load_spec])
def test_a_model_that_cannot_be_used_says_so(tmp_path, opened):
    path = sky_finder(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        opened(tmp_path / "missing.onnx")
    (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ModelError, match="cannot be loaded"):
        opened(tmp_path / "cut.onnx")
    with pytest.raises(ModelError, match="orientd-train"):
        opened(sky_finder(tmp_path / "unknown.onnx", spec=None))


@pytest.mark.parametrize("options", [{"input_name": "image"}, {"spec": ModelSpec("other", 64)}])
def test_a_graph_of_another_form_is_refused(tmp_path, options):
    with pytest.raises(ModelError, match="not the agreed form"):
        Engine(sky_finder(tmp_path / "model.onnx", **options))


def test_a_model_that_answers_nan_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="not finite"):
        Engine(sky_finder(tmp_path / "nan.onnx", bias=(np.nan, 0, 0, 0))).look(photos(1))


def test_without_onnx_runtime_the_extra_to_install_is_named(tmp_path, monkeypatch):
    path = sky_finder(tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineUnavailable, match=re.escape(commands.adding("cpu"))) as caught:
        Engine(path)
    assert caught.value.exit_code == ExitCode.ERROR


def test_a_provider_that_is_not_there_is_an_error(tmp_path):
    missing = next(name for name in onnxruntime.get_all_providers() if name not in onnxruntime.get_available_providers())
    with pytest.raises(EngineUnavailable, match=missing):
        Engine(sky_finder(tmp_path / "model.onnx"), (missing, "CPUExecutionProvider"))


def test_a_provider_that_falls_back_in_silence_is_an_error(tmp_path, monkeypatch):
    path = sky_finder(tmp_path / "model.onnx")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda model, options, providers, enable_fallback: FellBack())
    with pytest.raises(EngineUnavailable, match="CUDAExecutionProvider cannot run here"):
        Engine(path, ("CUDAExecutionProvider",))


def test_a_provider_that_cannot_start_is_an_error_and_nothing_is_printed(tmp_path, monkeypatch, capsys):
    """ONNX Runtime would print on stdout, where a report may go, and go on with another provider."""

    def fails(*_, providers, enable_fallback):
        assert not enable_fallback
        raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")

    path = sky_finder(tmp_path / "model.onnx")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with pytest.raises(EngineUnavailable, match="no CUDA-capable device"):
        Engine(path, [("CUDAExecutionProvider", {"device_id": "0"})])
    assert capsys.readouterr().out == ""


def test_shapes_are_those_the_model_is_run_on(sky, monkeypatch):
    monkeypatch.setattr(sky, "_batch", 32)
    monkeypatch.setattr(sky, "_views", 8)
    assert sky.shapes() == ["pixels:8x32x32x3", "pixels:32x32x32x3"]


def test_the_version_of_tensorrt_is_read_off_the_library_of_onnx_runtime(tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    assert session.tensorrt_version() == ""
    (tmp_path / "capi").mkdir()
    library = tmp_path / "capi" / "libonnxruntime_providers_tensorrt.so"
    library.write_bytes(b"\0libcudart.so.13\0libnvinfer.so.10\0libnvonnxparser.so.10\0")
    assert session.tensorrt_version() == "10"
    library.write_bytes(b"\0libcudart.so.13\0")
    assert session.tensorrt_version() == ""


class FellBack:
    def get_providers(self):
        return ["CPUExecutionProvider"]


def test_importing_the_module_does_not_load_onnx_runtime():
    program = "import sys, orientd.infer.engine; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False).returncode == 0
