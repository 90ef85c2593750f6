"""Whether this user may write a file, as far as is known without writing: for dry runs. Only the write itself can be sure."""

import array
import errno
import fcntl
import os
import stat as modes
from contextlib import suppress
from typing import Final

from orientd.errors import Refused, WriteError
from orientd.files.syscalls import folder_of, open_noatime, worded
from orientd.reasons import Reason

OWNER: Final = "it belongs to another user, so its dates cannot be set: run orientd as that user, or with --mtime now"
NOT_KEPT: Final = "its owner, permissions or extended attributes could not be kept ({}): run orientd as its owner"
# ioctl_iflags(2)
_GET_FLAGS: Final = 0x80086601
_IMMUTABLE: Final = 0x10
_APPEND_ONLY: Final = 0x20


def check(path: str, *, in_place: bool, dates: bool) -> None:
    """See that this user may overwrite the file at a path in place or, if not `in_place`, replace, make or remove it; and set its
    modification time, if its `dates` are to be set.

    Raises:
        Refused, WriteError: as the write would.
    """
    with worded(WriteError):
        there = os.path.lexists(path)
        if there:
            _check_place(path, os.W_OK)
        if not (there and in_place):
            _check_place(folder_of(path), os.W_OK | os.X_OK)
        if there:
            _check_owner(path, in_place=in_place, dates=dates)


def _check_owner(path: str, *, in_place: bool, dates: bool) -> None:
    found, user = os.lstat(path), os.geteuid()
    if dates and user not in (0, found.st_uid):
        raise Refused(Reason.NO_PERMISSION, OWNER)
    folder = os.stat(folder_of(path))
    of_new = folder.st_gid if folder.st_mode & modes.S_ISGID else os.getegid()
    kept = found.st_uid == user and found.st_gid in (of_new, os.getegid(), *os.getgroups())
    if not (in_place or kept or user == 0):
        raise Refused(Reason.NO_PERMISSION, NOT_KEPT.format(os.strerror(errno.EPERM)))


def _check_place(path: str, needed: int) -> None:
    fixed = _flags(path) & (_IMMUTABLE | _APPEND_ONLY)
    if fixed or not os.access(path, needed, effective_ids=True):
        mounted = os.statvfs(path).f_flag
        number = errno.EROFS if mounted & os.ST_RDONLY else errno.EPERM if fixed else errno.EACCES
        raise OSError(number, os.strerror(number))


def _flags(path: str) -> int:
    """Those of chattr(1); 0 where there are none, or none can be seen."""
    with suppress(OSError):
        file = open_noatime(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            held = array.array("l", [0])
            fcntl.ioctl(file, _GET_FLAGS, held)
            return held[0]
        finally:
            os.close(file)
    return 0
