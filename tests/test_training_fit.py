"""A training is stopped, goes on, fails and ends; what it leaves on the disk is right each time."""

import errno
import json
import os
import re
import resource
import shlex
import shutil
import signal
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from orientd.errors import ConfigError, ModelError, StateError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

import trainings  # noqa: E402
from orientd_training import checkpoint, fit, machine, monitor, photoset, weights  # noqa: E402
from orientd_training import config as recipes  # noqa: E402
from orientd_training.config import Phase  # noqa: E402
from orientd_training.feed import Feed  # noqa: E402

KB = 1024


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return trainings.cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def recipe(cache):
    return trainings.recipe(cache)


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    fit.fit(trainings.recipe(cache), run)
    return run


@pytest.fixture
def unbroken(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "unbroken")


def log(run):
    """What was logged, without how fast it was."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("rate", "wait")} for line in lines]


def differences(one, other, where=""):
    """The paths at which two checkpoints differ."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [found for key in one for found in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        return [found for i, pair in enumerate(zip(one, other, strict=True)) for found in differences(*pair, f"{where}.{i}")]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [where]


def signalled(monkeypatch, after, number):
    """Send this process a signal in the middle of a step."""
    step, done = fit.Run.step, []

    def stepping(run):
        done.append(run)
        if len(done) == after:
            os.kill(os.getpid(), number)
        return step(run)

    monkeypatch.setattr(fit.Run, "step", stepping)


def test_differences_are_found():
    state = {"a": torch.ones(3), "b": [{"c": 1}]}
    assert differences(state, state) == []
    assert differences(state, {"a": torch.tensor([1, 1, 1.001]), "b": [{"c": 2}]}) == [".a", ".b.0.c"]


@pytest.mark.parametrize(("after", "number"), [(2, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGINT)])
def test_a_stopped_run_goes_on_as_if_never_stopped(recipe, unbroken, tmp_path, monkeypatch, after, number):
    run, before = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        signalled(patch, after, number)
        with pytest.raises(fit.Interrupted, match=f"stopped after {after * 8} of 80 photos") as stopped:
            fit.fit(recipe, run)
    assert stopped.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert weights.read(run / "last.pt")["photos"] == after * 8
    fit.fit(recipe, run, resume=True)
    assert log(run) == log(unbroken)
    assert [entry["photos"] for entry in log(run)] == [40, 80]
    for name in ("last.pt", "best.pt"):
        assert differences(weights.read(run / name), weights.read(unbroken / name)) == []


def test_a_resumed_run_has_the_same_losses(recipe, tmp_path):
    whole, feed = trainings.begun(recipe)
    losses = [whole.step() for _ in range(9)]
    first, again = trainings.begun(recipe)
    begun = [first.step() for _ in range(5)]
    first.save(tmp_path / "last.pt")
    second, last = trainings.begun(recipe)
    second.restore(tmp_path / "last.pt")
    assert begun + [second.step() for _ in range(4)] == losses
    assert len(set(map(float, losses))) == 9
    for each in (feed, again, last):
        each.close()


def test_gradients_are_clipped(recipe):
    for clip, kept in ((0.01, True), (1e6, False)):
        run, feed = trainings.begun(replace(recipe, clip=clip))
        run.step()
        feed.close()
        norm = torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None]).norm()
        assert bool(norm <= 0.0101) is kept


def test_another_seed_is_another_training(recipe):
    one, feed = trainings.begun(recipe)
    other, again = trainings.begun(replace(recipe, seed=2))
    assert one.step() != other.step()
    feed.close()
    again.close()


