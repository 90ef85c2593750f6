import errno
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faulty_disks import TEMP, TroubledDisk, failing, leftovers
from support.small_photos import ATIME, GROWS, IN_PLACE, MTIME, OLD, TWO_PAGES, every_patch, make_photo, state, write

from orientd.errors import ReadError, Refused, WriteError
from orientd.files import read
from orientd.files import write as files
from orientd.files.write import PAGE, Mtime
from orientd.records import FileStat, Patch, Splice


@pytest.fixture
def photo(tmp_path):
    return make_photo(tmp_path / "photo.jpg")


def test_a_file_is_read_whole_with_its_state(photo):
    data, stat = read.read_whole(str(photo))
    assert data == OLD
    assert stat == FileStat(os.stat(photo).st_dev, os.stat(photo).st_ino, len(OLD), MTIME, 1)


def test_reading_leaves_the_access_time_alone(photo):
    read.read_whole(str(photo))
    assert os.stat(photo).st_atime_ns == ATIME
    photo.read_bytes()
    if os.stat(photo).st_atime_ns == ATIME:
        pytest.skip("this file system notes no access times, so the test proves nothing")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("photo.jpg"), "symbolic link"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: None, "vanished"),
        (lambda path: path.write_bytes(b"x" * 1001), "1,001 bytes"),
    ],
)
def test_what_is_no_file_of_bearable_size_is_not_read(photo, make, reason):
    other = photo.with_name("other")
    make(other)
    with pytest.raises(ReadError, match=reason):
        read.read_whole(str(other), limit=1000)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
def test_what_is_no_path_is_told(path):
    with pytest.raises(ReadError, match="cannot be a path"):
        read.read_whole(path)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(OLD + b"more"), lambda path: os.utime(path, ns=(1, 2))])
def test_a_file_that_changes_while_it_is_read_is_not_read(photo, change):
    disk = TroubledDisk(lambda disk, number, name, args: change(photo) and None if name == "pread" else None)
    with pytest.raises(ReadError, match="while it was read"):
        read.read_whole(str(photo), disk=disk)


def test_a_read_in_small_parts_is_whole(photo):
    disk = TroubledDisk(lambda disk, number, name, args: os.pread(args[0], 1000, args[2]) if name == "pread" else None)
    assert read.read_whole(str(photo), disk=disk)[0] == OLD


spans = st.lists(st.tuples(st.integers(0, 3 * PAGE), st.integers(1, 40)), min_size=1, max_size=4)


