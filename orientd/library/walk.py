"""Roots and ignore rules → Candidates.

Nothing but the folder being listed is held in memory, and a file's second name by hard link is known by its inode. What is
passed over without a word: folders that `names.worth_entering` and files that `names.worth_opening` turns down, what `exclude`
names, links to folders, and whatever vanishes while the walk goes on.
"""

import os
import re
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import translate
from itertools import takewhile
from typing import Final

from orientd.errors import LibraryUnavailable
from orientd.library import filenames
from orientd.records import Candidate, FileStat

_NO_STAT: Final = FileStat(0, 0, 0, 0)
_SYMLINK: Final = "symbolic link: its target is judged where it lies"
_HARD_LINK: Final = "hard link: the file is judged under the first of its names"

_Excluded = Callable[[str], bool]


def walk(
    roots: Sequence[str], exclude: Sequence[str] = (), one_file_system: bool = False, stop: Callable[[], bool] = lambda: False
) -> Iterator[Candidate]:
    """Every file below `roots` that may be a photo, once, in the order of names: first a folder's files, then its folders.

    A root is entered, and a root that is a file comes out, whatever its name; symbolic links on the way to it are resolved.
    `exclude` holds shell patterns for the name, or for the path relative to the root, of files and folders. A symbolic link to
    a file and a further hard link of a file that came out before have `skip` set if they are named like a photo; what cannot be
    listed or examined has `error` set. Once `stop()` is true it ends, also where there are only folders.

    Raises:
        LibraryUnavailable: a root is not there or cannot be read, raised by the call itself; or a root went away during the walk.
    """
    return filter(None, takewhile(lambda _: not stop(), steps(roots, exclude, one_file_system)))


def steps(roots: Sequence[str], exclude: Sequence[str] = (), one_file_system: bool = False) -> Iterator[Candidate | None]:
    """A walk that takes little time from each step to the next: what `walk` gives, and None whenever there is nothing to give.

    Raises as `walk` does.
    """
    resolved = real_roots(roots)
    return _Walk(frozenset(resolved), matcher(exclude), one_file_system).run(resolved)


def real_roots(roots: Sequence[str]) -> tuple[str, ...]:
    """The real paths of `roots`, each root once, also where it goes by two names: by case, or by a bind mount.

    Raises:
        LibraryUnavailable: one is not there or cannot be read.
    """
    known: dict[tuple[int, int], str] = {}
    for root in map(_resolve, roots):
        found = os.stat(root)
        known.setdefault((found.st_dev, found.st_ino), root)
    return tuple(known.values())


def real_place(path: str) -> str:
    """The absolute path of a file in its real folder; it may be a symbolic link itself. Of what is no path, the path as it is."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        return os.path.join(os.path.realpath(folder), name)
    except (OSError, ValueError):
        return os.path.join(folder, name)


def below(path: str, roots: Sequence[str]) -> bool:
    """True if a real path is one of the real `roots`, or lies below one."""
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def presence(roots: Sequence[str]) -> Callable[[], None]:
    """A test of whether the folders among `roots` are still the ones they are now.

    It raises LibraryUnavailable if one is gone or is another, as when its disk was pulled out and its mount point shows instead.
    """

    def identity(root: str) -> tuple[int, int] | None:
        try:
            with _entries(root):  # what stat tells may be remembered by the kernel while nobody answers any more (FUSE, NFS)
                found = os.stat(root)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    known = {root: identity(root) for root in roots if os.path.isdir(root)}

    def check() -> None:
        for root, before in known.items():
            if identity(root) != before:
                raise LibraryUnavailable(f"{root}: it went away during the scan: is its disk still mounted?")

    return check


def _resolve(root: str) -> str:
    try:
        os.stat(root)  # an empty path, as an unset variable leaves, is nowhere; to realpath it is the current folder
        path = os.path.realpath(root, strict=True)
        if os.path.isdir(path):
            with _entries(path):
                pass
        elif not os.path.isfile(path) or not os.access(path, os.R_OK):
            raise PermissionError(None, "not a readable file or folder")
    except OSError as error:
        raise LibraryUnavailable(f"{root}: {error.strerror}: is the path right, and is its disk mounted?") from error
    return path


def matcher(patterns: Sequence[str]) -> _Excluded | None:
    """A test of relative paths and of their last names."""
    if not patterns:
        return None
    matches = re.compile("|".join(translate(pattern.rstrip("/")) for pattern in patterns)).match
    return lambda relative: bool(matches(relative) or matches(relative.rpartition("/")[2]))


class _Walk:
    def __init__(self, roots: frozenset[str], excluded: _Excluded | None, one_file_system: bool) -> None:
        self._roots = roots
        self._excluded = excluded
        self._one_file_system = one_file_system
        self._linked: set[tuple[int, int]] = set()

    def run(self, roots: Sequence[str]) -> Iterator[Candidate | None]:
        for root in roots:
            if os.path.isdir(root):
                yield from self._tree(root)
            else:
                yield self._examine(root)

    def _tree(self, root: str) -> Iterator[Candidate | None]:
        device = _device(root)
        pending = [root]
        while pending:
            folder = pending.pop()
            yield None
            if self._one_file_system and _device(folder) not in (device, None):
                continue
            try:
                files, folders = self._list(folder, root)
            except OSError as error:
                if device is None or _device(root) != device:
                    raise LibraryUnavailable(f"{root}: it went away during the scan: is its disk still mounted?") from error
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    yield Candidate(folder, _NO_STAT, error=f"the folder cannot be listed: {error.strerror}")
                continue
            yield from map(self._examine, files)
            pending += reversed(folders)

    def _list(self, folder: str, root: str) -> tuple[list[str], list[str]]:
        """The paths of the files and of the folders in `folder` that are to be looked at, each sorted by name."""
        files: list[str] = []
        folders: list[str] = []
        prefix = folder if folder.endswith("/") else folder + "/"
        with _entries(folder) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                if not (filenames.worth_entering if is_folder else filenames.worth_opening)(entry.name):
                    continue
                path = prefix + entry.name
                if path in self._roots or (self._excluded and self._excluded(path[len(root) :].lstrip("/"))):
                    continue
                (folders if is_folder else files).append(path)
        return sorted(files), sorted(folders)

    def _examine(self, path: str) -> Candidate | None:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return Candidate(path, _NO_STAT, error=f"it cannot be examined: {error.strerror}")
        stat = FileStat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink)
        if modes.S_ISLNK(found.st_mode):
            return Candidate(path, stat, skip=_SYMLINK) if filenames.promises_photo(path) and not os.path.isdir(path) else None
        if not modes.S_ISREG(found.st_mode):
            return None
        if found.st_nlink > 1 and self._is_known(stat):
            return Candidate(path, stat, skip=_HARD_LINK) if filenames.promises_photo(path) else None
        return Candidate(path, stat)

    def _is_known(self, stat: FileStat) -> bool:
        known = (stat.dev, stat.inode) in self._linked
        self._linked.add((stat.dev, stat.inode))
        return known


@contextmanager
def _entries(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in a folder, listed without changing its access time where the system permits."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        opened = os.open(folder, flags | os.O_NOATIME)
    except PermissionError:  # O_NOATIME is for the owner alone
        opened = os.open(folder, flags)
    try:
        with os.scandir(opened) as entries:
            yield entries
    finally:
        os.close(opened)


def _device(path: str) -> int | None:
    try:
        return os.lstat(path).st_dev
    except OSError:
        return None
