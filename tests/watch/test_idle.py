"""What the watcher holds while it works and gives back when it does not, and what it tells meanwhile."""

import json
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
from support import sky_library
from support import watcher as watching
from support.processes import children
from support.watcher import Watcher

from orientd.infer import registry
from orientd.state.journal import Journal
from orientd.watch import metrics, worker

_model, photos = watching.model_of_skies, watching.photos


@pytest.fixture
def engines(monkeypatch):
    """Every engine that is opened, by weak references."""
    opened, real = [], registry.Model.open

    def spy(self, *providers):
        engine = real(self, *providers)
        opened.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr(registry.Model, "open", spy)
    return opened


def test_every_engine_is_given_back_when_idle(photos, engines):
    for number in range(20):
        sky_library.draw(photos / f"{number}.jpg", 90 * (number % 2), seed=number)
    with Watcher(photos, fix="true", workers="3", batch="2", release_after="50") as watcher:
        watcher.after(40)
        assert watcher.photos == {"keep": 10, "fix": 10, "fixed": 10}
        assert any(engine() for engine in engines)
        watcher.after(40)
        assert [engine() for engine in engines if engine()] == []
        sky_library.draw(photos / "later.jpg", 90, seed=99)
        watcher.after(10)
        assert watcher.photos["fixed"] == 11
        watcher.after(60)
        assert [engine() for engine in engines if engine()] == []


def test_engines_are_given_back_in_quiet_hours_too_though_photos_wait(photos, engines):
    with Watcher(photos, quiet_hours="22:00-07:00", release_after="50") as watcher:
        sky_library.draw(photos / "a.jpg", 0)
        watcher.after(10)
        assert watcher.photos == {"keep": 1}
        watcher.day = time.struct_time((2026, 5, 1, 23, 0, 0, 4, 121, 0))
        sky_library.draw(photos / "b.jpg", 0, seed=1)
        watcher.after(100)
        assert (watcher.photos, watcher.metrics.state) == ({"keep": 1}, "quiet hours")
        assert [engine() for engine in engines if engine()] == []


def test_children_that_decode_end_when_idle(photos):
    before = children()
    sky_library.draw(photos / "a.jpg", 0)
    with Watcher(photos, isolate="true", release_after="50") as watcher:
        watcher.after(40)
        assert watcher.photos == {"keep": 1}
        assert len(children() - before) == 1
        watcher.after(40)
        assert children() <= before


def test_as_many_photos_go_together_as_a_scan_hands_over(photos, monkeypatch):
    """A card wants more at once than `batch`, which is made for the CPU."""

    class Card:
        batch, weight = 64, 2**27

        def __call__(self, photos):
            sizes.append(len(photos))
            return [None] * len(photos)

    sizes, real = [], worker.make_judge

    def with_a_card(*arguments):
        judge, identity = real(*arguments)
        return replace(judge, batch_predictor=Card()), identity

    monkeypatch.setattr(worker, "make_judge", with_a_card)
    for number in range(70):
        sky_library.draw(photos / f"{number:02}.jpg", seed=number)
    with Watcher(photos, batch="4") as watcher:
        watcher.after(10)
        assert (watcher.photos, sizes) == ({"keep": 70}, [64, 6])
    sizes.clear()
    with Watcher(photos, batch="70", model=str(sky_library.model(photos.parent)), min_confidence="0.9") as watcher:
        watcher.after(10)
        assert sizes == [70]


def test_it_tells_what_it_does_during_a_burst_too(photos, monkeypatch):
    for number in range(12):
        sky_library.draw(photos / f"{number:02}.jpg", seed=number)
    told = []
    with Watcher(photos, batch="1") as watcher:
        alive = watcher.work.alive

        def slow():
            watcher.now += 2
            alive()

        def spy(facts, state_dir):
            told.append((facts["state"], facts["photos"].get("keep", 0)))
            save(facts, state_dir)

        save = metrics.save
        monkeypatch.setattr(metrics, "save", spy)
        watcher.work.alive = slow
        watcher.after(60)
    during = [number for state, number in told if state == "judging"]
    assert during[0] == 0
    assert 3 <= len(during) <= 8, "every few seconds, not for every photo"
    assert sum(text.startswith("status judging") for text in watcher.told.messages) == len(during)
    kept = json.loads(Path(watcher.config.state_dir, "watch.json").read_text())
    assert (kept["state"], kept["photos"]) == ("idle", {"keep": 12})


def test_a_wall_clock_that_jumps_disturbs_nothing(photos, monkeypatch):
    """Forwards by a year, back to 1970: each day has a run of its own, and all of them can be undone."""
    shift, real = [0.0], (time.time, time.time_ns)
    monkeypatch.setattr(time, "time", lambda: real[0]() + shift[0])
    monkeypatch.setattr(time, "time_ns", lambda: real[1]() + int(shift[0] * 1e9))
    today = real[0]()
    with Watcher(photos, fix="true") as watcher:
        for number, jump in enumerate((0.0, 4e8, 4e8, 3600 - today, 0.0)):
            shift[0] = jump
            watcher.day = time.gmtime(today + jump)
            sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
            watcher.after(10)
            assert watcher.photos == {"fix": number + 1, "fixed": number + 1}
        watcher.after(20_000)
        assert watcher.photos == {"fix": 5, "fixed": 5}
        with Journal(watcher.config.state_dir) as journal:
            assert [run.fixed for run in sorted(journal.runs(), key=lambda run: run.id)] == [1, 2, 1, 1]
