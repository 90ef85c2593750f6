"""The watcher over the days: quiet hours, pauses, stops, what goes away and comes back, under a clock that the test turns."""

import os
import shutil
import signal
import time

import pytest
from support import sky_library
from support import watcher as watching
from support.watcher import Watcher

from orientd.errors import ConfigError, LibraryUnavailable, StateError
from orientd.state.journal import Journal
from orientd.state.lock import Lock, is_locked

_model, photos = watching.model_of_skies, watching.photos


def test_in_quiet_hours_notes_are_taken_and_nothing_else(photos):
    with Watcher(photos, fix="true", quiet_hours="22:00-07:00") as watcher:
        watcher.day = time.struct_time((2026, 5, 1, 23, 0, 0, 4, 121, 0))
        sky_library.draw(photos / "a.jpg", 90)
        watcher.after(5000)
        assert (watcher.photos, watcher.metrics.state) == ({}, "quiet hours")
        watcher.day = time.struct_time((2026, 5, 2, 7, 0, 0, 5, 122, 0))
        watcher.after(40)
        assert watcher.photos == {"fix": 1, "fixed": 1}


def test_on_battery_it_pauses(photos, monkeypatch):
    plugged = [False]
    monkeypatch.setattr("orientd.watch.throttle.on_battery", lambda: not plugged[0])
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true", pause_on_battery="true") as watcher:
        watcher.after(100)
        assert (watcher.photos, watcher.metrics.state) == ({}, "on battery")
        plugged[0] = True
        watcher.after(40)
        assert watcher.photos == {"fix": 1, "fixed": 1}


def test_no_more_photos_a_minute_than_the_rate_limit(photos):
    for number in range(12):
        sky_library.draw(photos / f"{number}.jpg", 0, seed=number)
    with Watcher(photos, rate_limit="2") as watcher:
        watcher.after(63)
        assert watcher.photos["keep"] <= 3
        watcher.after(600)
        assert watcher.photos["keep"] == 12


def test_photos_wait_for_each_other_and_no_longer_than_the_latency(photos):
    with Watcher(photos, settle="2", latency="5") as watcher:
        watcher.after(1)
        sky_library.draw(photos / "a.jpg", 0)
        watcher.after(6.9)
        assert watcher.photos == {}
        watcher.after(0.2)
        assert watcher.photos == {"keep": 1}


def test_damage_and_trouble_are_told_once_and_tried_again_later(photos, caplog):
    (photos / "a.jpg").write_bytes(sky_library.draw(photos / "b.jpg", 0).read_bytes()[:700])
    with Watcher(photos, walk_every="100") as watcher:
        watcher.after(1000)
        assert watcher.photos == {"error": 1, "keep": 1}
        assert caplog.text.count("not judged") == 1


