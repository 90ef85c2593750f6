"""The watcher's loop in long bursts, beside others that write, and after a reload; what it says of photos left as they are."""

import shutil
import time

import pytest
from support import sky_library
from support import watcher as watching
from support.watcher import Watcher

from orientd import app
from orientd.config import Config
from orientd.errors import LibraryUnavailable, StateError
from orientd.judge.judge import Judge
from orientd.report.plan import read_plan
from orientd.state.lock import Lock, is_locked
from orientd.state.seen import Seen
from orientd.write.writer import PATIENCE, Writer

DAY = 86_400.0


_model, photos = watching.model_of_skies, watching.photos


@pytest.fixture
def slow(monkeypatch):
    """Let every photo take so many seconds by the clock of a watcher."""

    def slow(watcher, seconds):
        alive = watcher.work.alive

        def wait():
            watcher.now += seconds
            alive()

        watcher.work.alive = wait

    return slow


def undo(watcher):
    list(app.undo(watcher.config, None, stop=lambda: False, notify=print, command="orientd undo"))


def lines(caplog, start):
    return [message for message in caplog.messages if message.startswith(start)]


def turn(watcher):
    """One turn of the loop, and the rest after it; how long that was."""
    rest = watcher._turn(watcher.now)
    watcher.now += rest
    return rest


def first_part(watcher):
    while not watcher.photos:
        rest = turn(watcher)
    return rest


def test_a_long_burst_comes_in_parts_and_others_may_write_between_two(photos, slow):
    for number in range(60):
        sky_library.draw(photos / f"{number:02}.jpg", 90, seed=number)
    with Watcher(photos, fix="true", batch="1") as watcher:
        slow(watcher, 2)
        begun = watcher.now
        assert first_part(watcher) == 1.0
        assert watcher.now - begun < 60
        assert 14 <= watcher.photos["fixed"] <= 24, "what was begun in 30 seconds, and what was taken with it"
        assert watcher.metrics.state == "judging"
        assert len(watcher.arrivals) >= 36
        assert not is_locked(watcher.config.state_dir)
        undo(watcher)
        watcher.after(300)
        assert watcher.photos["fixed"] == 60
    assert len([path for path in photos.iterdir() if sky_library.shown_turned(path)]) >= 14, "what was undone stays so"


def test_a_long_burst_does_not_begin_again_before_the_pause_is_over(photos, slow):
    for number in range(60):
        sky_library.draw(photos / f"{number:02}.jpg", seed=number)
    with Watcher(photos, batch="1") as watcher:
        slow(watcher, 2)
        first_part(watcher)
        done = watcher.photos["keep"]
        watcher._turn(watcher.now - 0.1)
        assert watcher.photos["keep"] == done
        turn(watcher)
        assert watcher.photos["keep"] > done


def test_between_two_parts_of_a_burst_the_folders_are_looked_at_and_the_plan_is_written(photos, tmp_path, slow):
    plan = tmp_path / "plan.csv"
    for number in range(60):
        sky_library.draw(photos / f"{number:02}.jpg", 90, seed=number)
    with Watcher(photos, plan=str(plan), batch="1") as watcher:
        slow(watcher, 2)
        first_part(watcher)
        assert 14 <= len(read_plan(str(plan))) <= 24
        shutil.rmtree(photos)
        with pytest.raises(LibraryUnavailable):
            turn(watcher)


@pytest.fixture
def said():
    return []


@pytest.fixture
def writer(tmp_path, said):
    """Make a Writer like that of `orientd undo`."""
    config, usual = Config(state_dir=str(tmp_path / "state")), {"stop": lambda: False, "notify": said.append}
    with Seen(tmp_path / "state", "", print) as seen:
        yield lambda **more: Writer(config, seen, "orientd undo", **usual | more)


def test_who_wants_to_write_waits_for_a_watcher_to_pause(tmp_path, writer, said, monkeypatch):
    state, slept = tmp_path / "state", []
    busy = Lock(state)

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 5:
            busy.close()

    monkeypatch.setattr(time, "sleep", sleep)
    with Lock(state, "watching"), writer():
        assert is_locked(state)
    assert len(slept) == 5
    assert said == ["a watcher of orientd is writing: waiting for it to pause"]


