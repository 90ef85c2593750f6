"""Real file systems, mounted for a moment: those of the kernel from an image, others by their FUSE programs.

What they lack or do in their own way (one mode for all files, no links, no attributes, servers that die) is what orientd meets on
the disks of users. Where something cannot be mounted, for want of a tool or of the right to, its cases are skipped.
"""

import errno
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import raw_files, sky_library
from support.faulty_disks import TEMP, failing
from support.small_photos import GROWS, IN_PLACE, OLD, make_photo, write

from orientd.errors import LibraryUnavailable, Refused, WriteError
from orientd.files import read
from orientd.files import write as files
from orientd.files.mounts import mounts, read_mountinfo
from orientd.library import paths, walk
from orientd.records import Patch, Splice

MTIME = 1_600_000_000  # even, as FAT and exFAT count in steps of two seconds
PATIENCE = 60.0
NAMES = ("ä 写真.jpg", "CAPS.JPG", "caps.jpg", "dot..jpg", "new\nline.jpg", 'a"b*c?.jpg', "caf\udce9.jpg", f"{'x' * 200}.jpg")


@dataclass(frozen=True)
class Kind:
    """How to make and to mount a file system; `serves` if that is a program that stays: such are watched by looking."""

    make: str
    mount: str
    serves: bool = False


KINDS = {
    "ext4": Kind("mkfs.ext4 -q {image}", "mount -o loop {image} {point}"),
    "xfs": Kind("mkfs.xfs -q {image}", "mount -o loop {image} {point}"),
    "btrfs": Kind("mkfs.btrfs -q {image}", "mount -o loop,compress-force=zstd {image} {point}"),
    "overlay": Kind(
        "mkdir {back}/l {back}/u {back}/w",
        "mount -t overlay -o lowerdir={back}/l,upperdir={back}/u,workdir={back}/w none {point}",
    ),
    "ntfs-3g": Kind("mkfs.ntfs -q -F -f {image}", "ntfs-3g -o no_detach,windows_names {image} {point}", serves=True),
    "bindfs": Kind("", "bindfs -f {back} {point}", serves=True),
    "mergerfs": Kind("mkdir {back}/a {back}/b", "mergerfs -f -o category.create=rand {back}/a:{back}/b {point}", serves=True),
}
SERVED = [name for name, kind in KINDS.items() if kind.serves]


@dataclass
class Disk:
    """A file system below `folder`, to be mounted at `point`; what it holds stays when it is unmounted."""

    folder: Path
    kind: Kind
    server: subprocess.Popen[bytes] | None = None
    point: Path = field(init=False)

    def __post_init__(self):
        self.point = self.folder / "point"
        for name in ("point", "back"):
            (self.folder / name).mkdir()
        with (self.folder / "image").open("wb") as image:
            image.truncate(320 << 20)
        self._run(self.kind.make)

    def mount(self):
        if not self.kind.serves:
            self._run(self.kind.mount)
            return
        self.server = subprocess.Popen(self._words(self.kind.mount), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not os.path.ismount(self.point):
            if self.server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("cannot mount here")
            time.sleep(0.01)

    def unmount(self):
        if self.server:
            self.server.kill()
            self.server.wait(PATIENCE)
            self.server = None
        while any(mount.point == str(self.point) for mount in mounts(str(self.point), read_mountinfo())):
            if subprocess.run(["umount", "--lazy", self.point], capture_output=True).returncode:
                subprocess.run(["fusermount3", "-uz", self.point], check=True)

    def _run(self, command):
        if command and subprocess.run(self._words(command), capture_output=True).returncode:
            pytest.skip("cannot mount here")

    def _words(self, command):
        words = command.format(image=self.folder / "image", point=self.point, back=self.folder / "back").split(" ")
        if not shutil.which(words[0]):
            pytest.skip(f"{words[0]} is not installed")
        return words


@contextmanager
def mounted(folder, name):
    disk = Disk(folder, KINDS[name])
    try:
        disk.mount()
        yield disk
    finally:
        disk.unmount()


def fill(root):
    """Photos for every way to write, under names that not every file system takes; how many: all in need of a turn but one."""
    for seed, kind in enumerate(("JPEG", "PNG", "WEBP", "TIFF")):
        for by_tag in (True, False) if kind != "TIFF" else (False,):  # viewers disagree about the tag there
            sky_library.draw(root / f"{kind}-{by_tag}", 90, by_tag, seed, kind)
    sky_library.draw(root / "upright.jpg", 0)
    (root / "raw.dng").write_bytes(raw_files.dng(raw_files.preview(90)))
    for seed, name in enumerate(NAMES):
        with suppress(OSError):
            sky_library.draw(root / name, 180, seed % 2 == 0, seed)
    kept = root / "JPEG-False"
    for give, *what in ((os.chown, 1234, 2345), (os.chmod, 0o640), (os.setxattr, "user.note", b"mine")):
        with suppress(OSError):
            give(kept, *what)
    for path in root.iterdir():
        os.utime(path, (MTIME, MTIME))
    return len(list(root.iterdir()))


def state(root, content=True):
    """What is to stay, or to come back, of every file."""
    found = {}
    for path in sorted(root.rglob("*")):
        stat, data = path.lstat(), path.read_bytes()
        xattrs = {}
        with suppress(OSError):
            xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path)}
        rest = (hashlib.sha256(data).hexdigest(), int(stat.st_mtime)) if content else ()
        found[path.name] = (stat.st_mode, stat.st_uid, stat.st_gid, xattrs, *rest)
    return found