@given(spans)
def test_one_page_is_what_the_bytes_say(lengths):
    offset, splices = 0, []
    for gap, length in lengths:
        splices.append(Splice(offset + gap, b"a" * length, b"b" * length))
        offset += gap + length
    touched = {place // PAGE for s in splices for place in range(s.offset, s.offset + len(s.old))}
    assert files.fits_one_page(Patch(tuple(splices))) == (len(touched) == 1)


def test_a_patch_that_moves_bytes_is_never_in_place():
    assert not files.fits_one_page(Patch((Splice(5, b"", b"x"),)))
    assert not files.fits_one_page(Patch((Splice(5, b"xx", b"x"), Splice(9, b"", b"x"))))


@every_patch
def test_a_write_puts_the_new_bytes_there_and_nothing_else(photo, patch):
    os.chmod(photo, 0o640)
    stat = write(photo, patch)
    found = os.stat(photo)
    assert (found.st_mtime_ns, found.st_atime_ns, found.st_mode & 0o7777) == (MTIME + 5, ATIME, 0o640)
    assert stat == state(photo)
    assert photo.read_bytes() == patch.apply(OLD) != OLD
    assert os.listdir(photo.parent) == [photo.name]


@pytest.mark.parametrize(("patch", "kept"), [(IN_PLACE, True), (TWO_PAGES, False), (GROWS, False)])
def test_only_one_page_is_overwritten_in_place(photo, patch, kept):
    disk, inode = TroubledDisk(), os.stat(photo).st_ino
    write(photo, patch, disk=disk)
    assert (os.stat(photo).st_ino == inode) == kept
    assert ("replace" in disk.log) != kept
    assert disk.log.count("pwrite") == 1


@every_patch
def test_a_patch_for_other_bytes_is_never_written(photo, patch):
    other = Patch(tuple(replace(splice, old=b"?" * len(splice.old), offset=splice.offset + 10**6) for splice in patch.splices))
    with pytest.raises(Refused, match="changed since it was judged"):
        write(photo, other)
    assert photo.read_bytes() == OLD


def test_a_file_that_is_removed_once_it_is_open_is_not_said_to_be_written(photo):
    disk = TroubledDisk(lambda disk, number, name, args: photo.unlink(missing_ok=True) if name == "fstat" else None)
    with pytest.raises(Refused, match="changed since it was judged"):
        write(photo, IN_PLACE, disk=disk)
    assert "pwrite" not in disk.log


def test_the_times_that_the_policies_ask_for():
    assert Mtime.SHIFT.after(MTIME) == MTIME + 2 * 10**9
    assert Mtime.KEEP.after(MTIME) == MTIME
    assert Mtime.NOW.after(MTIME) is None


@every_patch
def test_without_a_time_asked_for_the_file_gets_that_of_the_write(photo, patch):
    before = os.stat(photo).st_ctime_ns
    stat = write(photo, patch, mtime_ns=None)
    assert stat.mtime_ns == state(photo).mtime_ns >= before
    assert os.stat(photo).st_atime_ns == ATIME


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_synced_is_no_failure(photo, code):
    syncs = []

    def trouble(disk, number, name, args):
        syncs.extend([number] * (name == "fsync"))
        if len(syncs) == 2 and name == "fsync":
            raise OSError(code, os.strerror(code))

    write(photo, GROWS, disk=TroubledDisk(trouble))
    assert photo.read_bytes() == GROWS.apply(OLD)
    assert len(syncs) == 2


@pytest.mark.parametrize("name", ["n" * 251 + ".jpg", os.fsdecode(b"caf\xe9\n.jpg"), "-rf"])
def test_names_of_every_kind_are_written_with_and_without_a_folder(photo, name, monkeypatch):
    path = photo.rename(photo.with_name(name))
    write(path, IN_PLACE)
    monkeypatch.chdir(photo.parent)
    write(name, IN_PLACE.inverse(), data=IN_PLACE.apply(OLD))
    write(name, GROWS)
    assert path.read_bytes() == GROWS.apply(OLD)


def test_hard_links_are_refused_unless_allowed_and_never_broken(photo):
    other = photo.with_name("other.jpg")
    other.hardlink_to(photo)
    with pytest.raises(Refused, match=r"2 names \(hard links\).*--hard-links"):
        write(photo, IN_PLACE)
    with pytest.raises(Refused, match="cannot be made in place"):
        write(photo, GROWS, allow_hard_links=True)
    assert photo.read_bytes() == OLD
    write(photo, IN_PLACE, allow_hard_links=True)
    assert photo.read_bytes() == other.read_bytes() == IN_PLACE.apply(OLD)
    assert photo.samefile(other)


@every_patch
@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.utime(path, ns=(ATIME, MTIME + 1)),
        lambda path: (path.write_bytes(OLD + b"x"), os.utime(path, ns=(ATIME, MTIME))),
        lambda path: (path.rename(path.with_name("x")), path.write_bytes(OLD), os.utime(path, ns=(ATIME, MTIME))),
        lambda path: (path.write_bytes(OLD[:100] + b"?" * 5 + OLD[105:]), os.utime(path, ns=(ATIME, MTIME))),
    ],
    ids=["time", "size", "inode", "bytes"],
)
def test_a_file_that_changed_is_refused(photo, patch, change):
    expected = state(photo)
    change(photo)
    found = photo.read_bytes()
    with pytest.raises(Refused, match="changed since"):
        write(photo, patch, expected=expected)
    assert photo.read_bytes() == found
    assert leftovers(photo.parent) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"somebody else's"),
        lambda path: path.with_name("link").hardlink_to(path),
        lambda path: (path.unlink(), path.symlink_to("elsewhere")),
    ],
)
def test_a_change_during_the_write_is_not_overwritten(photo, change):
    done = []

    def trouble(disk, number, name, args):
        if name == "stat":
            change(photo)
            done.append(photo.is_symlink() or photo.read_bytes())

    with pytest.raises(Refused, match="changed since"):
        write(photo, GROWS, disk=TroubledDisk(trouble))
    assert [photo.is_symlink() or photo.read_bytes()] == done
    assert leftovers(photo.parent) == []


