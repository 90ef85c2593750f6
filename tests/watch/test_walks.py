"""What walks through the library find: where the kernel tells nothing, and what it did not tell, under a clock that the test
turns."""

import os
import time

from support import watcher as watching
from support.watcher import Library, put

from orientd.watch.arrivals import WatchOptions

folder, watched = watching.photos, watching.watched


def test_where_the_kernel_tells_nothing_the_library_is_walked_at_intervals(watched, folder):
    library = watched(folder, silent="nfs4")
    assert library.said == [f"watching {folder}: it is looked through at intervals: nfs4 reports no changes"]
    assert library.arrivals._roots._inotify is None
    put(folder / "a.jpg")
    assert library.after(99) == []
    assert library.after(3) == ["a.jpg"]
    put(folder / "b.jpg")
    library.known.add(str(folder / "a.jpg"))
    assert library.after(100) == ["b.jpg"]


def test_polling_by_choice_and_inotify_in_spite_of_the_file_system(watched, folder):
    assert "observer: polling" in watched(folder, terms=WatchOptions(observer="polling")).said[0]
    assert "the kernel reports changes" in watched(folder, terms=WatchOptions(observer="inotify"), silent="nfs4").said[0]


def test_the_library_is_walked_now_and_then_for_what_the_kernel_did_not_tell(watched, folder):
    library = watched(folder)
    library.arrivals._roots._inotify.unwatch(str(folder))
    put(folder / "a.jpg")
    assert library.after(999) == []
    assert library.after(5) == ["a.jpg"]


def test_with_walks_turned_off_there_is_only_the_first(watched, folder):
    library = watched(folder, terms=WatchOptions(walk_every=0))
    library.arrivals._roots._inotify.unwatch(str(folder))
    put(folder / "a.jpg")
    assert library.after(10**6) == []
    assert (library.arrivals.next_settled(), library.arrivals.next_walk()) == (None, None), "an idle watcher is not woken"


def test_a_young_file_that_a_walk_finds_may_be_one_whose_writer_pauses(watched, folder):
    old, young, ahead = (put(folder / name) for name in ("old.jpg", "young.jpg", "ahead.jpg"))
    os.utime(old, (0, time.time() - 61))
    os.utime(ahead, (0, time.time() + 10**9))
    library = watched(folder, silent="nfs4", ahead=0.0)
    assert library.after(59) == ["old.jpg"]
    young.write_bytes(b"more of it")
    assert library.after(2) == ["ahead.jpg"], "a date to come does not keep it for ever"
    library.known |= {str(old), str(ahead)}
    assert library.after(57) == []
    assert library.after(3) == ["young.jpg"]


def test_a_young_file_whose_closing_the_kernel_told_does_not_wait_for_long(watched, folder):
    library = watched(folder, ahead=0.0)
    put(folder / "a.jpg")
    library.hear()
    assert library.after(3) == ["a.jpg"]


def test_from_the_end_of_a_walk_to_the_next_it_takes_as_long_as_said(watched, folder):
    for number in range(250):
        put(folder / f"{number}.jpg")
    library = Library(folder, silent="nfs4")
    try:
        library.slow = 60
        library.start()
        assert library.now == 180
        assert library.arrivals.next_walk() >= 120 + 100
        library.after(500)
        assert len(library.offered) == 4 * 250, "at 0, 220, 440 and 660"
    finally:
        library.close()
