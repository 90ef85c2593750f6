"""A stop on the GPU road, where many photos are in hand at once: each thread finishes one photo and begins no other."""

import logging
import threading
from contextlib import closing

import pytest
from support import sky_library
from support.fake_dali import FakePipeline
from support.gpu_scan import CPU, PHOTOS, Decoder, on_the_cpu
from support.turnable_jpegs import needs_turbojpeg

from orientd import app
from orientd.config import Config
from orientd.decode import dali, isolated
from orientd.errors import Stopped
from orientd.gpu import device
from orientd.gpu import pool as cards
from orientd.infer.engine import Engine
from orientd.library.walk import walk
from orientd.watch.metrics import Metrics
from orientd.watch.worker import Worker

PHOTO_COUNT = 40


@pytest.fixture
def turns(monkeypatch):
    """Turns as they are planned, which takes seconds in earnest; `turns.stop` is set at the turn `turns.last`."""

    class Turns(list):
        stop, last = threading.Event(), 0

    planned, plan = Turns(), isolated.IsolatedRotator.plan

    def counted(self, *arguments):
        planned.append(arguments[-1])
        if len(planned) == planned.last:
            planned.stop.set()
        return plan(self, *arguments)

    monkeypatch.setattr(isolated.IsolatedRotator, "plan", counted)
    return planned


@pytest.fixture
def library(photos, monkeypatch):
    """Photos all of which need their pixels turned, in batches of 8."""
    on_the_cpu(monkeypatch, FakePipeline)
    monkeypatch.setattr(cards, "_BATCH", 8)
    for number in range(PHOTO_COUNT):
        sky_library.draw(photos / f"{number:03}.jpg", 90, by_tag=False, seed=number)
    return photos


@pytest.fixture
def configured(tmp_path, model):
    def make(workers, **options):
        state = str(tmp_path / "state")
        return Config(model=str(model), provider="cuda", method="rotate", workers=workers, state_dir=state, **options)

    return make


def scanned(config, library, stop, fix=False):
    arguments = {"fix": fix, "rescan": False, "stop": stop.is_set, "notify": print, "command": "scan"}
    with closing(app.scan(config, [str(library)], **arguments)) as rows:
        return list(rows)


@needs_turbojpeg
def test_without_a_stop_each_turn_is_planned_once(library, configured, turns):
    rows = scanned(configured(3), library, turns.stop)
    assert [row.method for row in rows] == ["rotate"] * PHOTO_COUNT
    assert len(turns) == PHOTO_COUNT


@needs_turbojpeg
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("last", [1, 5])
def test_a_stop_while_turns_are_planned_begins_no_other(library, configured, turns, workers, last):
    turns.last = last
    rows = scanned(configured(workers), library, turns.stop)
    assert last <= len(turns) < last + workers, "each thread finishes what it has in hand"
    assert rows == [], "no batch was judged whole"
    turns.stop.clear()
    assert len(scanned(configured(workers), library, turns.stop)) == PHOTO_COUNT


@needs_turbojpeg
def test_a_stop_while_photos_are_written_finishes_the_one_in_hand(library, configured):
    before, stop = sky_library.snapshot(library), threading.Event()
    arguments = {"fix": True, "rescan": False, "stop": stop.is_set, "notify": print, "command": "scan"}
    with closing(app.scan(configured(2), [str(library)], **arguments)) as rows:
        for row in rows:
            assert row.outcome == "fixed"
            stop.set()
    assert sum(state != before[path] for path, state in sky_library.snapshot(library).items()) == 1


@needs_turbojpeg
def test_a_watcher_stops_as_soon(library, configured, turns):
    turns.last = 3
    config = configured(1, fix=True)
    work = Worker(config, [str(library)], "watch", Metrics(), logging.getLogger("test"), turns.stop.is_set, lambda: None)
    before = sky_library.snapshot(library)
    try:
        work.burst(walk([str(library)]))
    finally:
        work.close()
    assert len(turns) == 3
    assert sky_library.snapshot(library) == before


def test_no_batch_is_begun_and_nothing_is_decoded_beside_it(model):
    decoder, stop, decoded, engine = Decoder(), threading.Event(), [], Engine(model)

    def decode(photo):
        decoded.append(photo)
        return CPU.decode(photo)

    gpu = device.Gpu(decoder, engine, dali.blank(), print)
    road = cards.GpuPool([gpu], lambda: engine, decode, threads=4, stop=stop.is_set)
    for share in (4, 8):
        road.share.of = lambda number, lanes, share=share: share
        stop.clear()
        assert all(road(PHOTOS[:8]))
        done = [*decoder.runs], [*decoded]
        stop.set()
        with pytest.raises(Stopped):
            road(PHOTOS[:8])
        assert (decoder.runs, decoded) == done
    assert done[0] == [4]
    assert len(done[1]) == 12
    assert road.cards[0].in_hand == 0
