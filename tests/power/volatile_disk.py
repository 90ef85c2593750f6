"""A model of what a power cut leaves of the files in one folder, by the system calls that were made before it.

Sure is what was synced: the bytes and the date of a file by its fsync, the names in a folder by that of the folder. Of the rest
each page of 4,096 bytes may have arrived or not, and each date; names arrive in the order in which they were given, as
journalling file systems have it, as many of them as may be. A file whose pages have not arrived may be shorter.
"""

import os
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import chain, combinations, product
from pathlib import Path
from typing import NamedTuple

from support.faulty_disks import TroubledDisk

from orientd.files.write import PAGE

_MOST_PIECES = 4  # of which every subset is tried


class Event(NamedTuple):
    """`what` happened to the file or folder with the number `inode`: "data", "date", "sync", "name" or "commit"."""

    what: str
    inode: int = 0
    value: tuple = ()


class VolatileDisk(TroubledDisk):
    """Notes what matters after a power cut; `journal` tells what the journal, on a disk of its own, holds after a commit."""

    def __init__(self, journal: Callable[[], object], *trouble):
        super().__init__(*trouble)
        self.events: list[Event] = []
        self._journal = journal

    def step(self, name, real, args=(), more=None):
        answer = super().step(name, real, args, more)
        note = getattr(self, f"_{name}", None)
        if note:
            note(answer, args, more or {})
        if name.startswith("after "):
            self.events.append(Event("commit", value=(self._journal(),)))
        return answer

    def _note(self, what, file, *value):
        self.events.append(Event(what, os.fstat(file).st_ino, value))

    def _open(self, file, args, more):
        if args[1] & os.O_CREAT:
            self._note("name", more["dir_fd"], args[0], os.fstat(file).st_ino)
            self._note("date", file, os.fstat(file).st_mtime_ns)

    def _pwrite(self, size, args, more):
        self._note("data", args[0], bytes(args[1])[:size], args[2])

    def _utime(self, _, args, more):
        self._note("date", args[0], more["ns"][1])

    def _fsync(self, _, args, more):
        self._note("sync", args[0])

    def _replace(self, _, args, more):
        self._note("name", more["dst_dir_fd"], args[1], os.stat(args[1], dir_fd=more["dst_dir_fd"]).st_ino, args[0])

    def _unlink(self, _, args, more):
        self._note("name", more["dir_fd"], args[0], 0)


class Left(NamedTuple):
    """What is left: the names with bytes and dates, and the last commit of the journal."""

    files: frozenset[tuple[str, bytes, int]]
    journal: object


class Start(NamedTuple):
    """A folder before anything is done in it: its number, the number of each name, the bytes and the date of each number."""

    folder: int
    names: dict[str, int]
    held: dict[int, tuple[bytes, int]]
    journal: object

    @classmethod
    def of(cls, folder: Path, journal: object) -> "Start":
        found = {path.name: path for path in folder.iterdir()}
        numbers = {name: path.stat().st_ino for name, path in found.items()}
        held = {numbers[name]: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in found.items()}
        return cls(folder.stat().st_ino, numbers, held, journal)


def after_cut(start: Start, events: list[Event], unit: int = PAGE) -> Iterator[Left]:
    """Every state in which a power cut after these events may leave the folder; the disk writes `unit` bytes at once."""
    journal = next((event.value[0] for event in reversed(events) if event.what == "commit"), start.journal)
    sure, open_ = _parted(events, start.folder, "name")
    for number in range(len(open_) + 1):
        names = reduce(_named, [*sure, *open_[:number]], start.names)
        choices = [[(name, *left) for left in _left_of(inode, start, events, unit)] for name, inode in names.items()]
        yield from (Left(frozenset(chosen), journal) for chosen in product(*choices))


def _parted(events, inode, what):
    """What happened of a kind that a sync has made sure, and what it has not."""
    mine = [event for event in events if event.inode == inode]
    synced = max((at for at, event in enumerate(mine) if event.what == "sync"), default=-1)
    return tuple([event.value for event in part if event.what == what] for part in (mine[: synced + 1], mine[synced + 1 :]))


def _named(names, change):
    name, inode, *old = change
    kept = {other: number for other, number in names.items() if other not in (name, *old)}
    return kept | {name: inode} if inode else kept


def _left_of(inode, start, events, unit):
    """The bytes and dates that a file may have."""
    data, date = start.held.get(inode, (b"", 0))
    sure, open_ = _parted(events, inode, "data")
    data, pieces = reduce(_written, sure, data), [piece for change in open_ for piece in _pieces(*change, unit)]
    arrived = {reduce(_written, chosen, data) for chosen in _subsets(pieces)}
    sure, open_ = _parted(events, inode, "date")
    return product(sorted(arrived), sorted({*(sure or [(date,)])[-1], *(value for (value,) in open_)}))


def _pieces(data, offset, unit):
    """What a disk writes at once."""
    while data:
        size = unit - offset % unit
        yield data[:size], offset
        data, offset = data[size:], offset + size


def _subsets(pieces):
    """Each subset; of many pieces those of none, one, all but one, and all."""
    number = len(pieces)
    sizes = range(number + 1) if number <= _MOST_PIECES else sorted({0, 1, number - 1, number})
    return chain.from_iterable(combinations(pieces, size) for size in sizes)


def _written(data, change):
    new, offset = change
    return data[:offset].ljust(offset, b"\0") + new + data[offset + len(new) :]
