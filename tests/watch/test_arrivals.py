"""What arrives: real folders and real events of the kernel, under a clock that the test turns."""

import os
import shutil

import pytest
from support import watcher as watching
from support.watcher import TERMS, put

from orientd.watch.arrivals import WatchOptions

folder, watched = watching.photos, watching.watched


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


@pytest.mark.parametrize("last", ["deleted", "watched no more"])
def test_folders_of_the_same_name_that_leave_one_after_the_other_end_nothing(watched, folder, tmp_path, last):
    """Each is known by the path at which it was seen last."""
    library = watched(folder)
    for place in ("first", "second"):
        (folder / "2024").mkdir()
        library.hear()
        (folder / "2024").rename(tmp_path / place)
    (folder / "2024").mkdir()
    library.hear()
    (folder / "2024").rmdir()
    library.hear()
    if last == "deleted":
        (tmp_path / "first").rmdir()
        (tmp_path / "second").rmdir()
        library.hear()
    else:
        library.arrivals._roots._inotify.unwatch(str(folder))
        library.arrivals.change(TERMS, library.now)
    put(folder / "2024" / "a.jpg")
    assert library.waiting == {"a.jpg"}
    put(folder / "2024" / "b.jpg")
    assert library.waiting == {"a.jpg", "b.jpg"}


def test_what_a_scan_passes_over_is_passed_over(watched, folder):
    library = watched(folder, terms=WatchOptions(exclude=("drafts", "2024/b.jpg", "*.png")))
    for path in ("drafts/a.jpg", "2024/drafts/a.jpg", "2024/b.jpg", "c.png", "@eaDir/a.jpg", ".hidden/a.jpg", "notes.txt"):
        put(folder / path)
    for path in ("b.jpg", "2023/b.jpg", "2024/ok.jpg"):
        put(folder / path)
    assert library.waiting == {"b.jpg", "ok.jpg"}
    assert library.after(10) == ["b.jpg", "b.jpg", "ok.jpg"]


def test_a_path_excludes_whatever_lies_there(watched, folder):
    library = watched(folder, terms=WatchOptions(exclude=(str(folder / "2024"),), exclude_more=("/drafts",)))
    for path in ("2024/a.jpg", "drafts/b.jpg", "c.jpg", "2023/drafts/d.jpg"):
        put(folder / path)
    assert library.waiting == {"c.jpg", "d.jpg"}


def test_a_marker_holds_from_the_moment_it_is_there(watched, folder):
    put(folder / "a" / ".orientd-ignore", b"1.jpg")
    library = watched(folder)
    for path in ("a/1.jpg", "a/2.jpg", "b/3.jpg"):
        put(folder / path)
    assert library.waiting == {"2.jpg", "3.jpg"}
    put(folder / "b" / ".orientd-ignore", b"")
    assert library.after(10) == ["2.jpg"]


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


def test_terms_may_change_and_what_is_waited_for_stays(folder, watched):
    library = watched(folder)
    put(folder / "a.jpg")
    assert library.waiting == {"a.jpg"}
    library.arrivals.change(WatchOptions(settle=5, observer="polling", poll_every=50), library.now)
    assert library.arrivals._roots._inotify is not None
    assert library.after(4) == []
    assert library.after(2) == ["a.jpg"]
    put(folder / "b.jpg")
    library.known.add(str(folder / "a.jpg"))
    assert library.after(60) == ["b.jpg"]


def test_what_is_excluded_while_it_is_waited_for_is_not_handed_out(watched, folder):
    library = watched(folder)
    put(folder / "drafts" / "a.jpg")
    put(folder / "b.jpg")
    assert library.waiting == {"a.jpg", "b.jpg"}
    library.arrivals.change(WatchOptions(settle=2, exclude=("drafts",)), library.now)
    assert library.after(10) == ["b.jpg"]
