"""Reading files whole or in part, and telling one state of a file from another; symbolic links are never followed."""

import os
import stat as modes
from contextlib import suppress
from hashlib import sha256
from typing import Final

from orientd.errors import ReadError
from orientd.files.syscalls import (
    DISK,
    NOT_REGULAR,
    Disk,
    opened,
    opened_folder,
    read_at,
    worded,
)
from orientd.reasons import Reason
from orientd.records import FileStat

SIZE_LIMIT: Final = 1 << 30


ABSENT: Final = sha256(b"").hexdigest()  # the hash of a file that is not there


def file_stat(found: os.stat_result) -> FileStat:
    return FileStat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink)


def same_state(one: FileStat, other: FileStat) -> bool:
    """True if both describe the same file with the same bytes; its number of names may differ."""
    return (one.dev, one.inode, one.size, one.mtime_ns) == (other.dev, other.inode, other.size, other.mtime_ns)


def read_whole(path: str, limit: int = SIZE_LIMIT, disk: Disk = DISK) -> tuple[bytes, FileStat]:
    """Read a regular file of at most `limit` bytes, leaving its access time alone where the system permits.

    Raises:
        ReadError: not there, not a regular file, too large, unreadable, or it changed while it was read.
    """
    with worded(ReadError), opened(disk, path, os.O_RDONLY) as file:
        before = disk.fstat(file)
        if not modes.S_ISREG(before.st_mode):
            raise ReadError(Reason.NOT_A_FILE, NOT_REGULAR)
        if before.st_size > limit:
            raise ReadError(Reason.TOO_LARGE, f"it has {before.st_size:,} bytes, more than the limit of {limit:,}")
        data = read_at(disk, file, before.st_size)
        after = file_stat(disk.fstat(file))
    if len(data) != before.st_size or not same_state(file_stat(before), after):
        raise ReadError(Reason.CHANGED, "it changed while it was read: scan again once nothing writes to it")
    return data, after


def read_front(path: str, size: int, disk: Disk = DISK) -> tuple[bytes, FileStat]:
    """The first `size` bytes of a regular file, without reading more from the disk; its access time is left alone as above.

    Raises:
        ReadError: not there, not a regular file, or unreadable.
    """
    with worded(ReadError), opened(disk, path, os.O_RDONLY) as file:
        found = disk.fstat(file)
        if not modes.S_ISREG(found.st_mode):
            raise ReadError(Reason.NOT_A_FILE, NOT_REGULAR)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)  # the kernel would read on
        return read_at(disk, file, size), file_stat(found)


def absent(dev: int) -> FileStat:
    """The state of a file that is not there, in a folder on the device `dev`."""
    return FileStat(dev, 0, 0, 0, 0)


def read_or_absent(path: str, dev: int, disk: Disk = DISK) -> tuple[bytes, FileStat]:
    """As `read_whole`; no bytes for a sidecar that certainly does not exist.

    That is certain if it is `gone`, or if its photo is there: devices get other numbers when a computer restarts.

    Raises:
        ReadError: as `read_whole`, and if the sidecar may be elsewhere, as its folder may not be mounted.
    """
    try:
        return read_whole(path, disk=disk)
    except ReadError:
        if gone(path, dev, disk) or _is_missed(path, disk):
            return b"", absent(dev)
        raise


def _is_missed(path: str, disk: Disk) -> bool:
    name = os.path.basename(path)
    stem = os.path.splitext(name)[0]
    with suppress(OSError):
        with opened_folder(disk, path) as folder:
            siblings = disk.listdir(folder)
        return name not in siblings and any(other.startswith(stem) for other in siblings)
    return False


def gone(path: str, dev: int, disk: Disk = DISK) -> bool:
    """True if the file is certainly gone: its folder is there, on the device `dev` it was on, and holds no such name."""
    with suppress(OSError), opened_folder(disk, path, os.O_PATH) as folder:
        if disk.fstat(folder).st_dev != dev:
            return False
        try:
            disk.stat(os.path.basename(path), dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return True
    return False