def test_a_write_that_fails_is_tried_again_after_an_hour_not_at_once(photos, monkeypatch, caplog):
    photo = sky_library.draw(photos / "a.jpg", 90)
    real = os.pwrite
    monkeypatch.setattr("orientd.files.write.Disk.pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "full")), raising=True)
    monkeypatch.setattr("orientd.files.write.DISK.pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "full")), raising=False)
    with Watcher(photos, fix="true", poll_every="100", observer="polling") as watcher:
        watcher.after(1000)
        assert watcher.photos["failed"] == 1
        monkeypatch.setattr("orientd.files.write.Disk.pwrite", staticmethod(real))
        monkeypatch.setattr("orientd.files.write.DISK.pwrite", real, raising=False)
        watcher.after(3700)
        assert watcher.photos["fixed"] == 1
    assert sky_library.shown_turned(photo) == 0


def test_while_another_orientd_writes_it_waits(photos, caplog):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true") as watcher:
        with Lock(watcher.config.state_dir):
            watcher.after(60)
            assert watcher.photos == {}
            assert f"another orientd is writing (process {os.getpid()})" in caplog.text
        watcher.after(60)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        assert not is_locked(watcher.config.state_dir), "an idle watcher lets others write"


def test_all_writes_of_a_day_are_one_run(photos):
    with Watcher(photos, fix="true") as watcher:
        for number in range(3):
            sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
            watcher.after(10)
        with Journal(watcher.config.state_dir) as journal:
            assert [(run.fixed, run.status) for run in journal.runs()] == [(3, "done")]


def test_the_model_is_given_back_when_idle_and_loaded_again(photos):
    with Watcher(photos, release_after="50") as watcher:
        watcher.after(40)
        assert watcher.work._judge is not None
        watcher.after(40)
        assert watcher.work._judge is None
        sky_library.draw(photos / "a.jpg", 0)
        watcher.after(10)
        assert watcher.photos == {"keep": 1}


def test_an_idle_watcher_wakes_twice_a_minute_at_most_and_writes_nothing(photos):
    sky_library.draw(photos / "a.jpg", 0)
    with Watcher(photos) as watcher:
        watcher.after(1000)
        rests = []
        state = os.path.join(watcher.config.state_dir, "watch.json")
        written = os.stat(state).st_mtime_ns
        for _ in range(20):
            rest = watcher._turn(watcher.now)
            watcher.now += rest
            rests.append(rest)
        assert sum(rests) >= 19 * 20
        assert max(rests) <= watcher.told.watchdog / 2, "as systemd advises"
        assert os.stat(state).st_mtime_ns == written


def test_the_configuration_is_reloaded_without_dropping_work(photos, caplog):
    with Watcher(photos) as watcher:
        watcher.after(1)
        sky_library.draw(photos / "a.jpg", 90)
        watcher.ear.hear()
        watcher.settings["fix"] = "true"
        watcher._reload = True
        watcher.after(10)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        assert watcher.told.messages.index("reloading") < watcher.told.messages.index("ready")


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [("batch", "0", "--batch"), ("model", "/nowhere.onnx", "/nowhere.onnx"), ("state_dir", "/tmp/x", "state_dir cannot change")],
)
def test_a_configuration_that_cannot_be_used_changes_nothing(photos, caplog, setting, value, reason):
    with Watcher(photos, fix="true") as watcher:
        watcher.settings[setting] = value
        watcher._reload = True
        watcher.after(1)
        assert "was not reloaded" in caplog.text
        assert reason in caplog.text
        sky_library.draw(photos / "a.jpg", 90)
        watcher.after(10)
        assert watcher.photos == {"fix": 1, "fixed": 1}


def test_a_stop_comes_after_the_photo_in_hand(photos):
    for number in range(30):
        sky_library.draw(photos / f"{number:02}.jpg", 90, seed=number)
    with Watcher(photos, fix="true", batch="4") as watcher:
        alive = watcher.work.alive

        def stop():
            alive()
            watcher._signal = signal.SIGTERM

        watcher.work.alive = stop
        watcher.after(100)
        assert watcher.photos["fixed"] == 1
    wrong = [path for path in photos.iterdir() if sky_library.shown_turned(path)]
    assert len(wrong) == 29
    with Watcher(photos, fix="true") as watcher:
        watcher.after(100)
        assert watcher.photos["fixed"] == 29


def test_a_library_that_goes_away_ends_the_watch_or_is_waited_for(photos, caplog):
    with Watcher(photos) as watcher:
        watcher.after(10)
        shutil.rmtree(photos)
        with pytest.raises(LibraryUnavailable):
            watcher._turn(watcher.now + 100)
    with Watcher(photos, when_missing="wait") as watcher:
        watcher.after(100)
        sky_library.draw(photos / "a.jpg", 0)
        watcher.after(100)
        assert watcher.photos == {"keep": 1}


def test_nothing_to_watch_and_two_modes_are_mistakes(photos, tmp_path):
    from orientd.watch.daemon import watch

    with Watcher(photos) as watcher:
        config, rest = watcher.config, (watcher.read, "orientd watch", watcher.told, watcher._log)
    with pytest.raises(ConfigError, match="name a folder"):
        watch(config, [], *rest)
    watcher.settings |= {"fix": "true", "plan": str(tmp_path / "plan.csv")}
    with pytest.raises(ConfigError, match="exclude each other"):
        watch(watcher.read(), [str(photos)], *rest)


def test_a_second_watcher_is_refused_with_the_first_ones_number(photos):
    from orientd.watch.daemon import watch

    refused = pytest.raises(StateError, match=f"another orientd is watching .process {os.getpid()}.:")
    with Watcher(photos) as watcher, Lock(watcher.config.state_dir, "watching"), refused:
        watch(watcher.config, [str(photos)], watcher.read, "orientd watch", watcher.told, watcher._log)
