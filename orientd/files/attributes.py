"""What a copy keeps of a file: owner, mode, access list and extended attributes."""

import errno
import os
import stat as modes

from orientd.errors import Refused
from orientd.files import rights
from orientd.files.syscalls import UNSUPPORTED, Disk
from orientd.reasons import Reason


def keep(disk: Disk, file: int, copy: int, found: os.stat_result) -> None:
    """Give the copy what the file has, whose state is `found`, and none of what it inherited from its folder.

    Raises:
        Refused: this user may not, or the file system cannot.
        OSError: the disk said no.
    """
    try:
        made = disk.fstat(copy)
        if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
            disk.fchown(copy, found.st_uid, found.st_gid)
        wanted, present = _xattrs(disk, file), _xattrs(disk, copy)
        for name in present.keys() - wanted.keys():
            disk.removexattr(copy, name)
        for name, value in wanted.items():
            if present.get(name) != value:
                disk.setxattr(copy, name, value)
        if disk.fstat(copy).st_mode != found.st_mode:  # where all files have one mode, there may be no chmod
            disk.fchmod(copy, modes.S_IMODE(found.st_mode))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, *UNSUPPORTED):
            raise Refused(Reason.NO_PERMISSION, rights.NOT_KEPT.format(error.strerror)) from error
        raise


def _xattrs(disk: Disk, file: int) -> dict[str, bytes]:
    try:
        names = disk.listxattr(file)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return {}
        raise
    return {name: disk.getxattr(file, name) for name in names}
