"""From folders of whole photos to a model that knows its panel: what is asked, what is kept, what is written."""

import csv
import json
import shutil

import numpy as np
import pytest
from orientd_training.data import albums
from orientd_training.evaluate import panel_trial, predictions
from orientd_training.report import evaluation, panel
from support import sky_library
from support.training_runs import command

from orientd.errors import ConfigError
from orientd.judge.panel import PanelSpec
from orientd.records import Evidence

OWNERS = 6


class Sky:
    """A witness for which the brighter half is the sky, and that has nothing to say of every third photo."""

    name = "sky"

    def __init__(self):
        self.asked = 0

    def look(self, picture):
        self.asked += 1
        if self.asked % 3 == 0:
            return None
        grey = picture.astype(float).mean(2)
        high, wide = grey.shape[0] // 2, grey.shape[1] // 2
        halves = grey[:high].mean(), grey[:, :wide].mean(), grey[high:].mean(), grey[:, wide:].mean()
        return Evidence(self.name, tuple((np.array(halves) / 50).tolist()))


@pytest.fixture
def sky(monkeypatch):
    witness = Sky()
    monkeypatch.setattr(panel, "open_witnesses", lambda engine, notify: {"sky": witness, "absent": None})
    return witness


@pytest.fixture
def album(tmp_path):
    """24 upright photos, one that is really sideways or upside down, one that no library can decode."""
    return make_album(tmp_path / "albums")


def make_album(folder):
    rows = [(f"upright/{i}.jpg", 0, f"owner-{i % OWNERS}") for i in range(24)] + [("wrong/24.jpg", 90, "owner-0")]
    for i, (path, turn, _) in enumerate(rows):
        sky_library.draw(folder / path, turn, seed=i)
    (folder / "upright/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    with (folder / "truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "turn", "owner"), *rows, ("upright/broken.jpg", 0, "owner-1")])
    return folder


@pytest.fixture
def model(tmp_path):
    return sky_library.model(tmp_path)


def test_the_panel_is_fitted_and_written_into_the_model(album, model, sky, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert command(monkeypatch, "calibrate", model, "--albums", album, "--apart", "owner-5", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "left out:" in printed
    assert "broken.jpg" in printed
    assert "20 upright photos of 5 owners" in printed
    assert "owner-5 (fitted nothing) | 4 |" in printed
    spec = evaluation.load_spec(model)
    fitted = PanelSpec.from_json(spec.panel)
    assert {voice.witness for voice in fitted.voices} == {"scene", "sky"}
    assert (spec.temperature, spec.temperature_views) == (0.05, 0.05)
    assert json.loads((out / "panel.json").read_text()) == fitted.to_json()
    assert sky.asked == 24


def test_nobody_is_asked_twice(album, model, sky, tmp_path, monkeypatch):
    before, out = shutil.copy(model, tmp_path / "before.onnx"), tmp_path / "out"
    arguments = ("--albums", album, "--out", out)
    assert command(monkeypatch, "calibrate", model, *arguments) == 0
    first = json.loads((out / "panel.json").read_text())
    (kept,) = out.glob("evidence-*.jsonl")
    assert command(monkeypatch, "calibrate", model, *arguments) == 0
    assert sky.asked == 24, "the model differs by its panel alone"
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:10]) + "\n" + lines[10][:40])
    assert command(monkeypatch, "calibrate", model, *arguments) == 0
    assert json.loads((out / "panel.json").read_text())["policy"] == first["policy"]
    asked = sky.asked
    assert 24 < asked < 48
    assert command(monkeypatch, "calibrate", before, *arguments) == 0
    assert sky.asked == asked + 24, "as another model it is asked anew"


def test_a_witness_that_is_left_out_has_no_voice(album, model, sky, tmp_path, monkeypatch, capsys):
    arguments = ("--albums", album, "--out", tmp_path / "out")
    assert command(monkeypatch, "calibrate", model, *arguments, "--without", "sky") == 0
    assert {voice.witness for voice in PanelSpec.from_json(evaluation.load_spec(model).panel).voices} == {"scene"}
    assert sky.asked == 0
    assert command(monkeypatch, "calibrate", model, *arguments, "--without", "ski") != 0
    assert "--without ski: there are the witnesses sky, absent" in capsys.readouterr().err


def test_photos_turned_by_mistake_are_listed(album, model, sky, tmp_path, monkeypatch):
    monkeypatch.setattr(panel_trial, "MOST_WORSE", 1.0)
    sky_library.draw(album / "upright/3.jpg", 180, by_tag=False, seed=3)
    out = tmp_path / "out"
    panel.calibrate(model, albums.upright([album]), (), 1000.0, out, lambda text: None)
    with (out / "turned.csv").open(newline="") as file:
        first, *others = csv.DictReader(file)
    assert (first["name"], first["owner"], first["shown"], first["turned"]) == ("albums/upright/3.jpg", "owner-3", "0", "180")
    assert {row["name"] for row in others} <= {first["name"]}
    with pytest.raises(ConfigError, match="no policy keeps to -1"):
        panel.calibrate(model, albums.upright([album]), (), -1.0, out, lambda text: None)


def test_only_upright_photos_are_listed(album):
    found = albums.upright([album])
    assert len(found) == 25
    assert {photo.owner for photo in found} == {f"owner-{i}" for i in range(OWNERS)}
    assert found[0].name == "albums/upright/0.jpg"


def test_bad_input_is_named(album, model, sky, tmp_path, monkeypatch, capsys):
    empty, odd = tmp_path / "empty", tmp_path / "odd"
    for folder in (empty, odd):
        folder.mkdir()
    (odd / "truth.csv").write_text("path,owner\na.jpg,b\n")
    out = ("--out", tmp_path / "out")
    for complaint, *arguments in (
        ("give --photos, --albums or both",),
        ("--albums needs --out", "--albums", album),
        ("cannot be read", "--albums", empty, *out),
        ("lacks some of the columns", "--albums", odd, *out),
        ("none of the albums is of nobody", "--albums", album, "--apart", "nobody", *out),
        ("photos of one name", "--albums", album, "--albums", album, *out),
        ("too few for 5 parts", "--albums", album, "--apart", "owner-0", "--apart", "owner-1", *out),
    ):
        assert command(monkeypatch, "calibrate", model, *arguments) == 2, complaint
        assert complaint in capsys.readouterr().err, complaint
    assert evaluation.load_spec(model).panel is None


def test_evidence_is_that_of_a_scan(album, model, sky):
    heard = panel.testimony(model, albums.upright([album]), None, lambda text: None, ())
    looks = predictions.shown(heard.looks)
    assert (looks.first[:, 0].argmax(-1) == 0).all()
    assert (heard.scores["sky"].argmax(-1) == 0).all()
    assert sorted((heard.scores["sky"] == 0).all(1)).count(True) == 8
