"""Which photos and models a trial takes, what it keeps of their looks, and the models that it calibrates."""

import csv
import errno
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from orientd_training.data import photoset
from orientd_training.evaluate import predictions
from orientd_training.report import evaluation
from support import sky_library, training_runs
from support.onnx_graphs import SIZE, sky_finder
from support.training_runs import command

from orientd.errors import ConfigError, ModelError, StateError
from orientd.infer.spec import ModelSpec

cache, wrong_model = training_runs.its_albums, training_runs.its_wrong_model


def test_looks_are_collected_once(cache, model, tmp_path, monkeypatch):
    photos = photoset.load(cache)
    first = predictions.collect(model, photos, cache=tmp_path, workers=1)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(predictions.Engine, "look_again", None)
    again = predictions.collect(model, photos, cache=tmp_path)
    assert np.array_equal(first.logits, again.logits)
    next(tmp_path.iterdir()).write_bytes(b"PK damaged")
    with pytest.raises(TypeError):
        predictions.collect(model, photos, cache=tmp_path, workers=1)


def test_two_threads_see_what_one_sees(cache, model):
    photos = photoset.load(cache)
    assert np.array_equal(
        predictions.collect(model, photos, workers=1).logits, predictions.collect(model, photos, workers=2).logits
    )


def test_several_caches_and_several_models(cache, model, wrong_model, tmp_path):
    other = photoset.load(cache)
    other = replace(other, names=tuple(f"b/{name}" for name in other.names), digest="other")
    made = evaluation.evaluate([model, wrong_model], [photoset.load(cache), other], tmp_path)
    assert [figures["photos"] for figures in made] == [36, 36]
    assert made[0]["against"] == {}
    assert made[1]["against"]["sky"]["accuracy_one_view"]["difference"] < 0
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"sky", "wrong"}
    assert (tmp_path / "wrong" / "report.html").stat().st_size > 10_000


def test_two_rivals_of_one_name_are_both_compared(cache, model, wrong_model, tmp_path):
    others = [tmp_path / "a" / "net.onnx", tmp_path / "b" / "net.onnx"]
    for source, other in zip((model, wrong_model), others, strict=True):
        other.parent.mkdir()
        shutil.copy(source, other)
    (figures,) = evaluation.evaluate([model], [photoset.load(cache)], None, others)
    differences = [figures["against"][str(other)]["accuracy_one_view"]["difference"] for other in others]
    assert differences[0] == 0 < differences[1]


def test_of_a_cache_with_both_splits_only_the_photos_to_validate_on_are_measured(tmp_path):
    cache = training_runs.albums(tmp_path)
    (whole,) = evaluation.held_out([cache])
    assert len(whole) == 18
    with (cache / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (cache / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(row | {"split": photoset.TRAIN if i < 12 else photoset.VALIDATION} for i, row in enumerate(rows))
    (measured,) = evaluation.held_out([cache])
    assert set(measured.groups) == {"album-2"}


def test_bad_input_is_named(cache, model, tmp_path, monkeypatch, capsys):
    other = training_runs.albums(tmp_path, 40, 1)
    alien = tmp_path / "alien.onnx"
    sky_finder(alien, spec=None)
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    (tmp_path / "empty").mkdir()
    for complaint, code, *arguments in (
        ("prepare them at that size", 2, model, "--photos", other),
        ("prepare them at that size", 2, model, "--photos", cache, "--photos", other),
        ("is there twice", 2, model, "--photos", cache, "--photos", cache),
        ("holds no prepared photos", 2, model, "--photos", tmp_path / "empty"),
        ("was not exported by orientd-train", 1, alien, "--photos", cache),
        ("cannot be loaded", 1, tmp_path / "broken.onnx", "--photos", cache),
        ("cannot be read", 1, tmp_path / "missing.onnx", "--photos", cache),
        ("cannot be", 1, tmp_path / "empty" / "missing.pt", "--photos", cache),
        ("cannot be written", 1, model, "--photos", cache, "--out", alien),
    ):
        assert command(monkeypatch, "evaluate", *arguments) == code or "missing.pt" in str(arguments[0]), complaint
        assert complaint in capsys.readouterr().err, complaint


def test_no_photos_at_all_is_an_error(cache, model):
    none = replace(photoset.load(cache), pixels=photoset.load(cache).pixels[:0], names=(), groups=())
    for photos in ([], [none]):
        with pytest.raises(ConfigError, match="no photos"):
            evaluation.evaluate([model], photos, None)


def test_an_uncalibrated_model_is_marked(cache, tmp_path, capsys, monkeypatch):
    plain = sky_finder(tmp_path / "plain.onnx", spec=ModelSpec("plain", SIZE))
    assert command(monkeypatch, "evaluate", plain, "--photos", cache) == 0
    assert "plain is not calibrated" in capsys.readouterr().err


def test_a_model_of_another_form_is_refused(cache, tmp_path):
    sky_finder(tmp_path / "odd.onnx", input_name="picture", spec=sky_library.SURE)
    with pytest.raises(ModelError, match="not the agreed form"):
        evaluation.evaluate([tmp_path / "odd.onnx"], [photoset.load(cache)], None)


def test_calibrating_writes_the_temperatures_and_the_frontier(cache, model, tmp_path, monkeypatch, capsys):
    mine, out = tmp_path / "mine.onnx", tmp_path / "out"
    shutil.copy(model, mine)
    arguments = ["--photos", cache, "--out", out, "--search-prior", "--search-second-look", "--false-per-1000", 200]
    assert command(monkeypatch, "calibrate", mine, *arguments) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^min_confidence: 0\.\d+$", printed, re.M)
    with (out / "frontier.csv").open(newline="") as file:
        frontier = list(csv.DictReader(file))
    assert frontier
    assert [float(row["false"]) for row in frontier] == sorted({float(row["false"]) for row in frontier})
    spec = evaluation.load_spec(mine)
    assert spec.temperature != sky_library.SURE.temperature
    monkeypatch.setattr(predictions.Engine, "look_again", None)
    assert len(predictions.collect(mine, photoset.load(cache), cache=out)) == 18
    with pytest.raises(ConfigError, match="no policy keeps to 0"):
        evaluation.calibrate(mine, [photoset.load(cache)], 0, evaluation.Search(confidences=(0.0,), agreements=(1,)), out)


def test_a_full_disk_leaves_the_model_that_is_calibrated_whole(cache, model, tmp_path, monkeypatch):
    mine = tmp_path / "mine.onnx"
    shutil.copy(model, mine)

    def full(model, out):
        out.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("onnx.save", full)
    with pytest.raises(StateError, match="No space left"):
        evaluation.calibrate(mine, [photoset.load(cache)], 1.0, evaluation.Search())
    assert mine.read_bytes() == model.read_bytes()
    assert list(tmp_path.iterdir()) == [mine]
