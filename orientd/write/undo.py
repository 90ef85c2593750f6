"""What was written before: which of it is meant, where it lies now, and whether it is still so."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

from orientd import formats
from orientd.errors import ConfigError, PhotoError
from orientd.files import read
from orientd.files.syscalls import DISK
from orientd.formats import fingerprint
from orientd.library import sidecars
from orientd.library.paths import below
from orientd.orientation import UPRIGHT, normalise
from orientd.records import Method, Row
from orientd.state.journal import Journal, Write, WriteStatus
from orientd.write import transaction, undo_guard

TAKEN_BACK: Final = "run {} made this change, which was taken back: left alone; to make it again, apply a plan that says fix"
_UNKNOWN: Final = (
    "run {} made this change to a photo of this name; whether this is that one, turned back, or another cannot be told: left "
    "alone; to turn it, apply a plan that says fix"
)


class State(StrEnum):
    """What has become of a file that was written; only the last three are faults."""

    HOLDS = "holds"
    OLD = "old"
    CHANGED = "changed"
    VANISHED = "vanished"
    UNSETTLED = "unsettled"
    UNREADABLE = "unreadable"
    SPOILT = "spoilt"


FAULTS = (State.UNSETTLED, State.UNREADABLE, State.SPOILT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that was written, under the path it has now, and what has become of it."""

    path: str
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """A folder that lies elsewhere now: what was written below `old` is below `new`, on the device `dev`."""

    old: str
    new: str
    dev: int

    @classmethod
    def parse(cls, text: str) -> "Move":
        """From OLD=NEW.

        Raises:
            ConfigError: it is not of that form, or there is no folder NEW.
        """
        old, _, new = text.partition("=")
        if not old or not os.path.isdir(new):
            raise ConfigError(f"--map {text}: must be OLD=NEW, where NEW is the folder that has taken the place of OLD")
        return cls(os.path.abspath(old), os.path.realpath(new), os.stat(new).st_dev)

    def follow(self, path: str) -> str | None:
        """The path that a file has now, if it was below the folder."""
        below = path.removeprefix(self.old.rstrip("/") + "/")
        return os.path.join(self.new, below) if below != path else None


def moved(write: Write, moves: Iterable[Move]) -> Write:
    """The write as if it had been made where the file lies now."""
    for move in moves:
        if path := move.follow(write.intent.path):
            old_stat = replace(write.intent.old_stat, dev=move.dev)
            return replace(write, intent=replace(write.intent, path=path, old_stat=old_stat))
    return write


def undoable(journal: Journal, run: int | None, moves: Sequence[Move], paths: Sequence[str]) -> Iterable[Write]:
    """The writes to take back, newest first: of a run (the last with any, if None), or of single files: the last to each.

    A photo that was turned by its sidecar may be named instead of that; and a folder, which stands for what the last run that
    wrote below it wrote there.

    Raises:
        ConfigError: there is nothing to undo: no such run, or it has not written one of these files.
    """
    runs = [number for number in journal.undoable() if run in (None, number)]
    if not runs:
        nothing = "there is nothing to undo" if run is None else f"run {run} has nothing to undo"
        raise ConfigError(f"{nothing}: orientd history lists the runs")
    if not paths:
        return (moved(write, moves) for write in journal.writes(runs[0]))
    wanted = {name: path for path in paths for name in _names(path)}
    beside = {name: path for alias, path in wanted.items() for name in sidecars.paths(alias)}
    above = {name: path for name, path in wanted.items() if os.path.isdir(name)}
    found: dict[str, tuple[int, list[int]]] = {}  # numbers only: of a million writes each holds what it changed
    for write in (moved(write, moves) for number in runs for write in journal.writes(number) if write.is_undoable):
        intent = write.intent
        path = wanted.get(intent.path) or (beside.get(intent.path) if intent.method == Method.SIDECAR else None)
        path = path or above.get(max((folder for folder in above if below(intent.path, [folder])), key=len, default=""))
        if path and found.setdefault(path, (write.run, []))[0] == write.run:
            found[path][1].append(write.id)
    if missing := [path for path in paths if path not in found]:
        raise ConfigError(f"nothing to undo at {', '.join(missing)}: orientd did not write there, or that was taken back already")
    chosen = sorted((number for _, numbers in found.values() for number in numbers), reverse=True)
    return (moved(journal.write(number), moves) for number in chosen)


