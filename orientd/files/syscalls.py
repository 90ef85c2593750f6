"""System calls: those that writing needs, what their errors mean to a person, and files opened without a trace."""

import errno
import fcntl
import os
import signal
import stat as modes
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

from orientd.errors import PhotoError, Refused, WriteError
from orientd.files.mounts import kind, read_mountinfo
from orientd.reasons import Reason

_GONE: Final = (errno.ENOTCONN, errno.ECONNABORTED, errno.ESTALE, errno.EHOSTDOWN, errno.ESHUTDOWN, errno.ENODEV)
_ADVICE: Final = {
    errno.ENOENT: "it has vanished, or its folder is not mounted: scan again (to undo a change, with --map if it moved)",
    errno.ENOTDIR: "its folder has vanished: scan again",
    errno.ELOOP: "it, or a folder on its path, is a symbolic link, and those are not followed: name where that points to"
    " (to undo a change, with --map)",
    errno.EISDIR: "it is not a regular file: only those are photos",
    errno.EACCES: "permission denied: run orientd as a user who may change the file and its folder",
    errno.EPERM: "the system does not permit it: see who owns the file, and whether lsattr shows it as immutable",
    errno.EROFS: "its file system is mounted read-only: mount it writable, then run again",
    errno.ENOSPC: "no space is left on its file system: free some, then run again",
    errno.EDQUOT: "the disk quota is used up: free some space, then run again",
    errno.EIO: "the disk reports an input/output error: check the disk and your backup before anything else",
    errno.EAGAIN: "another program, or another orientd, has it open for itself: let that one end, then run again",
    errno.EEXIST: "another orientd is writing it: wait for that one to end",
    errno.EUCLEAN: "its file system is damaged: check your backup, and then the file system (fsck), before anything else",
    **dict.fromkeys(_GONE, "its file system has gone away: mount it again, then run again"),
}
_CODES: Final = {
    errno.ENOENT: Reason.VANISHED,
    errno.ENOTDIR: Reason.VANISHED,
    errno.ELOOP: Reason.SYMBOLIC_LINK,
    errno.EISDIR: Reason.NOT_A_FILE,
    errno.EACCES: Reason.NO_PERMISSION,
    errno.EPERM: Reason.NO_PERMISSION,
    errno.EROFS: Reason.READ_ONLY,
    errno.ENOSPC: Reason.NO_ROOM,
    errno.EDQUOT: Reason.NO_ROOM,
    errno.EIO: Reason.DISK_TROUBLE,
    errno.EUCLEAN: Reason.DISK_TROUBLE,
    errno.EAGAIN: Reason.IN_USE,
    errno.EEXIST: Reason.IN_USE,
    **dict.fromkeys(_GONE, Reason.NOT_MOUNTED),
}
NOT_REGULAR: Final = _ADVICE[errno.EISDIR]
CHANGED: Final = "it changed since it was judged: scan again"
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.EISDIR)
UNSUPPORTED: Final = (errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_UNLOCKABLE: Final = (*UNSUPPORTED, errno.ENOLCK, errno.EBADF)
_DELEGATING: Final = ("nfs", "nfs4", "cifs", "smb3")  # refuse leases unless their server has delegated the file
_BINDING: Final = ("cifs", "smb3")  # a lock there keeps every other descriptor from the bytes, ours too: flock(2), CIFS details
_DEFERRING: Final = ("fuse.rclone",)  # uploads when it likes, shows other times until then, and has EIO for "no attributes"
_DEFERRED: Final = (
    "rclone uploads what is written later, so nothing could be promised: run orientd where the photos lie, or on a synced copy"
)
_IN_USE: Final = "another program has it open for writing: it is tried again next time"
_TRIES: Final = 500
_PAUSE: Final = 0.02  # ten seconds in all: a large photo on a slow disk
_ON_THE_WAY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # needs no right to list the folder


def open_folder(path: str, access: int) -> int:
    """Open a folder, going down to it from the root (or from the current folder) without following any symbolic link.

    A path that was real when a file was judged leads nowhere else, then, whatever has been put in its way since.

    Raises:
        OSError: ELOOP if a folder on the path is a symbolic link, or as `os.open`.
        ValueError: the path goes up again.
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise ValueError("'..' in it")
    here = os.open("/" if path.startswith("/") else ".", _ON_THE_WAY)
    for name in [*names, "."]:
        try:
            below = os.open(name, _ON_THE_WAY if name != "." else _ON_THE_WAY & ~os.O_PATH | access, dir_fd=here)
        except NotADirectoryError as error:
            if modes.S_ISLNK(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
            raise
        finally:
            os.close(here)
        here = below
    return here


class Disk:
    """The system calls made here. Tests put in one that fails, or dies, at any of them."""

    folder = staticmethod(open_folder)
    open = staticmethod(os.open)
    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    stat = staticmethod(os.stat)
    pread = staticmethod(os.pread)
    pwrite = staticmethod(os.pwrite)
    fsync = staticmethod(os.fsync)
    flock = staticmethod(fcntl.flock)
    utime = staticmethod(os.utime)
    fchown = staticmethod(os.fchown)
    fchmod = staticmethod(os.fchmod)
    listxattr = staticmethod(os.listxattr)
    getxattr = staticmethod(os.getxattr)
    setxattr = staticmethod(os.setxattr)
    removexattr = staticmethod(os.removexattr)
    replace = staticmethod(os.replace)
    unlink = staticmethod(os.unlink)
    sleep = staticmethod(time.sleep)

    @staticmethod
    def listdir(folder: int) -> list[str]:
        return os.listdir(folder)

    @staticmethod
    def lease(file: int) -> None:
        """Take and give back a read lease on a file opened for reading: EAGAIN if anyone has it open for writing, fcntl(2)."""
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # who opens it this very moment would send SIGIO, which kills
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


DISK: Final = Disk()


def code_of(error: OSError) -> Reason:
    """What kind of trouble the system reports."""
    return _CODES.get(error.errno or 0, Reason.SYSTEM_ERROR)


@contextmanager
def worded(kind: type[PhotoError]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        forbidden = kind is WriteError and error.errno in _FORBIDDEN
        reason = _ADVICE.get(error.errno or 0, f"the system says: {error.strerror or error}")
        raise (Refused if forbidden else kind)(code_of(error), reason) from error
    except ValueError as error:
        raise kind(Reason.NOT_ALLOWED, f"its path cannot be a path ({error}): check the plan") from error


@contextmanager
def opened(disk: Disk, path: str, access: int) -> Iterator[int]:
    flags, name = access | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, os.path.basename(path)
    with opened_folder(disk, path, os.O_PATH) as folder:
        file = open_noatime(name, flags, disk, folder)
        try:
            yield file
        finally:
            close(disk, file)


def open_noatime(path: str, flags: int, disk: Disk = DISK, folder: int | None = None) -> int:
    """Open a file or a folder, leaving its access time as it is where the system permits; `path` counts from the open `folder`.

    Raises:
        OSError: as `os.open`.
    """
    try:
        return disk.open(path, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:  # O_NOATIME is for the owner alone
        return disk.open(path, flags, dir_fd=folder)


@contextmanager
def temporary(disk: Disk, folder: int, temp: str, mode: int) -> Iterator[int]:
    """A new file, claimed; one that is not renamed is gone after an error."""
    copy = disk.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        claim(disk, copy)
        yield copy
    except BaseException:
        with suppress(OSError):  # gone already if it was renamed; otherwise recovery, which knows its name, removes it
            disk.unlink(temp, dir_fd=folder)
        raise
    finally:
        close(disk, copy)


@contextmanager
def opened_folder(disk: Disk, path: str, access: int = os.O_RDONLY) -> Iterator[int]:
    folder = disk.folder(folder_of(path), access)
    try:
        yield folder
    finally:
        close(disk, folder)


def close(disk: Disk, file: int) -> None:
    with suppress(OSError):  # what was written is synced by then, so an error here means nothing, and could hide one that does
        disk.close(file)


def folder_of(path: str) -> str:
    return os.path.dirname(path) or os.curdir


@contextmanager
def claimed(disk: Disk, path: str, access: int) -> Iterator[int]:
    """A file that this orientd alone writes and that nobody else has open for writing, opened as `access` says.

    It is claimed first. So no orientd asks about a file that another has open for writing, or opens one that another asks about:
    each would take the other for a program that writes, and both would leave the file alone. Where a claim binds its own holder
    (CIFS), or needs a file open for writing (NFS), it is laid last, on what is yielded.

    Raises:
        Refused: as `check_unwritten`, or another file has taken its place.
        OSError: EAGAIN if another holds it, or as `os.open`.
    """
    found = check_prompt(path)
    with opened(disk, path, os.O_RDONLY) as file:
        first = found not in _BINDING and claim(disk, file)
        check_unwritten(disk, path, file)
        with opened(disk, path, os.O_RDWR) as writable:
            if not os.path.samestat(disk.fstat(file), disk.fstat(writable)):
                raise Refused(Reason.CHANGED, CHANGED)
            if access == os.O_RDWR:
                if not first:
                    claim(disk, writable)
                yield writable
        if access == os.O_RDONLY:
            if not first:
                claim(disk, file)
            yield file


def claim(disk: Disk, file: int) -> bool:
    """Keep other orientds, whatever state folder they use, from writing a file until it is closed (advisory, `flock(2)`).

    One that holds it is waited for, for ten seconds.

    Returns:
        False where nothing can be locked, or not a file opened like this one.

    Raises:
        OSError: EAGAIN if another still holds it.
    """
    tries = count(1)
    while True:
        try:
            disk.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in _UNLOCKABLE:  # some network file systems know no locks
                return False
            if error.errno != errno.EAGAIN or next(tries) == _TRIES:
                raise
        disk.sleep(_PAUSE)


def check_prompt(path: str) -> str:
    """See that what is written to `path` is written once it is synced; gives the kind of its file system.

    Raises:
        Refused: that does not keep to it.
    """
    if (found := _kind(path)) in _DEFERRING:
        raise Refused(Reason.UNSAFE_FILE_SYSTEM, _DEFERRED)
    return found


def check_unwritten(disk: Disk, path: str, file: int) -> None:
    """See that nobody, this process included, has the file at `path` open for writing; `file` is open for reading.

    Only its owner may ask that, and not every file system can answer: then it passes.

    Raises:
        Refused: another program is writing it, and what that writes later would be lost.
    """
    try:
        disk.lease(file)
    except OSError as error:
        if error.errno == errno.EAGAIN and _kind(path) not in _DELEGATING:
            raise Refused(Reason.IN_USE, _IN_USE) from error


def _kind(path: str) -> str:
    return kind(os.path.abspath(folder_of(path)), read_mountinfo())


def sync_folder(disk: Disk, folder: int) -> None:
    try:
        disk.fsync(folder)
    except OSError as error:
        if error.errno not in UNSUPPORTED:  # some network and FUSE file systems cannot sync a folder
            raise


def read_at(disk: Disk, file: int, size: int, offset: int = 0) -> bytes:
    parts = []
    while size > 0 and (part := disk.pread(file, size, offset)):
        parts.append(part)
        size, offset = size - len(part), offset + len(part)
    return b"".join(parts)
