"""What arrives: real folders and real events of the kernel, under a clock that the test turns."""

import errno
import os
import select
import shutil
import time

import pytest
from watching import PATIENCE, Library, deaf, put

from orientd import inotify, roots
from orientd.errors import ConfigError, LibraryUnavailable
from orientd.inotify import Bell, Hint, Hints, Loss
from orientd.watch import Terms


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    made.mkdir()
    return made


@pytest.fixture
def watched():
    """Make a Library of folders, started and closed again."""
    made = []

    def make(*paths, **more):
        made.append(Library(*paths, **more))
        return made[-1].start()

    yield make
    for library in made:
        library.close()


def test_what_happened_before_the_start_is_found_and_has_to_settle(watched, folder):
    put(folder / "a.jpg")
    put(folder / "2024" / "b.jpg")
    library = watched(folder)
    assert library.after(1.9) == []
    assert library.after(0.1) == ["a.jpg", "b.jpg"]
    assert library.after(900) == []


def test_what_is_known_is_not_handed_out(watched, folder):
    known, _ = put(folder / "a.jpg"), put(folder / "b.jpg")
    assert watched(folder, known=[str(known)]).after(10) == ["b.jpg"]


def test_a_file_that_arrives_is_told_by_the_kernel(watched, folder):
    library = watched(folder)
    put(folder / "a.jpg")
    assert library.waiting == {"a.jpg"}
    assert library.after(10) == ["a.jpg"]
    assert library.offered == [], "no walk was needed"


def test_a_file_is_not_handed_out_while_its_writer_has_it_open(watched, folder):
    library = watched(folder)
    with (folder / "a.jpg").open("wb", buffering=0) as file:
        file.write(b"half")
        library.hear()
        assert library.after(50) == []
        file.write(b" of it")
        library.hear()
        assert library.after(50) == [], "it may pause for as long again"
    library.hear()
    assert library.after(2) == ["a.jpg"]


def test_partial_names_are_not_looked_at_until_they_are_renamed(watched, folder):
    library = watched(folder)
    names = [
        ".syncthing.a.jpg.tmp",
        "a.jpg.part",
        "a.jpg.crdownload",
        "a.jpg~",
        ".a.jpg.Xy12Zw",
        "a.tmp",
        "a.jpg.filepart",
        "a.!sync",
    ]
    for name in names:
        put(folder / name)
    assert library.waiting == set()
    for number, name in enumerate(names):
        (folder / name).rename(folder / f"{number}.jpg")
    assert library.waiting == {*(f"{number}.jpg" for number in range(len(names)))}
    assert library.after(10) == [f"{number}.jpg" for number in range(len(names))]


def test_what_is_deleted_or_renamed_while_it_settles_is_forgotten(watched, folder):
    library = watched(folder)
    for name in ("a.jpg", "b.jpg"):
        put(folder / name)
    assert library.waiting == {"a.jpg", "b.jpg"}
    (folder / "a.jpg").unlink()
    (folder / "b.jpg").rename(folder / "c.jpg")
    assert library.waiting == {"c.jpg"}
    assert library.after(10) == ["c.jpg"]


def test_a_tree_that_is_made_or_moved_in_is_looked_through_and_watched(watched, folder, tmp_path):
    for number in range(20):
        put(tmp_path / "camera" / f"{number // 5}" / f"{number % 5}" / f"{number}.jpg")
    library = watched(folder)
    (tmp_path / "camera").rename(folder / "2024")
    assert library.waiting == {*(f"{number}.jpg" for number in range(20))}
    assert len(library.after(10)) == 20
    put(folder / "2024" / "3" / "4" / "late.jpg")
    assert library.waiting == {"late.jpg"}
    (folder / "2024").rename(folder / "2025")
    assert library.waiting == {*(f"{number}.jpg" for number in range(20)), "late.jpg"}
    put(folder / "2025" / "0" / "0" / "later.jpg")
    assert library.waiting == {*(f"{number}.jpg" for number in range(20)), "late.jpg", "later.jpg"}
    shutil.rmtree(folder / "2025")
    assert library.waiting == set()
    assert library.after(10) == []


def test_what_a_scan_passes_over_is_passed_over(watched, folder):
    library = watched(folder, terms=Terms(exclude=("drafts", "2024/b.jpg", "*.png")))
    for path in ("drafts/a.jpg", "2024/drafts/a.jpg", "2024/b.jpg", "c.png", "@eaDir/a.jpg", ".hidden/a.jpg", "notes.txt"):
        put(folder / path)
    for path in ("b.jpg", "2023/b.jpg", "2024/ok.jpg"):
        put(folder / path)
    assert library.waiting == {"b.jpg", "ok.jpg"}
    assert library.after(10) == ["b.jpg", "b.jpg", "ok.jpg"]


