"""Where the copies of pages go, and how they get there: whole, under a name that nobody has, or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final

from orientd.errors import ConfigError, Refused, WriteError
from orientd.files.mounts import is_below, located, read_mountinfo
from orientd.files.syscalls import worded
from orientd.files.write import temp_name
from orientd.reasons import Reason

_MARK: Final = "user.orientd.copy-of"
"""The attribute of a copy that names its original; a file that has it may be replaced."""


class Copies:
    """The tree of copies below a folder, in which each of the real `roots` has a place of its own.

    Raises:
        ConfigError: copies would be among the pages, or be taken for them.
    """

    def __init__(self, folder: str, roots: Sequence[str], *, overwrite: bool) -> None:
        self._overwrite = overwrite
        self._roots = {_identity(root): root for root in roots}
        self._mountinfo = read_mountinfo()
        self._located = {root: located(root, self._mountinfo) for root in roots}
        self._made: dict[str, str] = {}
        real = os.path.realpath(folder)
        self._places = _places(real, roots)
        above = {found for root in roots for found in _above(root)}
        if root := self._root_above(real):
            raise ConfigError(f"{folder} lies in {root}, so that copies would be taken for pages: choose another --out")
        for place in self._places.values():
            if root := self._root_above(place):
                raise ConfigError(f"copies in {folder} would lie where {root} is: choose another --out")
            if _identity(place) in above:
                raise ConfigError(f"copies in {folder} would lie above the pages, in {place}: choose another --out")

    def place(self, path: str, suffix: str = "") -> str:
        """Where the copy of the file at a real path goes, its name followed by `suffix`.

        Raises:
            Refused: a file of that name is there, and is not to be replaced or no copy of this file; or a link leads from there
                to the pages.
        """
        root = max((root for root in self._places if is_below(path, root)), key=len)
        place = os.path.normpath(os.path.join(self._places[root], os.path.relpath(path, root))) + suffix
        if (other := self._made.setdefault(place, path)) != path:
            raise Refused(Reason.COPY_EXISTS, f"{place} is the place of the copy of {other}: rename one of the two")
        self._check_replaceable(place, path)
        if self._root_above(os.path.realpath(os.path.dirname(place))):
            raise Refused(Reason.NOT_ALLOWED, f"{place} leads by a link to the pages themselves: choose another --out")
        return place

    def _root_above(self, path: str) -> str:
        """The root that is a path, or is above it, by any name; empty if there is none."""
        known = next((self._roots[found] for found in _above(path) if found in self._roots), "")
        return known or next((root for root in self._located if self._is_within(path, root)), "")

    def _is_within(self, path: str, root: str) -> bool:
        """True if a path leads to what is below a root, such as a bind mount of a folder in it."""
        device, place = located(path, self._mountinfo)
        return device == self._located[root][0] and is_below(place, self._located[root][1])

    def _check_replaceable(self, place: str, path: str) -> None:
        if not os.path.lexists(place):
            return
        if not self._overwrite:
            raise _there(place)
        if os.path.islink(place) or _original(place) != path:
            why = f"{place} is not known to be an earlier copy of {path}, so it is not replaced: move it, or choose another --out"
            raise Refused(Reason.COPY_EXISTS, why)

    @contextmanager
    def writing(self, place: str, path: str) -> Iterator[BinaryIO]:
        """A file to be filled with the copy of the one at `path`, which gets its name and the rights of that once it is on the
        disk whole; nothing is left of one that was given up.

        Raises:
            Refused: there is a file of that name by now, which is not to be replaced.
            WriteError: the disk says no.
        """
        with worded(WriteError):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            temp = os.path.join(os.path.dirname(place), temp_name())
            with open(temp, "xb+", opener=_private) as file:
                try:
                    yield file
                    file.flush()
                    _mark(file.fileno(), path)
                    os.fsync(file.fileno())
                    self._named(temp, place, path)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(temp)

    def _named(self, temp: str, place: str, path: str) -> None:
        if self._overwrite and os.path.lexists(place):
            self._check_replaceable(place, path)
            os.replace(temp, place)
            return
        try:
            os.link(temp, place)
        except FileExistsError:
            raise _there(place) from None
        except OSError:  # a file system without hard links
            if os.path.lexists(place):
                raise _there(place) from None
            os.rename(temp, place)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _mark(file: int, path: str) -> None:
    """Note the original in the copy, and give the copy the same permissions to read."""
    with suppress(OSError):  # a file system without attributes: such a copy is never replaced
        os.setxattr(file, _MARK, os.fsencode(path))
    with suppress(PermissionError):  # a file system without modes
        os.fchmod(file, os.stat(path).st_mode & 0o777)


def _original(place: str) -> str:
    """The original of a copy; empty if that is not known."""
    with suppress(OSError):
        return os.fsdecode(os.getxattr(place, _MARK, follow_symlinks=False))
    return ""


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.lstat(path)
        return found.st_dev, found.st_ino
    return None


def _above(path: str) -> Iterator[tuple[int, int]]:
    """A real path and all above it, as far as they are there, each known under whatever name: by case, or by a bind mount."""
    while True:
        if found := _identity(path):
            yield found
        if path == (path := os.path.dirname(path)):
            return


def _there(place: str) -> Refused:
    return Refused(Reason.COPY_EXISTS, f"{place} is there already: choose another --out, or give --overwrite")


def _places(folder: str, roots: Sequence[str]) -> dict[str, str]:
    """Root → its place: its own name, with a number if another has that, too."""
    places: dict[str, str] = {}
    for root in roots:
        name = os.path.basename(root) or "root"
        stem, ending = (name, "") if os.path.isdir(root) else os.path.splitext(name)
        number, place = 1, os.path.join(folder, name)
        while place in places.values():
            number += 1
            place = os.path.join(folder, f"{stem}-{number}{ending}")
        places[root] = place
    return places
