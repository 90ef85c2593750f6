"""Trees of many folders on slow disks: whatever is done folder by folder can be ended, and tells meanwhile that it lives."""

import os
import signal
import threading

import pytest
from support.watcher import PATIENCE, Ear, Watcher

from orientd import app
from orientd.config import Config
from orientd.library import paths
from orientd.library import walk as discover
from orientd.library.walk import steps, walk
from orientd.watch.arrivals import Arrivals, WatchOptions
from orientd.watch.hints import Hints
from orientd.watch.inotify import Inotify
from orientd.watch.wakeup import Wakeup


@pytest.fixture
def tree(tmp_path):
    """A folder with 300 others in it, and no photo."""
    for number in range(300):
        (tmp_path / "tree" / str(number // 20) / str(number)).mkdir(parents=True)
    return tmp_path / "tree"


@pytest.fixture
def listed(monkeypatch):
    """Folders that a walk has listed."""
    folders, entries = [], discover.listing
    for module in (paths, discover):
        monkeypatch.setattr(module, "listing", lambda folder: folders.append(folder) or entries(folder))
    return folders


def watches(arrivals):
    """How many folders the kernel watches."""
    descriptor = arrivals._roots._inotify._observer._instance._inotify_fd
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        return sum(line.startswith("inotify") for line in file)


@pytest.fixture
def watched():
    """Make Arrivals of folders, closed again."""
    made = []

    def make(*folders, on_folder=lambda: None):
        wakeup = Wakeup()
        arrivals = Arrivals(
            [str(folder) for folder in folders], WatchOptions(), lambda _: [], print, wakeup.wake, on_folder=on_folder
        )
        made.append((arrivals, wakeup))
        return arrivals, wakeup

    yield make
    for arrivals, wakeup in made:
        arrivals.close()
        wakeup.close()


def test_a_walk_takes_one_step_for_every_folder_and_one_for_every_file(tree, listed):
    (tree / "3" / "a.jpg").write_bytes(b"x")
    taken = steps([str(tree)])
    for number in range(10):
        assert next(taken) is None
        assert len(listed) == number + 1, "one to see that the root is there, one for each step but the first"
    assert [os.path.basename(each.path) for each in taken if each] == ["a.jpg"]


def test_a_walk_that_is_stopped_ends_where_there_are_only_folders(tree, listed):
    assert list(walk([str(tree)], stop=lambda: len(listed) > 10)) == []
    assert len(listed) == 11


def test_counting_is_stopped_where_there_are_only_folders(tree, listed):
    assert app.count(Config(), [str(tree)], lambda: len(listed) > 10) is None
    assert len(listed) == 11
    assert app.count(Config(), [str(tree)], lambda: False) == 0


def test_a_scan_is_stopped_where_there_are_only_folders(tree, listed, model, tmp_path):
    config = Config(model=str(model), state_dir=str(tmp_path / "state"))
    rows = app.scan(config, [str(tree)], fix=False, rescan=False, stop=lambda: len(listed) > 10, notify=print, command="")
    assert list(rows) == []
    assert len(listed) <= 15, "the roots are looked at a few times before"


def test_a_look_through_the_library_takes_it_in_small_steps(tree, listed, watched):
    arrivals, _ = watched(tree)
    arrivals.check(0)
    longest = 0
    while not longest or arrivals.walking:
        before = len(listed)
        arrivals.collect(0)
        longest = max(longest, len(listed) - before)
    assert len(listed) > 300
    assert longest <= 101


def test_folders_that_are_passed_over_are_not_watched(tree, watched):
    for number in range(50):
        (tree / "@eaDir" / f"IMG_{number}.jpg").mkdir(parents=True)
    arrivals, _ = watched(tree)
    arrivals.check(0)
    assert watches(arrivals) == 1 + 15 + 300


@pytest.mark.parametrize("flat", [True, False])
def test_what_has_to_be_heeded_is_heeded_before_every_listing_and_only_what_counts_is_listed(tree, watched, monkeypatch, flat):
    (tree / "@eaDir" / "IMG.jpg").mkdir(parents=True)
    order, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: order.append("list") or scandir(folder))
    arrivals, _ = watched(tree / "3" if flat else tree, on_folder=lambda: order.append("heed"))
    arrivals._roots.check("inotify", wait=False)
    assert order == ["heed", "list"] * (21 if flat else 316)


def test_a_library_below_a_folder_that_is_passed_over_is_watched(tmp_path, watched):
    inner = tmp_path / ".hidden" / "photos"
    (inner / "2024").mkdir(parents=True)
    arrivals, _ = watched(tmp_path, inner)
    arrivals.check(0)
    assert watches(arrivals) == 3


def test_a_folder_whose_new_name_counts_is_watched_from_then_on(tmp_path, watched):
    (tmp_path / ".part" / "2024").mkdir(parents=True)
    arrivals, wakeup = watched(tmp_path)
    ear = Ear(arrivals, wakeup)
    arrivals.check(0)
    assert watches(arrivals) == 1
    (tmp_path / ".part").rename(tmp_path / "whole")
    ear.hear()
    assert watches(arrivals) == 3


def test_setting_up_the_watches_can_be_ended_between_two_folders(tree, watched):
    class Enough(Exception):
        pass

    def on_folder():
        if (number := watches(arrivals)) >= 20:
            raise Enough(number)

    arrivals, _ = watched(tree, on_folder=on_folder)
    with pytest.raises(Enough, match="20"):
        arrivals.check(0)


def test_a_watcher_that_is_told_to_stop_while_it_begins_stops_and_lives_until_then(tree, monkeypatch, model):
    monkeypatch.setenv("ORIENTD_MODEL", str(model))
    with Watcher(tree) as watcher:
        watcher.arrivals._roots.leave()
        watcher.told.messages.clear()

        def on_folder():
            watcher.now += 1
            if watches(watcher.arrivals) >= 20:
                watcher._signal = signal.SIGTERM
            watcher._on_folder()

        watcher.arrivals._roots._inotify._observer._instance._on_folder = on_folder
        assert watcher.run() == 0
    assert watcher.told.messages.count("patience 120.0") == 20
    assert watcher.told.messages.count("alive") == 20
    assert "ready" not in watcher.told.messages
    assert watcher.told.messages[-2] == "stopping"


def test_watching_can_be_ended_while_a_tree_that_was_moved_in_is_listed(tree, tmp_path):
    library, asked, busy = tmp_path / "library", [], threading.Event()
    library.mkdir()

    def wanted(folder):
        asked.append(folder)
        if len(asked) == 10:
            busy.set()
            inotify._observer._instance.stopped_event.wait(PATIENCE)
        return True

    inotify = Inotify(Hints(1000, lambda: None), wanted, lambda: None)
    inotify.watch(str(library))
    tree.rename(library / "tree")
    assert busy.wait(PATIENCE)
    inotify.close()
    assert len(asked) == 1 + 15, "no further folder is listed"
