"""Real paths: roots resolved, what is below them, and whether they are still there."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

from orientd.errors import LibraryUnavailable
from orientd.files.mounts import is_below
from orientd.files.syscalls import open_noatime
from orientd.records import ON_SERVERS


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
    """The absolute path of a file in its real folder; it may be a symbolic link itself. Of what is no path, and of a photo on a
    server, the path as it is."""
    if path.startswith(ON_SERVERS):
        return path
    folder, name = os.path.split(os.path.abspath(path))
    try:
        return os.path.join(os.path.realpath(folder), name)
    except (OSError, ValueError):
        return os.path.join(folder, name)


def below(path: str, roots: Sequence[str]) -> bool:
    """True if a real path is one of the real `roots`, or is below one."""
    return any(is_below(path, root) for root in roots)


def few(paths: Iterable[str], most: int) -> tuple[str, ...]:
    """At most so many folders or files, sorted, that are or contain all of some absolute paths, as near to them as possible."""
    kept = set(paths)
    while True:
        kept = {path for path in kept if kept.isdisjoint(_above(path))}
        if len(kept) <= most:
            return tuple(sorted(kept))
        deepest = max(len(_above(path)) for path in kept)
        kept = {os.path.dirname(path) if len(_above(path)) == deepest else path for path in kept}


def presence(roots: Sequence[str]) -> Callable[[], None]:
    """A test of whether the folders among `roots` are still the ones they are now.

    It raises LibraryUnavailable if one is gone or is another, as when its disk was pulled out and its mount point shows instead.
    """

    def identity(root: str) -> tuple[int, int] | None:
        try:
            with listing(root):  # the kernel may answer stat from memory when the file system no longer answers (FUSE, NFS)
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


def _above(path: str) -> list[str]:
    """The folders that contain an absolute path."""
    return [str(folder) for folder in PurePath(path).parents]


def _resolve(root: str) -> str:
    try:
        os.stat(root)  # an empty path, as an unset variable leaves, is nowhere; to realpath it is the current folder
        path = os.path.realpath(root, strict=True)
        if os.path.isdir(path):
            with listing(path):
                pass
        elif not os.path.isfile(path) or not os.access(path, os.R_OK):
            raise PermissionError(None, "not a readable file or folder")
    except OSError as error:
        raise LibraryUnavailable(f"{root}: {error.strerror}: is the path right, and is its disk mounted?") from error
    return path


@contextmanager
def listing(folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in a folder, listed without changing its access time where the system permits."""
    opened = open_noatime(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(opened) as entries:
            yield entries
    finally:
        os.close(opened)


def device_of(path: str) -> int | None:
    try:
        return os.lstat(path).st_dev
    except OSError:
        return None


def folders(paths: Iterable[str]) -> list[str]:
    """The real folders of files; those among them that are folders themselves, and photos on servers."""

    def folder(path: str) -> str:
        if path.startswith(ON_SERVERS):
            return path
        return os.path.realpath(path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)))

    return [folder(path) for path in paths]
