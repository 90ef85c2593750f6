"""TensorRT by choice, with stand-ins for its libraries: what it is told, where it is found, and how it takes over."""

import ctypes
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from support import sky_library
from support.fake_dali import FakePipeline
from support.gpu_scan import PHOTOS, Decoder, on_the_cpu

from orientd.config import Config, cache_directory
from orientd.decode import dali
from orientd.errors import EngineUnavailable
from orientd.gpu import device as gpu
from orientd.gpu import pool as cards
from orientd.gpu.tensorrt import builder, libraries
from orientd.infer import session
from orientd.infer.session import CUDA, TENSORRT
from orientd.pipeline.stages import chosen_model

CARD = (CUDA, {"device_id": "1", "use_tf32": "0"})

SHAPES = ["pixels:8x32x32x3", "pixels:32x32x32x3"]


def test_it_is_kept_where_systemd_or_the_user_says():
    assert cache_directory({"HOME": "/home/ada"}) == "/home/ada/.cache/orientd"
    assert cache_directory({"HOME": "/home/ada", "XDG_CACHE_HOME": "/fast"}) == "/fast/orientd"
    assert cache_directory({"XDG_CACHE_HOME": "/fast", "CACHE_DIRECTORY": "/var/cache/orientd:/x"}) == "/var/cache/orientd"


@pytest.mark.parametrize(("precision", "half"), [("fp32", "0"), ("fp16", "1")])
def test_tensorrt_comes_first_and_gets_every_shape(tmp_path, precision, half):
    limited = (CUDA, {**CARD[1], "gpu_mem_limit": "1000"})
    (name, options), after = builder._providers(limited, SHAPES, precision, tmp_path / "key", tmp_path)
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


@pytest.fixture
def made_for_tensorrt(monkeypatch):
    """As if ONNX Runtime were made for TensorRT 10 and CUDA 13."""
    monkeypatch.setattr(session, "check_provider", lambda _: None)
    monkeypatch.setattr(session, "preload", lambda: None)
    monkeypatch.setattr(session, "tensorrt_version", lambda: "10")
    monkeypatch.setattr(session, "cuda_version", lambda: "13.0")


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
    assert libraries.load() == "101611"
    assert asked[:3] == [str(wheel / "libnvinfer.so.10"), "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"]
    assert asked[3:] == [str(wheel / f"libnvinfer_builder_resource_{kind}.so.10.16.1") for kind in ("sm75", "sm90")]
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/lib/cuda")
    assert libraries.environment()["LD_LIBRARY_PATH"] == f"{wheel}:/usr/lib/cuda", "for what it loads late, by name"


def test_libraries_that_are_missing_are_an_error_with_the_command_that_brings_them(made_for_tensorrt):
    with pytest.raises(EngineUnavailable, match=r'pip install "tensorrt-cu13-libs==10\.\*"'):
        libraries.load()


def test_tensorrt_that_was_asked_for_and_is_not_there_is_an_error(orientd, photos, monkeypatch, capsys):
    sky_library.library(photos, 2)
    on_the_cpu(monkeypatch, FakePipeline)
    if TENSORRT in session.available_providers():
        pytest.skip("ONNX Runtime knows TensorRT here")
    for command in (["scan", photos], ["doctor"]):
        assert orientd(*command, "--provider", "tensorrt") == 1
        said = capsys.readouterr()
        assert "TensorrtExecutionProvider cannot run here" in " ".join((said.out + said.err).split())


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

    eyes = builder.UpgradingEngine(
        Named("cuda"), SimpleNamespace(poll=lambda: "" if ready.is_set() else None), opens, told.append
    )
    road = cards.GpuPool([gpu.Gpu(Decoder(), eyes, dali.blank(), told.append)], lambda: None)

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

    eyes = builder.UpgradingEngine(Named("cuda"), SimpleNamespace(poll=lambda: ""), opens, told.append)
    for _ in range(3):
        assert eyes.look_again(None) == "cuda"
    assert told == ["TensorRT cannot be used with this model (no room): going on with CUDA alone"]


@pytest.mark.gpu
def test_on_a_gpu_tensorrt_judges_as_cuda_does(tmp_path):
    try:
        libraries.load()
    except EngineUnavailable as error:
        pytest.skip(str(error))
    model, told = chosen_model(Config()), []
    engine = model.open([cards._provider(0, 0)])
    eyes = builder.EngineBuilder(model, "fp32", tmp_path, told.append).upgrading(engine, "any", cards._provider(0, 0))
    eyes._build._child.wait(500)
    pixels = np.random.default_rng(0).integers(0, 256, (32, engine.spec.input_size, engine.spec.input_size, 3), np.uint8)
    for one, two in zip(eyes.look(pixels), engine.look(pixels), strict=True):
        assert one.probabilities == pytest.approx(two.probabilities, abs=0.01)
    assert eyes._engine is not engine, told
