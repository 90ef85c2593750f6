"""A training is stopped, goes on, fails and ends; what it leaves on the disk is right each time."""

import json
import re
import shlex
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from orientd_training.data import photoset
from orientd_training.fit import checkpoint, devices, loop, weights
from orientd_training.fit.feed import Feed
from support import training_runs
from support.training_runs import command, differences, log, signalled

from orientd.errors import ConfigError, ModelError, StateError

_one_thread, cache, recipe = training_runs.on_one_thread, training_runs.its_cache, training_runs.its_recipe
whole, unbroken = training_runs.whole, training_runs.unbroken


def test_differences_are_found():
    state = {"a": torch.ones(3), "b": [{"c": 1}]}
    assert differences(state, state) == []
    assert differences(state, {"a": torch.tensor([1, 1, 1.001]), "b": [{"c": 2}]}) == [".a", ".b.0.c"]


@pytest.mark.parametrize(("after", "number"), [(2, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGINT)])
def test_a_stopped_run_goes_on_as_if_never_stopped(recipe, unbroken, tmp_path, monkeypatch, after, number):
    run, before = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        signalled(patch, after, number)
        with pytest.raises(loop.Interrupted, match=f"stopped after {after * 8} of 80 photos") as stopped:
            loop.fit(recipe, run)
    assert stopped.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert weights.read(run / "last.pt")["photos"] == after * 8
    loop.fit(recipe, run, resume=True)
    assert log(run) == log(unbroken)
    assert [entry["photos"] for entry in log(run)] == [40, 80]
    for name in ("last.pt", "best.pt"):
        assert differences(weights.read(run / name), weights.read(unbroken / name)) == []


def test_a_resumed_run_has_the_same_losses(recipe, tmp_path):
    whole, feed = training_runs.begun(recipe)
    losses = [whole.step() for _ in range(9)]
    first, again = training_runs.begun(recipe)
    begun = [first.step() for _ in range(5)]
    first.save(tmp_path / "last.pt")
    second, last = training_runs.begun(recipe)
    second.restore(tmp_path / "last.pt")
    assert begun + [second.step() for _ in range(4)] == losses
    assert len(set(map(float, losses))) == 9
    for each in (feed, again, last):
        each.close()


def test_gradients_are_clipped(recipe):
    for clip, kept in ((0.01, True), (1e6, False)):
        run, feed = training_runs.begun(replace(recipe, clip=clip))
        run.step()
        feed.close()
        norm = torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None]).norm()
        assert bool(norm <= 0.0101) is kept


def test_another_seed_is_another_training(recipe):
    one, feed = training_runs.begun(recipe)
    other, again = training_runs.begun(replace(recipe, seed=2))
    assert one.step() != other.step()
    feed.close()
    again.close()


def test_the_command_says_how_to_go_on(recipe, tmp_path, monkeypatch, capsys):
    recipes = tmp_path / "it's.yaml"
    recipes.write_text(json.dumps({"name": "x", "backbone": recipe.backbone, "phases": [{"size": 32, "photos": 80}]}))
    words = ["fit", "--config", recipes, "--out", tmp_path / "run"]
    more = [f"train={recipe.train}", f"validation={recipe.train}", "batch=8", "tensorboard=false", "device=cpu"]
    signalled(monkeypatch, 3, signal.SIGINT)
    assert command(monkeypatch, *words, *more) == 130
    said = capsys.readouterr().err
    assert "stopped after 24 of 80 photos" in said
    program, *going_on = shlex.split(said.partition("to go on: ")[2])
    assert program == "orientd-train"
    assert command(monkeypatch, *going_on, "lr=0.001") == 0
    told = capsys.readouterr()
    assert "not as the run began: lr: 0.0006 → 0.001" in told.err
    assert "best validation accuracy" in told.out


def test_a_run_is_neither_overwritten_nor_resumed_from_nothing(recipe, unbroken, tmp_path):
    with pytest.raises(ConfigError, match="already holds a run"):
        loop.fit(recipe, unbroken)
    with pytest.raises(ConfigError, match="holds no run to resume"):
        loop.fit(recipe, tmp_path / "nothing", resume=True)


def test_what_it_was_trained_on_stands_beside_the_run(recipe, unbroken, cache):
    config, network = checkpoint.load(unbroken)
    assert config == recipe
    assert not network.training
    facts = json.loads((unbroken / "facts.json").read_text())
    assert facts["photos"] == {
        "train": [photoset.load(cache, "train").digest],
        "validation": photoset.load(cache, "validation").digest,
    }
    assert facts["seed"] == 1
    assert re.fullmatch("[0-9a-f]{40}|", facts["commit"])


