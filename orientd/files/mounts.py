"""Which file system a folder is on, and whether the kernel reports changes there.

inotify sees what goes through this machine's kernel. What another machine writes to a network share, or the program behind a
FUSE mount by itself, it never sees: https://man7.org/linux/man-pages/man7/inotify.7.html, "Limitations and caveats".
"""

import os
import re
from typing import Final, NamedTuple

MOUNTINFO: Final = "/proc/self/mountinfo"
_SILENT: Final = frozenset(
    "9p afs beegfs ceph cifs davfs fuse glusterfs lustre ncpfs nfs nfs4 prl_fs smb3 smbfs vboxsf vmhgfs".split()  # noqa: SIM905
)


class Mount(NamedTuple):
    """A file system where it is seen: the number of the mount, its folder, and its kind ("ext4", "nfs4", "fuse.sshfs")."""

    number: str
    point: str
    kind: str

    @property
    def silent(self) -> bool:
        """True if it delivers no events; fuseblk is a local disk (NTFS), written through this kernel."""
        return self.kind in _SILENT or self.kind.startswith("fuse.")


_UNKNOWN: Final = Mount("", "", "")


def mounts(folder: str, mountinfo: str) -> list[Mount]:
    """What is seen in a folder: the file system that holds it (one without names if that is not known), and those mounted below.

    Args:
        folder: an absolute path without symbolic links.
        mountinfo: the text of /proc/self/mountinfo, see proc_pid_mountinfo(5).
    """
    found = _mounts(mountinfo)
    holder = max(
        (mount for mount in found if is_below(folder, mount.point)), key=lambda mount: len(mount.point), default=_UNKNOWN
    )
    return [holder, *(mount for mount in found if mount != holder and is_below(mount.point, folder))]


def kind(folder: str, mountinfo: str) -> str:
    """The kind of the file system that holds `folder` ("ext4"), by the same arguments; empty if it is not known."""
    return mounts(folder, mountinfo)[0].kind


def located(path: str, mountinfo: str) -> tuple[str, str]:
    """The numbers of the file system of a path, and the path within that: the same by whatever bind mount it is reached.

    By the same arguments; without numbers if the file system is not known.
    """
    device, root, holder = "", "/", "/"
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if " - " in line and is_below(path, point := _unescaped(fields[4])) and len(point) >= len(holder):
            device, root, holder = fields[2], _unescaped(fields[3]), point
    return device, os.path.normpath(os.path.join(root, os.path.relpath(path, holder)))


def read_mountinfo() -> str:
    """The mounts of this process; empty where there is no /proc."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def is_below(path: str, folder: str) -> bool:
    """True if `path` is `folder`, or is below it; both absolute, without symbolic links."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _mounts(mountinfo: str) -> list[Mount]:
    """Of several mounts at one point the last is the one that is seen."""
    found: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        if rest:
            number, point = fields.split(" ")[0], _unescaped(fields.split(" ")[4])
            found[point] = Mount(number, point, rest.split(" ")[0])
    return list(found.values())


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