def test_nobody_waits_for_ever(tmp_path, writer, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with Lock(tmp_path / "state"), Lock(tmp_path / "state", "watching"), pytest.raises(StateError, match="is writing"):
        writer().__enter__()
    assert sum(slept) == pytest.approx(PATIENCE)


@pytest.mark.parametrize(("watching", "more"), [(False, {}), (True, {"patience": 0}), (True, {"stop": lambda: True})])
def test_nobody_waits_for_another_who_writes_nor_once_stopped(tmp_path, writer, monkeypatch, watching, more):
    state = tmp_path / "state"
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    with Lock(state), Lock(state, "watching" if watching else "doing nothing"), pytest.raises(StateError, match="is writing"):
        writer(**more).__enter__()


def test_while_another_orientd_writes_what_has_settled_is_kept_and_no_folder_looked_through(photos):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true") as watcher:
        walks, begin = [], watcher.work.news
        watcher.arrivals._news = lambda candidates: (walks.append(len(candidates)), begin(candidates))[1]
        with Lock(watcher.config.state_dir):
            watcher.after(300)
            assert watcher.metrics.state == "waiting for the state directory"
            assert len(watcher.arrivals) == 1
        watcher.after(40)
        assert watcher.photos == {"fix": 1, "fixed": 1}
        assert walks == [1]


def test_a_state_directory_that_fails_in_a_burst_loses_nothing(photos, monkeypatch):
    for number in range(3):
        sky_library.draw(photos / f"{number}.jpg", seed=number)
    with Watcher(photos) as watcher:
        judge_all, failed = watcher.work._judge_all, []

        def fail(candidates):
            if not failed:
                failed.append(next(candidates))
                raise StateError("full")
            judge_all(candidates)

        watcher.work._judge_all = fail
        watcher.after(60)
        assert watcher.photos == {"keep": 3}
        assert len(failed) == 1


@pytest.mark.parametrize("method", ["rotate", "auto"])
def test_where_pixels_may_be_turned_photos_go_one_by_one(photos, orientd, tmp_path, monkeypatch, method):
    sizes, judge = [], Judge.__call__
    monkeypatch.setattr(Judge, "__call__", lambda self, candidates: (sizes.append(len(candidates)), judge(self, candidates))[1])
    for number in range(12):
        sky_library.draw(photos / f"{number}.jpg", seed=number)
    with Watcher(photos, batch="4") as watcher:
        watcher.after(10)
    assert sizes == [4, 4, 4]
    sizes.clear()
    with Watcher(photos, method=method, batch="4", hard_links="true") as watcher:
        watcher.after(10)
    scan = ("scan", photos, "--rescan", "--batch", 4, "--report", tmp_path / "r.csv", "--method")
    assert sizes == [1] * 12
    sizes.clear()
    assert orientd(*scan, method) == 0
    assert sizes == [1] * 12
    sizes.clear()
    assert orientd(*scan, "tag") == 0
    assert sorted(sizes) == [4, 4, 4]


def test_a_plan_that_is_named_on_reload_is_begun_and_another_one_after_it(photos, tmp_path):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos) as watcher:
        watcher.after(10)
        assert watcher.photos == {"fix": 1}
        for number in range(2):
            watcher.settings["plan"] = str(tmp_path / f"{number}.csv")
            watcher._reload = True
            watcher.after(10)
            assert len(read_plan(watcher.settings["plan"])) == 1
        watcher.settings.pop("plan")
        watcher._reload = True
        sky_library.draw(photos / "b.jpg", 90, seed=1)
        watcher.after(10)
        assert len(read_plan(str(tmp_path / "1.csv"))) == 1
        assert watcher.photos == {"fix": 2, "proposed": 2}


def test_a_photo_turned_back_is_told_once(photos, caplog):
    sky_library.draw(photos / "a.jpg", 90)
    with Watcher(photos, fix="true") as watcher:
        watcher.after(10)
        undo(watcher)
        for _ in range(3):
            watcher.now += DAY
            watcher.after(100)
    told = lines(caplog, "left alone: ")
    assert told == [
        f"left alone: {photos}/a.jpg: run 1 made this change, which was taken back: left alone; to have it judged like any "
        f"other: orientd offer {photos}/a.jpg"
    ]


def test_a_read_only_library_is_told_in_a_few_lines_once_a_day(photos, caplog, monkeypatch):
    for number in range(8):
        sky_library.draw(photos / f"{number}.jpg", 90, seed=number)
    monkeypatch.setattr(
        "orientd.files.write.Disk.pwrite", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")), raising=True
    )
    monkeypatch.setattr(
        "orientd.files.write.DISK.pwrite", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")), raising=False
    )
    with Watcher(photos, fix="true") as watcher:
        for _ in range(3):
            watcher.now += DAY / 4
            watcher.after(100)
        assert watcher.photos["failed"] == 24, "it is tried again every hour"
        assert len(lines(caplog, "not fixed: ")) == 4
        assert lines(caplog, "not fixed: 5 more: ")
        watcher.now += DAY
        watcher.after(100)
    assert len(lines(caplog, "not fixed: ")) == 8


def test_one_that_has_other_names_is_told_once_although_it_is_judged_again(photos, caplog):
    (photos / "b.jpg").hardlink_to(sky_library.draw(photos / "a.jpg", 90))
    with Watcher(photos, fix="true") as watcher:
        for _ in range(3):
            watcher.now += DAY / 4
            watcher.after(100)
        assert watcher.photos["skip"] == 3
    assert len(lines(caplog, "left alone: ")) == 1


def test_a_photo_that_was_undone_is_no_longer_in_the_plan_that_a_timer_applies(photos, tmp_path):
    plan = tmp_path / "plan.csv"
    photo, other = sky_library.draw(photos / "a.jpg", 90, seed=1), sky_library.draw(photos / "b.jpg", 90, seed=2)

    def apply(watcher):
        rows = read_plan(str(plan))
        return [row.outcome for row in app.apply(watcher.config, rows, stop=lambda: False, notify=print, command="apply")]

    with Watcher(photos, plan=str(plan)) as watcher:
        watcher.after(10)
        assert apply(watcher) == ["fixed", "fixed"]
        app_undo = app.undo(watcher.config, None, paths=[str(photo)], stop=lambda: False, notify=print, command="undo")
        assert [outcome.path for outcome in app_undo] == [str(photo)]
        watcher.after(10)
        assert [row.path for row in read_plan(str(plan))] == [str(other)]
        assert apply(watcher) == ["unchanged"]
        watcher.now += DAY
        watcher.after(100)
        assert [row.path for row in read_plan(str(plan))] == [str(other)], "nor is it proposed again"
    assert [sky_library.shown_turned(path) for path in (photo, other)] == [90, 0]