def verify(journal: Journal, moves: Sequence[Move]) -> Iterator[Finding]:
    """Compare every file ever written with what the journal says that it holds, and try in memory whether it can be undone."""
    for write in journal.last_writes():
        now = moved(write, moves)
        yield Finding(now.intent.path, *_state(journal, now))


def turned_back(journal: Journal, row: Row) -> str:
    """Why a photo that is shown wrong is left alone: its owner took the turn back that it needs, with whatever program. Empty if
    not so.

    The photo is that of an earlier write, of the same turn, if it has the bytes from before a write that was undone, or

    - has the same picture data, and the write was made at this path, or no photo stands at the path of the write as that left it:
      it was moved, or taken back. Where one does, this one is another copy, which was never turned;
    - lies at the path of the write, and other picture data do not prove another photo: its owner may have turned back the pixels.
      It is a new one under a name used again if EXIF notes when each was taken, and never at the same time; or if it stores an
      orientation that a program which turns pixels does not leave: neither that of the write nor 1.
    """
    if run := journal.was_undone(row.sha256):
        return TAKEN_BACK.format(run)
    if not journal.has_writes():
        return ""
    known = _marks(row.path)
    for write in journal.turns(row.turn, row.path, fingerprint.pictures(known)):
        here, same = write.intent.path == row.path, fingerprint.is_same(write.intent.marks, known)
        if same and (here or not _stands(write)):
            return TAKEN_BACK.format(write.run)
        if here and same is None and normalise(row.orientation) in (UPRIGHT, normalise(write.intent.new_orientation)):
            return _UNKNOWN.format(write.run)
    return ""


def _stands(write: Write) -> bool:
    """True if the photo is still where it was written, with the picture and the orientation that it was given."""
    intent = write.intent
    try:
        data, _ = read.read_whole(intent.path)
    except PhotoError:
        return False
    same = fingerprint.is_same(intent.marks, fingerprint.marks(intent.format, data))
    return bool(same) and normalise(formats.stored_orientation(intent.format, data)) == normalise(intent.new_orientation)


def _marks(path: str) -> fingerprint.Marks:
    try:
        data, _ = read.read_whole(path)
    except PhotoError:  # whoever writes it will say so
        return frozenset()
    return fingerprint.marks(formats.sniff(data), data)


def _names(path: str) -> set[str]:
    """The paths under which the journal may know a file, or what is below a folder: as a plan named it, or as a walk found it."""
    folder, name = os.path.split(os.path.abspath(path))
    real = os.path.realpath(path) if os.path.isdir(path) else os.path.join(os.path.realpath(folder), name)
    return {os.path.join(folder, name), real}


def _state(journal: Journal, write: Write) -> tuple[State, str]:
    intent = write.intent
    if write.status is WriteStatus.INTENDED:
        return State.UNSETTLED, write.reason or "a write was interrupted: the next run that writes there finds out and mends it"
    try:
        data, there = read.read_whole(intent.path)[0], True
    except PhotoError as error:
        if not _is_gone(intent.path, intent.old_stat.dev):
            return State.UNREADABLE, str(error)
        data, there = b"", False
    held = sha256(data).hexdigest()
    if held == (intent.old_sha256 if write.status is WriteStatus.UNDONE else intent.new_sha256):
        return _undo_state(journal, write, data) if write.is_undoable else (State.HOLDS, "")
    if held == intent.old_sha256 and intent.undoes is None:
        return State.OLD, "it has the bytes again that it had before orientd wrote it"
    if not there:
        return State.VANISHED, "it was deleted or moved"
    return State.CHANGED, write.reason or "another program has changed it since orientd wrote it"


def _undo_state(journal: Journal, write: Write, data: bytes) -> tuple[State, str]:
    """Of a file that holds what was written: the means to take that back must be there and fit."""
    originals, intent = transaction.originals_of(journal, DISK), write.intent
    if intent.method == Method.ROTATE and not originals.has(intent.temp):
        return State.HOLDS, "the copy of its original was deleted, so it cannot be undone"
    try:
        undo_guard.admit(intent, data, originals.back(intent, data).apply(data))
    except PhotoError as error:
        return State.SPOILT, f"it cannot be undone: {error}"
    return State.HOLDS, ""


def _is_gone(path: str, dev: int) -> bool:
    """True if the file is no more. Devices get other numbers when a computer starts anew; but a disk not mounted looks empty."""
    if read.gone(path, dev):
        return True
    try:
        beside = os.listdir(os.path.dirname(path))
    except OSError:
        return False
    return bool(beside) and os.path.basename(path) not in beside
