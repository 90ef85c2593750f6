"""What a run keeps of itself, whole, and tells meanwhile: checkpoints, mixtures of two runs, TensorBoard, MLflow, a terminal."""

import errno
import os
import resource
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from orientd_training import config as recipes
from orientd_training.config import Phase
from orientd_training.fit import checkpoint, devices, loop, monitor, weights
from support import training_runs
from support.training_runs import log

from orientd.errors import ConfigError, ModelError, StateError

KB = 1024


_one_thread, cache, recipe = training_runs.on_one_thread, training_runs.its_cache, training_runs.its_recipe
whole, unbroken = training_runs.whole, training_runs.unbroken


def test_of_the_best_ones_the_latest_stay(tmp_path):
    for i in range(6):
        checkpoint.save_best({"w": torch.full((1,), float(i))}, tmp_path, "net", 0.9 + i / 100)
        os.utime(tmp_path / f"net_{0.9 + i / 100:.4f}.pt", (i, i))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "net_0.9300.pt", "net_0.9400.pt", "net_0.9500.pt"]
    assert [float(weights.read(tmp_path / f"net_0.9{i}00.pt")["w"]) for i in (3, 4, 5)] == [3, 4, 5]
    assert float(weights.read(tmp_path / "best.pt")["w"]) == 5


def test_checkpoints_get_their_names_where_there_are_no_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    checkpoint.save_best({"w": torch.ones(1)}, tmp_path, "net", 0.9)
    assert float(weights.read(tmp_path / "net_0.9000.pt")["w"]) == 1


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
            loop.fit(recipe, unbroken, resume=True)
    assert (unbroken / name).read_bytes() == before
    assert not list(unbroken.glob("*.partial"))
    assert loop.fit(recipe, unbroken, resume=True) > 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"photos": '])
def test_damaged_facts_are_named(recipe, unbroken, text):
    (unbroken / "facts.json").write_text(text)
    with pytest.raises(ConfigError, match=r"facts\.json cannot be read"):
        loop.fit(recipe, unbroken, resume=True)


def test_a_damaged_checkpoint_is_named(recipe, unbroken):
    whole = (unbroken / "last.pt").read_bytes()
    pickled = b"\x80\x02a."  # an instruction that pops from an empty stack
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint", whole[:5000] + bytes(2000) + whole[7000:], pickled):
        (unbroken / "last.pt").write_bytes(damaged)
        (unbroken / "best.pt").write_bytes(damaged[:-1])
        with pytest.raises(ModelError, match=r"last\.pt"):
            loop.fit(recipe, unbroken, resume=True)
        with pytest.raises(ModelError, match=r"best\.pt"):
            checkpoint.load(unbroken)


def test_a_checkpoint_of_another_architecture_is_refused(recipe, unbroken):
    with pytest.raises(ModelError, match=r"last\.pt is of another network .*backbone.conv1.0.weight is missing.* and \d+ more"):
        loop.fit(replace(recipe, backbone="test_resnet"), unbroken, resume=True)
    with pytest.raises(ModelError, match=r"extra\.weight is missing"):
        loop.fit(replace(recipe, head_grid=2), unbroken, resume=True)
    weights.save({"model": 3}, unbroken / "last.pt")
    with pytest.raises(ModelError, match="no checkpoint of this recipe"):
        loop.fit(recipe, unbroken, resume=True)


def test_two_runs_are_mixed_weight_by_weight(recipe, unbroken, tmp_path):
    further = replace(recipe, init=unbroken / checkpoint.BEST, head_grid=2, phases=(Phase(32, 16),), seed=2)
    loop.fit(further, tmp_path / "further")
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
    loop.fit(replace(recipe, backbone="test_resnet", phases=(Phase(32, 8),)), tmp_path / "resnet")
    with pytest.raises(ModelError, match="another network"):
        checkpoint.mix(unbroken, tmp_path / "resnet", 0.5, tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()


def test_curves_go_to_tensorboard(recipe, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loop.fit(replace(recipe, tensorboard=True), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    names = {"Accuracy/train", "Accuracy/validation", "Loss/train", "Loss/validation", "Hyperparameters/learning_rate"}
    assert names <= set(events.Tags()["scalars"])
    seen = {event.step: event.value for event in events.Scalars("Accuracy/validation")}
    assert seen == pytest.approx({entry["photos"]: entry["validation"] for entry in log(tmp_path / "run")}, abs=1e-5)


def test_a_terminal_gets_a_bar_and_a_pipe_gets_nothing(recipe, tmp_path, monkeypatch, capfd):
    loop.fit(recipe, tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")
    screen = StringIO()
    console = monitor.Console
    monkeypatch.setattr(monitor, "Console", lambda stderr: console(file=screen, force_terminal=True, width=200))
    monkeypatch.setattr(monitor, "_BAR_SECONDS", 0)
    loop.fit(recipe, tmp_path / "loud")
    for shown in ("loss ", "best ", "photos/s", "waiting for data", "100%"):
        assert shown in screen.getvalue()


@pytest.mark.alone
def test_memory_is_kept_where_the_library_is_glibc(tmp_path):  # a folder for the process of its own
    assert devices.keep_memory() is (os.confstr("CS_GNU_LIBC_VERSION") is not None)
