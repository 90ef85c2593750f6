"""Disks that are mounted and unmounted at the folders that are watched, or below them; some need the right to mount."""

import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest
from support import watcher as watching
from support.watcher import PATIENCE, Library, put

from orientd.errors import LibraryUnavailable
from orientd.watch import roots
from orientd.watch.arrivals import WatchOptions
from orientd.watch.hints import Loss

WAIT = WatchOptions(settle=2, stalled=60, walk_every=1000, poll_every=100, wait_for_missing=True)


folder, watched = watching.photos, watching.watched


@pytest.fixture
def same(monkeypatch):
    """Every folder has the same device and inode, as after a quick umount and mount."""
    real = roots._identity
    monkeypatch.setattr(roots, "_identity", lambda path: real(path) and (1, 2))


@contextmanager
def mounted(folder):
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mount(library, number, point, kind="ext4"):
    """Let the table of mounts say so."""
    library.mountinfo += f"{number} 1 0:{number} / {point} rw - {kind} x rw\n"


def ended(library):
    """Wait until the kernel has told that what was watched is gone."""
    deadline = time.monotonic() + PATIENCE
    while Loss.ENDED not in library.arrivals._hints._losses:
        assert time.monotonic() < deadline, "the kernel told nothing"
        library.wakeup.wait(1)


def test_a_folder_that_was_deleted_and_made_again_is_watched_again(watched, folder, same):
    library = watched(folder)
    shutil.rmtree(folder)
    put(folder / "deep" / "a.jpg")
    ended(library)
    assert library.after(10) == ["a.jpg"]
    assert library.said[1:] == [Loss.ENDED.value]
    put(folder / "deep" / "b.jpg")
    assert library.waiting == {"b.jpg"}, "the kernel told"


@pytest.mark.parametrize("below", ["", "usb"])
def test_a_disk_that_was_unmounted_and_mounted_quickly_is_watched_again(watched, folder, same, below):
    point = folder / below
    point.mkdir(exist_ok=True)
    with mounted(point):
        put(point / "deep" / "a.jpg")
        library = watched(folder)
        assert library.after(5) == ["a.jpg"]
        subprocess.run(["umount", str(point)], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], check=True)
        put(point / "deep" / "b.jpg")
        ended(library)
        assert library.after(10) == ["b.jpg"]
        put(point / "deep" / "c.jpg")
        assert library.waiting == {"c.jpg"}, "the kernel told"


def test_folders_that_are_deleted_within_are_no_loss(watched, folder):
    put(folder / "deep" / "er" / "a.jpg")
    library = watched(folder)
    shutil.rmtree(folder / "deep")
    library.hear()
    assert library.said == [f"watching {folder}: the kernel reports changes"]
    assert library.after(900) == []


def test_a_folder_that_is_gone_for_good_ends_the_watch(watched, folder):
    library = watched(folder)
    shutil.rmtree(folder)
    ended(library)
    with pytest.raises(LibraryUnavailable):
        library.after(10)


def test_a_disk_mounted_below_later_is_looked_through_and_watched(watched, folder):
    point = folder / "usb"
    point.mkdir()
    library = watched(folder)
    with mounted(point):
        put(point / "a.jpg")
        mount(library, 2, point)
        library.arrivals.check(library.now)
        assert library.after(5) == ["a.jpg"]
        put(point / "b.jpg")
        assert library.waiting == {"b.jpg"}, "the kernel told"


def test_a_network_drive_mounted_below_later_is_looked_through_at_intervals(watched, folder):
    library = watched(folder)
    mount(library, 2, folder / "nas", "nfs4")
    library.arrivals.check(library.now)
    assert library.said[1:] == [f"watching {folder}: it is looked through at intervals: nfs4 reports no changes"]
    assert library.after(5) == []
    put(folder / "nas" / "a.jpg")
    assert library.after(110) == ["a.jpg"]


@pytest.mark.parametrize("place", ["elsewhere", "photos/.cache/doc", "photos/@eaDir"])
def test_what_is_mounted_where_nobody_looks_does_not_count(watched, folder, place):
    put(folder / "a.jpg")
    library = watched(folder)
    library.known.add(str(folder / "a.jpg"))
    mount(library, 2, folder.parent / place, "fuse.portal")
    library.arrivals.check(library.now)
    library.after(500)
    assert len(library.offered) == 1
    assert len(library.said) == 1


def test_the_bare_folder_of_an_unmounted_disk_is_not_watched_but_waited_at(watched, folder):
    library, before = Library(folder, terms=WAIT), None
    try:
        before = library.mountinfo
        mount(library, 2, folder)
        library.start()
        library.mountinfo = before
        for _ in range(2):
            library.arrivals.check(library.now)
        assert library.said[1:] == [f"{folder} went away: waiting for its disk to be mounted"]
        put(folder / "stray.jpg")
        assert library.after(5000) == []
        library.arrivals.change(WAIT, library.now)
        assert library.said[2:] == [f"watching {folder}: the kernel reports changes"], "who reloads means what is there"
        assert library.after(5) == ["stray.jpg"]
        library.known.add(str(folder / "stray.jpg"))
        put(folder / "a.jpg")
        mount(library, 3, folder)
        library.arrivals.check(library.now)
        assert library.after(WAIT.stalled + 5) == ["a.jpg"], "also if it was told of, but not of its closing"
    finally:
        library.close()


def test_an_unmounted_disk_ends_the_watch_although_its_folder_looks_the_same(folder, same):
    library = Library(folder)
    try:
        before = library.mountinfo
        mount(library, 2, folder)
        library.start()
        library.mountinfo = before
        with pytest.raises(LibraryUnavailable, match="went away"):
            library.arrivals.check(library.now)
    finally:
        library.close()


def test_an_unmounted_disk_is_noticed(folder):
    library = Library(folder, terms=WAIT)
    library.mountinfo = ""  # the real one counts
    try:
        with mounted(folder):
            put(folder / "a.jpg")
            library.start()
            assert library.after(5) == ["a.jpg"]
        library.arrivals.check(library.now)
        assert "went away" in library.said[-1]
        assert library.after(5) == []
        with mounted(folder):
            put(folder / "b.jpg")
            library.arrivals.check(library.now)
            assert library.after(5) == ["b.jpg"]
    finally:
        library.close()
