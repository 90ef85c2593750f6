"""The walk: what comes out, in which order, and what stays out."""

import os
import tracemalloc
from pathlib import Path

import pytest

from orientd.errors import ExitCode, LibraryUnavailable
from orientd.files.syscalls import Disk
from orientd.library import filenames
from orientd.library import walk as discover
from orientd.library.exclude import Exclusion
from orientd.library.walk import walk


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def found(root, exclude=(), **options):
    """Relative paths of what is to be judged, in the order of the walk."""
    walked = walk([str(root)], Exclusion(exclude), **options)
    return [os.path.relpath(c.path, root) for c in walked if not (c.skip or c.error)]


@pytest.fixture
def unlistable(monkeypatch):
    """Folders that raise an error when they are listed. Permissions would not do: root may list everything."""
    errors = {}
    open_ = os.open

    def fake(path, *flags, **more):
        if str(path) in errors:
            raise errors[str(path)]
        return open_(path, *flags, **more)

    monkeypatch.setattr(Disk, "open", staticmethod(fake))
    return errors


def test_files_come_sorted_within_each_folder_before_its_folders(tmp_path):
    touch(tmp_path, "b.jpg", "a/z.jpg", "a/y.jpg", "a/b/c.jpg", "c/a.jpg", "a.png")
    assert found(tmp_path) == ["a.png", "b.jpg", "a/y.jpg", "a/z.jpg", "a/b/c.jpg", "c/a.jpg"]