def test_the_command_says_how_to_go_on(recipe, tmp_path, monkeypatch, capsys):
    recipes = tmp_path / "it's.yaml"
    recipes.write_text(json.dumps({"name": "x", "backbone": recipe.backbone, "phases": [{"size": 32, "photos": 80}]}))
    words = ["orientd-train", "fit", "--config", str(recipes), "--out", str(tmp_path / "run")]
    more = [f"train={recipe.train}", f"validation={recipe.train}", "batch=8", "tensorboard=false", "device=cpu"]
    signalled(monkeypatch, 3, signal.SIGINT)
    assert command([*words, *more], monkeypatch) == 130
    said = capsys.readouterr().err
    assert "stopped after 24 of 80 photos" in said
    going_on = shlex.split(said.partition("to go on: ")[2])
    assert command([*going_on, "lr=0.001"], monkeypatch) == 0
    told = capsys.readouterr()
    assert "not as the run began: lr: 0.0006 → 0.001" in told.err
    assert "best validation accuracy" in told.out


def command(arguments, monkeypatch):
    from orientd_training.cli import main

    monkeypatch.setattr(sys, "argv", arguments)
    try:
        main()
    except SystemExit as ended:
        return ended.code
    return 0


def test_a_run_is_neither_overwritten_nor_resumed_from_nothing(recipe, unbroken, tmp_path):
    with pytest.raises(ConfigError, match="already holds a run"):
        fit.fit(recipe, unbroken)
    with pytest.raises(ConfigError, match="holds no run to resume"):
        fit.fit(recipe, tmp_path / "nothing", resume=True)


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
    monkeypatch.setattr(fit.Run, "validate", lambda run, photos: (next(found), 1.0))
    assert fit.fit(replace(recipe, validate_every=8, patience=2), tmp_path / "run") == 0.6
    assert [entry["photos"] for entry in log(tmp_path / "run")] == [8, 16, 24, 32]
    assert sorted(path.name for path in (tmp_path / "run").glob("*.pt")) == [
        "best.pt",
        "last.pt",
        "tiny_0.5000.pt",
        "tiny_0.6000.pt",
    ]


def test_of_the_best_ones_the_latest_stay(tmp_path):
    for i in range(6):
        checkpoint.save_best({"w": torch.full((1,), float(i))}, tmp_path, "net", 0.9 + i / 100)
        os.utime(tmp_path / f"net_{0.9 + i / 100:.4f}.pt", (i, i))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "net_0.9300.pt", "net_0.9400.pt", "net_0.9500.pt"]
    assert [float(weights.read(tmp_path / f"net_0.9{i}00.pt")["w"]) for i in (3, 4, 5)] == [3, 4, 5]
    assert float(weights.read(tmp_path / "best.pt")["w"]) == 5