def test_it_stops_when_nothing_gets_better(recipe, tmp_path, monkeypatch):
    found = iter([0.5, 0.6, 0.6, 0.4, 0.9])
    monkeypatch.setattr(loop.Run, "validate", lambda run, photos: (next(found), 1.0))
    assert loop.fit(replace(recipe, validate_every=8, patience=2), tmp_path / "run") == 0.6
    assert [entry["photos"] for entry in log(tmp_path / "run")] == [8, 16, 24, 32]
    assert sorted(path.name for path in (tmp_path / "run").glob("*.pt")) == [
        "best.pt",
        "last.pt",
        "tiny_0.5000.pt",
        "tiny_0.6000.pt",
    ]


def test_a_full_disk_ends_a_run_that_can_go_on(recipe, unbroken, tmp_path, monkeypatch):
    save, run = loop.Run.save, tmp_path / "run"

    def full(self, path):
        if self.photos == 80:
            raise StateError(f"{path} cannot be written")
        save(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "save", full)
        with pytest.raises(StateError):
            loop.fit(recipe, run)
    loop.fit(recipe, run, resume=True)
    assert log(run) == log(unbroken)


def test_a_folder_that_cannot_be_written_is_an_error(recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        loop.fit(recipe, tmp_path / "file" / "run")


def test_a_training_that_diverges_ends_and_spoils_nothing(recipe, tmp_path, monkeypatch):
    run = tmp_path / "run"
    loss = loop.Run.loss
    monkeypatch.setattr(loop.Run, "loss", lambda self, *rest: loss(self, *rest) * (float("nan") if self.photos > 48 else 1))
    with pytest.raises(ModelError, match="diverged"):
        loop.fit(recipe, run)
    state = weights.read(run / "last.pt")
    assert state["photos"] == 40
    assert all(value.isfinite().all() for value in state["model"].values())


def test_what_has_diverged_is_not_kept_when_it_is_stopped(recipe, tmp_path, monkeypatch):
    run, loss = tmp_path / "run", loop.Run.loss
    monkeypatch.setattr(loop.Run, "loss", lambda self, *rest: loss(self, *rest) * (float("nan") if self.photos > 48 else 1))
    signalled(monkeypatch, 9, signal.SIGINT)
    with pytest.raises(ModelError, match="diverged"):
        loop.fit(recipe, run)
    assert weights.read(run / "last.pt")["photos"] == 40


def test_a_run_does_not_go_on_with_other_photos(recipe, unbroken, tmp_path):
    other = training_runs.cache(tmp_path / "other", first=50)
    with pytest.raises(ConfigError, match="begun with other photos"):
        loop.fit(replace(recipe, train=other, validation=other), unbroken, resume=True)


def test_the_schedule_warms_up_and_ends_at_nothing():
    rates = [loop._schedule(i / 100, 0.1) for i in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert loop._schedule(0, 0) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_an_error(recipe, tmp_path):
    with pytest.raises(ConfigError, match="no CUDA GPU"):
        loop.fit(replace(recipe, device="cuda"), tmp_path / "run")
    with pytest.raises(ConfigError, match="8 photos cannot be shared evenly by 3"):
        loop.fit(replace(recipe, devices=3), tmp_path / "run")


@pytest.mark.slow
def test_two_processes_train_one_network(recipe, tmp_path):
    """Both end with the same weights, which are not those of one process alone."""
    loop.fit(replace(recipe, devices=2), tmp_path / "run")
    shared = devices.together(_Steps(recipe, tmp_path), replace(recipe, devices=2))
    other = torch.load(tmp_path / "rank-1.pt", weights_only=True)
    assert differences(shared, other) == []
    assert differences(shared, weights.read(tmp_path / "run" / "last.pt")["model"]) == []
    alone, feed = training_runs.begun(recipe)
    for _ in range(10):
        alone.step()
    feed.close()
    assert differences(shared, alone.model.state_dict())
    assert np.isfinite([entry["loss"] for entry in log(tmp_path / "run")]).all()


class _Steps:
    """Ten steps in each process of a team, whose weights each leaves behind."""

    def __init__(self, recipe, folder):
        self.recipe, self.folder = replace(recipe, devices=2), folder

    def __call__(self, team):
        feed = Feed(
            self.recipe, [photoset.load(source.path, source.split) for source in self.recipe.sources], team.rank, team.size
        )
        run = loop.Run(self.recipe, feed, team)
        for _ in range(10):
            run.step()
        feed.close()
        state = run.model.state_dict()
        torch.save(state, self.folder / f"rank-{team.rank}.pt")
        team.sum(0)  # no one leaves before all have written
        return state
