"""Integers instead of floats: kept if they judge as well, gone if not; and what can go wrong where a model is written."""

import errno
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from orientd_training.data import photoset
from orientd_training.evaluate.compare import compare
from orientd_training.evaluate.predictions import Looks
from orientd_training.export import onnx_file as exporting
from orientd_training.export import quantise
from support import sky_library
from support.onnx_graphs import SIZE, conv_sky_finder, sky_finder

from orientd import orientation
from orientd.errors import ConfigError, StateError
from orientd.infer.engine import Engine, load_spec
from orientd.infer.spec import ModelSpec


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i in range(24):
        sky_library.draw(folder / "in" / f"album-{i % 3}" / f"{i}.jpg", seed=i)
    photoset.prepare([folder / "in"], folder / "cache", SIZE)
    return photoset.load(folder / "cache")


@pytest.fixture
def model(tmp_path):
    return conv_sky_finder(tmp_path / "model.onnx", spec=ModelSpec("sky", SIZE))


def initialisers(path):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}


def test_integers_that_judge_as_well_are_kept(model, photos, tmp_path):
    out = tmp_path / "model.int8.onnx"
    trial = quantise.quantise(model, out, photos, photos)
    assert trial.refusal == ""
    assert trial.comparison.photos == 24
    assert trial.time > 0
    spec = load_spec(out)
    assert (spec.name, spec.input_size, spec.calibrated) == ("sky-int8", SIZE, True)
    assert load_spec(model) == ModelSpec("sky", SIZE)
    engine = Engine(out)
    for pixels in photos.pixels[:6]:
        for k, turn in enumerate(orientation.TURNS):
            shown = orientation.apply(np.asarray(pixels), orientation.inverse(orientation.from_turn(turn)))
            assert int(np.argmax(engine.look(shown[None])[0].probabilities)) == k
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.int8.onnx", "model.onnx"]
    assert "kept. On 24 photos" in quantise.in_words(trial)


