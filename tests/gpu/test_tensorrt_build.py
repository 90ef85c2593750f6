"""The process in which TensorRT builds, and what is kept of it: whole or not there, never stale, and nobody waits for it."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from support.fake_dali import FakePipeline
from support.gpu_scan import PHOTOS, on_the_cpu
from support.onnx_graphs import SIZE, sky_finder

from orientd.config import Config
from orientd.errors import ModelError, StateError
from orientd.gpu import pool as cards
from orientd.gpu.tensorrt import builder, libraries
from orientd.gpu.tensorrt.build_process import BuildProcess
from orientd.infer import registry, session
from orientd.infer.engine import Engine
from orientd.infer.session import CPU, CUDA, TENSORRT

CARD = (CUDA, {"device_id": "1", "use_tf32": "0"})
READ = "import json, pathlib, sys; order = json.loads(sys.stdin.readline()); "
BUILT = READ + "pathlib.Path(order['into'], 'engine').write_text('whole')"
FAILED = READ + "print('deep inside'); sys.exit('no such layer')"
ENDLESS = READ + "pathlib.Path(order['into'], 'engine').write_text('half'); import signal, time; signal.pause()"
OPENS = "import orientd.gpu.tensorrt.child as c; c.libraries.load = lambda: '1'; c.main()"


def build(folder, program):
    return BuildProcess(lambda partial: {"into": str(partial)}, folder, (sys.executable, "-c", program))


def waited(made):
    """What a build came to."""
    made._process.wait(60)
    return made.poll()


@pytest.fixture
def model(tmp_path):
    return registry.Model("sky", sky_finder(tmp_path / "sky.onnx"), "file")


@pytest.fixture
def loaded(monkeypatch):
    """As if TensorRT were there, and ran on the CPU."""
    monkeypatch.setattr(libraries, "load", lambda: "101600")
    monkeypatch.setattr(builder, "_providers", lambda *_: [CPU])


@pytest.fixture
def shop(model, loaded, tmp_path):
    """Make a workshop; what it tells the user is in its `told`."""

    def make(precision="fp32", of=model):
        told = []
        made = builder.EngineBuilder(of, precision, tmp_path / "cache", told.append)
        made.told = told
        return made

    return make


def test_an_engine_has_its_name_only_when_it_is_whole(tmp_path):
    made = build(tmp_path / "key", BUILT)
    assert waited(made) == ""
    assert made.poll() == ""
    assert [path.name for path in tmp_path.rglob("*")] == ["key", "engine"]
    assert (tmp_path / "key" / "engine").read_text() == "whole"


def test_a_build_that_fails_tells_why_and_leaves_nothing(tmp_path):
    made = build(tmp_path / "key", FAILED)
    assert waited(made) == "no such layer"
    assert list(tmp_path.iterdir()) == []
    assert waited(build(tmp_path / "key", "import os; os._exit(7)")) == "exit code 7"


def test_ending_while_it_builds_takes_no_time_and_leaves_nothing(tmp_path):
    made = build(tmp_path / "key", ENDLESS)
    assert made.poll() is None
    child, began = made._process, time.monotonic()
    del made
    assert child.returncode is not None
    assert time.monotonic() - began < 30
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_was_ready_but_never_asked_for_is_kept(tmp_path):
    made = build(tmp_path / "key", BUILT)
    made._process.wait(60)
    del made
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_whoever_is_first_with_an_engine_counts(tmp_path):
    one, two = build(tmp_path / "key", BUILT), build(tmp_path / "key", BUILT)
    assert (waited(one), waited(two)) == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_several_may_ask_at_once(tmp_path):
    made = build(tmp_path / "key", FAILED)
    made._process.wait(60)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: made.poll(), range(20))) == {"no such layer"}


def test_the_process_ends_when_orientd_does_though_its_model_keeps_every_thread_waiting():
    program = "import ctypes, orientd.gpu.tensorrt.child as c; c.end_with_orientd(); print('ready', flush=True); "
    program += "ctypes.PyDLL(None).pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(60) == -signal.SIGIO


def test_the_process_ends_if_orientd_did_so_before_it_began():
    program = "import orientd.gpu.tensorrt.child as c; c.end_with_orientd(); print('goes on')"
    ran = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, b"")


def test_the_process_opens_the_model_by_the_providers_it_is_told(shop, model, tmp_path, monkeypatch):
    usual = BuildProcess
    monkeypatch.setattr(builder, "BuildProcess", lambda order, folder: usual(order, folder, (sys.executable, "-c", OPENS)))
    made = shop()
    engine = model.open()
    eyes = made.upgrading(engine, "NVIDIA T4", CARD)
    assert waited(eyes._build) == ""
    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    assert eyes.look(pixels) == engine.look(pixels)
    assert eyes._engine is not engine
    assert made.told[-1] == "TensorRT has built its engine and takes over"
    again = shop()
    assert again.upgrading(engine, "NVIDIA T4", CARD)._build is None, "at the next start it is there at once"
    assert again.told == []


def test_the_real_process_fails_where_tensorrt_is_not_there(shop, model):
    if TENSORRT in session.available_providers():
        pytest.skip("ONNX Runtime knows TensorRT here")
    made = shop()
    engine = model.open()
    eyes = made.upgrading(engine, "NVIDIA T4", CARD)
    assert TENSORRT in waited(eyes._build)
    assert eyes.look(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert eyes._engine is engine
    assert "TensorRT cannot be used with this model" in made.told[-1]
    assert TENSORRT in made.told[-1]


@pytest.fixture
def never_built(monkeypatch):
    """Builds that stay under way: the folders they are for."""
    folders = []

    def made(order, folder):
        folders.append(folder)
        return SimpleNamespace(poll=lambda: None)

    monkeypatch.setattr(builder, "BuildProcess", made)
    return folders


def test_the_name_of_what_is_kept_differs_with_all_it_depends_on(shop, model, never_built, monkeypatch, tmp_path):
    engine = model.open()
    other = registry.Model("other", sky_finder(tmp_path / "other.onnx", bias=(1, 0, 0, 0)), "file")
    shop().upgrading(engine, "NVIDIA T4", CARD)
    shop("fp16").upgrading(engine, "NVIDIA T4", CARD)
    shop().upgrading(engine, "NVIDIA H200", CARD)
    shop(of=other).upgrading(other.open(), "NVIDIA T4", CARD)
    with monkeypatch.context() as patch:
        patch.setattr(libraries, "load", lambda: "101700")
        shop().upgrading(engine, "NVIDIA T4", CARD)
    with monkeypatch.context() as patch:
        patch.setattr(session, "version", lambda: "1.99")
        shop().upgrading(engine, "NVIDIA T4", CARD)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_batch", 64)
        shop().upgrading(engine, "NVIDIA T4", CARD)
    assert len(set(never_built)) == 7
    shop().upgrading(engine, "NVIDIA T4", (CUDA, {"device_id": "0"}))
    assert never_built[-1] == never_built[0], "which of two equal GPUs does not count"


def test_two_equal_gpus_wait_for_one_build(shop, model, never_built):
    made, engine = shop(), model.open()
    one, two = (made.upgrading(engine, "NVIDIA T4", (CUDA, {"device_id": number})) for number in "01")
    assert one._build is two._build
    assert len(never_built) == len(made.told) == 1


def test_what_is_kept_but_damaged_is_built_anew(shop, model, never_built, tmp_path, monkeypatch):
    made, engine = shop(), model.open()
    made.upgrading(engine, "NVIDIA T4", CARD)
    (folder,) = never_built
    folder.mkdir()
    (folder / "engine").write_text("half")

    def fails(self, providers):
        raise ModelError("cannot deserialise")

    monkeypatch.setattr(registry.Model, "open", fails)
    eyes = shop().upgrading(engine, "NVIDIA T4", CARD)
    assert eyes._engine is engine
    assert never_built == [folder, folder]
    assert not folder.exists()


def test_a_place_that_cannot_be_written_is_told(model, loaded, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StateError, match="XDG_CACHE_HOME"):
        builder.EngineBuilder(model, "fp32", tmp_path / "cache", print)


def test_the_road_of_tensorrt_goes_on_without_it_until_it_is_ready(model, loaded, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    on_the_cpu(monkeypatch, FakePipeline)
    usual, builds, told = BuildProcess, [], []

    def made(order, folder):
        builds.append(usual(order, folder, (sys.executable, "-c", OPENS)))
        return builds[-1]

    monkeypatch.setattr(builder, "BuildProcess", made)
    road, engine = cards.open_cards(model, Config(provider="tensorrt-fp16", gpus="0,1"), told.append)
    first = road(PHOTOS[:8])
    (only,) = builds
    assert waited(only) == ""
    assert [look for _, look in road(PHOTOS[:8])] == [look for _, look in first]
    assert isinstance(engine, Engine)
    assert [path.name for path in (tmp_path / "orientd").iterdir()] == ["tensorrt"]
