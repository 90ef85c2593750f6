"""Several GPUs with the CPU beside them, with stand-ins for their decoders: one that is lost costs its batch and nothing else."""

import ctypes
import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import skies
from dalis import FakePipeline, Tensors, framed, grey, jpeg, noise
from graphs import SIZE, sky_finder
from test_dali_road import CPU, LOST, PHOTOS, Breaking, Decoder, check, on_the_cpu, scanned

from orientd import cards, cuda, gpu, infer
from orientd.app import make_judge
from orientd.config import Config
from orientd.decode import dali
from orientd.errors import DecodeError, EngineUnavailable
from orientd.infer import Engine
from orientd.metrics import Metrics
from orientd.work import Work

ALL = [each.path for each in PHOTOS]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine(sky_finder(tmp_path_factory.mktemp("models") / "sky.onnx"))


@pytest.fixture
def made(engine):
    """Make a road over GPUs with these decoders; what it tells the user is in its `told`."""

    def make(*decoders, engines=None, spare=lambda: engine, **options):
        told = []
        pairs = zip(decoders, engines or [engine] * len(decoders), strict=True)
        each = [
            gpu.Gpu(decoder, eyes, dali.blank(), told.append, name=f"GPU {number}")
            for number, (decoder, eyes) in enumerate(pairs)
        ]
        road = cards.Cards(each, spare, **options)
        road.told = told
        return road

    return make


class Meeting(Decoder):
    """Waits until as many are decoding at the same time as there are GPUs."""

    def __init__(self, barrier):
        super().__init__()
        self.barrier = barrier

    def decode(self, photos):
        if self.barrier:
            self.barrier.wait(10)
        return super().decode(photos)


def test_batches_go_to_the_gpu_with_the_least_in_hand(made, engine):
    barrier = threading.Barrier(3)
    decoders = [Meeting(barrier) for _ in range(3)]
    road = made(*decoders)
    with ThreadPoolExecutor(3) as pool:
        for sights in pool.map(road, [PHOTOS[:4]] * 3):
            check(sights, engine, PHOTOS[:4])
    assert [decoder.runs for decoder in decoders] == [[4]] * 3
    assert {each.in_hand for each in road.cards} == {0}


def test_one_lost_gpu_leaves_the_others_working(made, engine):
    bad, good = Decoder(), Decoder()
    road = made(bad, good)
    bad.broken = True
    check(road(PHOTOS[:8]), engine, PHOTOS[:8], left=ALL)
    assert road.told == [f"GPU 0 stopped working ({LOST}): going on without it, more slowly; no photo is left out"]
    runs = len(bad.runs)
    for _ in range(3):
        check(road(PHOTOS), engine, PHOTOS)
    assert len(bad.runs) == runs
    assert good.runs == [4] * 18
    pixels = CPU.decode(PHOTOS[0]).pixels
    assert (road.look(pixels[None]), road.look_again(pixels)) == (engine.look(pixels[None]), engine.look_again(pixels))


def test_only_when_all_are_lost_the_cpu_does_it_all(made, engine):
    decoders, spared = [Decoder(), Decoder()], []

    def spare():
        spared.append(1)
        return engine

    breaking = [Breaking(engine), Breaking(engine)]
    road, pixels = made(*decoders, engines=breaking, spare=spare), CPU.decode(PHOTOS[0]).pixels
    breaking[0].broken = True
    assert road.look_again(pixels) == engine.look_again(pixels)
    assert spared == [1], "what one could not do is not tried on the next, which it might cost, too"
    assert road.look_again(pixels) == engine.look_again(pixels)
    assert spared == [1]
    decoders[1].broken = True
    assert road(PHOTOS[:4]) == [None] * 4
    assert road.look(pixels[None]) == engine.look(pixels[None])
    assert spared == [1, 1]
    assert [said[:20] for said in road.told] == ["GPU 0 stopped workin", "GPU 1 stopped workin"]
    assert road([]) == []


