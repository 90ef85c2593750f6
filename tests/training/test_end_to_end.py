"""The road from photos to a served model, on drawn photos and a network too small to be good."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from orientd_training.config import Phase, Source, TrainConfig
from orientd_training.data import photoset
from orientd_training.evaluate import calibrate, score
from orientd_training.evaluate.calibrate import Search
from orientd_training.evaluate.predictions import Looks, collect, predictions
from orientd_training.export.onnx_file import export, stamp
from orientd_training.fit.network import Network
from support import sky_library, training_runs
from support.training_runs import command

from orientd import orientation
from orientd.errors import ConfigError, ModelError
from orientd.infer.engine import Engine, load_spec
from orientd.infer.spec import ModelSpec
from orientd.judge.policy import Policy
from orientd.records import Verdict


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    __import__("tqdm").tqdm.monitor_interval = 0  # torch's exporter shows bars with it, and it would leave a thread behind
    with training_runs.one_thread():
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    for i in range(24):
        sky_library.draw(folder / "photos" / f"album-{i % 3}" / f"{i}.jpg", seed=i)
    (folder / "photos" / "album-0" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    done, bad = photoset.prepare([folder / "photos"], folder / "cache", 32)
    assert done == 24
    assert [dropped.name for dropped in bad] == ["album-0/broken.jpg"]
    return folder / "cache"


@pytest.fixture
def recipe(cache):
    phases = (Phase(32, 48, 2), Phase(40, 32, 1))
    return TrainConfig("tiny", cache, Source(cache), "mobilenetv2_035", phases, batch=8, validate_every=40, leaks="allow")


@pytest.mark.slow
def test_a_run_from_the_command_line_to_a_served_model(recipe, tmp_path, monkeypatch, capsys):
    text = {key: value for key, value in asdict(recipe).items() if value is not None}
    (tmp_path / "recipe.yaml").write_text(json.dumps(text, default=str))
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    train = ["fit", "--config", tmp_path / "recipe.yaml", "--out", run]
    assert command(monkeypatch, *train) == 0
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["photos"] for entry in entries] == [40, 80]
    assert command(monkeypatch, *train) == 2
    assert "already holds a run" in capsys.readouterr().err
    photos, prepared, sources = ["--photos", recipe.train], tmp_path / "at40", recipe.train.parent / "photos"
    assert command(monkeypatch, "prepare", sources, "--out", prepared, "--size", 40) == 0
    assert command(monkeypatch, "export", run, "--photos", prepared, "--out", model) == 0
    assert load_spec(model) == ModelSpec("tiny", 40, second_size=60)
    assert command(monkeypatch, "calibrate", model, *photos) == 2
    assert "prepare them at that size" in capsys.readouterr().err
    photos = ["--photos", prepared]
    assert command(monkeypatch, "calibrate", model, *photos) == 0
    assert load_spec(model).temperature != 1
    assert command(monkeypatch, "evaluate", model, *photos, "--out", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "measure.json").read_text())["photos"] == 24
    capsys.readouterr()
    assert command(monkeypatch, "evaluate", run, *photos, "--out", tmp_path / "run-out", "--against", model) == 0
    assert "is not calibrated" in capsys.readouterr().err
    compared = json.loads((tmp_path / "run-out" / "measure.json").read_text())["against"]["model"]
    assert compared["accuracy_one_view"]["difference"] == 0
    measure = tmp_path / "run-out" / "measure.json"
    assert command(monkeypatch, "describe", run, "--measure", measure, "--out", tmp_path / "README.md") == 0
    assert "80 pictures were learned from" in (tmp_path / "README.md").read_text()


def test_an_exported_graph_that_errs_is_not_kept(recipe, tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = Network(recipe).eval()
    photos = np.asarray(photoset.load(recipe.train).pixels[:8])
    monkeypatch.setattr("orientd_training.export.onnx_file.TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs from torch"):
        export(network, ModelSpec("tiny", 32), tmp_path / "model.onnx", photos)
    assert list(tmp_path.iterdir()) == []


def test_looks_at_an_upright_photo_answer_for_every_turn(tmp_path, cache):
    """Each turn of each photo shown to the engine itself gives what is derived from eight looks at the upright one."""
    model = sky_library.model(tmp_path)
    photos = photoset.load(cache)
    spec, engine = load_spec(model), Engine(model)
    derived = predictions(collect(model, photos), spec.temperature, spec.temperature_views)
    for pixels, expected in zip(photos.pixels[:5], derived, strict=False):
        for turn, (first, second) in zip(orientation.TURNS, expected, strict=True):
            shown = orientation.apply(np.asarray(pixels), orientation.inverse(orientation.from_turn(turn)))
            assert engine.look(shown[None])[0].probabilities == pytest.approx(first.probabilities, abs=1e-6)
            again = engine.look_again(shown)
            assert again.probabilities == pytest.approx(second.probabilities, abs=1e-6)
            assert sorted(map(np.argmax, again.by_view)) == sorted(map(np.argmax, second.by_view))


def looks(seed=0, strength=6.0, number=120):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (number, 8, 4))
    logits[:, :, 0] += strength
    return Looks(logits, tuple(f"a{i % 4}/{i}" for i in range(number)), tuple(f"a{i % 4}" for i in range(number)))


@pytest.mark.parametrize("hidden", [0.25, 3, 15])
def test_calibration_finds_the_temperature_that_was_hidden(hidden):
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (4000, 1, 4))
    chances = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(-1, keepdims=True)
    truth = np.array([random.choice(4, p=p) for p in chances])
    rolled = np.stack([np.roll(row, -k, axis=-1) for row, k in zip(logits, truth, strict=True)])
    one, _ = calibrate.temperatures(Looks(hidden * rolled, ("",) * 4000, ("",) * 4000))
    assert one == pytest.approx(hidden, rel=0.1)


def test_a_score_counts_what_decide_decides():
    policy = Policy(0.99, 0.9, 7, 0.9)
    seen = predictions(looks(), 1.0, 1.0)
    found = score.score(seen, looks().groups, policy)
    by_hand = [score.judge(photo[1], policy) for photo in seen]
    mended = sum(d.verdict is Verdict.FIX and d.turn == 90 for d in by_hand)
    assert found.photos == 120
    assert 0 < mended <= round(found.mended * 360)
    assert found.false == sum(score.judge(photo[0], policy).verdict is Verdict.FIX for photo in seen)


def test_the_chosen_policy_keeps_to_what_is_bearable():
    noisy = looks(seed=2, strength=2.0, number=300)
    policy, found = calibrate.policy(noisy, Policy(0.99, 0.9, 7, 0.9), 10.0, Search(agreements=(6, 8)))
    assert found.false_per_1000 <= 10
    assert policy.min_agreement in (6, 8)


def test_calibration_error_of_a_known_gap():
    assert calibrate.expected_calibration_error(np.full(100, 0.95), np.repeat([1.0, 0.0], [75, 25])) == pytest.approx(0.2)


def test_nothing_to_train_on_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no photo could be decoded"):
        photoset.prepare([tmp_path / "empty"], tmp_path / "cache", 32)
    with pytest.raises(ConfigError, match="holds no prepared photos"):
        photoset.load(tmp_path / "cache")


def test_stamping_replaces_the_spec_and_nothing_else(tmp_path):
    model = sky_library.model(tmp_path)
    before = Engine(model).look(np.zeros((1, 32, 32, 3), np.uint8))
    stamp(model, tmp_path / "stamped.onnx", replace(load_spec(model), name="renamed"))
    assert load_spec(tmp_path / "stamped.onnx").name == "renamed"
    assert Engine(tmp_path / "stamped.onnx").look(np.zeros((1, 32, 32, 3), np.uint8)) == before
