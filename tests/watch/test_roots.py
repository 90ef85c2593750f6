"""The folders that are watched: missing, gone, replaced, within each other."""

import shutil

import pytest
from support import watcher as watching
from support.watcher import TERMS, put

from orientd.errors import ConfigError, LibraryUnavailable
from orientd.watch.arrivals import Arrivals, WatchOptions
from orientd.watch.wakeup import Wakeup

folder, watched = watching.photos, watching.watched


def test_a_root_that_is_missing_stops_the_watch_with_its_own_exit_code(folder, watched):
    with pytest.raises(LibraryUnavailable) as caught:
        watched(folder / "nowhere")
    assert caught.value.exit_code == 75
    library = watched(folder)
    shutil.rmtree(folder)
    with pytest.raises(LibraryUnavailable, match="went away"):
        library.arrivals.check(1)


def test_a_root_that_becomes_another_folder_stops_the_watch(folder, watched):
    library = watched(folder)
    folder.rename(folder.with_name("old"))
    folder.mkdir()
    with pytest.raises(LibraryUnavailable):
        library.arrivals.check(1)


def test_a_missing_root_may_be_waited_for(folder, watched):
    later = folder / "disk"
    library = watched(later, folder / "other", terms=WatchOptions(settle=2, walk_every=1000, wait_for_missing=True))
    library.arrivals.check(library.now)
    assert library.said == [f"{path} is not there: waiting for its disk to be mounted" for path in (later, folder / "other")]
    put(later / "a.jpg")
    library.arrivals.check(library.now)
    assert library.after(10) == ["a.jpg"]
    shutil.rmtree(later)
    library.arrivals.check(library.now)
    assert "went away" in library.said[-1]
    put(later / "b.jpg")
    library.arrivals.check(library.now)
    put(later / "c.jpg")
    library.hear()
    assert library.after(10) == ["b.jpg", "c.jpg"]
    put(later / "d.jpg")
    assert library.waiting == {"d.jpg"}


def test_a_file_is_no_root(folder):
    path = put(folder / "a.jpg")
    with Wakeup() as wakeup, pytest.raises(ConfigError, match=r"run orientd scan"):
        Arrivals([str(path)], TERMS, list, print, wakeup.wake)


def test_roots_within_roots_are_each_watched_and_nothing_comes_twice(folder, watched):
    put(folder / ".inner" / "a.jpg")
    put(folder / "plain" / "b.jpg")
    library = watched(folder, folder / ".inner", folder / "plain")
    assert library.after(10) == ["a.jpg", "b.jpg"]
    put(folder / ".inner" / "c.jpg")
    put(folder / "plain" / "d.jpg")
    assert library.waiting == {"c.jpg", "d.jpg"}
    assert library.after(10) == ["c.jpg", "d.jpg"]
