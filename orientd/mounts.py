"""Which file system a folder is on, and whether the kernel tells what happens there.

inotify sees what goes through this machine's kernel. What another machine writes to a network share, or the program behind a
FUSE mount by itself, it never sees: https://man7.org/linux/man-pages/man7/inotify.7.html, "Limitations and caveats".
"""

import os
import re
from collections.abc import Mapping
from typing import Final

MOUNTINFO: Final = "/proc/self/mountinfo"
_SILENT: Final = frozenset(
    "9p afs beegfs ceph cifs davfs fuse glusterfs lustre ncpfs nfs nfs4 prl_fs smb3 smbfs vboxsf vmhgfs".split()  # noqa: SIM905
)


def silent(folder: str, mountinfo: str) -> str:
    """The kind of a file system at or below `folder` that delivers no events ("nfs4", "fuse.sshfs"); empty if there is none.

    Args:
        folder: an absolute path without symbolic links.
        mountinfo: the text of /proc/self/mountinfo, see proc_pid_mountinfo(5).
    """
    mounts = _mounts(mountinfo)
    holder = _holder(folder, mounts)
    kinds = [mounts[point] for point in mounts if point == holder or _below(point, folder)]
    return next((kind for kind in kinds if _is_silent(kind)), "")


def kind(folder: str, mountinfo: str) -> str:
    """The kind of the file system that holds `folder` ("ext4"), by the same arguments; empty if it is not known."""
    mounts = _mounts(mountinfo)
    return mounts.get(_holder(folder, mounts), "")


def read_mountinfo() -> str:
    """The mounts of this process; empty where there is no /proc."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _is_silent(kind: str) -> bool:
    return kind in _SILENT or kind.startswith("fuse.")  # fuseblk is a local disk (NTFS), written through this kernel


def _mounts(mountinfo: str) -> dict[str, str]:
    """Mount point → kind; of several mounts at one point the last is the one that is seen."""
    found: dict[str, str] = {}
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        if rest:
            found[_unescaped(fields.split(" ")[4])] = rest.split(" ")[0]
    return found


def _holder(folder: str, mounts: Mapping[str, str]) -> str:
    return max((point for point in mounts if _below(folder, point)), key=len, default="")


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
