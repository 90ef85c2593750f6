"""A training followed in MLflow: by a stand-in as strict as it is, and by its own local store where it is installed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from orientd_training.config import Phase
from orientd_training.fit import loop, tracking
from support import training_runs
from support.training_runs import log, signalled

from orientd.errors import ConfigError

_one_thread, cache, recipe = training_runs.on_one_thread, training_runs.its_cache, training_runs.its_recipe
ROOT = Path(__file__).parents[2]


class Refused(Exception):
    pass


class Store:
    """What is used of MLflow: parameters never change, a run that is not there cannot go on."""

    exceptions = SimpleNamespace(MlflowException=Refused)

    def __init__(self):
        self.runs, self.now, self.ended = {}, "", []

    def start_run(self, run_id=None, run_name=""):
        if run_id and run_id not in self.runs:
            raise Refused(f"Run with id={run_id} not found")
        self.now = run_id or f"run{len(self.runs)}"
        self.runs.setdefault(self.now, SimpleNamespace(name=run_name, params={}, metrics=[], artifacts=[]))
        return SimpleNamespace(
            info=SimpleNamespace(run_id=self.now), data=SimpleNamespace(params=dict(self.runs[self.now].params))
        )

    def log_params(self, values):
        before = self.runs[self.now].params
        if changed := [key for key in values if before.get(key, values[key]) != values[key]]:
            raise Refused(f"Changing param values is not allowed: {changed}")
        before.update(values)

    def log_metrics(self, values, step):
        self.runs[self.now].metrics.append((step, values))

    def log_artifact(self, path):
        self.runs[self.now].artifacts.append(Path(path).name)

    def end_run(self, status):
        self.ended.append(status)

    def get_tracking_uri(self):
        return "sqlite:///here.db"

    def MlflowClient(self):  # noqa: N802  # MLflow's name
        def log_artifact(run, path, folder):
            if run not in self.runs:
                raise Refused(f"Run with id={run} not found")
            self.runs[run].artifacts.append(f"{folder}/{Path(path).name}")

        return SimpleNamespace(
            log_artifact=log_artifact, log_metric=lambda run, name, value: self.runs[run].metrics.append((name, value))
        )


@pytest.fixture
def store(monkeypatch):
    made = Store()
    monkeypatch.setitem(sys.modules, "mlflow", made)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # set by tracking, too, and here taken back
    return made


@pytest.fixture
def followed(recipe):
    return replace(recipe, mlflow=True)


def test_it_is_asked_for_but_not_there(followed, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"mlflow: it is not installed: run .*mlflow.*, or set mlflow to"):
        loop.fit(followed, tmp_path / "run")
    assert not (tmp_path / "run" / tracking.ID).exists()


def test_it_gets_the_recipe_the_figures_and_the_model(followed, tmp_path, store):
    best = loop.fit(followed, tmp_path / "run")
    run = store.runs["run0"]
    assert run.name == "tiny: run"
    assert (run.params["batch"], run.params["augment.jpeg.strength"]) == ("8", "60.0")
    assert [step for step, _ in run.metrics] == [40, 80]
    assert best in [values["Accuracy/validation"] for _, values in run.metrics]
    assert run.artifacts == ["best.pt", "config.json", "facts.json", "log.jsonl"]
    assert store.ended == ["FINISHED"]


def test_a_resumed_training_goes_on_in_the_same_run(followed, tmp_path, store, monkeypatch):
    with monkeypatch.context() as patch:
        signalled(patch, 6, signal.SIGTERM)
        with pytest.raises(loop.Interrupted):
            loop.fit(followed, tmp_path / "run")
    loop.fit(replace(followed, lr=0.001), tmp_path / "run", resume=True)
    assert list(store.runs) == ["run0"]
    assert [step for step, _ in store.runs["run0"].metrics] == [40, 80]
    assert (store.runs["run0"].params["lr"], store.runs["run0"].params["lr from 48 photos"]) == ("0.0006", "0.001")
    assert store.ended == ["KILLED", "FINISHED"]


def test_a_training_that_fails_is_said_to_have_failed(followed, tmp_path, store, monkeypatch):
    monkeypatch.setattr(loop.Run, "validate", lambda run, photos: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loop.fit(followed, tmp_path / "run")
    assert store.ended == ["FAILED"]
    assert store.runs["run0"].artifacts == []


def test_a_run_that_the_store_does_not_know_is_told(followed, tmp_path, store):
    loop.fit(replace(followed, phases=(Phase(32, 8),)), tmp_path / "run")
    store.runs.clear()
    with pytest.raises(ConfigError, match=r"run0 not found: set MLFLOW_TRACKING_URI to where .*mlflow\.json says, or delete"):
        loop.fit(followed, tmp_path / "run", resume=True)
    assert "run0 not found" in tracking.keep(tmp_path / "run", [tmp_path], "report", {})
    (tmp_path / "run" / tracking.ID).write_text("{")
    with pytest.raises(ConfigError, match=r"mlflow\.json cannot be read"):
        loop.fit(followed, tmp_path / "run", resume=True)


def test_a_report_is_laid_beside_the_run_it_is_about(followed, tmp_path, store, monkeypatch):
    assert tracking.keep(tmp_path, [], "report", {}) == "", "not followed"
    loop.fit(replace(followed, phases=(Phase(32, 8),)), tmp_path / "run")
    said = tracking.keep(tmp_path / "run", [tmp_path / "test.html"], "report", {"Test/loss": 0.5})
    assert said == "in MLflow, too: run run0, report"
    assert store.runs["run0"].artifacts[-1] == "report/test.html"
    assert store.runs["run0"].metrics[-1] == ("Test/loss", 0.5)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert "not installed" in tracking.keep(tmp_path / "run", [], "report", {})


SEEN = """
import json, mlflow
client = mlflow.MlflowClient()
runs = client.search_runs(["0"])
print(json.dumps([{
    "status": run.info.status, "params": run.data.params, "files": sorted(
        file.path for folder in ("", "report") for file in client.list_artifacts(run.info.run_id, folder)),
    "steps": [each.step for each in client.get_metric_history(run.info.run_id, "Accuracy/validation")],
    "values": [each.value for each in client.get_metric_history(run.info.run_id, "Accuracy/validation")],
} for run in runs]))
"""
TRAIN = "from orientd_training.cli import main; main()"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed")
def test_mlflow_itself_keeps_it_in_its_local_store(cache, tmp_path):
    """In processes of their own: MLflow warns of itself when imported, and leaves threads."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/kept.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"PYTHONPATH": f"{ROOT}:{ROOT}/training", "GIT_PYTHON_REFRESH": "quiet", "OMP_NUM_THREADS": "1"}

    def run(code, *words):
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    text = {"name": "tiny", "train": str(cache), "validation": str(cache), "backbone": training_runs.BACKBONE, "batch": 8}
    text |= {"phases": [{"size": 32, "photos": 40}], "validate_every": 40, "mlflow": True, "device": "cpu", "tensorboard": False}
    (tmp_path / "tiny.json").write_text(json.dumps(text))
    train = ("fit", "--config", "tiny.json", "--out", "run")
    run(TRAIN, *train)
    run(TRAIN, *train, "--resume", "phases=[{size: 32, photos: 80}]")
    run(TRAIN, "test", "run", "--photos", cache)
    (seen,) = json.loads(run(SEEN))
    assert seen["status"] == "FINISHED"
    assert seen["steps"] == [40, 80]
    assert seen["values"] == pytest.approx([entry["validation"] for entry in log(tmp_path / "run")], abs=1e-5)
    assert {"best.pt", "config.json", "log.jsonl", "report/test.html", "report/test.json"} <= set(seen["files"])
    assert seen["params"]["batch"] == "8"
    assert "photos': 80" in seen["params"]["phases from 40 photos"]
