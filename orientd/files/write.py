"""How bytes reach the disk: read whole, overwrite in place, replace atomically; create and remove.

A file that is not there counts as one of no bytes and no names (see `absent`). So one that is made, a sidecar, is journalled and
taken back like any other write, and no file is ever left empty.

What is promised: whenever the process is killed or the power fails, a file holds its old bytes or its new ones, never a mixture;
after any error the old bytes are in place; nothing but the file named is changed; symbolic links are never followed, neither at
the end of a path nor on the way; no two orientds write a file at once, nor leave it alone because of each other.

A file that another program has open for writing is left alone, if the kernel says so: what that wrote later would be lost with
the replaced file. A lease is asked for and given back at once, just before the write (fcntl(2), F_SETLEASE).
An orientd claims a file (flock(2)) before it asks that or opens it for writing, and what takes its place before it is there.
Another waits and finds it changed; if it waits in vain, the one that holds the file is at work on it.

What is left to chance: another program that opens, or writes, the same file within the microseconds between the last check and
our write, or at any time where leases are unknown (network drives, files of another user);
another orientd within these microseconds where locks are unknown, as on NFS for files that are replaced;
a power cut where less than a 4 KiB page is written at once, by the disk or by a file system of smaller blocks, such as ext4 on a
small stick (the journal keeps the old bytes, the next run puts them back);
a replaced file loses what no system call copies: its inode number, birth time and `chattr` flags.
"""

import errno
import os
import secrets
import stat as modes
from contextlib import suppress
from enum import StrEnum
from typing import Final

from orientd.errors import Refused, WriteError
from orientd.files import attributes, rights
from orientd.files.read import absent, file_stat, same_state
from orientd.files.syscalls import (
    CHANGED,
    DISK,
    Disk,
    check_prompt,
    check_unwritten,
    claim,
    claimed,
    opened,
    opened_folder,
    read_at,
    sync_folder,
    temporary,
    worded,
)
from orientd.reasons import Reason
from orientd.records import LAST_TIME, FileStat, Patch

PAGE: Final = 4096


class Mtime(StrEnum):
    """What becomes of a file's modification time.

    A tag is overwritten without changing the size, and a file of the same size and the same time is taken for unchanged by
    `rsync -a`, Syncthing and most backups: KEEP therefore makes them miss the new orientation. SHIFT adds two seconds (the
    coarsest step of any file system in use, FAT's), so that backups notice and photos stay in the order of their dates.
    """

    SHIFT = "shift"
    KEEP = "keep"
    NOW = "now"

    def after(self, mtime_ns: int) -> int | None:
        """The time a file last changed at `mtime_ns` gets, in nanoseconds; None leaves the time of the write."""
        return {Mtime.SHIFT: min(mtime_ns + 2_000_000_000, LAST_TIME), Mtime.KEEP: mtime_ns, Mtime.NOW: None}[self]


def temp_name() -> str:
    """A new name for a temporary file: hidden, so that no walk takes it for a photo, and short enough for every file system."""
    return f".orientd-{secrets.token_hex(8)}.tmp"


def write(
    path: str,
    expected: FileStat,
    data: bytes,
    patch: Patch,
    mtime_ns: int | None,
    temp: str,
    *,
    allow_hard_links: bool = False,
    disk: Disk = DISK,
) -> FileStat:
    """Apply a patch that is not empty to the file at `path`, which is in the state `expected` and holds `data`.

    Splices that keep the length and are within one aligned page of 4,096 bytes are written in place by a single `pwrite`: the
    kernel copies a page without heeding a kill, and disks write it whole, so the file is always old or new, and keeps its inode,
    links, owner and attributes. A write over several pages could tear. So could one that moves bytes: all those go to a
    temporary file named `temp` in the same folder, which gets the mode, owner, ACL and extended attributes, is synced, read
    back and then renamed over the file. The modification time becomes `mtime_ns` (None: that of the write); the access time
    stays. It is synced with the bytes: a new orientation under the old time would be missed by backups.

    If there is no file (`absent`), one is made under the name `temp` and renamed; where no bytes are left, it is removed.

    Returns:
        The state of the written file.

    Raises:
        Refused: the file changed, has other names (hard links) that may not or cannot be kept, is open for writing elsewhere,
            must not be written by this user, or its owner, dates or attributes could not be kept.
        WriteError: the disk said no, or the bytes do not read back.
        In both cases the old bytes are in place, but for a disk that also failed to take them back: the reason then says so.
    """
    with worded(WriteError):
        if not expected.nlink:
            return _create(disk, path, expected.dev, _patched(patch, data), temp)
        if not patch.keeps_length and not _patched(patch, data):
            return _remove(disk, path, expected, data)
    in_place = fits_one_page(patch)
    with worded(WriteError), claimed(disk, path, os.O_RDWR if in_place else os.O_RDONLY) as file:
        found = disk.fstat(file)
        _check(found, expected, in_place, allow_hard_links)
        if mtime_ns is not None:
            _check_dates(disk, file, found)
        if in_place:
            return _overwrite(disk, file, found, data, patch, mtime_ns)
        return _replace(disk, path, file, found, data, patch, mtime_ns, temp)


