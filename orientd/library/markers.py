"""Marker files in the library itself: `.orientd-ignore` says which files and folders next to it and below it are left out.

It holds patterns like .gitignore, for the folder it is in; without any pattern it excludes the whole folder. So does a file that
cannot be read, as nobody knows what it protects.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from pathspec import GitIgnoreSpec

from orientd.errors import PhotoError
from orientd.files import read

NAME: Final = ".orientd-ignore"
_LIMIT: Final = 2**20
_REMEMBERED: Final = 16  # folders: most on the way to where a walk is; to look for another takes microseconds
_ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Marker:
    """What one marker says; `whole`: the folder it is in is left out, and all that is in it."""

    path: str
    spec: GitIgnoreSpec
    whole: bool

    @classmethod
    def of(cls, folder: str) -> Self | None:
        """The marker in a folder; None if there is none."""
        path = os.path.join(folder, NAME)
        if not os.path.lexists(path):
            return None
        try:
            text = read.read_whole(path, _LIMIT)[0].decode("utf-8", "surrogateescape")
            spec = GitIgnoreSpec.from_lines(lines := patterns_in(text))
        except (PhotoError, ValueError):
            lines = []
        return cls(path, spec if lines else GitIgnoreSpec.from_lines([_ALL]), not lines)

    def says(self, path: str, is_folder: bool) -> bool | None:
        """Whether it leaves out a path below its folder; None if it says nothing of it."""
        below = path[len(os.path.dirname(self.path)) :].lstrip(os.sep)
        return self.spec.check_file(below + os.sep * is_folder).include


class Markers:
    """The markers of a library; what they say is remembered until `look_again`."""

    def __init__(self) -> None:
        self._in = lru_cache(_REMEMBERED)(Marker.of)
        self._above = lru_cache(_REMEMBERED)(self._find)

    def look_again(self) -> None:
        self._in.cache_clear()
        self._above.cache_clear()

    def above(self, path: str) -> tuple[Marker, ...]:
        """Those that may apply to a path, the nearest first."""
        return self._above(os.path.dirname(path))

    def leaving_out(self, path: str, is_folder: bool) -> str:
        """The path of the marker that leaves it out; empty if none does. The nearest that says anything of it decides."""
        if is_folder and (own := self._in(path)) and own.whole:
            return own.path
        for marker in self.above(path):
            if (said := marker.says(path, is_folder)) is not None:
                return marker.path if said else ""
        return ""

    def _find(self, folder: str) -> tuple[Marker, ...]:
        found = []
        while True:
            if marker := self._in(folder):
                found.append(marker)
            if folder == (folder := os.path.dirname(folder)):
                return tuple(found)


def patterns_in(text: str) -> list[str]:
    """The lines of a file of patterns that are neither empty nor a comment."""
    return [line for line in text.removeprefix("\ufeff").splitlines() if line.strip() and not line.startswith("#")]
