"""Disks in real trouble: full, read-only, mounted twice, poor in what they know, and shared with others. Some need to be root."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import sky_library
from support.faulty_disks import TEMP, TroubledDisk, failing, leftovers
from support.small_photos import GROWS, IN_PLACE, MTIME, OLD, TWO_PAGES, every_patch, make_photo, state, write

from orientd.errors import Refused, WriteError
from orientd.files import write as files
from orientd.records import Patch, Splice
from orientd.state.journal import Journal

out_of_place = pytest.mark.parametrize("patch", [TWO_PAGES, GROWS], ids=["two pages", "grows"])


@contextmanager
def mounted(*arguments):
    """A file system mounted at the last of the arguments."""
    if not shutil.which("mount") or subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        yield Path(arguments[-1])
    finally:
        subprocess.run(["umount", str(arguments[-1])], check=True)


@pytest.fixture
def small(tmp_path):
    """A file system of its own with room for three photos or so."""
    (tmp_path / "small").mkdir()
    with mounted("-t", "tmpfs", "-o", "size=64k,mode=755", "none", tmp_path / "small") as folder:
        yield folder


def fill(folder):
    with suppress(OSError), open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@out_of_place
def test_a_full_disk_keeps_the_old_bytes(small, patch):
    photo = make_photo(small / "photo.jpg")
    fill(small)
    with pytest.raises(WriteError, match=r"no space is left.*free some"):
        write(photo, patch)
    assert (photo.read_bytes(), state(photo).mtime_ns, leftovers(small)) == (OLD, MTIME, [])
    (small / "ballast").unlink()
    write(photo, patch)
    assert photo.read_bytes() == patch.apply(OLD)


def test_on_a_full_disk_a_tag_is_still_overwritten(small):
    photo = make_photo(small / "photo.jpg")
    fill(small)
    write(photo, IN_PLACE)
    assert photo.read_bytes() == IN_PLACE.apply(OLD)


@every_patch
def test_a_disk_mounted_read_only_is_refused(small, patch):
    photo = make_photo(small / "photo.jpg")
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(Refused, match=r"read-only.*mount it writable"):
        write(photo, patch)
    assert (photo.read_bytes(), state(photo).mtime_ns) == (OLD, MTIME)


@contextmanager
def attribute(letter, path):
    if not shutil.which("chattr") or subprocess.run(["chattr", f"+{letter}", str(path)], capture_output=True).returncode:
        pytest.skip("cannot set such attributes here")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{letter}", str(path)], check=True)


@every_patch
@pytest.mark.parametrize("letter", ["i", "a"])
def test_an_immutable_file_or_folder_is_refused_or_written_whole(tmp_path, letter, patch):
    photo = make_photo(tmp_path / "photo.jpg")
    with attribute(letter, photo), pytest.raises(Refused, match="immutable"):
        write(photo, patch)
    with attribute(letter, tmp_path):
        if patch is not IN_PLACE:
            with pytest.raises((Refused, WriteError), match="immutable"):
                write(photo, patch)
    assert photo.read_bytes() == OLD
    # To a folder that lets names be added and not removed, recovery gives its leftover back once that is allowed.
    files.remove_temp(str(photo), TEMP)
    assert leftovers(tmp_path) == []


def test_a_library_on_another_file_system_than_the_state(orientd, small, tmp_path):
    photo = sky_library.draw(small / "a.jpg", 90)
    before = photo.read_bytes()
    assert os.stat(small).st_dev != os.stat(tmp_path).st_dev
    assert orientd("scan", small, "--fix", "--state-dir", tmp_path / "state", "--report", tmp_path / "1.csv") == 0
    assert sky_library.shown_turned(photo) == 0
    assert orientd("undo", "--yes", "--state-dir", tmp_path / "state") == 0
    assert photo.read_bytes() == before


def test_a_state_folder_on_a_full_disk_stops_the_run_before_a_photo_is_touched(orientd, small, photos, tmp_path, capsys):
    sky_library.draw(photos / "a.jpg", 90)
    before = sky_library.snapshot(photos)
    fill(small)
    assert orientd("scan", photos, "--fix", "--state-dir", small, "--report", tmp_path / "1.csv") == 1
    assert "space left" in capsys.readouterr().err
    assert sky_library.snapshot(photos) == before


@pytest.fixture
def twice(photos, tmp_path):
    """One folder under two paths, as a bind mount makes it; a file system that ignores case has as many paths for a file."""
    sky_library.draw(photos / "album" / "a.jpg", 90)
    (photos / "mirror").mkdir()
    with mounted("--bind", photos / "album", photos / "mirror") as mirror:
        yield mirror


def test_a_root_that_goes_by_two_names_is_scanned_once(orientd, photos, twice, tmp_path):
    assert orientd("scan", photos / "album", twice, "--fix", "--report", tmp_path / "1.csv") == 0
    assert [row["outcome"] for row in sky_library.rows(tmp_path / "1.csv").values()] == ["fixed"]


def test_a_photo_that_goes_by_two_names_is_turned_once(orientd, photos, twice, tmp_path):
    before = (photos / "album" / "a.jpg").read_bytes()
    orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv")
    outcomes = [row["outcome"] for row in sky_library.rows(tmp_path / "1.csv").values()]
    assert (len(outcomes), outcomes.count("fixed")) == (2, 1)
    assert sky_library.shown_turned(photos / "album" / "a.jpg") == 0
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "2.csv") == 0
    assert {row["decision"] for row in sky_library.rows(tmp_path / "2.csv").values()} == {"keep"}
    assert orientd("undo", "--yes") == 0
    assert (photos / "album" / "a.jpg").read_bytes() == before


HOLDER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDONLY if sys.argv[2] == "lock" else os.O_RDWR)
if sys.argv[2] == "lock":
    fcntl.flock(file, fcntl.LOCK_EX)
elif sys.argv[2] == "lease":
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path, how):
    """Another process has a lock or a lease on a file, or has it open for writing."""
    command = [sys.executable, "-c", "import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)\n" + HOLDER, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        try:
            if holder.stdout.readline() != b"held\n":
                pytest.skip(f"no {how} is to be had here")
            yield
        finally:
            holder.stdin.close()


@every_patch
@pytest.mark.parametrize("how", ["lock", "lease"])
def test_a_file_that_another_holds_for_itself_is_not_written(tmp_path, patch, how):
    photo, disk = make_photo(tmp_path / "photo.jpg"), TroubledDisk(lambda disk, number, name, args: name == "sleep" or None)
    with held(photo, how), pytest.raises(WriteError, match=r"for itself.*run again"):
        write(photo, patch, disk=disk)
    assert (photo.read_bytes(), state(photo).mtime_ns, leftovers(tmp_path)) == (OLD, MTIME, [])
    write(photo, patch)
    assert photo.read_bytes() == patch.apply(OLD)


@every_patch
def test_a_file_that_others_have_open_for_reading_is_written(tmp_path, patch):
    photo = make_photo(tmp_path / "photo.jpg")
    with photo.open("rb"):
        write(photo, patch)
    assert photo.read_bytes() == patch.apply(OLD)


@every_patch
def test_a_file_that_another_program_has_open_for_writing_is_left_alone_until_it_is_closed(tmp_path, patch):
    photo = make_photo(tmp_path / "photo.jpg")
    inode = state(photo).inode
    with held(photo, "writing"), pytest.raises(Refused, match="open for writing: it is tried again"):
        write(photo, patch)
    assert (photo.read_bytes(), state(photo).mtime_ns, state(photo).inode, leftovers(tmp_path)) == (OLD, MTIME, inode, [])
    write(photo, patch)
    assert photo.read_bytes() == patch.apply(OLD)


def test_a_sidecar_that_another_program_has_open_for_writing_is_not_removed(tmp_path):
    photo = make_photo(tmp_path / "photo.xmp")
    with photo.open("rb+"), pytest.raises(Refused, match="open for writing"):
        write(photo, Patch((Splice(0, OLD, b""),)))
    assert photo.read_bytes() == OLD


@out_of_place
def test_a_program_that_opens_the_file_while_its_copy_is_made_is_noticed(tmp_path, patch):
    photo, opened = make_photo(tmp_path / "photo.jpg"), []

    def trouble(disk, number, name, args):
        if name == "fchmod":
            opened.append(photo.open("rb+"))

    with pytest.raises(Refused, match="open for writing"):
        write(photo, patch, disk=TroubledDisk(trouble))
    opened[0].write(b"more")
    opened[0].close()
    assert photo.read_bytes() == b"more" + OLD[4:]
    assert leftovers(tmp_path) == []


@every_patch
@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK])
def test_where_leases_are_unknown_the_file_is_written(tmp_path, patch, code):
    photo = make_photo(tmp_path / "photo.jpg")
    disk = failing(None, code, only=["lease"])
    with photo.open("rb+"):
        write(photo, patch, disk=disk)
    assert photo.read_bytes() == patch.apply(OLD)
    assert disk.log.count("lease") == (1 if patch is IN_PLACE else 2)


@pytest.mark.parametrize(("kind", "written"), [("nfs4", True), ("cifs", True), ("ext4", False), ("fuse.mergerfs", False)])
def test_a_network_drive_refuses_leases_for_reasons_of_its_own(tmp_path, monkeypatch, kind, written):
    photo = make_photo(tmp_path / "photo.jpg")
    monkeypatch.setattr("orientd.files.syscalls.read_mountinfo", lambda: f"9 1 0:9 / {tmp_path} rw - {kind} nas:/photos rw")
    with suppress(Refused):
        write(photo, IN_PLACE, disk=failing(None, errno.EAGAIN, only=["lease"]))
    assert (photo.read_bytes() == IN_PLACE.apply(OLD)) == written


def test_who_opens_a_file_while_a_lease_is_held_kills_nobody(tmp_path):
    """The signal that breaks a lease ends a process by default."""
    photo = make_photo(tmp_path / "photo.jpg")
    script = f"""
