"""`orientd models` and `--model NAME`, from the command line."""

import json
from pathlib import Path

import pytest
from support import sky_library
from support.onnx_graphs import sky_finder, upstream

from orientd.infer.spec import ModelSpec
from orientd.pipeline import stages


@pytest.fixture
def listed(orientd, capsys):
    """What `models --json` says, by name."""

    def ask():
        capsys.readouterr()
        orientd("models", "--json")
        return {entry["name"]: entry for entry in map(json.loads, capsys.readouterr().out.splitlines())}

    return ask


@pytest.fixture
def vague(tmp_path):
    """A model that was never calibrated."""
    return sky_finder(tmp_path / "vague.onnx", spec=ModelSpec("vague", 32))


def test_models_are_listed_and_the_one_in_use_is_marked(orientd, listed, model, capsys):
    assert orientd("models") == 0
    bundled, in_use = capsys.readouterr().out.splitlines()[1:]
    assert bundled.split()[:2] == ["orientd", "bundled"]
    assert in_use.split()[:3] == ["→", str(model), "file"]
    assert {name: entry["in_use"] for name, entry in listed().items()} == {"orientd": False, str(model): True}
    assert listed()["orientd"]["calibrated"]
    assert listed()["orientd"]["bytes"] == Path(listed()["orientd"]["path"]).stat().st_size


def test_the_model_that_comes_with_orientd_is_the_default(orientd, listed, monkeypatch):
    monkeypatch.delenv("ORIENTD_MODEL")
    assert [name for name, entry in listed().items() if entry["in_use"]] == ["orientd"]


def test_a_model_is_added_used_by_name_and_removed(orientd, listed, model, photos, tmp_path, monkeypatch, capsys):
    assert orientd("models", "add", model, "--name", "mine") == 0
    assert "orientd scan --model mine" in capsys.readouterr().out
    monkeypatch.delenv("ORIENTD_MODEL")
    assert (listed()["mine"]["origin"], listed()["mine"]["in_use"]) == ("added", False)
    needs = sky_library.library(photos, 4)
    assert orientd("scan", photos, "--model", "mine", "--report", tmp_path / "1.csv") == 0
    assert "calibrated" not in capsys.readouterr().err
    assert {path: int(row["turn"]) for path, row in sky_library.rows(tmp_path / "1.csv").items()} == needs
    assert orientd("inspect", next(iter(needs)), "--model", "mine") == 0
    assert orientd("doctor", "--model", "mine") == 0
    assert orientd("models", "remove", "mine") == 0
    assert set(listed()) == {"orientd"}
    assert orientd("scan", photos, "--model", "mine", "--report", tmp_path / "2.csv") == 1
    assert "there is no model 'mine'" in capsys.readouterr().err


def test_a_model_that_changed_is_refused_by_a_scan(orientd, listed, model, photos, tmp_path, capsys):
    sky_library.library(photos, 2)
    assert orientd("models", "add", model, "--name", "mine") == 0
    (stages.models_folder() / "mine.onnx").write_bytes(b"another")
    assert orientd("scan", photos, "--model", "mine", "--report", tmp_path / "1.csv") == 1
    assert "is not the file it was" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.csv*"))
    assert orientd("models", "verify", "mine") == 1
    assert "✗" in capsys.readouterr().out
    assert orientd("models", "verify") == 1
    assert orientd("models") == 1
    assert "cannot be used" in capsys.readouterr().out
    assert "cannot be loaded" in listed()["mine"]["problem"]


def test_a_model_that_is_what_it_was_is_verified(orientd, model, capsys):
    assert orientd("models", "add", model, "--name", "mine") == 0
    assert orientd("models", "verify", "mine") == 0
    assert "32 px, SHA-256 " in capsys.readouterr().out
    assert orientd("models", "verify") == 0
    assert capsys.readouterr().out.count("✓") == 3
    assert orientd("models", "verify", "nothing") == 1
    assert "there is no model 'nothing'" in capsys.readouterr().err


def test_a_model_without_calibration_is_pointed_out(orientd, listed, vague, photos, tmp_path, capsys):
    sky_library.library(photos, 2)
    assert orientd("models", "add", vague) == 0
    assert "vague is not calibrated" in capsys.readouterr().err
    assert listed()["vague"]["calibrated"] is False
    assert orientd("scan", photos, "--model", "vague", "--report", tmp_path / "1.csv") == 0
    assert "the model vague is not calibrated" in capsys.readouterr().err


def test_the_upstream_model_runs_by_its_preset(orientd, photos, tmp_path, capsys):
    theirs = upstream(tmp_path / "theirs.onnx")
    path = sky_library.draw(photos / "a.jpg", 90)
    assert orientd("models", "add", theirs) == 1
    assert "--preset" in capsys.readouterr().err
    assert orientd("models", "add", theirs, "--preset", "upstream-efficientnetv2-s") == 0
    arguments = ("--model", "theirs", "--min-confidence", 0.5, "--prior-upright", 0.25, "--second-look-below", 1)
    assert orientd("scan", photos, *arguments, "--report", tmp_path / "1.csv") == 0
    assert sky_library.rows(tmp_path / "1.csv")[str(path)]["turn"] == "90"


def test_wrong_usage_is_told_as_such(orientd, model, capsys):
    assert orientd("models", "add", "https://example.org/model.onnx") == 2
    assert "never opens the network" in capsys.readouterr().err
    assert orientd("models", "add", model, "--preset", "unknown") == 2
    assert orientd("models", "remove", "orientd") == 2
    assert orientd("models", "nonsense") == 2