def test_links_and_pipes_are_not_photos(watched, folder):
    library = watched(folder)
    (folder / "link.jpg").symlink_to(put(folder / "a.jpg"))
    os.mkfifo(folder / "pipe.jpg")
    assert library.waiting == {"a.jpg"}
    assert library.after(10) == ["a.jpg"]


def test_a_name_that_is_not_utf8_comes_through(watched, folder):
    library = watched(folder)
    name = os.fsdecode(b"\xe9t\xe9.jpg")
    put(folder / name)
    assert library.waiting == {name}
    assert library.after(10) == [name]


def test_where_the_kernel_tells_nothing_the_library_is_walked_at_intervals(watched, folder):
    library = watched(folder, silent="nfs4")
    assert library.said == [f"watching {folder}: it is looked through at intervals: nfs4 tells no changes"]
    assert library.arrivals._roots._inotify is None
    put(folder / "a.jpg")
    assert library.after(99) == []
    assert library.after(3) == ["a.jpg"]
    put(folder / "b.jpg")
    library.known.add(str(folder / "a.jpg"))
    assert library.after(100) == ["b.jpg"]


def test_polling_by_choice_and_inotify_in_spite_of_the_file_system(watched, folder):
    assert "observer: polling" in watched(folder, terms=Terms(observer="polling")).said[0]
    assert "the kernel tells" in watched(folder, terms=Terms(observer="inotify"), silent="nfs4").said[0]


def test_the_library_is_walked_now_and_then_for_what_the_kernel_did_not_tell(watched, folder):
    library = watched(folder)
    library.arrivals._roots._inotify.unwatch(str(folder))
    put(folder / "a.jpg")
    assert library.after(999) == []
    assert library.after(5) == ["a.jpg"]


def test_with_walks_turned_off_there_is_only_the_first(watched, folder):
    library = watched(folder, terms=Terms(walk_every=0))
    library.arrivals._roots._inotify.unwatch(str(folder))
    put(folder / "a.jpg")
    assert library.after(10**6) == []
    assert (library.arrivals.next_settled(), library.arrivals.next_walk()) == (None, None), "an idle watcher is not woken"


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


def test_what_happens_while_the_kernels_queue_is_full_is_found_and_new_folders_are_watched(watched, folder):
    library = watched(folder)
    with deaf(library.arrivals, folder):
        put(folder / "new" / "deep" / "a.jpg")
    deadline = time.monotonic() + PATIENCE
    while Loss.OVERFLOW not in library.arrivals._hints._losses:
        assert time.monotonic() < deadline
        library.bell.wait(1)
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
    library = watched(folder, terms=Terms(settle=2, room=600, walk_every=0))
    for number in range(3000):
        put(folder / f"{number}.jpg")
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
    library = watched(later, folder / "other", terms=Terms(settle=2, walk_every=1000, wait_for_missing=True))
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


def test_a_file_or_a_folder_that_cannot_be_listed_is_no_root(folder, watched):
    with pytest.raises(ConfigError, match=r"run orientd scan"):
        Library(put(folder / "a.jpg"))


def test_roots_within_roots_are_each_watched_and_nothing_comes_twice(folder, watched):
    put(folder / ".inner" / "a.jpg")
    put(folder / "plain" / "b.jpg")
    library = watched(folder, folder / ".inner", folder / "plain")
    assert library.after(10) == ["a.jpg", "b.jpg"]
    put(folder / ".inner" / "c.jpg")
    put(folder / "plain" / "d.jpg")
    assert library.waiting == {"c.jpg", "d.jpg"}
    assert library.after(10) == ["c.jpg", "d.jpg"]


def test_terms_may_change_and_what_is_waited_for_stays(folder, watched):
    library = watched(folder)
    put(folder / "a.jpg")
    assert library.waiting == {"a.jpg"}
    library.arrivals.change(Terms(settle=5, observer="polling", poll_every=50), library.now)
    assert library.arrivals._roots._inotify is not None
    assert library.after(4) == []
    assert library.after(2) == ["a.jpg"]
    put(folder / "b.jpg")
    library.known.add(str(folder / "a.jpg"))
    assert library.after(60) == ["b.jpg"]


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


def test_what_is_excluded_while_it_is_waited_for_is_not_handed_out(watched, folder):
    library = watched(folder)
    put(folder / "drafts" / "a.jpg")
    put(folder / "b.jpg")
    assert library.waiting == {"a.jpg", "b.jpg"}
    library.arrivals.change(Terms(settle=2, exclude=("drafts",)), library.now)
    assert library.after(10) == ["b.jpg"]


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


def test_a_bell_is_heard_once_however_often_it_was_rung():
    with Bell() as bell:
        for _ in range(100_000):
            bell.ring()
        bell.wait(None)
        assert not select.select([bell._ears], [], [], 0)[0]
        bell.wait(0)
