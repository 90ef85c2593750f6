"""Several GPUs with the CPU beside them, with stand-ins for their decoders: one that is lost costs its batch and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.gpu_scan import CPU, LOST, PHOTOS, Breaking, Decoder, check
from support.onnx_graphs import SIZE, sky_finder

from orientd.decode import dali
from orientd.errors import DecodeError
from orientd.gpu import device as gpu
from orientd.gpu import pool as cards
from orientd.infer.engine import Engine
from orientd.reasons import Reason

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
        road = cards.GpuPool(each, spare, **options)
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
            self.barrier.wait(120)
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
    by_cpu = []

    def decode(photo):
        by_cpu.append(photo.path)
        clock.now += 0.03
        return CPU.decode(photo)

    road = made(decoder, decode=decode, threads=8, clock=clock)
    road.cards[0]._clock = clock
    for number in range(40):
        by_cpu.clear()
        clock.now += 0.001 * len(PHOTOS)
        check(road(PHOTOS), engine, PHOTOS)
        assert number or len(by_cpu) <= 1, "the first one shows how long it takes"
    free = 6 * 0.02 / 2 - 0.001
    assert len(by_cpu) / len(PHOTOS) == pytest.approx(free / (free + 0.031), abs=0.05)
    by_cpu.clear()
    for options in ({"decode": decode, "threads": 2}, {}):
        road = made(decoder, clock=clock, **options)
        road.cards[0]._clock = clock
        for _ in range(3):
            clock.now += 0.001 * len(PHOTOS)
            check(road(PHOTOS), engine, PHOTOS)
        assert not by_cpu, "two threads, or one, are what its lanes serve"


def test_a_photo_too_damaged_for_the_cpu_is_left_to_be_told_of(made, engine):
    def decode(photo):
        if photo.path == PHOTOS[-1].path:
            raise DecodeError(Reason.DAMAGED, "damaged")
        return CPU.decode(photo)

    road = made(Decoder(), decode=decode, threads=8)
    road.share.of = lambda number, lanes: number // 2
    check(road(PHOTOS), engine, PHOTOS, left=[PHOTOS[-1].path])
    assert made(Decoder(), decode=decode)([PHOTOS[-1]])[0] is not None


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
