"""Where the copies of pages go, and how they get there: whole, under a name that nobody has, or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from orientd.errors import ConfigError, Refused, WriteError
from orientd.files.mounts import is_below
from orientd.files.syscalls import worded
from orientd.files.write import temp_name
from orientd.reasons import Reason


class Copies:
    """The tree of copies below a folder, in which each of the real `roots` has a place of its own.

    Raises:
        ConfigError: copies would lie among the pages, or be taken for them.
    """

    def __init__(self, folder: str, roots: Sequence[str], *, overwrite: bool) -> None:
        self._overwrite = overwrite
        self._roots = [*roots]
        real = os.path.realpath(folder)
        self._places = _places(real, roots)
        for root in roots:
            if os.path.isdir(root) and is_below(real, root):
                raise ConfigError(f"{folder} lies in {root}, so that copies would be taken for pages: choose another --out")
            if any(is_below(place, root) or is_below(root, place) for place in self._places.values()):
                raise ConfigError(f"copies in {folder} would lie where {root} is: choose another --out")

    def place(self, path: str, suffix: str = "") -> str:
        """Where the copy of the file at a real path goes, its name followed by `suffix`.

        Raises:
            Refused: a file of that name is there, and is not to be replaced; or a link leads from there to the pages.
        """
        root = max((root for root in self._places if is_below(path, root)), key=len)
        place = os.path.normpath(os.path.join(self._places[root], os.path.relpath(path, root))) + suffix
        if os.path.lexists(place) and not self._overwrite:
            raise _there(place)
        folder = os.path.realpath(os.path.dirname(place))
        if any(is_below(os.path.join(folder, os.path.basename(place)), other) for other in self._roots):
            raise Refused(Reason.NOT_ALLOWED, f"{place} leads by a link to the pages themselves: choose another --out")
        return place

    @contextmanager
    def writing(self, place: str) -> Iterator[BinaryIO]:
        """A file to be filled, which gets its name once it is on the disk whole; nothing is left of one that was given up.

        Raises:
            Refused: there is a file of that name by now, which is not to be replaced.
            WriteError: the disk says no.
        """
        with worded(WriteError):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            temp = os.path.join(os.path.dirname(place), temp_name())
            with open(temp, "xb+") as file:
                try:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    self._named(temp, place)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(temp)

    def _named(self, temp: str, place: str) -> None:
        if self._overwrite:
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