def wrong(root):
    return [path.name for path in root.iterdir() if path.suffix not in (".dng", ".xmp") and sky_library.shown_turned(path)]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_library_is_put_right_and_taken_back(orientd, tmp_path, name):
    def scan(*more):
        report = tmp_path / f"{len(list(tmp_path.glob('*.csv')))}.csv"
        assert orientd("scan", root, "--quiet", "--sidecar", "write", "--report", report, *more) == 0
        return [row["outcome"] for row in sky_library.rows(report).values()]

    with mounted(tmp_path, name) as disk:
        root = disk.point / "photos"
        number = fill(root)
        before, rights = state(root), state(root, content=False)
        scan()
        assert state(root) == before
        assert scan("--fix").count("fixed") == number - 1
        assert wrong(root) == []
        assert state(root, content=False).items() >= rights.items()
        after = state(root)
        assert scan("--fix").count("fixed") == 0
        assert state(root) == after
        assert orientd("verify") == 0
        assert orientd("undo", "--yes") == 0
        assert state(root) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_a_file_system_that_dies_in_mid_run_ends_it_and_harms_nothing(orientd, tmp_path, monkeypatch, name):
    real, report, begun = files.write, tmp_path / "report.csv", []

    def write_or_die(*arguments, **more):
        begun.append(arguments)
        if len(begun) == 3:
            disk.server.kill()
            disk.server.wait(PATIENCE)
        return real(*arguments, **more)

    with mounted(tmp_path, name) as disk:
        root = disk.point / "photos"
        fill(root)
        before = state(root)
        with monkeypatch.context() as patched:
            patched.setattr(files, "write", write_or_die)
            assert orientd("scan", root, "--quiet", "--fix", "--report", report) == 75
        told = [row for row in sky_library.rows(f"{report}.partial").values() if row["outcome"]]
        assert [row["outcome"] for row in told] == ["fixed", "fixed", "failed"]
        assert "mount it again" in told[-1]["reason"]
        disk.unmount()
        disk.mount()
        assert sum(before[name] != now for name, now in state(root).items()) == 2
        assert orientd("scan", root, "--quiet", "--fix", "--report", report) == 0
        assert wrong(root) == []
        assert [orientd("undo", 2), orientd("undo", 1)] == [0, 0]
        assert state(root) == before


@pytest.mark.parametrize("name", KINDS)
def test_what_a_program_serves_is_looked_through_at_intervals(tmp_path, name):
    with mounted(tmp_path, name) as disk:
        assert mounts(str(disk.point), read_mountinfo())[0].silent == KINDS[name].serves


def test_a_disk_that_goes_away_while_it_is_written_ends_the_run(orientd, photos, tmp_path, monkeypatch, capsys):
    """Also if nothing has to be read any more, as all was judged before."""
    for seed in range(30):
        sky_library.draw(photos / f"{seed:02}.jpg", 90, seed=seed)
    report, real, begun = tmp_path / "report.csv", files.write, []

    def write_or_unplug(*arguments, **more):
        begun.append(arguments)
        if len(begun) == 3:
            photos.rename(tmp_path / "unplugged")
        return real(*arguments, **more)

    monkeypatch.setattr(files, "write", write_or_unplug)
    assert orientd("scan", photos, "--quiet", "--report", tmp_path / "dry.csv") == 0
    assert orientd("scan", photos, "--quiet", "--fix", "--report", report) == 75
    assert [row["outcome"] for row in sky_library.rows(f"{report}.partial").values()] == ["fixed", "fixed", "failed"]
    assert "went away during the scan" in " ".join(capsys.readouterr().err.split())


def test_a_root_that_nobody_serves_any_more_is_gone_though_the_kernel_remembers_it(tmp_path, monkeypatch):
    check = paths.presence([str(tmp_path)])
    check()

    def unserved(*_, **__):
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    with monkeypatch.context() as patch:
        patch.setattr(walk.os, "scandir", unserved)
        with pytest.raises(LibraryUnavailable, match="went away"):
            check()


def test_where_all_files_have_one_mode_none_is_changed(tmp_path):
    """fusefat and others answer that there is no chmod."""
    photo = make_photo(tmp_path / "photo.jpg")
    photo.chmod(0o640)
    disk = failing(None, errno.ENOSYS, only=["fchmod"])
    with pytest.raises(Refused, match="permissions"):
        write(photo, GROWS, disk=disk)
    photo.chmod(0o600)
    write(photo, GROWS, disk=disk)
    assert photo.read_bytes() == GROWS.apply(OLD)


@pytest.mark.parametrize("code", [errno.ENOTCONN, errno.ECONNABORTED, errno.ESTALE, errno.EHOSTDOWN, errno.ENODEV])
def test_what_a_vanished_file_system_answers_is_explained(tmp_path, code):
    photo = make_photo(tmp_path / "photo.jpg")
    with pytest.raises(WriteError, match="gone away: mount it again"):
        write(photo, IN_PLACE, disk=failing(None, code, only=["open"]))
    assert photo.read_bytes() == OLD


def test_rclone_is_written_neither_photos_nor_sidecars(tmp_path, monkeypatch):
    """It uploads what was synced later, and changes the times of files until then."""
    photo = make_photo(tmp_path / "photo.jpg")
    monkeypatch.setattr("orientd.files.syscalls.read_mountinfo", lambda: f"9 1 0:9 / {tmp_path} rw - fuse.rclone nas:photos rw")
    for patch in (IN_PLACE, GROWS):
        with pytest.raises(Refused, match="rclone"):
            write(photo, patch)
    made, nothing = Patch((Splice(0, b"", b"<x:xmpmeta/>"),)), read.absent(tmp_path.stat().st_dev)
    with pytest.raises(Refused, match="rclone"):
        files.write(str(tmp_path / "photo.xmp"), nothing, b"", made, None, TEMP)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    assert photo.read_bytes() == OLD