def check_writable(path: str, disk: Disk = DISK) -> None:
    """See that a file can be opened for writing, and that nobody else has it open so; it is not changed.

    Raises:
        Refused, WriteError: as `write`.
    """
    with worded(WriteError), claimed(disk, path, os.O_RDONLY):
        pass


def fits_one_page(patch: Patch) -> bool:
    """True if the patch moves no byte and is within one aligned page."""
    first, last = patch.splices[0], patch.splices[-1]
    return patch.keeps_length and first.offset // PAGE == (last.offset + len(last.new) - 1) // PAGE


def finish(path: str, expected: FileStat, mtime_ns: int | None, disk: Disk = DISK) -> FileStat:
    """Complete a write whose bytes are all there: set the modification time, if any, and sync the file and its folder.

    Raises:
        Refused, WriteError: as `write`; the bytes are not touched.
    """
    with worded(WriteError), opened_folder(disk, path) as folder:
        if not expected.nlink:
            sync_folder(disk, folder)
            return expected
        with opened(disk, path, os.O_RDONLY) as file:
            found = disk.fstat(file)
            if not same_state(file_stat(found), expected):
                raise Refused(Reason.CHANGED, CHANGED)
            if mtime_ns is not None:
                disk.utime(file, ns=(found.st_atime_ns, mtime_ns))
            disk.fsync(file)
            sync_folder(disk, folder)
            return file_stat(disk.fstat(file))


def remove_temp(path: str, temp: str, disk: Disk = DISK) -> None:
    """Remove, for good, what a write to `path` may have left behind under the name `temp`, or has removed itself a moment ago.

    Raises:
        Refused, WriteError: it is there and cannot be removed.
    """
    with worded(WriteError), suppress(FileNotFoundError, NotADirectoryError):
        with suppress(FileNotFoundError), opened_folder(disk, path, os.O_PATH) as folder:
            disk.stat(temp, dir_fd=folder, follow_symlinks=False)  # a file system mounted read-only says no to whatever name
            disk.unlink(temp, dir_fd=folder)
        with suppress(PermissionError), opened_folder(disk, path) as folder:  # where it cannot be listed, none was made either
            sync_folder(disk, folder)  # a power cut would bring it back, and the journal would know nothing of it


def _check(found: os.stat_result, expected: FileStat, in_place: bool, allow_hard_links: bool) -> None:
    if not modes.S_ISREG(found.st_mode) or not found.st_nlink or not same_state(file_stat(found), expected):
        raise Refused(Reason.CHANGED, CHANGED)
    if found.st_nlink > 1 and not allow_hard_links:
        raise Refused(
            Reason.HARD_LINKS, f"it has {found.st_nlink} names (hard links), and all would change: allow that with --hard-links"
        )
    if found.st_nlink > 1 and not in_place:
        raise Refused(
            Reason.HARD_LINKS,
            f"it has {found.st_nlink} names (hard links), and this change cannot be made in place: copy it first",
        )


def _check_dates(disk: Disk, file: int, found: os.stat_result) -> None:
    try:
        disk.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    except PermissionError as error:
        raise Refused(Reason.NO_PERMISSION, rights.OWNER) from error


def _overwrite(disk: Disk, file: int, found: os.stat_result, data: bytes, patch: Patch, mtime_ns: int | None) -> FileStat:
    start, end = patch.splices[0].offset, patch.splices[-1].offset + len(patch.splices[-1].new)
    old, new = data[start:end], _patched(patch, data)[start:end]
    if read_at(disk, file, len(old), start) != old:
        raise Refused(Reason.CHANGED, CHANGED)
    try:
        if disk.pwrite(file, new, start) != len(new):
            raise WriteError(Reason.DISK_TROUBLE, "the disk took only a part of the bytes: check that it has space left")
        if mtime_ns is not None:
            disk.utime(file, ns=(found.st_atime_ns, mtime_ns))
        disk.fsync(file)
        if read_at(disk, file, len(new), start) != new:
            raise WriteError(
                Reason.DISK_TROUBLE, "the bytes written do not read back: check the disk and your backup before anything else"
            )
        return file_stat(disk.fstat(file))
    except (OSError, WriteError):
        _put_back(disk, file, found, old, start)
        raise


