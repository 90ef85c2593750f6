"""Tests of models in figures: what was built in is found, with hand-counted precision, recall, F1 and errors; and as a page."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from orientd_training import config as recipes
from orientd_training.config import Change, Phase, Skew
from orientd_training.data import photoset
from orientd_training.evaluate import angles, classes
from orientd_training.export import skew_file
from orientd_training.fit import checkpoint, loop
from orientd_training.fit.tasks import Skewed
from orientd_training.report import testing
from support import landscapes, training_runs
from support.training_runs import command

from orientd.errors import ConfigError, ModelError
from orientd.infer.session import Graph

_one_thread, albums, wrong_model = training_runs.on_one_thread, training_runs.its_albums, training_runs.its_wrong_model
cache = training_runs.its_cache
LYING = replace(recipes.Augment(), tilt=Change(0, 0))


@pytest.fixture(scope="module", autouse=True)
def _no_bars():
    __import__("tqdm").tqdm.monitor_interval = 0  # torch's exporter shows bars with it, and it would leave a thread behind


@pytest.fixture(scope="module")
def run(cache, tmp_path_factory):
    """A skew model that has learned next to nothing."""
    folder = tmp_path_factory.mktemp("skew") / "run"
    loop.fit(training_runs.recipe(cache, skew=Skew(part=0.7), augment=LYING, phases=(Phase(32, 16),)), folder)
    return folder


def test_classes_as_counted_by_hand():
    wanted, found = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 1])
    table = classes.confusion(wanted, found, 4)
    assert table.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    its = classes.each(table, "abcd")
    assert [(one.name, one.precision, one.recall, one.shown) for one in its[:2]] == [
        ("a", 1.0, pytest.approx(2 / 3), 3),
        ("b", pytest.approx(1 / 3), 0.5, 2),
    ]
    assert [one.f1 for one in its] == pytest.approx([0.8, 0.4, 0, 0])
    assert classes.mean(its, weighted=False)["f1"] == pytest.approx(1.2 / 3), "what was never shown does not count"
    assert classes.mean(its, weighted=True)["f1"] == pytest.approx((3 * 0.8 + 2 * 0.4) / 6)


def test_errors_of_skew_as_counted_by_hand():
    """A half turn more is the same skew, and −89.9 and 89.9 lie 0.2° apart."""
    wanted = np.array([0.0, 10.0, 180.0, -89.9, 45.0])
    found = np.array([0.1, 10.25, 0.5, 89.9, -44.0])
    figures = angles.measured(wanted, found)
    assert figures["within"] == pytest.approx({"0.1": 0.2, "0.25": 0.6, "0.5": 0.8, "1": 0.8})
    assert figures["worst_error"] == pytest.approx(89)
    assert figures["mean_error"] == pytest.approx((0.1 + 0.25 + 0.5 + 0.2 + 89) / 5)
    assert figures["mean_error_within_half"] == pytest.approx(1.05 / 4)
    assert sum(map(sum, figures["sectors"])) == 5
    low, high = figures["within_interval"]["0.5"]
    assert low < 0.8 < high


def test_f1_of_half_degrees_is_that_of_the_benchmarks():
    from benchmarks.pages.table import f1

    random = np.random.default_rng(1)
    wanted = random.integers(-178, 179, 400) / 2
    found = wanted + random.choice([0.0, 0.1, 0.5, -0.5, 30], 400)
    ours = angles.measured(wanted, found)["f1"]
    assert ours == pytest.approx(f1([(true, given, 0.0) for true, given in zip(wanted, found, strict=True)]))
    assert 0.2 < ours < 0.8


def test_a_model_of_four_turns_that_always_says_the_same(albums, wrong_model, tmp_path):
    figures = testing.test(wrong_model, [photoset.load(albums)], tmp_path)
    assert (figures["kind"], figures["photos"], figures["shown"], figures["accuracy"]) == ("turns", 18, 72, 0.25)
    assert [row[2] for row in figures["confusion"]] == [18, 18, 18, 18]
    assert [its["recall"] for its in figures["classes"]] == [0, 0, 1, 0]
    assert figures["classes"][2]["precision"] == 0.25
    assert figures["loss"] > 2
    kept = json.loads((tmp_path / testing.FIGURES).read_text())
    assert kept["confusion"] == figures["confusion"]
    page = (tmp_path / testing.PAGE).read_text()
    assert "25.0 %" in page
    assert page.count("<img") == 16
    assert not re.search(r"(src|href)=\"(?!data:)", page), "the page needs nothing else"


def test_a_right_model_is_right(albums, model, tmp_path):
    """16 of 18 photos are as they claim, two are upside down."""
    figures = testing.test(model, [photoset.load(albums)], tmp_path)
    assert figures["accuracy"] == pytest.approx(16 / 18)
    assert figures["f1"] == pytest.approx(16 / 18)
    assert [figures["confusion"][0][k] for k in (0, 2)] == [16, 2]
    said = testing.summary(figures)
    assert said["accuracy"].startswith("88.89%")
    assert said["needs 90°"].endswith(": 0 16 0 2")


def test_what_is_shown_of_a_page_is_what_training_shows(cache, run):
    """The exported graph on what a test shows, and the network on what a validation shows, say the same angle."""
    photos, (config, network) = photoset.load(cache, "validation"), checkpoint.load(run)
    testing.export(run, photos, run / "model.onnx")
    spec, task = skew_file.read(run / "model.onnx"), Skewed(config.skew)
    assert spec == skew_file.SkewSpec("tiny", 32, 0.7)
    assert skew_file.read(training_runs.wrong_model(run)) is None
    targets = task.at(4, 4)
    pictures = task.shown(
        torch.from_numpy(np.array(photos.pixels[1:2])).permute(0, 3, 1, 2).float().expand(4, -1, -1, -1), targets, 32
    )
    with torch.no_grad():
        expected = task.found(network(pictures))
    answers = testing._skews(run / "model.onnx", spec, [photos])
    assert answers.wanted[1] == pytest.approx(targets.numpy())
    assert np.abs(angles.errors(answers.found[1], expected.numpy())).max() < 1, "but for rounding to whole levels"
    assert Graph(run / "model.onnx")(np.zeros((3, 32, 32, 3), np.uint8))["logits"].shape == (3, 360)


def test_a_skew_model_is_tested_from_the_command_line(cache, run, monkeypatch, capsys):
    assert command(monkeypatch, "test", run, "--pages", cache) == 0
    said = capsys.readouterr().out
    for part in ("within 0.1°", "within 0.25°", "within 0.5°", "within 1°", "mean: ", "worst: ", "f1: ", "test.html"):
        assert part in said, part
    figures = json.loads((run / "report" / testing.FIGURES).read_text())
    assert (figures["kind"], figures["photos"]) == ("skew", len(photoset.load(cache, "validation")))
    page = (run / "report" / testing.PAGE).read_text()
    assert "<svg" in page
    assert "within 0.25°" in page


def test_what_cannot_be_tested_is_told(cache, run, tmp_path, monkeypatch, capsys):
    small = training_runs.cache(tmp_path, number=4, size=16)
    with pytest.raises(ConfigError, match="the photos are 16 px, the model takes 32: prepare them at that size or more"):
        testing.test(run, [photoset.load(small)], None)
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"no\.onnx"):
        testing.test(tmp_path / "no.onnx", [photoset.load(cache)], None)
    for words in (["evaluate", run, "--photos", cache], ["all", "--config", run / "config.json", "--out", tmp_path / "all"]):
        assert command(monkeypatch, *words) == 2
        assert "skew" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["skew", "pages-model"])
def test_a_folder_of_pages_becomes_a_tested_model_and_the_same_command_goes_on(kind, tmp_path, monkeypatch, capsys):
    landscapes.draw(tmp_path / "pages", 24)
    words = [
        kind,
        tmp_path / "pages",
        "--out",
        tmp_path / "run",
        "--validation",
        "0.3",
        "--set",
        f"backbone={training_runs.BACKBONE}",
    ]
    for item in (
        "phases=[{size: 32, photos: 16}]",
        "batch=8",
        "validate_every=8",
        "device=cpu",
        "tensorboard=false",
        "init=null",
    ):
        words += ["--set", item]
    assert command(monkeypatch, *words) == 0
    first = capsys.readouterr().out
    assert "report: " in first
    for name in ("photos/manifest.csv", "best.pt", f"{kind.removesuffix('-model')}.onnx", "report/test.html", "report/test.json"):
        assert (tmp_path / "run" / name).is_file(), name
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert command(monkeypatch, *words) == 0
    assert (tmp_path / "run" / "log.jsonl").read_text() == log, "nothing was left to train"
    assert capsys.readouterr().out.splitlines()[-3:] == first.splitlines()[-3:]
    other = "skew" if kind == "pages-model" else "pages-model"
    assert command(monkeypatch, other, "--out", tmp_path / "other", "--config", kind.removesuffix("-model")) == 2
    assert f"give it to orientd-train {kind}" in capsys.readouterr().err
