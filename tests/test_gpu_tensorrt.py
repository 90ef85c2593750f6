"""TensorRT by choice, with stand-ins for its libraries and for the process that builds: nothing stale, hidden or hanging."""

import ctypes
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import skies
from dalis import FakePipeline
from graphs import SIZE, sky_finder
from test_dali_road import PHOTOS, Decoder, on_the_cpu

from orientd import cards, catalogue, gpu, infer, tensorrt
from orientd.config import Config, cache_directory
from orientd.decode import dali
from orientd.errors import EngineUnavailable, ModelError, StateError
from orientd.infer import CPU, CUDA, TENSORRT, Engine

CARD = (CUDA, {"device_id": "1", "use_tf32": "0"})
SHAPES = ["pixels:8x32x32x3", "pixels:32x32x32x3"]
READ = "import json, pathlib, sys; order = json.loads(sys.stdin.readline()); "
BUILT = READ + "pathlib.Path(order['into'], 'engine').write_text('whole')"
FAILED = READ + "print('deep inside'); sys.exit('no such layer')"
ENDLESS = READ + "pathlib.Path(order['into'], 'engine').write_text('half'); import signal, time; signal.pause()"
OPENS = "import orientd.tensorrt as t; t.load = lambda: '1'; t._main()"


def build(folder, program):
    return tensorrt.Build(lambda partial: {"into": str(partial)}, folder, (sys.executable, "-c", program))


def waited(made):
    """What a build came to."""
    made._child.wait(60)
    return made.poll()


@pytest.fixture
def model(tmp_path):
    return catalogue.Model("sky", sky_finder(tmp_path / "sky.onnx"), "file")


@pytest.fixture
def loaded(monkeypatch):
    """As if TensorRT were there, and ran on the CPU."""
    monkeypatch.setattr(tensorrt, "load", lambda: "101600")
    monkeypatch.setattr(tensorrt, "_providers", lambda *_: [CPU])


@pytest.fixture
def shop(model, loaded, tmp_path):
    """Make a workshop; what it tells the user is in its `told`."""

    def make(precision="fp32", of=model):
        told = []
        made = tensorrt.Workshop(of, precision, tmp_path / "cache", told.append)
        made.told = told
        return made

    return make


# The process that builds


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
    child, began = made._child, time.monotonic()
    del made
    assert child.returncode is not None
    assert time.monotonic() - began < 5
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_was_ready_but_never_asked_for_is_kept(tmp_path):
    made = build(tmp_path / "key", BUILT)
    made._child.wait(60)
    del made
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_whoever_is_first_with_an_engine_counts(tmp_path):
    one, two = build(tmp_path / "key", BUILT), build(tmp_path / "key", BUILT)
    assert (waited(one), waited(two)) == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_several_may_ask_at_once(tmp_path):
    made = build(tmp_path / "key", FAILED)
    made._child.wait(60)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: made.poll(), range(20))) == {"no such layer"}


