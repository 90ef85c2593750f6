"""Memory of a GPU: how it is shared out, that nobody looks before it is written, and that all of it is given back."""

import ctypes
import gc
import logging
import subprocess
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.fake_dali import FakePipeline, Tensors, framed, grey, jpeg, noise
from support.gpu_scan import PHOTOS, on_the_cpu
from support.onnx_graphs import SIZE, sky_finder

from orientd.config import Config
from orientd.decode import dali
from orientd.gpu import pool as cards
from orientd.infer import registry
from orientd.infer.engine import Engine
from orientd.pipeline.stages import chosen_model, make_judge
from orientd.watch.metrics import Metrics
from orientd.watch.worker import Worker


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(sky_finder(tmp_path_factory.mktemp("models") / "sky.onnx"))


def test_the_memory_of_the_gpu_is_shared_out(model, monkeypatch):
    on_the_cpu(monkeypatch, FakePipeline)
    chosen = registry.Model("sky", model, "file")
    for memory, pixels in ((0, 2 * 2**30), (800, 100 * 2**20), (2**20, 2 * 2**30)):
        road, _ = cards.open_cards(chosen, Config(gpu_memory=memory), print)
        assert road.cards[0]._most == pixels
        _, options = cards._provider(1, memory * 2**20)
        assert options["device_id"] == "1"
        assert options.get("gpu_mem_limit") == (str(memory * 2**18) if memory else None)
    assert Config().gpu_memory == 0


class Late(Tensors):
    """Memory of a GPU that is still at work: what it will hold is there once it was waited for, as a copy to the host does."""

    def __init__(self, values):
        super().__init__(np.zeros_like(np.ascontiguousarray(values)))
        self.coming = np.ascontiguousarray(values)

    def as_cpu(self):
        self.values[...] = self.coming
        return self


def test_pictures_are_waited_for_before_they_are_looked_at(engine):
    late = Late(np.full((4, SIZE, SIZE, 3), 200, np.uint8))
    assert not late.values.any(), "who does not wait sees nothing"

    class Pipeline(FakePipeline):
        def run(self, data, numbers, turns):
            pictures, came, shapes = super().run(data, numbers, turns)
            return Late(pictures.values), came, shapes

    decoder = dali.DaliDecoder(SIZE, 4, None, build=lambda: Pipeline(SIZE))
    photos = [framed(jpeg(noise(64, 48, seed))) for seed in range(4)]
    sheet = decoder.decode(photos)
    there = np.frombuffer((ctypes.c_uint8 * sheet.pixels.nbytes).from_address(sheet.pointer), np.uint8)
    assert np.array_equal(there.reshape(sheet.pixels.shape), sheet.pixels)
    assert engine.look_there("cpu", sheet.pointer, 4) == engine.look(sheet.pixels)
    assert sheet.pixels.any()


def test_a_watcher_with_nothing_to_do_gives_back_all_a_gpu_held(model, tmp_path, monkeypatch):
    built = []

    def build(size):
        pipeline = FakePipeline(size)
        built.append(weakref.ref(pipeline))
        return pipeline

    on_the_cpu(monkeypatch, build)
    config = Config(model=str(model), provider="cuda", gpus="0,1", workers=2, state_dir=str(tmp_path))
    work = Worker(config, [], "watch", Metrics(), logging.getLogger("test"), lambda: False, lambda: None)
    for _ in range(2):
        built.clear()
        work.prepare()
        assert work._judge.batch_predictor(PHOTOS[:4])[0]
        held = [*built, *(weakref.ref(each._engine) for each in work._judge.batch_predictor.cards)]
        assert len(built) >= 2
        assert all(each() for each in held)
        work.release()
        assert not any(each() for each in held)
    work.close()


def test_dali_gives_back_its_memory_when_a_road_is_dropped(model, monkeypatch):
    backend = pytest.importorskip("nvidia.dali.backend", reason='needs DALI: pip install "orientd[gpu]"')
    on_the_cpu(monkeypatch)
    built, trimmed, builder = [], [], dali._builder

    def watched(*options):
        build = builder(*options)

        def make():
            pipeline = build()
            built.append(weakref.ref(pipeline))
            return pipeline

        return make

    monkeypatch.setattr(dali, "_builder", watched)
    monkeypatch.setattr(backend, "ReleaseUnusedMemory", lambda: trimmed.append([each() for each in built]))
    config = Config(model=str(model), provider="cuda")
    judge, _ = make_judge(config)
    assert judge.batch_predictor(PHOTOS[:2])[0]
    assert built
    assert built[0]()
    assert trimmed == []
    del judge
    gc.collect()
    assert trimmed == [[None] * len(built)], "the pipelines must have gone before"
    judge, _ = make_judge(config)
    assert judge.batch_predictor(PHOTOS[:2])[0], "and it is made again"


@pytest.mark.gpu
def test_on_a_gpu_looks_do_not_race_with_decoding():
    """Large and tiny photos in turns, looked at the moment they are decoded, against looks at copies taken later.

    Were the model to look before the pictures are there, or after the next run has overwritten them, it would see those of
    another batch, which differ in every pixel.
    """
    model = chosen_model(Config())
    engine = model.open([cards._provider(0, 0)])
    size = engine.spec.input_size
    decoder = dali.DaliDecoder(size, engine.padded(8), 0, lanes=2)
    large = [framed(jpeg(noise(4000, 3000, seed), quality=90)) for seed in range(8)]
    tiny = [framed(grey(30 * level, 160, 120)) for level in range(1, 9)]
    held = []

    def looked(number):
        sheet = decoder.decode((large, tiny)[number % 2])
        return sheet, engine.look_there(sheet.device, sheet.pointer, 8, sheet.index)

    with ThreadPoolExecutor(2) as pool:
        for sheet, looks in pool.map(looked, range(200)):
            held.append(sheet)
            for one, two in zip(looks, engine.look(sheet.pixels), strict=True):
                assert one.probabilities == pytest.approx(two.probabilities, abs=1e-3)
    for sheet in held[-40:]:  # as long as it is held, nothing overwrites it
        looks = engine.look_there(sheet.device, sheet.pointer, 8, sheet.index)
        for one, two in zip(looks, engine.look(sheet.pixels), strict=True):
            assert one.probabilities == pytest.approx(two.probabilities, abs=1e-3)


@pytest.mark.gpu
def test_the_memory_of_a_gpu_is_given_back(model):
    def used():
        asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

    config = Config(model=str(model), provider="cuda", gpu_memory=8000)
    for _ in range(2):  # what CUDA itself takes for a process stays
        road, _ = cards.open_cards(registry.Model("sky", model, "file"), config, print)
        road([framed(jpeg(noise(4000, 3000, seed), quality=90))[0] for seed in range(16)])
        most = used()
        del road, _
        gc.collect()
        left = used()
    assert left < most - 100