def test_a_candidate_tells_the_state_of_the_file(tmp_path):
    touch(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    (candidate,) = walk([str(tmp_path)])
    stat = os.stat(candidate.path)
    assert (candidate.stat.dev, candidate.stat.inode, candidate.stat.size) == (stat.st_dev, stat.st_ino, 1)
    assert (candidate.stat.mtime_ns, candidate.stat.nlink) == (1_234_567_890_123_456_789, 1)


def test_names_decide_what_is_worth_opening(tmp_path):
    yes = ["A.JPG", "DSC.NEF", "IMG_1", "a.jxl", "b.heic", "photo.jpg_large", "scan.2019", "x.unknown", "~a.jpg"]
    no = [
        ".a.jpg",
        "._a.jpg",
        "a.XMP",
        "a.jpg_original",
        "a.jpg~",
        "b.aae",
        "clip.mov",
        "down.jpg.part",
        "notes.txt",
        "z.jpg.bak",
        "~$a.jpg",
        "~WRL0001.tmp",
    ]
    touch(tmp_path, *yes, *no)
    assert found(tmp_path) == yes


BINS = [".Trash-1000", "#recycle", "@Recycle", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found", "System Volume Information"]
OTHERS = [".hidden", ".thumbnails", ".AppleDouble", "@eaDir", "__MACOSX", "Previews.lrdata", "Photos Library.photoslibrary"]


@pytest.mark.parametrize("folder", BINS + OTHERS)
def test_folders_that_hold_no_photos_of_the_user_are_not_entered(tmp_path, folder):
    touch(tmp_path, f"sub/{folder}/deep/a.jpg", f"{folder}/a.jpg", "eaDir/a.jpg")
    assert found(tmp_path) == ["eaDir/a.jpg"]
    assert found(tmp_path / folder) == ["a.jpg"]


def test_the_suffixes_do_not_contradict_each_other():
    assert not filenames.PHOTOS & filenames._OTHERS
    assert not filenames.JUDGED & filenames.RAW
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in filenames.PHOTOS | filenames._OTHERS)
    assert all(filenames.worth_opening("a" + suffix) and filenames.promises_photo("a" + suffix) for suffix in filenames.PHOTOS)


@pytest.mark.parametrize("pattern", ["private", "private/", "*/private", "2020/private/*", "2020/p*", "pri?ate"])
def test_patterns_exclude_by_name_or_by_relative_path(tmp_path, pattern):
    touch(tmp_path, "2020/private/a.jpg", "2020/private/b/c.jpg", "2020/q.jpg", "2020/Private.jpg")
    assert found(tmp_path, [pattern]) == ["2020/Private.jpg", "2020/q.jpg"]


def test_several_patterns_and_none_of_them_is_a_regular_expression(tmp_path):
    touch(tmp_path, "a.jpg", "b.png", "c+.jpg", "cc.jpg", "(d).jpg")
    assert found(tmp_path, ["*.png", "c+.jpg", "(d)*"]) == ["a.jpg", "cc.jpg"]
    assert found(tmp_path, [str(tmp_path / "a.jpg")])[1] == "b.png"


def test_nested_and_repeated_roots_give_each_file_once(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/b/2.jpg", "c/3.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    one, two = str(tmp_path), str(tmp_path / "a" / "b")
    for roots in ([one, two], [two, one], [one, one + "/", two], [one, str(tmp_path / "link" / "b"), two + "/2.jpg"]):
        paths = [candidate.path for candidate in walk(roots)]
        assert sorted(paths) == [str(tmp_path / name) for name in ("a/1.jpg", "a/b/2.jpg", "c/3.jpg")]


def test_a_hidden_root_within_another_root_is_not_lost(tmp_path):
    touch(tmp_path, "a.jpg", ".hidden/b.jpg")
    assert [os.path.basename(c.path) for c in walk([str(tmp_path), str(tmp_path / ".hidden")])] == ["a.jpg", "b.jpg"]


def test_a_root_that_is_a_file_comes_out_whatever_its_name(tmp_path):
    touch(tmp_path, ".notes.txt", "a.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    roots = [str(tmp_path / ".notes.txt"), str(tmp_path / "link.jpg")]
    assert [(c.path, c.skip) for c in walk(roots, Exclusion(["*"]))] == [(roots[0], ""), (str(tmp_path / "a.jpg"), "")]


def test_a_missing_root_stops_the_run_before_anything_comes_out(tmp_path, unlistable):
    touch(tmp_path, "a.jpg")
    with pytest.raises(LibraryUnavailable, match="nowhere: No such file") as caught:
        walk([str(tmp_path), str(tmp_path / "nowhere")])
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    with pytest.raises(LibraryUnavailable, match="No such file"):
        walk([""])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LibraryUnavailable, match="pipe: not a readable"):
        walk([str(tmp_path / "pipe")])
    unlistable[str(tmp_path)] = PermissionError(13, "Permission denied")
    with pytest.raises(LibraryUnavailable, match="Permission denied"):
        walk([str(tmp_path)])


def test_links_to_folders_are_not_followed_and_links_to_files_are_skipped_with_a_reason(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/notes")
    (tmp_path / "b.jpg").symlink_to("a/1.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "c").symlink_to("a")
    (tmp_path / "c.jpg").symlink_to("a")
    (tmp_path / "d").symlink_to("a/notes")
    (tmp_path / "loop").symlink_to(".")
    skipped = [(os.path.basename(c.path), c.skip) for c in walk([str(tmp_path)]) if c.skip]
    assert [name for name, _ in skipped] == ["b.jpg", "broken.jpg"]
    assert all("symbolic link" in reason for _, reason in skipped)
    assert found(tmp_path) == ["a/1.jpg", "a/notes"]


def test_a_second_name_of_the_same_file_is_skipped_with_a_reason(tmp_path):
    touch(tmp_path, "a.jpg", "b/c", "x.jpg")
    os.link(tmp_path / "a.jpg", tmp_path / "b" / "a.jpg")
    os.link(tmp_path / "b" / "c", tmp_path / "b" / "d")
    result = [(os.path.relpath(c.path, tmp_path), bool(c.skip)) for c in walk([str(tmp_path)])]
    assert result == [("a.jpg", False), ("x.jpg", False), ("b/a.jpg", True), ("b/c", False)]


def test_a_folder_that_cannot_be_listed_is_an_error_and_the_walk_goes_on(tmp_path, unlistable):
    touch(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    unlistable[str(tmp_path / "b")] = PermissionError(13, "Permission denied")
    result = [(os.path.relpath(c.path, tmp_path), c.error) for c in walk([str(tmp_path)])]
    assert result == [("a/1.jpg", ""), ("b", "the folder cannot be listed: Permission denied"), ("c/3.jpg", "")]


def test_a_file_that_cannot_be_examined_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "b.jpg")
    lstat = os.lstat

    def fake(path):
        if path.endswith("a.jpg"):
            raise PermissionError(13, "Permission denied")
        return lstat(path)

    monkeypatch.setattr(discover.os, "lstat", fake)
    assert [(os.path.basename(c.path), c.error) for c in walk([str(tmp_path)])] == [
        ("a.jpg", "it cannot be examined: Permission denied"),
        ("b.jpg", ""),
    ]


def test_a_folder_keeps_its_access_time(tmp_path):
    touch(tmp_path, "a/1.jpg")
    for folder in (tmp_path, tmp_path / "a"):
        os.utime(folder, ns=(10**18, 2 * 10**18))
    assert found(tmp_path) == ["a/1.jpg"]
    assert [os.stat(folder).st_atime_ns for folder in (tmp_path, tmp_path / "a")] == [10**18] * 2


def test_what_vanishes_during_the_walk_is_passed_over(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg", "a/3.jpg", "b/4.jpg")
    walking = walk([str(tmp_path)])
    first = next(walking)
    (tmp_path / "2.jpg").unlink()
    (tmp_path / "a" / "3.jpg").unlink()
    (tmp_path / "a").rmdir()
    assert [os.path.basename(c.path) for c in (first, *walking)] == ["1.jpg", "4.jpg"]


@pytest.mark.parametrize("one_file_system", [False, True])
def test_a_root_that_goes_away_during_the_walk_stops_the_run(tmp_path, one_file_system):
    touch(tmp_path, "root/1.jpg", "root/a/2.jpg")
    walking = walk([str(tmp_path / "root")], one_file_system=one_file_system)
    next(walking)
    (tmp_path / "root").rename(tmp_path / "elsewhere")
    with pytest.raises(LibraryUnavailable, match="went away"):
        next(walking)


def test_other_file_systems_are_left_out_on_request(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "mounted/2.jpg", "mounted/deep/3.jpg")
    device = discover.device_of
    monkeypatch.setattr(discover, "device_of", lambda path: (device(path) or 0) + ("mounted" in path))
    assert found(tmp_path, one_file_system=True) == ["a/1.jpg"]
    assert found(tmp_path) == ["a/1.jpg", "mounted/2.jpg", "mounted/deep/3.jpg"]


def test_names_that_are_not_utf8_come_out_as_they_are(tmp_path):
    raw = os.fsencode(tmp_path) + b'/caf\xe9 \n,".jpg'
    Path(os.fsdecode(raw)).write_bytes(b"x")
    (candidate,) = walk([str(tmp_path)], Exclusion(["*.png"]))
    assert os.fsencode(candidate.path) == raw


@pytest.mark.alone
def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    def peak(root):
        tracemalloc.start()
        count = sum(1 for _ in walk([str(root)]))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return count, most

    for folder in range(40):
        touch(tmp_path, *(f"{folder % 2}/{folder}/{index}.jpg" for index in range(50)))
    peak(tmp_path)
    small, large = peak(tmp_path / "0" / "0"), peak(tmp_path)
    assert (small[0], large[0]) == (50, 2000)
    assert large[1] < small[1] + 20_000


def test_pdfs_are_worth_opening_for_pages_alone(tmp_path):
    touch(tmp_path, "a.pdf", "b.jpg", "c.txt", ".d.pdf", "~$e.pdf")
    assert found(tmp_path) == ["b.jpg"]
    assert found(tmp_path, wanted=filenames.worth_opening_for_pages) == ["a.pdf", "b.jpg"]
