"""The files in hand, known on disk before they are decoded: should orientd die, the next start knows which to try by themselves.

In the state folder each process has a file below `in-hand`, locked (flock) while it lives, so that the kernel tells for sure
which one a dead process left behind. It has a place of fixed size for each file in hand, and no more places than files were ever
in hand at the same time. Nothing is synced: what a process wrote survives its death, and no power cut is a photo's fault.

Below `left-out` there is a small file for each photo that proved to kill a process. It holds as long as the photo is what it was.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Self

from orientd.records import FileStat
from orientd.state.database import folder_explained

_PLACE: Final = 8192  # bytes: a path has at most 4,096
_BEGUN: Final = ".begun-"  # such a file may not be locked yet
_NAMED: Final = 3
DECODING: Final = "decoding"
_HANDS, _LEFT_OUT = "in-hand", "left-out"


class Held(NamedTuple):
    """A file in hand: what it was then, and the turn (degrees clockwise) that it is to be given by that method, if any."""

    path: str
    inode: int
    size: int
    mtime_ns: int
    turn: int = 0
    method: str = ""

    @classmethod
    def of(cls, path: str, stat: FileStat, turn: int = 0, method: str = "") -> Self:
        return cls(path, stat.inode, stat.size, stat.mtime_ns, turn, method)

    def is_still(self, stat: FileStat) -> bool:
        """True if a file of that `stat` is what it was."""
        return (self.inode, self.size, self.mtime_ns) == (stat.inode, stat.size, stat.mtime_ns)

    def encoded(self, note: str = "") -> bytes:
        """Parts that end with a zero byte, which no path holds."""
        return b"".join(os.fsencode(str(part)) + b"\0" for part in (*self, note))

    @classmethod
    def decoded(cls, data: bytes) -> "Doing | None":
        """The file that was encoded, and the note; None if `data` is empty or incomplete."""
        path, *numbers, method, note = map(os.fsdecode, (data.split(b"\0") + 7 * [b""])[:7])
        try:
            inode, size, mtime_ns, turn = map(int, numbers)
        except ValueError:
            return None
        return (cls(path, inode, size, mtime_ns, turn, method), note) if path else None


Doing = tuple[Held, str]


class Hand:
    """The files that this process has in hand, for several threads at once; and what was left out (see the module).

    Raises:
        StateError: the state folder cannot be written.
    """

    def __init__(self, state_dir: str) -> None:
        self._state_dir, self._folder, self._left_out = state_dir, Path(state_dir, _HANDS), Path(state_dir, _LEFT_OUT)
        self._free: list[int] = []
        self._new = count()
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        begun, self.path = self._folder / f"{_BEGUN}{name}", self._folder / name
        with folder_explained(state_dir):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._left_out.mkdir(exist_ok=True, mode=0o700)
            self._file = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(begun, self.path)
            self._known = {path.name for path in self._left_out.iterdir()}

    @contextmanager
    def holding(self, files: Sequence[Held], doing: str = "") -> Iterator[None]:
        """These are in hand meanwhile; `doing` is DECODING for those that it is in the middle of."""
        places = [self._place() for _ in files]
        for place, held in zip(places, files, strict=True):
            os.pwrite(self._file, held.encoded(doing), place * _PLACE)
        try:
            yield
        finally:
            for place in places:
                os.pwrite(self._file, b"\0", place * _PLACE)
            self._free += places

    def left_out(self, path: str, stat: FileStat) -> str:
        """Why a file is left out; empty if it is not. A file that has changed since is no longer left out."""
        if not self._known or (place := self._place_of(path)).name not in self._known:
            return ""
        with folder_explained(self._state_dir):
            found = Held.decoded(place.read_bytes()) if place.exists() else None
            if found and found[0].path == path and found[0].is_still(stat):
                return found[1]
            place.unlink(missing_ok=True)
        return ""

    def leave_out(self, held: Held, reason: str) -> None:
        """From now on that file is left out."""
        place = self._place_of(held.path)
        begun = place.with_name(f"{_BEGUN}{place.name}-{os.getpid()}")
        with folder_explained(self._state_dir):
            begun.write_bytes(held.encoded(reason))
            begun.rename(place)
        self._known.add(place.name)

    def take_back(self, held: Held) -> None:
        """That file is not left out any more."""
        with folder_explained(self._state_dir):
            self._place_of(held.path).unlink(missing_ok=True)

    def all_left_out(self) -> list[Held]:
        """The files that are left out, changed since or not."""
        with folder_explained(self._state_dir):
            places = sorted(place for place in self._left_out.iterdir() if not place.name.startswith(_BEGUN))
            found = [Held.decoded(place.read_bytes()) for place in places]
        return [each[0] for each in found if each]

    @contextmanager
    def left_behind(self) -> Iterator[list[Doing]]:
        """What dead processes had in hand, first what they decoded; it is forgotten at the end, unless something is raised."""
        found: list[Doing] = []
        taken: list[tuple[Path, int]] = []
        try:
            with folder_explained(self._state_dir):
                for path in sorted(self._folder.iterdir()):
                    if not path.name.startswith(_BEGUN) and (file := _taken(path)) is not None:
                        taken.append((path, file))
                        found += read_hand(file)
            yield sorted(found, key=lambda each: each[1] != DECODING)
            for path, _ in taken:
                path.unlink(missing_ok=True)
        finally:
            for _, file in taken:
                os.close(file)

    def close(self) -> None:
        """Nothing is in hand any more."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _place(self) -> int:
        try:
            return self._free.pop()
        except IndexError:  # asking first whether there is one would let two threads take it
            return next(self._new)

    def _place_of(self, path: str) -> Path:
        return self._left_out / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def stat_of(path: str) -> FileStat:
    """What a file is now, of a link the link itself. Raises OSError."""
    found = os.lstat(path)
    return FileStat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_nlink)


def _taken(path: Path) -> int | None:
    """The file of a dead process, which is this one's from now on; None if it belongs to a living one, or has gone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def read_hand(file: int) -> list[Doing]:
    """What the open file of a process says that it has, or had, in hand."""
    places = range(0, os.fstat(file).st_size, _PLACE)
    found = [Held.decoded(os.pread(file, _PLACE, place)) for place in places]
    return [each for each in found if each]


def named(found: Sequence[Doing]) -> str:
    """When a process died, in words: while it decoded one or more files or, if it did not, with some in hand."""
    decoded = [held.path for held, doing in found if doing == DECODING]
    paths = decoded or [held.path for held, _ in found]
    names = ["".join(letter if letter.isprintable() else "?" for letter in path) for path in paths[:_NAMED]]
    more = f" and {len(paths) - len(names)} more" if len(paths) > len(names) else ""
    return f"while it decoded {', '.join(names)}{more}" if decoded else f"with {', '.join(names)}{more} in hand"
