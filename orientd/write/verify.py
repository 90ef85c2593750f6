"""Every file ever written checked against the journal; nothing is changed."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orientd.errors import PhotoError
from orientd.files import read
from orientd.files.syscalls import DISK
from orientd.records import Method
from orientd.state.journal import Journal, Write, WriteStatus
from orientd.write import recover, undo_guard
from orientd.write.elsewhere import Elsewhere, State
from orientd.write.undo import Move, moved

FAULTS = (State.FORGOTTEN, State.UNSETTLED, State.UNREADABLE, State.SPOILT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that was written, under the path it has now, and what has become of it."""

    path: str
    state: State
    reason: str = ""


def verify(journal: Journal, moves: Sequence[Move], elsewhere: Elsewhere | None = None) -> Iterator[Finding]:
    """Compare every file ever written with what the journal says it holds, and try in memory whether it can be undone.

    `elsewhere` gives the state of what was written to servers.
    """
    for write in journal.last_writes():
        now = moved(write, moves)
        if elsewhere and write.intent.method == Method.IMMICH:
            yield Finding(now.intent.path, *elsewhere.state(write))
        else:
            yield Finding(now.intent.path, *_state(journal, now))


def _state(journal: Journal, write: Write) -> tuple[State, str]:
    intent = write.intent
    if write.status is WriteStatus.INTENDED:
        return State.UNSETTLED, write.reason or "a write was interrupted: the next run that writes there finds out and repairs it"
    try:
        data, there = read.read_whole(intent.path)[0], True
    except PhotoError as error:
        if not _is_gone(intent.path, intent.old_stat.dev):
            return State.UNREADABLE, str(error)
        data, there = b"", False
    held = recover.sha256_of(data)
    if held == (intent.old_sha256 if write.status is WriteStatus.UNDONE else intent.new_sha256):
        return _undo_state(journal, write, data) if write.is_undoable else (State.HOLDS, "")
    if held == intent.old_sha256 and intent.undoes is None:
        return State.OLD, "it has the bytes again that it had before orientd wrote it"
    if not there:
        return State.VANISHED, "it was deleted or moved"
    return State.CHANGED, write.reason or "another program has changed it since orientd wrote it"


def _undo_state(journal: Journal, write: Write, data: bytes) -> tuple[State, str]:
    """Of a file that holds what was written: the means to take that back must be there and fit."""
    originals, intent = recover.originals_of(journal, DISK), write.intent
    if intent.method == Method.ROTATE and not originals.has(intent.temp):
        return State.FORGOTTEN, "the copy of its original was deleted, so it cannot be undone"
    try:
        undo_guard.admit(intent, data, originals.back(intent, data).apply(data))
    except PhotoError as error:
        return State.SPOILT, f"it cannot be undone: {error}"
    return State.HOLDS, ""


def _is_gone(path: str, dev: int) -> bool:
    """True if the file is gone. Devices get other numbers when a computer restarts; but a disk not mounted looks empty."""
    if read.gone(path, dev):
        return True
    try:
        siblings = os.listdir(os.path.dirname(path))
    except OSError:
        return False
    return bool(siblings) and os.path.basename(path) not in siblings