def _put_back(disk: Disk, file: int, found: os.stat_result, old: bytes, start: int) -> None:
    try:
        if read_at(disk, file, len(old), start) != old and disk.pwrite(file, old, start) != len(old):
            raise OSError(errno.EIO, "short write")
        with suppress(PermissionError):  # of a file that belongs to someone else, only the bytes can be put back
            disk.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
        disk.fsync(file)
    except OSError as error:
        raise WriteError(
            Reason.NOT_PUT_BACK,
            f"writing failed ({error.strerror}) and so did putting the old bytes back: check the disk, then run orientd again, "
            "which tries once more from its journal",
        ) from error


def _replace(
    disk: Disk, path: str, file: int, found: os.stat_result, data: bytes, patch: Patch, mtime_ns: int | None, temp: str
) -> FileStat:
    if read_at(disk, file, len(data) + 1) != data:
        raise Refused(Reason.CHANGED, CHANGED)
    name = os.path.basename(path)
    with opened_folder(disk, path) as folder, temporary(disk, folder, temp, 0o600) as copy:
        _fill(disk, copy, _patched(patch, data))
        attributes.keep(disk, file, copy, found)
        now_ns = disk.fstat(copy).st_mtime_ns
        disk.utime(copy, ns=(found.st_atime_ns, now_ns if mtime_ns is None else mtime_ns))
        disk.fsync(copy)
        check_unwritten(disk, path, file)
        _check_place(disk, folder, name, found)
        disk.replace(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
        sync_folder(disk, folder)
        return file_stat(disk.fstat(copy))


def _create(disk: Disk, path: str, dev: int, new: bytes, temp: str) -> FileStat:
    """A new file, with the usual permissions, that belongs to whom its folder belongs to, as far as that is allowed."""
    check_prompt(path)
    name = os.path.basename(path)
    with opened_folder(disk, path) as folder, temporary(disk, folder, temp, 0o666) as copy:
        home, made = disk.fstat(folder), disk.fstat(copy)
        if home.st_dev != dev:
            raise Refused(Reason.CHANGED, "its folder is on another disk than when it was judged: scan again")
        if (made.st_uid, made.st_gid) != (home.st_uid, home.st_gid):
            with suppress(OSError):
                disk.fchown(copy, home.st_uid, home.st_gid)
        _fill(disk, copy, new)
        disk.fsync(copy)
        with suppress(FileNotFoundError):
            disk.stat(name, dir_fd=folder, follow_symlinks=False)
            raise Refused(Reason.CHANGED, "another program has made it meanwhile: scan again")
        disk.replace(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
        sync_folder(disk, folder)
        return file_stat(disk.fstat(copy))


def _remove(disk: Disk, path: str, expected: FileStat, data: bytes) -> FileStat:
    name = os.path.basename(path)
    with opened_folder(disk, path) as folder, opened(disk, path, os.O_RDONLY) as file:
        claim(disk, file)
        check_unwritten(disk, path, file)
        found = disk.fstat(file)
        if read_at(disk, file, len(data) + 1) != data or not same_state(file_stat(found), expected):
            raise Refused(Reason.CHANGED, CHANGED)
        _check_place(disk, folder, name, found)
        disk.unlink(name, dir_fd=folder)
        sync_folder(disk, folder)
        return absent(expected.dev)


def _check_place(disk: Disk, folder: int, name: str, found: os.stat_result) -> None:
    there = disk.stat(name, dir_fd=folder, follow_symlinks=False)
    if not same_state(file_stat(there), file_stat(found)) or there.st_nlink != found.st_nlink:
        raise Refused(Reason.CHANGED, CHANGED)


def _patched(patch: Patch, data: bytes) -> bytes:
    try:
        return patch.apply(data)
    except ValueError as error:
        raise Refused(Reason.CHANGED, CHANGED) from error


def _fill(disk: Disk, copy: int, new: bytes) -> None:
    view, done = memoryview(new), 0
    while done < len(new):
        done += disk.pwrite(copy, view[done:], done)
    if read_at(disk, copy, len(new) + 1) != new:
        raise WriteError(
            Reason.DISK_TROUBLE, "the bytes written do not read back: check the disk and your backup before anything else"
        )
