"""The road from photos to a served model, on drawn photos and a network too small to be good."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import scenes
import skies

from orientd import orientation
from orientd.decide import Policy
from orientd.errors import ConfigError, ModelError
from orientd.infer import Engine, load_spec
from orientd.items import Verdict
from orientd.spec import ModelSpec

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from orientd_training import augment, calibrate, evaluate, fit, photoset  # noqa: E402
from orientd_training import config as recipes  # noqa: E402
from orientd_training.config import Phase, TrainConfig  # noqa: E402
from orientd_training.export import export, stamp  # noqa: E402
from orientd_training.looks import Looks, collect, predictions  # noqa: E402
from orientd_training.network import Network  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    __import__("tqdm").tqdm.monitor_interval = 0  # torch's exporter shows bars with it, and it would leave a thread behind
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    for i in range(24):
        skies.draw(folder / "photos" / f"album-{i % 3}" / f"{i}.jpg", seed=i)
    (folder / "photos" / "album-0" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    done, bad = photoset.prepare([folder / "photos"], folder / "cache", 32)
    assert done == 24
    assert [line.split(":")[0] for line in bad] == ["album-0/broken.jpg"]
    return folder / "cache"


@pytest.fixture
def recipe(cache):
    phases = (Phase(32, 48, 2), Phase(40, 32, 1))
    return TrainConfig("tiny", cache, cache, "mobilenetv2_035", phases, init_classes=10, batch=8, validate_every=40)


def test_training_and_serving_see_the_same_pixels(tmp_path):
    """All eight orientations, stored by tag: what training reads is what the serving decoder shows."""
    for value in range(1, 9):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{value}.jpg").write_bytes(scenes.store("jpeg", stored=value))
    photoset.prepare([tmp_path / "in"], tmp_path / "cache", 32)
    seen = photoset.load(tmp_path / "cache").pixels
    for value in range(1, 9):
        assert np.array_equal(seen[value - 1], orientation.apply(seen[0], value))


def test_a_class_is_the_turn_that_makes_it_upright():
    upright = torch.arange(3 * 8 * 8).reshape(1, 3, 8, 8).float().repeat(4, 1, 1, 1)
    shown = augment.turn_away(upright, torch.arange(4))
    for k, turn in enumerate(orientation.TURNS):
        turned = orientation.apply(shown[k].permute(1, 2, 0).numpy(), orientation.from_turn(turn))
        assert np.array_equal(turned, upright[0].permute(1, 2, 0).numpy())


def test_the_affine_turn_is_the_exact_turn(recipe):
    still = replace(recipe, crop_area=1.0, aspect=0.0, tilt=0.0, mirror=0.0)
    pictures = torch.rand(8, 3, 32, 32) * 255
    classes = torch.arange(8) % 4
    matrices = augment.geometry(classes, still, torch.Generator())
    assert torch.allclose(augment.resample(pictures, matrices, 32), augment.turn_away(pictures, classes), atol=0.01)


def test_augmented_pictures_stay_pictures(recipe):
    random = torch.Generator().manual_seed(3)
    pictures = augment.photometry(torch.rand(16, 3, 32, 32) * 255, recipe, random)
    assert pictures.min() >= 0
    assert pictures.max() <= 255
    assert pictures.std() > 10


def test_a_resumed_run_goes_on_as_if_never_stopped(recipe, tmp_path):
    photos = photoset.load(recipe.train)
    torch.manual_seed(recipe.seed)
    whole = fit.Run(recipe, photos)
    losses = [whole.step() for _ in range(9)]
    torch.manual_seed(recipe.seed)
    first = fit.Run(recipe, photos)
    begun = [first.step() for _ in range(5)]
    first.save(tmp_path / "last.pt")
    second = fit.Run(recipe, photos)
    second.restore(tmp_path / "last.pt")
    assert begun + [second.step() for _ in range(4)] == losses
    for mine, theirs in zip(second.average.state_dict().values(), whole.average.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_schedule_warms_up_and_ends_at_nothing():
    rates = [fit._schedule(i / 100, 0.1) for i in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.slow
def test_a_run_from_the_command_line_to_a_served_model(recipe, tmp_path, monkeypatch, capsys):
    text = {key: value for key, value in asdict(recipe).items() if value is not None}
    (tmp_path / "recipe.yaml").write_text(json.dumps(text, default=str))
    run, model = tmp_path / "run", tmp_path / "model.onnx"
    train = ["orientd-train", "fit", "--config", str(tmp_path / "recipe.yaml"), "--out", str(run)]
    assert command(train, monkeypatch) == 0
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [entry["photos"] for entry in entries] == [40, 80]
    assert command(train, monkeypatch) == 2
    assert "already holds a run" in capsys.readouterr().err
    photos = ["--photos", str(recipe.train)]
    prepared = str(tmp_path / "at40")
    sources = str(recipe.train.parent / "photos")
    assert command(["orientd-train", "prepare", sources, "--out", prepared, "--size", "40"], monkeypatch) == 0
    assert command(["orientd-train", "export", str(run), "--photos", prepared, "--out", str(model)], monkeypatch) == 0
    assert load_spec(model) == ModelSpec("tiny", 40)
    assert command(["orientd-train", "calibrate", str(model), *photos], monkeypatch) == 2
    assert "prepare them at that size" in capsys.readouterr().err
    photos = ["--photos", prepared]
    assert command(["orientd-train", "calibrate", str(model), *photos], monkeypatch) == 0
    assert load_spec(model).temperature != 1
    assert command(["orientd-train", "evaluate", str(model), *photos, "--out", str(tmp_path / "m.json")], monkeypatch) == 0
    assert json.loads((tmp_path / "m.json").read_text())["photos"] == 24


def command(arguments, monkeypatch):
    from orientd_training.cli import main

    monkeypatch.setattr("sys.argv", arguments)
    try:
        main()
    except SystemExit as ended:
        return ended.code
    return 0


def test_an_exported_graph_that_errs_is_not_kept(recipe, tmp_path, monkeypatch):
    torch.manual_seed(0)
    network = Network(recipe).eval()
    photos = np.asarray(photoset.load(recipe.train).pixels[:8])
    monkeypatch.setattr("orientd_training.export.TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs from torch"):
        export(network, ModelSpec("tiny", 32), tmp_path / "model.onnx", photos)
    assert list(tmp_path.iterdir()) == []


def test_looks_at_an_upright_photo_answer_for_every_turn(tmp_path, cache):
    """Each turn of each photo shown to the engine itself gives what is derived from eight looks at the upright one."""
    model = skies.model(tmp_path)
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


def test_calibration_finds_the_temperature_that_was_hidden():
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (4000, 1, 4))
    chances = np.exp(logits[:, 0]) / np.exp(logits[:, 0]).sum(-1, keepdims=True)
    truth = np.array([random.choice(4, p=p) for p in chances])
    rolled = np.stack([np.roll(row, -k, axis=-1) for row, k in zip(logits, truth, strict=True)])
    one, _ = calibrate.temperatures(Looks(3 * rolled, ("",) * 4000, ("",) * 4000))
    assert one == pytest.approx(3, rel=0.1)


def test_a_score_counts_what_decide_decides():
    policy = Policy(0.99, 0.9, 7, 0.9)
    seen = predictions(looks(), 1.0, 1.0)
    found = evaluate.score(seen, looks().groups, policy)
    by_hand = [evaluate.judge(photo[1], policy) for photo in seen]
    mended = sum(d.verdict is Verdict.FIX and d.turn == 90 for d in by_hand)
    assert found.photos == 120
    assert 0 < mended <= round(found.mended * 360)
    assert found.false == sum(evaluate.judge(photo[0], policy).verdict is Verdict.FIX for photo in seen)


def test_the_chosen_policy_keeps_to_what_is_bearable():
    noisy = looks(seed=2, strength=2.0, number=300)
    policy, found = calibrate.policy(noisy, Policy(0.99, 0.9, 7, 0.9), 10.0, agreements=(6, 8))
    assert found.false_per_1000 <= 10
    assert policy.min_agreement in (6, 8)


def test_wilson_intervals_hold_the_share():
    low, high = evaluate.interval(0.9, 100)
    assert (round(low, 3), round(high, 3)) == (0.826, 0.945)
    assert evaluate.interval(1.0, 10)[1] == 1.0


def test_calibration_error_of_a_known_gap():
    assert calibrate.expected_calibration_error(np.full(100, 0.95), np.repeat([1.0, 0.0], [75, 25])) == pytest.approx(0.2)


def test_every_mistake_in_a_recipe_is_named(tmp_path):
    (tmp_path / "bad.yaml").write_text("name: x\nlr: fast\nbatchsize: 3\n")
    with pytest.raises(ConfigError) as error:
        recipes.load(tmp_path / "bad.yaml")
    for part in ("unknown key 'batchsize'", "lr: must be of type float", "missing key 'phases'", "missing key 'train'"):
        assert part in str(error.value)


def test_weights_of_another_network_are_refused(recipe, tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="does not fit the backbone"):
        Network(replace(recipe, init=tmp_path / "other.safetensors"))


def test_nothing_to_train_on_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no photo could be decoded"):
        photoset.prepare([tmp_path / "empty"], tmp_path / "cache", 32)
    with pytest.raises(ConfigError, match="holds no prepared photos"):
        photoset.load(tmp_path / "cache")


def test_stamping_replaces_the_spec_and_nothing_else(tmp_path):
    model = skies.model(tmp_path)
    before = Engine(model).look(np.zeros((1, 32, 32, 3), np.uint8))
    stamp(model, tmp_path / "stamped.onnx", replace(load_spec(model), name="renamed"))
    assert load_spec(tmp_path / "stamped.onnx").name == "renamed"
    assert Engine(tmp_path / "stamped.onnx").look(np.zeros((1, 32, 32, 3), np.uint8)) == before