@every_patch
def test_a_link_swapped_in_is_never_followed(photo, patch):
    expected, target = state(photo), photo.with_name("target")
    photo.rename(target)
    photo.symlink_to(target)
    with pytest.raises(Refused, match="symbolic link"):
        write(photo, patch, expected=expected)
    assert target.read_bytes() == OLD
    assert photo.is_symlink()


def test_a_name_already_taken_is_not_written_to(photo):
    photo.with_name(TEMP).write_bytes(b"somebody's")
    with pytest.raises(WriteError, match="another orientd"):
        write(photo, GROWS)
    assert photo.with_name(TEMP).read_bytes() == b"somebody's"


def test_a_partial_write_is_taken_back(photo):
    def trouble(disk, number, name, args):
        if name == "pwrite" and disk.log.count("pwrite") == 1:
            return os.pwrite(args[0], args[1][:1], args[2])
        return None

    with pytest.raises(WriteError, match="only a part"):
        write(photo, IN_PLACE, disk=TroubledDisk(trouble))
    assert photo.read_bytes() == OLD


def test_a_partial_write_of_the_copy_is_continued(photo):
    disk = TroubledDisk(lambda disk, number, name, args: os.pwrite(args[0], args[1][:999], args[2]) if name == "pwrite" else None)
    write(photo, GROWS, disk=disk)
    assert photo.read_bytes() == GROWS.apply(OLD)
    assert disk.log.count("pwrite") > 10


@pytest.mark.parametrize("patch", [IN_PLACE, GROWS])
def test_bytes_that_do_not_read_back_are_taken_back(photo, patch):
    def trouble(disk, number, name, args):
        if name == "pread" and disk.log.count("pwrite") == 1:
            return os.pread(*args).replace(b"x", b"?").replace(b"new", b"???")
        return None

    with pytest.raises(WriteError, match="do not read back"):
        write(photo, patch, disk=TroubledDisk(trouble))
    assert photo.read_bytes() == OLD
    assert leftovers(photo.parent) == []


def test_old_bytes_that_cannot_be_put_back_are_told(photo):
    counting = TroubledDisk()
    write(photo, IN_PLACE, disk=counting)
    photo.write_bytes(OLD)
    at = counting.log.index("fsync")
    with pytest.raises(WriteError, match=r"putting the old bytes back.*run orientd again"):
        write(photo, IN_PLACE, disk=failing(at, errno.EIO, until=at + 99))


def test_old_bytes_of_which_only_a_part_goes_back_are_told(photo):
    disk = TroubledDisk(lambda disk, number, name, args: os.pwrite(args[0], args[1][:1], args[2]) if name == "pwrite" else None)
    with pytest.raises(WriteError, match=r"short write.*putting the old bytes back"):
        write(photo, IN_PLACE, disk=disk)


def test_finishing_sets_the_time_and_syncs_file_and_folder(photo):
    disk = TroubledDisk()
    stat = files.finish(str(photo), state(photo), MTIME + 7, disk)
    assert stat.mtime_ns == state(photo).mtime_ns == MTIME + 7
    assert disk.log.count("fsync") == 2
    assert files.finish(str(photo), state(photo), None) == stat
    with pytest.raises(Refused, match="changed"):
        files.finish(str(photo), replace(stat, size=1), None)


def test_finishing_a_file_that_was_removed_syncs_its_folder(photo):
    disk, none = TroubledDisk(), read.absent(state(photo).dev)
    photo.unlink()
    assert files.finish(str(photo), none, MTIME + 7, disk) == none
    assert disk.log.count("fsync") == 1


def test_a_file_is_gone_only_where_its_folder_is_still_there(photo):
    dev = os.stat(photo).st_dev
    assert not read.gone(str(photo), dev)
    assert read.gone(str(photo) + "x", dev)
    assert not read.gone(str(photo) + "x", dev + 1)
    assert not read.gone(str(photo.parent / "unmounted" / "photo.jpg"), dev)