def test_gpus_lost_at_random_cost_no_photo(made, engine):
    decoders = [Decoder() for _ in range(4)]
    road, order = made(*decoders), np.random.default_rng(7)
    chunks = [[PHOTOS[index] for index in order.permutation(len(PHOTOS))[:6]] for _ in range(60)]

    def judged(each):
        number, chunk = each
        if number % 15 == 14:
            decoders[number // 15].broken = True
        return road(chunk)

    with ThreadPoolExecutor(6) as pool:
        for chunk, sights in zip(chunks, pool.map(judged, enumerate(chunks)), strict=True):
            check(sights, engine, chunk, left=[each.path for each, sight in zip(chunk, sights, strict=True) if not sight])
    assert len(road.told) == 4
    assert road(PHOTOS[:4]) == [None] * 4


# The CPU beside them


class Clock:
    """Goes on by what decoding takes, on either side."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def slowly(decode, clock, seconds):
    def decoded(photos):
        clock.now += seconds * (len(photos) if isinstance(photos, list) else 1)
        return decode(photos)

    return decoded


def test_the_cpu_decodes_a_share_where_the_gpu_holds_the_others_up(made, engine):
    clock, decoder = Clock(), Decoder()
    decoder.decode = slowly(decoder.decode, clock, 0.02)
    road = made(decoder, clock=clock)
    road.cards[0]._clock = clock
    by_cpu = []

    def decode(photo):
        by_cpu.append(photo.path)
        clock.now += 0.03
        return CPU.decode(photo)

    check(road(PHOTOS), engine, PHOTOS)
    assert not by_cpu, "without `beside` there is no share"
    road.beside(decode, threads=8)
    for number in range(40):
        by_cpu.clear()
        clock.now += 0.001 * len(PHOTOS)
        check(road(PHOTOS), engine, PHOTOS)
        assert len(by_cpu) <= 1 if number == 0 else True, "the first one shows how long it takes"
    free = 6 * 0.02 / 2 - 0.001
    assert len(by_cpu) / len(PHOTOS) == pytest.approx(free / (free + 0.031), abs=0.05)
    road.beside(decode, threads=2)
    by_cpu.clear()
    check(road(PHOTOS), engine, PHOTOS)
    assert not by_cpu, "two threads are what its lanes serve"


def test_a_photo_too_damaged_for_the_cpu_is_left_to_be_told_of(made, engine):
    road = made(Decoder())

    def decode(photo):
        if photo.path == PHOTOS[-1].path:
            raise DecodeError("damaged")
        return CPU.decode(photo)

    road.beside(decode, threads=8)
    road.share.of = lambda number, lanes: number // 2
    check(road(PHOTOS), engine, PHOTOS, left=[PHOTOS[-1].path])
    assert made(Decoder()).beside(decode, 1)([PHOTOS[-1]])[0] is not None


# The command itself


def test_a_scan_by_two_gpus_and_the_cpu_gives_the_rows_of_the_cpu_road(orientd, photos, tmp_path, monkeypatch):
    skies.library(photos, 150)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    on_the_cpu(monkeypatch, FakePipeline)
    monkeypatch.setattr(cards.Share, "of", lambda self, number, lanes: number // 3)
    assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--gpus", "0,1", "--workers", 4) == expected


def test_one_of_two_gpus_lost_in_mid_run_costs_no_photo(orientd, photos, tmp_path, monkeypatch, capsys):
    skies.library(photos, 200)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    built, runs = [], iter(range(10**6))

    def build(size):
        built.append(None)
        number = len(built)  # the second is that of the second GPU
        return FakePipeline(size, lambda: "well" if number == 2 or next(runs) < 2 else "damage")

    on_the_cpu(monkeypatch, build)
    capsys.readouterr()
    assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--gpus", "0,1", "--workers", 1) == expected
    assert capsys.readouterr().err.count("stopped working (nvImageCodec failure: '#3'): going on without it") == 1


@pytest.mark.parametrize(
    ("gpus", "there", "numbers"),
    [("0", "ab", [0]), ("1", "ab", [1]), ("all", "abc", [0, 1, 2]), ("1, 0", "ab", [0, 1]), ("2,2", "abc", [2])],
)
def test_gpus_are_chosen_by_number(monkeypatch, gpus, there, numbers):
    monkeypatch.setattr(infer, "check_provider", lambda _: None)
    monkeypatch.setattr(cuda, "names", lambda: list(there))
    assert cards.chosen(gpus) == [(number, there[number]) for number in numbers]


def test_gpus_that_are_not_there_are_an_error(monkeypatch):
    monkeypatch.setattr(infer, "check_provider", lambda _: None)
    monkeypatch.setattr(cuda, "names", lambda: ["NVIDIA T4"])
    with pytest.raises(EngineUnavailable, match=r"there is no GPU 3, only 0 \(NVIDIA T4\)"):
        cards.chosen("0,3")
    monkeypatch.setattr(cuda, "names", list)
    for gpus in ("0", "all"):
        with pytest.raises(EngineUnavailable, match="CUDA shows no GPU"):
            cards.chosen(gpus)


@pytest.mark.parametrize("gpus", ["one", "0;1", "-1", "0,", "all,0"])
def test_a_setting_that_names_no_gpus_is_a_mistake(orientd, photos, gpus, capsys):
    skies.library(photos, 1)
    assert orientd("scan", photos, "--gpus", gpus) == 2
    assert "numbers such as 0,1, or all" in capsys.readouterr().err


class Driver:
    """A stand-in for libcuda that knows these GPUs."""

    def __init__(self, *names, error=0):
        self.found, self.error = names, error

    def cuInit(self, flags):  # noqa: N802
        return self.error

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = len(self.found)
        return 0

    def cuDeviceGetName(self, name, length, number):  # noqa: N802
        name.value = self.found[number].encode()[: length - 1]
        return 0


def test_the_driver_is_asked_for_the_names_of_gpus(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver("NVIDIA H200", "NVIDIA T4"))
    assert cuda.names() == ["NVIDIA H200", "NVIDIA T4"]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver("NVIDIA H200", error=100))
    assert cuda.names() == []

    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda.names() == []


def test_each_gpu_is_asked_where_the_pictures_lie(made, engine):
    asked = []

    class Elsewhere:
        takes_pixels = True

        def look_there(self, device, pointer, number, index):
            asked.append((device, index))
            return engine.look_there("cpu", pointer, number)

    class Second(Decoder):
        def decode(self, photos):
            return replace(super().decode(photos), device="cuda", index=1)

    check(made(Second(), engines=[Elsewhere()])(PHOTOS[:4]), engine, PHOTOS[:4])
    assert asked == [("cuda", 1)]
    assert dali.DaliDecoder(SIZE, 4, 3, build=SimpleNamespace)._index == 3


# What a GPU still does when its pictures are given out


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


# Given back


def test_a_watcher_with_nothing_to_do_gives_back_all_a_gpu_held(model, tmp_path, monkeypatch):
    built = []

    def build(size):
        pipeline = FakePipeline(size)
        built.append(weakref.ref(pipeline))
        return pipeline

    on_the_cpu(monkeypatch, build)
    config = Config(model=str(model), provider="cuda", gpus="0,1", workers=2, state_dir=str(tmp_path))
    work = Work(config, [], "watch", Metrics(), logging.getLogger("test"), lambda: False, lambda: None)
    for _ in range(2):
        built.clear()
        work.prepare()
        assert work._judge.crowd(PHOTOS[:4])[0]
        held = [*built, *(weakref.ref(each._engine) for each in work._judge.crowd.cards)]
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
    assert judge.crowd(PHOTOS[:2])[0]
    assert built
    assert built[0]()
    assert trimmed == []
    del judge
    gc.collect()
    assert trimmed == [[None] * len(built)], "the pipelines must have gone before"
    judge, _ = make_judge(config)
    assert judge.crowd(PHOTOS[:2])[0], "and it is made again"


@pytest.mark.gpu
def test_on_a_gpu_looks_do_not_race_with_decoding():
    """Large and tiny photos in turns, looked at the moment they are decoded, against looks at copies taken later.

    Were the model to look before the pictures are there, or after the next run has overwritten them, it would see those of
    another batch, which differ in every pixel.
    """
    from orientd.app import chosen_model

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
    import subprocess

    def used():
        asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
        return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)

    config = Config(model=str(model), provider="cuda", gpu_memory=8000)
    for _ in range(2):  # what CUDA itself takes for a process stays
        road, _ = cards.open_cards(make_model(model), config, print)
        road([framed(jpeg(noise(4000, 3000, seed), quality=90))[0] for seed in range(16)])
        most = used()
        del road, _
        gc.collect()
        left = used()
    assert left < most - 100


def make_model(path):
    from orientd.catalogue import find

    return find(str(path), path.parent)