def test_the_process_ends_when_orientd_does():
    program = (
        "import signal, threading, orientd.tensorrt as t; threading.Thread(target=t._end_with_orientd).start(); signal.pause()"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(30) == 1


def test_the_process_opens_the_model_by_the_providers_it_is_told(shop, model, tmp_path, monkeypatch):
    usual = tensorrt.Build
    monkeypatch.setattr(tensorrt, "Build", lambda order, folder: usual(order, folder, (sys.executable, "-c", OPENS)))
    made = shop()
    engine = model.open()
    eyes = made.improved(engine, "NVIDIA T4", CARD)
    assert waited(eyes._build) == ""
    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    assert eyes.look(pixels) == engine.look(pixels)
    assert eyes._engine is not engine
    assert made.told[-1] == "TensorRT has built its engine and takes over"
    again = shop()
    assert again.improved(engine, "NVIDIA T4", CARD)._build is None, "at the next start it is there at once"
    assert again.told == []


def test_the_real_process_fails_where_tensorrt_is_not_there(shop, model):
    if TENSORRT in infer.available_providers():
        pytest.skip("ONNX Runtime knows TensorRT here")
    made = shop()
    engine = model.open()
    eyes = made.improved(engine, "NVIDIA T4", CARD)
    assert TENSORRT in waited(eyes._build)
    assert eyes.look(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert eyes._engine is engine
    assert "TensorRT cannot be used with this model" in made.told[-1]
    assert TENSORRT in made.told[-1]


# What is kept


@pytest.fixture
def never_built(monkeypatch):
    """Builds that stay under way: the folders they are for."""
    folders = []

    def made(order, folder):
        folders.append(folder)
        return SimpleNamespace(poll=lambda: None)

    monkeypatch.setattr(tensorrt, "Build", made)
    return folders


def test_the_name_of_what_is_kept_differs_with_all_it_depends_on(shop, model, never_built, monkeypatch, tmp_path):
    engine = model.open()
    other = catalogue.Model("other", sky_finder(tmp_path / "other.onnx", bias=(1, 0, 0, 0)), "file")
    shop().improved(engine, "NVIDIA T4", CARD)
    shop("fp16").improved(engine, "NVIDIA T4", CARD)
    shop().improved(engine, "NVIDIA H200", CARD)
    shop(of=other).improved(other.open(), "NVIDIA T4", CARD)
    with monkeypatch.context() as patch:
        patch.setattr(tensorrt, "load", lambda: "101700")
        shop().improved(engine, "NVIDIA T4", CARD)
    with monkeypatch.context() as patch:
        patch.setattr(infer, "version", lambda: "1.99")
        shop().improved(engine, "NVIDIA T4", CARD)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_batch", 64)
        shop().improved(engine, "NVIDIA T4", CARD)
    assert len(set(never_built)) == 7
    shop().improved(engine, "NVIDIA T4", (CUDA, {"device_id": "0"}))
    assert never_built[-1] == never_built[0], "which of two equal GPUs does not count"


def test_two_equal_gpus_wait_for_one_build(shop, model, never_built):
    made, engine = shop(), model.open()
    one, two = (made.improved(engine, "NVIDIA T4", (CUDA, {"device_id": number})) for number in "01")
    assert one._build is two._build
    assert len(never_built) == len(made.told) == 1


def test_what_is_kept_but_damaged_is_built_anew(shop, model, never_built, tmp_path, monkeypatch):
    made, engine = shop(), model.open()
    made.improved(engine, "NVIDIA T4", CARD)
    (folder,) = never_built
    folder.mkdir()
    (folder / "engine").write_text("half")

    def fails(self, providers):
        raise ModelError("cannot deserialise")

    monkeypatch.setattr(catalogue.Model, "open", fails)
    eyes = shop().improved(engine, "NVIDIA T4", CARD)
    assert eyes._engine is engine
    assert never_built == [folder, folder]
    assert not folder.exists()


def test_a_place_that_cannot_be_written_is_told(model, loaded, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StateError, match="XDG_CACHE_HOME"):
        tensorrt.Workshop(model, "fp32", tmp_path / "cache", print)


def test_it_is_kept_where_systemd_or_the_user_says():
    assert cache_directory({"HOME": "/home/ada"}) == "/home/ada/.cache/orientd"
    assert cache_directory({"HOME": "/home/ada", "XDG_CACHE_HOME": "/fast"}) == "/fast/orientd"
    assert cache_directory({"XDG_CACHE_HOME": "/fast", "CACHE_DIRECTORY": "/var/cache/orientd:/x"}) == "/var/cache/orientd"


@pytest.mark.parametrize(("precision", "half"), [("fp32", "0"), ("fp16", "1")])
def test_tensorrt_comes_first_and_gets_every_shape(tmp_path, precision, half):
    limited = (CUDA, {**CARD[1], "gpu_mem_limit": "1000"})
    (name, options), after = tensorrt._providers(limited, SHAPES, precision, tmp_path / "key", tmp_path)
    assert (name, after) == (TENSORRT, limited)
    assert options == {
        "device_id": "1",
        "trt_max_workspace_size": "1000",
        "trt_fp16_enable": half,
        "trt_profile_min_shapes": SHAPES[0],
        "trt_profile_opt_shapes": SHAPES[1],
        "trt_profile_max_shapes": SHAPES[1],
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / "key"),
        "trt_engine_cache_prefix": "orientd",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(tmp_path),
    }
    assert json.loads(json.dumps(options)) == options


# Its libraries


@pytest.fixture
def made_for_tensorrt(monkeypatch):
    """As if ONNX Runtime were made for TensorRT 10 and CUDA 13."""
    monkeypatch.setattr(infer, "check_provider", lambda _: None)
    monkeypatch.setattr(infer, "preload", lambda: None)
    monkeypatch.setattr(infer, "tensorrt_version", lambda: "10")
    monkeypatch.setattr(infer, "cuda_version", lambda: "13.0")


def test_libraries_are_found_where_pip_puts_them(made_for_tensorrt, tmp_path, monkeypatch):
    wheel = tmp_path / "tensorrt_libs"
    wheel.mkdir()
    (wheel / "__init__.py").touch()
    for name in (
        "libnvinfer.so.10",
        "libnvinfer_builder_resource_sm75.so.10.16.1",
        "libnvinfer_builder_resource_sm90.so.10.16.1",
    ):
        (wheel / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    asked = []
    monkeypatch.setattr(ctypes, "CDLL", lambda path: asked.append(path) or SimpleNamespace(getInferLibVersion=lambda: 101611))
    assert tensorrt.load() == "101611"
    assert asked[:3] == [str(wheel / "libnvinfer.so.10"), "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"]
    assert asked[3:] == [str(wheel / f"libnvinfer_builder_resource_{kind}.so.10.16.1") for kind in ("sm75", "sm90")]
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/lib/cuda")
    assert tensorrt._environment()["LD_LIBRARY_PATH"] == f"{wheel}:/usr/lib/cuda", "for what it loads late, by name"


def test_libraries_that_are_missing_are_an_error_with_the_command_that_brings_them(made_for_tensorrt):
    with pytest.raises(EngineUnavailable, match=r'pip install "tensorrt-cu13-libs==10\.\*"'):
        tensorrt.load()


def test_tensorrt_that_was_asked_for_and_is_not_there_is_an_error(orientd, photos, monkeypatch, capsys):
    skies.library(photos, 2)
    on_the_cpu(monkeypatch, FakePipeline)
    if TENSORRT in infer.available_providers():
        pytest.skip("ONNX Runtime knows TensorRT here")
    for command in (["scan", photos], ["doctor"]):
        assert orientd(*command, "--provider", "tensorrt") == 1
        said = capsys.readouterr()
        assert "TensorrtExecutionProvider cannot run here" in " ".join((said.out + said.err).split())


# Taking over


class Named:
    """An engine that tells itself from others: it knows one answer."""

    takes_pixels = True

    def __init__(self, name):
        self.name = name

    def look(self, pixels):
        return [self.name] * len(pixels)

    def look_again(self, pixels):
        return self.name

    def look_there(self, device, pointer, number, index=0):
        return [self.name] * number


def test_it_takes_over_between_batches_and_never_within_one():
    ready = threading.Event()
    opened, told = [], []

    def opens():
        opened.append(1)
        return Named("tensorrt")

    eyes = tensorrt.Improved(Named("cuda"), SimpleNamespace(poll=lambda: "" if ready.is_set() else None), opens, told.append)
    road = cards.Cards([gpu.Gpu(Decoder(), eyes, dali.blank(), told.append)], lambda: None)

    def looks(number):
        if number == 30:
            ready.set()
        return [sight[1] for sight in road(PHOTOS[:4])]

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(looks, range(60)))
    assert {tuple(each) for each in seen} == {("cuda",) * 4, ("tensorrt",) * 4}
    assert seen[0] == ["cuda"] * 4
    assert seen[-1] == ["tensorrt"] * 4
    assert opened == [1]
    assert told == ["TensorRT has built its engine and takes over"]
    assert eyes.takes_pixels
    assert (eyes.look(np.zeros((2, 1))), eyes.look_again(None)) == (["tensorrt"] * 2, "tensorrt")


def test_one_that_cannot_be_opened_after_all_changes_nothing():
    told = []

    def opens():
        raise EngineUnavailable("no room")

    eyes = tensorrt.Improved(Named("cuda"), SimpleNamespace(poll=lambda: ""), opens, told.append)
    for _ in range(3):
        assert eyes.look_again(None) == "cuda"
    assert told == ["TensorRT cannot be used with this model (no room): going on with CUDA alone"]


def test_the_road_of_tensorrt_goes_on_without_it_until_it_is_ready(model, loaded, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    on_the_cpu(monkeypatch, FakePipeline)
    usual, builds, told = tensorrt.Build, [], []

    def made(order, folder):
        builds.append(usual(order, folder, (sys.executable, "-c", OPENS)))
        return builds[-1]

    monkeypatch.setattr(tensorrt, "Build", made)
    road, engine = cards.open_cards(model, Config(provider="tensorrt-fp16", gpus="0,1"), told.append)
    first = road(PHOTOS[:8])
    (only,) = builds
    assert waited(only) == ""
    assert [look for _, look in road(PHOTOS[:8])] == [look for _, look in first]
    assert isinstance(engine, Engine)
    assert [path.name for path in (tmp_path / "orientd").iterdir()] == ["tensorrt"]


@pytest.mark.gpu
def test_on_a_gpu_tensorrt_judges_as_cuda_does(tmp_path):
    from orientd.app import chosen_model

    try:
        tensorrt.load()
    except EngineUnavailable as error:
        pytest.skip(str(error))
    model, told = chosen_model(Config()), []
    engine = model.open([cards._provider(0, 0)])
    eyes = tensorrt.Workshop(model, "fp32", tmp_path, told.append).improved(engine, "any", cards._provider(0, 0))
    eyes._build._child.wait(500)
    pixels = np.random.default_rng(0).integers(0, 256, (32, engine.spec.input_size, engine.spec.input_size, 3), np.uint8)
    for one, two in zip(eyes.look(pixels), engine.look(pixels), strict=True):
        assert one.probabilities == pytest.approx(two.probabilities, abs=0.01)
    assert eyes._engine is not engine, told
