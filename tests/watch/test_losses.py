"""More than the kernel tells, or than is kept of what it tells: nothing is lost, and memory does not grow."""

import errno
import os
import select
import time

import pytest
from support import watcher as watching
from support.watcher import PATIENCE, deaf, put

from orientd.watch import inotify, roots
from orientd.watch.arrivals import WatchOptions
from orientd.watch.hints import Hint, Hints, Loss
from orientd.watch.wakeup import Wakeup

folder, watched = watching.photos, watching.watched


@pytest.mark.parametrize("loss", [Loss.OVERFLOW, Loss.ROOM])
def test_what_was_lost_is_looked_for_at_once_and_told_once(watched, folder, loss):
    library = watched(folder)
    library.arrivals._roots._inotify.unwatch(str(folder))
    put(folder / "a.jpg")
    for _ in range(2):
        library.arrivals._hints.lose(loss)
        assert library.after(10) in (["a.jpg"], [])
        library.known.add(str(folder / "a.jpg"))
    assert len([text for text in library.said if loss.value in text]) == 1
    assert library.offered.count(str(folder / "a.jpg")) >= 2


def test_an_overflow_of_the_kernels_queue_is_noticed(watched, folder):
    library = watched(folder)
    event = inotify.InotifyEvent(-1, 0x4000, 0, b"")  # IN_Q_OVERFLOW
    library.arrivals._roots._inotify._observer._instance.handle_event(event)
    library.look_around()
    assert "max_queued_events" in library.said[-1]


def test_after_an_overflow_every_folder_is_watched_anew_once(watched, folder, monkeypatch):
    for number in range(30):
        (folder / f"{number}").mkdir()
    library, added, real = watched(folder), [], inotify.InotifyFD.add_callback

    def spy(self, path, *more):
        added.append(path)
        return real(self, path, *more)

    monkeypatch.setattr(inotify.InotifyFD, "add_callback", spy)
    instance = library.arrivals._roots._inotify._observer._instance
    for _ in range(3):
        instance.handle_event(inotify.InotifyEvent(-1, 0x4000, 0, b""))
    assert added == []
    library.after(10)
    assert len(added) == 31
    instance.handle_event(inotify.InotifyEvent(-1, 0x4000, 0, b""))
    assert library.arrivals._hints.take() == ({}, set()), "what has ended tells nothing any more"
    put(folder / "7" / "a.jpg")
    assert library.waiting == {"a.jpg"}


@pytest.mark.parametrize("loss", [Loss.OVERFLOW, Loss.ENDED])
def test_what_ends_just_before_it_is_watched_anew_is_not_watched_anew_twice(watched, folder, loss):
    """Each folder of a disk that is unmounted tells that it ended."""
    library = watched(folder)
    close, lose = library.arrivals._roots.close, library.arrivals._hints.lose
    library.arrivals._roots.close = lambda: (close(), lose(loss))
    lose(loss)
    put(folder / "a.jpg")
    library.hear()
    assert library.after(10) == ["a.jpg"]
    assert library.after(10) == []
    assert len(library.offered) == 1, "of one walk"
    assert len([text for text in library.said if loss.value in text]) == 1
    library.arrivals._roots.close = close


def test_what_happens_while_the_kernels_queue_is_full_is_found_and_new_folders_are_watched(watched, folder):
    library = watched(folder)
    with deaf(library.arrivals, folder):
        put(folder / "new" / "deep" / "a.jpg")
    deadline = time.monotonic() + PATIENCE
    while Loss.OVERFLOW not in library.arrivals._hints._losses:
        assert time.monotonic() < deadline
        library.wakeup.wait(1)
    assert library.after(10) == ["a.jpg"]
    assert "max_queued_events" in library.said[-1]
    walks = len(library.offered)
    put(folder / "new" / "deep" / "b.jpg")
    assert library.waiting == {"b.jpg"}
    assert library.after(10) == ["b.jpg"]
    assert len(library.offered) == walks, "the kernel told"


def test_more_folders_than_may_be_watched_are_told_and_polled(watched, folder, monkeypatch):
    real = inotify.InotifyFD.add_callback

    def limited(self, path, *more):
        if path.endswith(b"deep"):
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return real(self, path, *more)

    monkeypatch.setattr(inotify.InotifyFD, "add_callback", limited)
    (folder / "deep").mkdir()
    library = watched(folder)
    library.after(5)
    assert "fs.inotify.max_user_watches" in library.said[-1]
    put(folder / "deep" / "a.jpg")
    assert library.after(110) == ["a.jpg"], "walks come as often as where the kernel tells nothing"


@pytest.mark.parametrize(("code", "advice"), [(errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances")])
def test_a_root_that_may_not_be_watched_is_polled(watched, folder, monkeypatch, code, advice):
    def refuse(*_):
        raise OSError(code, "limit reached")

    if code == errno.EMFILE:
        monkeypatch.setattr(roots, "Inotify", refuse)
    else:
        monkeypatch.setattr(inotify.InotifyFD, "add_callback", refuse)
    library = watched(folder)
    assert advice in library.said[0]
    put(folder / "a.jpg")
    assert library.after(110) == ["a.jpg"]


def test_a_burst_is_absorbed_with_bounded_memory(watched, folder):
    library = watched(folder, terms=WatchOptions(settle=2, room=600, walk_every=0))
    for number in range(3000):
        put(folder / f"{number}.jpg")
    library.hear()
    got, most = set(), 0
    for _ in range(2000):
        library.look_around()
        most = max(most, len(library.arrivals))
        for candidate in library.arrivals.settled(library.now, 50):
            library.known.add(candidate.path)
            got.add(os.path.basename(candidate.path))
        library.now += 0.5
        if len(got) == 3000:
            break
    assert len(got) == 3000
    assert most <= 600


def test_hints_are_bounded_one_per_path_and_ring_once():
    rung = []
    hints = Hints(2, lambda: rung.append(1))
    hints.put("a", Hint.WRITTEN)
    hints.put("b", Hint.TOUCHED)
    hints.put("a", Hint.GONE)
    hints.put("c", Hint.TOUCHED)
    assert hints.take() == ({"a": Hint.GONE, "b": Hint.TOUCHED}, {Loss.ROOM})
    assert rung == [1]
    assert hints.take() == ({}, set())
    hints.put("d", Hint.TOUCHED)
    assert rung == [1, 1]


def test_one_wait_ends_however_often_it_was_woken():
    with Wakeup() as wakeup:
        for _ in range(100_000):
            wakeup.wake()
        wakeup.wait(None)
        assert not select.select([wakeup._read_end], [], [], 0)[0]
        wakeup.wait(0)
