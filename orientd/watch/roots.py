"""The folders that are watched: whether they are there, and whether the kernel reports changes in them.

A root is known by device and inode. If these change, another folder is seen there: its disk was unmounted, or mounted again. What
is mounted below it is part of it; if that changes, it has to be watched and searched again.
"""

import errno
import os
import stat as modes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orientd import commands
from orientd.errors import ConfigError, LibraryUnavailable
from orientd.files.mounts import Mount, is_below, mounts, read_mountinfo
from orientd.library import filenames, others
from orientd.watch.hints import Hints, Loss
from orientd.watch.inotify import Inotify

_LIMITS: Final = {errno.ENOSPC: Loss.LIMIT.value, errno.EMFILE: Loss.INSTANCES.value}


@dataclass(slots=True)
class _Root:
    """`identity` is that of the folder watched (None: it is not there, which was reported if it is `missed`), `polled` says why
    the kernel does not report its changes, `mounts` are the file systems last seen in it."""

    path: str
    identity: tuple[int, int] | None = None
    missed: bool = False
    polled: str = ""
    mounts: list[Mount] = field(default_factory=list)


class Roots:
    """Watches folders as long as they are there. `observer` is auto, inotify or polling; `mountinfo` gives the mounts of this
    process (see `mounts`); `say` is called with messages for the user. `on_folder` is called for every folder when its watch
    begins; what it raises is passed on.

    Raises:
        ConfigError: one of them is a file, or belongs to another program.
    """

    def __init__(
        self,
        paths: Sequence[str],
        hints: Hints,
        say: Callable[[str], None],
        mountinfo: Callable[[], str] = read_mountinfo,
        on_folder: Callable[[], None] = lambda: None,
    ) -> None:
        self._roots = [_Root(path) for path in dict.fromkeys(map(os.path.realpath, paths))]
        self._hints, self._say, self._mountinfo, self._on_folder = hints, say, mountinfo, on_folder
        self._inotify: Inotify | None = None
        if files := [root.path for root in self._roots if os.path.isfile(root.path)]:
            raise ConfigError(f"{files[0]} is a file: name a folder to watch, or run {commands.line('scan', files[0])}")
        for root in self._roots:
            others.check_root(root.path)

    def check(self, observer: str, wait: bool) -> bool:
        """See whether every root is what it was; True if one, or a disk below it, came (back) and has to be looked through.

        Raises:
            LibraryUnavailable: one is not there, or was another folder before, and that is not to be waited for.
        """
        came, mountinfo = False, self._mountinfo()
        for root in self._roots:
            seen, was = self._mounted(root.path, mountinfo), root.identity
            found = None if _is_bare(root, seen) else _identity(root.path)
            if found == was and (seen == root.mounts if found else wait and root.missed):
                continue
            self._leave(root)
            if not wait and (not found or was not in (None, found)):
                raise LibraryUnavailable(f"{root.path} is not there, or went away: is the path right, and is its disk mounted?")
            root.identity, root.missed = found, not found
            if found:
                root.mounts = seen
                self._enter(root, observer)
                came = True
            else:
                self._say(f"{root.path} {'went away' if was else 'is not there'}: waiting for its disk to be mounted")
        return came

    def leave(self) -> None:
        """Forget that they were there: the next `check` starts from scratch."""
        for root in self._roots:
            self._leave(root)
            root.identity, root.mounts = None, []

    def renew(self) -> None:
        """Restart the kernel's watches: it would never report folders that were made while its queue was full.

        When a disk is unmounted, each of its watched folders reports its end; those reported so far are watched again, too.
        """
        self.close()
        self._hints.forget(Loss.OVERFLOW, Loss.ENDED)
        for root in self._roots:
            if root.identity and not root.polled:
                root.polled = self._watch(root.path)

    def present(self) -> list[str]:
        """Those that are there, without symbolic links."""
        return [root.path for root in self._roots if root.identity]

    def polled(self) -> bool:
        """True if the kernel does not report the changes in one of them."""
        return any(root.polled for root in self._roots)

    def reach(self, path: str, is_folder: bool, excluded: Callable[[str, bool, str], object]) -> bool:
        """True if a walk from the roots comes by this path and does not pass over it; `excluded` is as `Exclusion.within`."""
        return any(_reached(path, root.path, is_folder, excluded) for root in self._roots)

    def _entered(self, folder: str) -> bool:
        return self.reach(folder, True, lambda *_: False)

    def devices(self) -> set[int]:
        """The devices the roots are on."""
        return {root.identity[0] for root in self._roots if root.identity}

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()
            self._inotify = None

    def _mounted(self, path: str, mountinfo: str) -> list[Mount]:
        """The file systems in a folder that a walk comes by."""
        holder, *below = mounts(path, mountinfo)
        return [holder, *(mount for mount in below if self._entered(mount.point))]

    def _enter(self, root: _Root, observer: str) -> None:
        kind = next((mount.kind for mount in root.mounts if mount.silent), "") if observer == "auto" else ""
        root.polled = f"{kind} reports no changes" if kind else ""
        if observer == "polling":
            root.polled = "as configured (observer: polling)"
        if not root.polled:
            root.polled = self._watch(root.path)
        how = f"it is looked through at intervals: {root.polled}" if root.polled else "the kernel reports changes"
        self._say(f"watching {root.path}: {how}")

    def _watch(self, path: str) -> str:
        try:
            self._inotify = self._inotify or Inotify(self._hints, self._entered, self._on_folder)
            self._inotify.watch(path)
        except OSError as error:
            return _LIMITS.get(error.errno or 0, f"it cannot be watched ({error.strerror})")
        return ""

    def _leave(self, root: _Root) -> None:
        if self._inotify:
            self._inotify.unwatch(root.path)


def _is_bare(root: _Root, seen: Sequence[Mount]) -> bool:
    """True if the disk of a root was unmounted: what is there is the folder on which it was mounted, at best."""
    return bool(root.mounts and seen[0].point) and len(seen[0].point) < len(root.mounts[0].point)


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a folder that can be listed; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    readable = modes.S_ISDIR(found.st_mode) and os.access(path, os.R_OK | os.X_OK)
    return (found.st_dev, found.st_ino) if readable else None


def _reached(path: str, root: str, is_folder: bool, excluded: Callable[[str, bool, str], object]) -> bool:
    if path == root or not is_below(path, root):
        return is_folder and path == root
    parts = path[len(root) :].lstrip(os.sep).split(os.sep)
    folders = parts if is_folder else parts[:-1]
    if not all(map(filenames.worth_entering, folders)) or not (is_folder or filenames.worth_opening(parts[-1])):
        return False
    return not excluded(path, is_folder, root)
