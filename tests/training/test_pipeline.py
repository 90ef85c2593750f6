"""`orientd-train all`: from a folder of photos to a measured model in one command, and on from wherever it was stopped."""

import json
from pathlib import Path

from click.testing import CliRunner
from orientd_training.cli import cli
from orientd_training.data.near_duplicates import Split
from orientd_training.data.prepare import prepare
from support import landscapes

from orientd.infer.engine import load_spec

__import__("tqdm").tqdm.monitor_interval = 0  # torch's exporter shows bars with it, and it would leave a thread behind

SMOKE = Path(__file__).parents[2] / "configs" / "train" / "smoke.yaml"
SHORT = ("phases=[{size: 32, photos: 64}, {size: 40, photos: 64}]", "validate_every=64", "batch=16", "tensorboard=false")


def travel(folder, *options):
    command = ["all", "--config", str(SMOKE), "--out", str(folder / "out"), *options, *SHORT]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def test_the_whole_road(tmp_path):
    landscapes.draw(tmp_path / "photos", 40)

    done = travel(tmp_path, "--photos", str(tmp_path / "photos"), "--validation", "0.25")

    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    spec = load_spec(out / "smoke.onnx")
    assert (spec.name, spec.input_size, spec.calibrated) == ("smoke", 40, True)
    figures = json.loads((out / "report" / "measure.json").read_text())
    manifest = (out / "photos" / "manifest.csv").read_text()
    assert figures["photos"] == manifest.count(",validation\n") > 0
    assert f"{100 * figures['accuracy_one_view']['mean']:.1f} %" in (out / "README.md").read_text()
    assert (out / "report" / "report.html").stat().st_size > 10_000
    assert not list(out.rglob("*partial*"))

    trained = (out / "run" / "log.jsonl").read_text()
    (out / "smoke.onnx").unlink()
    again = travel(tmp_path, "--photos", str(tmp_path / "photos"), "--validation", "0.25")
    assert again.exit_code == 0, again.output
    assert (out / "run" / "log.jsonl").read_text() == trained
    assert load_spec(out / "smoke.onnx") == spec


def test_photos_kept_apart_by_hand_train_nothing(tmp_path):
    landscapes.draw(tmp_path / "photos", 24)
    landscapes.draw(tmp_path / "others", 12, 100)

    done = travel(tmp_path, "--photos", str(tmp_path / "photos"), "--validation-photos", str(tmp_path / "others"))

    assert done.exit_code == 0, done.output
    facts = json.loads((tmp_path / "out" / "run" / "config.json").read_text())
    assert (Path(facts["train"]).name, Path(facts["validation"]).name) == ("photos", "validation")
    assert json.loads((tmp_path / "out" / "report" / "measure.json").read_text())["photos"] == 12


def test_caches_of_another_size_than_the_model_s_are_refused_before_it_is_trained(tmp_path):
    landscapes.draw(tmp_path / "photos", 24)
    prepare([tmp_path / "photos"], tmp_path / "cache", 32, split=Split(0.25))
    done = CliRunner().invoke(
        cli,
        [
            "all",
            "--config",
            str(SMOKE),
            "--out",
            str(tmp_path / "out"),
            *SHORT,
            *(f"{key}={tmp_path}/cache" for key in ("train", "validation")),
        ],
    )
    assert "holds photos of 32 px, the model takes 40" in str(done.exception)
    assert not (tmp_path / "out" / "run").exists()


def test_validation_photos_alone_are_a_mistake(tmp_path):
    done = CliRunner().invoke(cli, ["all", "--config", str(SMOKE), "--out", str(tmp_path), "--validation-photos", str(tmp_path)])
    assert done.exit_code == 2
    assert "needs --photos" in done.output