import fcntl, os, signal
from orientd.files.syscalls import Disk
file, real = os.open({str(photo)!r}, os.O_RDONLY), fcntl.fcntl
def broken(file, command, argument=0):
    done = real(file, command, argument)
    if command == fcntl.F_SETLEASE and argument == fcntl.F_RDLCK:
        try:
            os.open({str(photo)!r}, os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("broken", flush=True)
    return done
fcntl.fcntl = broken
Disk.lease(file)
print("alive", flush=True)
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (ran.stdout, ran.returncode) == ("broken\nalive\n", 0)


def test_a_write_holds_the_lock_from_its_first_check_to_its_end(tmp_path):
    """So two orientds never interleave, whatever state folders they use: the later one finds another file than it judged."""
    photo, seen = make_photo(tmp_path / "photo.jpg"), []

    def trouble(disk, number, name, args):
        if "flock" in disk.log[:-1] and name not in ("close", "stat") and photo.exists():
            with photo.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    seen.append(name)

    write(photo, IN_PLACE, disk=TroubledDisk(trouble))
    assert seen[0] == "lease"
    assert {"open", "fstat", "pwrite", "fsync", "pread", "utime"} <= set(seen)


def test_a_file_that_was_replaced_before_the_lock_was_had_is_not_written(tmp_path):
    photo = make_photo(tmp_path / "photo.jpg")
    kept = photo.open("rb")

    def trouble(disk, number, name, args):
        if name == "flock":
            other = make_photo(tmp_path / "other")
            other.replace(photo)

    with kept, pytest.raises(Refused, match="changed since"):
        write(photo, IN_PLACE, disk=TroubledDisk(trouble))
    assert photo.read_bytes() == OLD


def test_two_orientds_with_states_of_their_own_turn_every_photo_once(orientd, photos, tmp_path, model):
    """Both may call a photo theirs that they meant to change alike; whichever takes it back first, the other finds that done."""
    needs = sky_library.library(photos, 24)
    before = {path: Path(path).read_bytes() for path in needs}
    environment = os.environ | {"ORIENTD_MODEL": str(model), "ORIENTD_BATCH": "1"}
    command = [sys.executable, "-m", "orientd", "scan", str(photos), "--fix", "-q", "--report"]
    runs = [
        subprocess.Popen([*command, f"{name}.csv", "--state-dir", name], env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)
        for name in "ab"
    ]
    assert {run.wait() for run in runs} <= {0, 3}
    assert {sky_library.shown_turned(path) for path in needs} == {0}
    fixed = set()
    for name in "ab":
        with Journal(tmp_path / name) as journal:
            assert journal.unsettled() == []
            fixed |= {write.intent.path for run in journal.runs() for write in journal.writes(run.id) if write.is_undoable}
    assert fixed == {path for path, turn in needs.items() if turn}
    for name in "ab":
        orientd("undo", "--yes", "--state-dir", tmp_path / name)
    assert {path: Path(path).read_bytes() for path in needs} == before


@every_patch
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK])
def test_a_share_that_knows_no_locks_attributes_or_synced_folders_is_written(tmp_path, patch, code):
    photo = make_photo(tmp_path / "photo.jpg")
    syncs = []

    def trouble(disk, number, name, args):
        is_folder = name == "fsync" and os.path.isdir(f"/proc/self/fd/{args[0]}")
        syncs.extend([name] * is_folder)
        if name == "flock" or (code != errno.ENOLCK and (is_folder or name in ("listxattr", "setxattr"))):
            raise OSError(code, os.strerror(code))

    write(photo, patch, disk=TroubledDisk(trouble))
    assert photo.read_bytes() == patch.apply(OLD)
    assert bool(syncs) == (patch is not IN_PLACE)


@every_patch
def test_a_lock_that_fails_for_a_reason_that_matters_stops_the_write(tmp_path, patch):
    photo = make_photo(tmp_path / "photo.jpg")
    with pytest.raises(WriteError, match="input/output error"):
        write(photo, patch, disk=failing(None, errno.EIO, only=["flock"]))
    assert photo.read_bytes() == OLD


@every_patch
def test_a_folder_that_went_away_is_told(tmp_path, patch):
    photo = make_photo(tmp_path / "photo.jpg")
    for path in (tmp_path / "removed" / "photo.jpg", photo / "photo.jpg"):
        with pytest.raises(WriteError, match="vanished"):
            files.write(str(path), state(photo), OLD, patch, None, TEMP)
    folder = tmp_path / "album"
    folder.mkdir()
    photo = photo.rename(folder / "photo.jpg")

    def trouble(disk, number, name, args):
        if name == "flock":
            folder.rename(tmp_path / "renamed")

    with suppress(WriteError):
        write(photo, patch, disk=TroubledDisk(trouble))
    assert (tmp_path / "renamed" / "photo.jpg").read_bytes() in (OLD, patch.apply(OLD))
    assert leftovers(tmp_path / "renamed") == []
    assert not folder.exists()