def test_weights_are_signed_per_channel_and_activations_unsigned(model, photos, tmp_path):
    out = tmp_path / "model.int8.onnx"
    quantise.quantise(model, out, photos, photos)
    nodes, values = onnx.load(out).graph.node, initialisers(out)
    second = next(node for node in nodes if node.name.startswith("second"))
    feeding = {node.output[0]: node for node in nodes}
    activation, weight = (feeding[name] for name in second.input[:2])
    assert (activation.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
    assert values[activation.input[2]].dtype == np.uint8
    assert values[weight.input[0]].dtype == np.int8
    assert values[weight.input[1]].shape == (4,)
    floats = [next(node for node in nodes if node.name == name) for name in ("first", "head")]
    assert [node.input[1] for node in floats] == ["grey", "scale"]
    assert values["grey"].dtype == values["scale"].dtype == np.float32


def test_integers_that_judge_worse_are_not_kept(model, photos, tmp_path, monkeypatch):
    out = tmp_path / "model.int8.onnx"
    out.write_bytes(b"of an earlier model")
    monkeypatch.setattr(quantise, "MOST_LOST", -0.5)
    trial = quantise.quantise(model, out, photos, photos)
    assert trial.refusal == "accuracy with one view falls by -0.00 points and accuracy with eight views falls by -0.00 points"
    assert "not kept, since accuracy" in quantise.in_words(trial)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def looks(wrong=0, unsure=0):
    """200 photos on which all views are sure and right, but for `wrong` that are surely wrong and `unsure` nearly undecided."""
    logits = np.zeros((200, 8, 4))
    logits[:, :, 0] = 9
    logits[:wrong, :, 0], logits[:wrong, :, 1] = 0, 9
    logits[wrong : wrong + unsure, :, 0], logits[wrong : wrong + unsure, :, 1] = 0, 0.01
    names = tuple(map(str, range(200)))
    return Looks(logits, names, tuple(name[-1] for name in names))


@pytest.mark.parametrize(
    ("integers", "floats", "reason"),
    [
        (looks(), looks(), ""),
        (looks(wrong=1), looks(wrong=1), ""),
        (looks(), looks(wrong=2), ""),
        (
            looks(unsure=1),
            looks(),
            "accuracy with one view falls by 0.50 points and accuracy with eight views falls by 0.50 points",
        ),
        (looks(wrong=1), looks(unsure=1), "false turns per 1,000 rise from 0.00 to 5.00"),
    ],
)
def test_what_counts_as_worse(integers, floats, reason):
    from orientd.judge.policy import DEFAULT

    assert quantise._refusal(compare(integers, floats, DEFAULT)) == reason


def test_the_sample_is_the_same_each_time_and_shows_every_turn_as_often(photos, monkeypatch):
    monkeypatch.setattr(quantise, "SAMPLE", 8)
    first, second = (list(quantise._turned(photos)) for _ in range(2))
    assert len(first) == 8
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    sums = [[half.sum() for half in (p[:16], p[:, 16:], p[16:], p[:, :16])] for p in first]  # where the sky is after 0–3 turns
    assert np.bincount(np.argmax(sums, axis=1)).tolist() == [2, 2, 2, 2]


def test_photos_of_another_size_are_refused(model, photos, tmp_path):
    with pytest.raises(ConfigError, match="photos for calibration must be there and of 32 px"):
        quantise.quantise(model, tmp_path / "out.onnx", replace(photos, pixels=photos.pixels[:, :16, :16]), photos)
    with pytest.raises(ConfigError, match="photos for calibration"):
        quantise.quantise(model, tmp_path / "out.onnx", replace(photos, pixels=photos.pixels[:0], names=(), groups=()), photos)
    with pytest.raises(ConfigError, match="prepare some at that size"):
        exporting.export(torch.nn.Identity(), ModelSpec("a", 64), tmp_path / "out.onnx", np.asarray(photos.pixels))
    with pytest.raises(ConfigError, match="prepare some at that size"):
        exporting.export(torch.nn.Identity(), ModelSpec("a", 32), tmp_path / "out.onnx", np.asarray(photos.pixels[:0]))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_place_that_cannot_be_written_is_named_before_anything_is_done(model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(quantise, "quantize_static", lambda *_, **__: pytest.fail("it was quantised"))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: pytest.fail("it was exported"))
    (tmp_path / "folder.onnx").mkdir()
    for out in (tmp_path / "missing" / "out.onnx", tmp_path / "model.onnx" / "out.onnx", tmp_path / "folder.onnx"):
        with pytest.raises(StateError, match=f"{out} cannot be written"):
            quantise.quantise(model, out, photos, photos)
        with pytest.raises(StateError, match=f"{out} cannot be written"):
            exporting.export(torch.nn.Identity(), ModelSpec("a", 32), out, np.asarray(photos.pixels))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.onnx", "model.onnx"]


def test_a_disk_that_fills_up_leaves_what_was_there(model, photos, tmp_path, monkeypatch):
    out = tmp_path / "model.int8.onnx"
    out.write_bytes(b"the former one")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exporting.onnx, "save", full)
    with pytest.raises(StateError, match=r"No space left on device.*make room"):
        quantise.quantise(model, out, photos, photos)
    assert out.read_bytes() == b"the former one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.int8.onnx", "model.onnx"]


def test_a_graph_without_convolutions_has_no_first_one(tmp_path):
    assert exporting.first_and_last(sky_finder(tmp_path / "sky.onnx")) == []
    assert exporting.first_and_last(conv_sky_finder(tmp_path / "conv.onnx")) == ["first", "head"]


@pytest.mark.parametrize(
    ("options", "complaint"), [(["--int8", "b.onnx"], "go together"), (["--calibration", "c"], "go together")]
)
def test_options_that_go_together(tmp_path, monkeypatch, capsys, options, complaint):
    from orientd_training.cli import main

    monkeypatch.setattr("sys.argv", ["orientd-train", "export", "run", "--photos", "p", "--out", "a.onnx", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