def test_a_full_disk_leaves_the_former_checkpoint_whole(tmp_path):
    """The limit of the size of files stands in for the disk's: the write fails half-way in the same manner."""
    weights.save({"w": torch.ones(1000)}, tmp_path / "last.pt")
    before = (tmp_path / "last.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 * KB, limits[1]))
    try:
        with pytest.raises(StateError, match=r"last\.pt cannot be written .* the former one is whole: make room"):
            weights.save({"w": torch.ones(1000 * KB)}, tmp_path / "last.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_full_disk_ends_a_run_that_can_go_on(recipe, unbroken, tmp_path, monkeypatch):
    save, run = fit.Run.save, tmp_path / "run"

    def full(self, path):
        if self.photos == 80:
            raise StateError(f"{path} cannot be written")
        save(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(fit.Run, "save", full)
        with pytest.raises(StateError):
            fit.fit(recipe, run)
    fit.fit(recipe, run, resume=True)
    assert log(run) == log(unbroken)


def test_a_folder_that_cannot_be_written_is_an_error(recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        fit.fit(recipe, tmp_path / "file" / "run")


def test_a_training_that_diverges_ends_and_spoils_nothing(recipe, tmp_path, monkeypatch):
    run = tmp_path / "run"
    loss = fit.Run.loss
    monkeypatch.setattr(fit.Run, "loss", lambda self, *rest: loss(self, *rest) * (float("nan") if self.photos > 48 else 1))
    with pytest.raises(ModelError, match="diverged"):
        fit.fit(recipe, run)
    state = weights.read(run / "last.pt")
    assert state["photos"] == 40
    assert all(value.isfinite().all() for value in state["model"].values())


def test_what_has_diverged_is_not_kept_when_it_is_stopped(recipe, tmp_path, monkeypatch):
    run, loss = tmp_path / "run", fit.Run.loss
    monkeypatch.setattr(fit.Run, "loss", lambda self, *rest: loss(self, *rest) * (float("nan") if self.photos > 48 else 1))
    signalled(monkeypatch, 9, signal.SIGINT)
    with pytest.raises(ModelError, match="diverged"):
        fit.fit(recipe, run)
    assert weights.read(run / "last.pt")["photos"] == 40


@pytest.mark.parametrize("name", ["facts.json", "config.json"])
def test_a_full_disk_leaves_what_a_run_says_of_itself_whole(recipe, unbroken, monkeypatch, name):
    """The limit of the size of files does not do here: it would be that of the checkpoints, too."""
    before, write = (unbroken / name).read_bytes(), Path.write_text

    def full(path, text):
        if name in path.name:
            write(path, text[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(StateError, match="No space left"):
            fit.fit(recipe, unbroken, resume=True)
    assert (unbroken / name).read_bytes() == before
    assert not list(unbroken.glob("*.partial"))
    assert fit.fit(recipe, unbroken, resume=True) > 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"photos": '])
def test_damaged_facts_are_named(recipe, unbroken, text):
    (unbroken / "facts.json").write_text(text)
    with pytest.raises(ConfigError, match=r"facts\.json cannot be read"):
        fit.fit(recipe, unbroken, resume=True)


def test_checkpoints_get_their_names_where_there_are_no_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    checkpoint.save_best({"w": torch.ones(1)}, tmp_path, "net", 0.9)
    assert float(weights.read(tmp_path / "net_0.9000.pt")["w"]) == 1


def test_two_runs_are_mixed_weight_by_weight(recipe, unbroken, tmp_path):
    further = replace(recipe, init=unbroken / checkpoint.BEST, head_grid=2, phases=(Phase(32, 16),), seed=2)
    fit.fit(further, tmp_path / "further")
    checkpoint.mix(tmp_path / "further", unbroken, 0.25, tmp_path / "mixed")

    config, network = checkpoint.load(tmp_path / "mixed")
    own, theirs = weights.read(tmp_path / "further" / checkpoint.BEST), weights.read(unbroken / checkpoint.BEST)
    assert config == recipes.load(tmp_path / "further" / checkpoint.CONFIG)
    assert any(not torch.equal(own[name], value) for name, value in theirs.items())
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * own[name] + 0.25 * theirs.get(name, torch.zeros(())))


def test_runs_that_cannot_be_mixed_are_refused(recipe, unbroken, tmp_path):
    with pytest.raises(ConfigError, match="is there already"):
        checkpoint.mix(unbroken, unbroken, 0.5, unbroken)
    fit.fit(replace(recipe, backbone="test_resnet", phases=(Phase(32, 8),)), tmp_path / "resnet")
    with pytest.raises(ModelError, match="another network"):
        checkpoint.mix(unbroken, tmp_path / "resnet", 0.5, tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()


def test_a_damaged_checkpoint_is_named(recipe, unbroken):
    whole = (unbroken / "last.pt").read_bytes()
    pickled = b"\x80\x02a."  # an instruction that pops from an empty stack
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint", whole[:5000] + bytes(2000) + whole[7000:], pickled):
        (unbroken / "last.pt").write_bytes(damaged)
        (unbroken / "best.pt").write_bytes(damaged[:-1])
        with pytest.raises(ModelError, match=r"last\.pt"):
            fit.fit(recipe, unbroken, resume=True)
        with pytest.raises(ModelError, match=r"best\.pt"):
            checkpoint.load(unbroken)


def test_a_checkpoint_of_another_architecture_is_refused(recipe, unbroken):
    with pytest.raises(ModelError, match=r"last\.pt is of another network .*backbone.conv1.0.weight is missing.* and \d+ more"):
        fit.fit(replace(recipe, backbone="test_resnet"), unbroken, resume=True)
    with pytest.raises(ModelError, match=r"extra\.weight is missing"):
        fit.fit(replace(recipe, head_grid=2), unbroken, resume=True)
    weights.save({"model": 3}, unbroken / "last.pt")
    with pytest.raises(ModelError, match="no checkpoint of this recipe"):
        fit.fit(recipe, unbroken, resume=True)


def test_a_run_does_not_go_on_with_other_photos(recipe, unbroken, tmp_path):
    other = trainings.cache(tmp_path / "other", first=50)
    with pytest.raises(ConfigError, match="begun with other photos"):
        fit.fit(replace(recipe, train=other, validation=other), unbroken, resume=True)


def test_the_schedule_warms_up_and_ends_at_nothing():
    rates = [fit._schedule(i / 100, 0.1) for i in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == 1
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert fit._schedule(0, 0) == 1


def test_curves_go_to_tensorboard(recipe, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit.fit(replace(recipe, tensorboard=True), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    names = {"Accuracy/train", "Accuracy/validation", "Loss/train", "Loss/validation", "Hyperparameters/learning_rate"}
    assert names <= set(events.Tags()["scalars"])
    seen = {event.step: event.value for event in events.Scalars("Accuracy/validation")}
    assert seen == pytest.approx({entry["photos"]: entry["validation"] for entry in log(tmp_path / "run")}, abs=1e-5)


def test_mlflow_is_asked_for_but_not_there(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match="mlflow: it is not installed"):
        fit.fit(replace(recipe, mlflow=True), tmp_path / "run")


def test_mlflow_gets_the_recipe_and_the_figures(recipe, tmp_path, monkeypatch):
    """A stand-in with the four functions used: MLflow itself is not installed for the tests."""
    from contextlib import nullcontext
    from types import SimpleNamespace

    told = {}
    stand_in = SimpleNamespace(
        start_run=lambda run_name: nullcontext(told.update(name=run_name)),
        log_params=lambda values: told.update(params=values),
        log_metrics=lambda values, step: told.update({step: values}),
    )
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    best = fit.fit(replace(recipe, mlflow=True), tmp_path / "run")
    assert told["name"] == "tiny: run"
    assert told["params"]["batch"] == "8"
    assert best in (told[40]["Accuracy/validation"], told[80]["Accuracy/validation"])


def test_a_terminal_gets_a_bar_and_a_pipe_gets_nothing(recipe, tmp_path, monkeypatch, capfd):
    fit.fit(recipe, tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")
    screen = StringIO()
    console = monitor.Console
    monkeypatch.setattr(monitor, "Console", lambda stderr: console(file=screen, force_terminal=True, width=200))
    monkeypatch.setattr(monitor, "_BAR_SECONDS", 0)
    fit.fit(recipe, tmp_path / "loud")
    for shown in ("loss ", "best ", "photos/s", "waiting for data", "100%"):
        assert shown in screen.getvalue()


def test_memory_is_kept_where_the_library_is_glibc():
    assert machine.keep_memory() is (os.confstr("CS_GNU_LIBC_VERSION") is not None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_an_error(recipe, tmp_path):
    with pytest.raises(ConfigError, match="no CUDA GPU"):
        fit.fit(replace(recipe, device="cuda"), tmp_path / "run")
    with pytest.raises(ConfigError, match="8 photos cannot be shared evenly by 3"):
        fit.fit(replace(recipe, devices=3), tmp_path / "run")


@pytest.mark.slow
def test_two_processes_train_one_network(recipe, tmp_path):
    """Both end with the same weights, which are not those of one process alone."""
    fit.fit(replace(recipe, devices=2), tmp_path / "run")
    shared = machine.together(_Steps(recipe, tmp_path), replace(recipe, devices=2))
    other = torch.load(tmp_path / "rank-1.pt", weights_only=True)
    assert differences(shared, other) == []
    assert differences(shared, weights.read(tmp_path / "run" / "last.pt")["model"]) == []
    alone, feed = trainings.begun(recipe)
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
        run = fit.Run(self.recipe, feed, team)
        for _ in range(10):
            run.step()
        feed.close()
        state = run.model.state_dict()
        torch.save(state, self.folder / f"rank-{team.rank}.pt")
        team.sum(0)  # no one leaves before all have written
        return state
