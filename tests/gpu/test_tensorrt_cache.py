"""What is left of the engines of TensorRT from earlier runs: nothing that a kill left half built, and not all that ever was."""

import fcntl
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from support.onnx_graphs import sky_finder

from orientd.gpu.tensorrt import builder, engine_folders, libraries
from orientd.gpu.tensorrt.build_process import BuildProcess
from orientd.infer import registry
from orientd.infer.session import CPU, CUDA

KEY = "0123456789abcdef" * 2
BUILT = "import json, pathlib, sys; pathlib.Path(json.loads(sys.stdin.readline())['into'], 'engine').write_text('whole')"
NEVER_READY = """
import ctypes, json, os, pathlib, sys
from orientd.gpu.tensorrt import child
order = json.loads(sys.stdin.readline())
child.end_with_orientd()
pathlib.Path(order["into"], "engine").write_text("half")
open(order["tell"], "w").close()
ctypes.PyDLL(None).pause()
"""
ORIENTD = """
import pathlib, signal, sys
from orientd.gpu.tensorrt.build_process import BuildProcess
folder, tell, program = sys.argv[1:]
order = lambda into: {"into": str(into), "tell": tell}
made = BuildProcess(order, pathlib.Path(folder), (sys.executable, "-c", program))
signal.pause()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def keep(tmp_path):
    (tmp_path / "keep").mkdir()
    return tmp_path / "keep"


@pytest.fixture
def killed(keep, tmp_path):
    """An orientd that is building an engine: gives what kills it, and comes back once nobody builds any more."""
    os.mkfifo(tmp_path / "told")
    with subprocess.Popen([sys.executable, "-c", ORIENTD, keep / KEY, tmp_path / "told", NEVER_READY]) as child:
        (tmp_path / "told").read_text()

        def kill():
            child.kill()
            child.wait()
            (partial,) = keep.iterdir()
            with (partial / "log").open("r+b") as log:
                fcntl.flock(log, fcntl.LOCK_EX)

        yield kill
        child.kill()


def test_what_a_kill_left_half_built_goes_at_the_next_start_but_not_while_it_is_built(keep, killed):
    (before,) = keep.iterdir()
    engine_folders.tidy(keep)
    assert (before / "engine").read_text() == "half"
    killed()
    assert names(before) == ["engine", "log"], "nobody was left to take it away"
    engine_folders.tidy(keep)
    assert names(keep) == []


def test_what_is_built_but_not_asked_for_yet_is_somebodys(keep):
    made = BuildProcess(lambda into: {"into": str(into)}, keep / KEY, (sys.executable, "-c", BUILT))
    made._process.wait(60)
    engine_folders.tidy(keep)
    assert made.poll() == ""
    assert names(keep / KEY) == ["engine"]


def test_where_nobody_can_lock_nothing_is_taken_away(keep, killed, monkeypatch):
    def refuses(*_):
        raise OSError(37, "No locks available")

    killed()
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuses)
        engine_folders.tidy(keep)
        assert len(names(keep)) == 1
        made = BuildProcess(lambda into: {"into": str(into)}, keep / KEY, (sys.executable, "-c", BUILT))
        made._process.wait(60)
        assert made.poll() == ""
    engine_folders.tidy(keep)
    assert names(keep) == [KEY]


def test_a_removal_that_is_cut_short_is_finished_at_the_next_start(keep, monkeypatch):
    (keep / KEY).mkdir()
    (keep / KEY / "engine").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(engine_folders, "remove", lambda _: None)
        engine_folders.discard(keep / KEY)
    assert not (keep / KEY).exists(), "half an engine must not have its name"
    assert len(names(keep)) == 1
    engine_folders.tidy(keep)
    assert names(keep) == []


def test_only_the_engines_used_last_are_kept(keep):
    kept = [f"{number:032x}" for number in range(engine_folders._KEPT + 3)]
    for number, name in enumerate(kept):
        (keep / name).mkdir()
        (keep / name / "engine").write_text("whole")
        os.utime(keep / name, (number, number))
    others = ["TensorrtExecutionProvider_cache_sm90.timing", "of somebody else"]
    for name in others:
        (keep / name).touch()
        os.utime(keep / name, (0, 0))
    engine_folders.tidy(keep)
    assert names(keep) == sorted([*kept[3:], *others])


def test_an_engine_that_is_used_again_is_used_last(keep, tmp_path, monkeypatch):
    monkeypatch.setattr(libraries, "load", lambda: "101600")
    monkeypatch.setattr(builder, "_providers", lambda *_: [CPU])
    model = registry.Model("sky", sky_finder(tmp_path / "sky.onnx"), "file")
    engine, folders = model.open(), []
    card = (CUDA, {"device_id": "0"})
    with monkeypatch.context() as patch:
        patch.setattr(builder, "BuildProcess", lambda order, folder: folders.append(folder) or SimpleNamespace(poll=lambda: None))
        builder.EngineBuilder(model, "fp32", keep, print).upgrading(engine, "NVIDIA T4", card)
    folders[0].mkdir()
    os.utime(folders[0], (0, 0))
    for number in range(engine_folders._KEPT):
        (keep / f"{number:032x}").mkdir()
        os.utime(keep / f"{number:032x}", (9, 9))
    monkeypatch.setattr(engine_folders, "_KEPT", engine_folders._KEPT + 1)
    assert builder.EngineBuilder(model, "fp32", keep, print).upgrading(engine, "NVIDIA T4", card)._build is None
    monkeypatch.undo()
    engine_folders.tidy(keep)
    assert folders[0].exists()
    assert len(names(keep)) == engine_folders._KEPT
