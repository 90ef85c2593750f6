"""What is left out of the library: by patterns of `exclude`, by those of a file, and by marker files (see `markers`).

Patterns are those of .gitignore (https://git-scm.com/docs/gitignore). One without a slash, but at its end, fits names anywhere
below a folder that is scanned. One with a slash is a path: an absolute one, one from home (~), or one below the current folder or
below a folder that is scanned; where any of these fits, it is left out.

Until version 0.4 `exclude` leaves out what it left out before, too: by shell patterns, for a name or for a path below the folder
scanned, whose * crosses slashes. Where only that rule fits, a warning says so.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import translate
from functools import lru_cache
from typing import Final

from pathspec import GitIgnoreSpec

from orientd.errors import ConfigError
from orientd.library.markers import Markers, patterns_in

_Match = Callable[[str], re.Match[str] | None]
_ROOTS: Final = 256  # for which patterns are kept ready
_OLD_RULE: Final = (
    "exclude {pattern}: {path} is left out only by the rule of before version 0.4, by which * stands for slashes, too; from 0.4"
    " on patterns are those of .gitignore alone: write **/ where folders may lie between"
)


class Exclusion:
    """Which real paths are left out, and by which pattern.

    Args:
        patterns: of `exclude`, matched by both rules.
        more: of a file of patterns, matched by the rule of .gitignore only.
        say: called with a message, once for each pattern, where only the older rule leaves something out.

    Raises:
        ConfigError: one is no pattern.
    """

    def __init__(
        self, patterns: Sequence[str] = (), more: Sequence[str] = (), say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._patterns = tuple(filter(None, patterns))
        self._all = (*self._patterns, *more)
        self._old = [re.compile(translate(pattern.rstrip("/"))).match for pattern in self._patterns]
        self._any_old = re.compile("|".join(translate(pattern.rstrip("/")) for pattern in self._patterns) or "(?!)").match
        self._say = say
        self._reported: set[str] = set()
        self._unfit = set(range(len(self._patterns)))
        self._markers = Markers()
        self._ready = lru_cache(_ROOTS)(self._made_for)
        self._ready("/")

    @property
    def unfit(self) -> list[str]:
        """The patterns of `exclude` that have fitted nothing yet."""
        return [self._patterns[number] for number in sorted(self._unfit)]

    def look_again(self) -> None:
        """See what the markers say now."""
        self._markers.look_again()

    def note(self, path: str, is_folder: bool, root: str) -> None:
        """Remember which patterns fit a path, also one that would be passed over anyway."""
        if self._unfit:
            shown, below = _shown(path, is_folder), _below(path, root)
            fit = {number for number, _, match in self._ready(root) if number in self._unfit and match(shown)}
            old = {number for number in self._unfit if _fits(self._old[number], below)}
            self._unfit -= fit | old

    def by(self, path: str, is_folder: bool, root: str) -> str:
        """By what a root, or a path below it, is left out, in words; empty if it is not. Of folders above nothing is asked."""
        self.note(path, is_folder, root)
        by_pattern = self._pattern(path, is_folder, root) if self._all else ""
        return by_pattern or self._markers.leaving_out(path, is_folder)

    def within(self, path: str, is_folder: bool, root: str) -> str:
        """As `by`, also where the root or a folder between is left out."""
        places = [(path, is_folder)]
        while len(places[-1][0]) > len(root) and (above := os.path.dirname(places[-1][0])) != places[-1][0]:
            places.append((above, True))
        return next(filter(None, (self.by(place, kind, root) for place, kind in reversed(places))), "")

    def _pattern(self, path: str, is_folder: bool, root: str) -> str:
        shown, below = _shown(path, is_folder), _below(path, root)
        last = next(((number, leaves) for number, leaves, match in self._ready(root) if match(shown)), None)
        if last and last[1]:
            return f"the pattern {self._all[last[0]]}"
        if not _fits(self._any_old, below):
            return ""
        pattern = next(each for each, match in zip(self._patterns, self._old, strict=True) if _fits(match, below))
        if pattern not in self._reported:
            self._reported.add(pattern)
            self._say(_OLD_RULE.format(pattern=pattern, path=path))
        return f"the pattern {pattern}"

    def _made_for(self, root: str) -> Sequence[tuple[int, bool, _Match]]:
        """(number of the pattern, if it leaves out or takes back in, test of a shown path), the last first, as it decides."""
        made = []
        for number, pattern in enumerate(self._all):
            try:
                spec = GitIgnoreSpec.from_lines(_absolute(pattern, root))
            except ValueError as error:
                raise ConfigError(f"{pattern!r} is no pattern of files or folders to leave out") from error
            made += [(number, bool(each.include), each.regex.match) for each in spec.patterns if each.regex]
        return made[::-1]


def _fits(match: _Match, below: str) -> bool:
    return bool(below and (match(below) or match(below.rpartition("/")[2])))


def _below(path: str, root: str) -> str:
    return path[len(root) :].lstrip("/")


def read_patterns(file: str) -> tuple[str, ...]:
    """The patterns in a file of them, one a line; none if there is no file (its name is empty).

    Raises:
        ConfigError: it cannot be read.
    """
    if not file:
        return ()
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            return tuple(patterns_in(opened.read()))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}: is it the file of patterns to leave out?") from error


def _absolute(pattern: str, root: str) -> Iterator[str]:
    """The lines of a .gitignore in / that come to the same.

    Raises:
        ValueError: it names nothing.
    """
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    if not body.strip("/ "):
        raise ValueError("it names nothing")
    base = _escaped(root.rstrip("/"))
    is_path = "/" in body.rstrip("/")
    places = [f"{base}/{body.removeprefix('./').lstrip('/')}" if is_path else f"{base}/**/{body}"]
    if is_path or os.path.expanduser(body) != body:
        with suppress(FileNotFoundError):  # the current folder was deleted
            places += _as_path(body)
    yield from (sign + place for place in dict.fromkeys(places))


def _as_path(body: str) -> Iterator[str]:
    """A pattern that is a path of its own, wherever a scan begins: as it is written, and as a real path."""
    literal = os.path.abspath(os.path.expanduser(body))
    if os.path.lexists(literal):  # brackets and stars may be a part of its name
        yield from map(_escaped, (literal, os.path.realpath(literal)))
    if body.startswith("~"):
        home, _, rest = body.partition("/")
        body = f"{_escaped(os.path.expanduser(home))}/{rest}"
    elif not body.startswith("/"):
        body = f"{_escaped(os.getcwd())}/{body}"
    parts = os.path.normpath(body).split("/")
    fixed = next((at for at, part in enumerate(parts) if re.search(r"[\\*?\[]", part)), len(parts))
    real = _escaped(os.path.realpath("/".join(parts[:fixed]) or "/").rstrip("/"))
    yield from ("/".join(each) + "/" * body.endswith("/") for each in (parts, [real, *parts[fixed:]]))


def _escaped(path: str) -> str:
    """As a pattern that fits this path alone."""
    return re.sub(r"([\\*?\[\] !#])", r"\\\1", path)


def _shown(path: str, is_folder: bool) -> str:
    """A path as patterns are compared with it."""
    return path[1:] + "/" * is_folder
