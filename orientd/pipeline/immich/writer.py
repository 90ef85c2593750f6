"""Turns photos of Immich and takes turns back, by their edits, as writes of the journal; no file is touched.

The journal holds a photo's checksum and edits as one text in place of a file (`EditedPhoto`): the state before, the state after,
and the way back. After every call that failed, and after a kill, the server is asked which of the two states it has. Immich has
no call that changes edits only if they are still the same: an edit that a person makes in the same instant may be overwritten.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.errors import OrientdError, PhotoError, Refused, Stopped, code_of
from orientd.files.write import temp_name
from orientd.orientation import UPRIGHT
from orientd.pipeline.immich.client import Clock, Unanswered
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.edits import EditedPhoto
from orientd.pipeline.immich.now import Now, ask
from orientd.pipeline.immich.shown import is_turned
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Method, Outcome, Patch, Photo, Row, Splice, Status
from orientd.state.journal import Intent, Journal, Write, WriteStatus
from orientd.write.elsewhere import State

SHOWN_WITHIN: Final = 60.0
"""Seconds within which a server is expected to show a change."""
_LATE: Final = "turned, but not yet shown so after a minute: the server is still making its preview, or cannot"
_MAY_COME: Final = "the server may do it yet: the next command that writes finds that out"
_INTERRUPTED: Final = "an earlier run was interrupted at this photo"
_CHANGED: Final = "its edits in Immich were changed since, or its file: left alone"
_NOT_SEEN: Final = "sent to Immich, but whether it took effect could not be checked: the next command that writes finds that out"
_NOT_TAKEN: Final = "Immich did not take it: apply it again"
_NEVER: Final = "the journal contains edits that orientd could not have made: left alone; check who can write the state folder"

Look = Callable[[Photo], NDArray[np.uint8]]
_log = logging.getLogger(__name__)


class ImmichWriter:
    """An `Elsewhere`; `close` it. `look` decodes a preview, squeezed to a square."""

    def __init__(self, connect: Connections, look: Look, clock: Clock) -> None:
        self._connect, self._look, self._clock = connect, look, clock

    def close(self) -> None:
        self._connect.close()

    def fix(self, journal: Journal, run: int, row: Row) -> Outcome:
        """See `Elsewhere.fix`. Only a photo that has the checksum and the edits it was judged by is turned."""
        turn = row.turn or 0
        try:
            now = ask(self._connect, row.path, to_turn=True)
            held = now.photo.sha256
            if held != row.sha256 and (done := journal.run_that_made(row.path, turn, held, row.sha256)):
                return Outcome(row.path, Status.UNCHANGED, f"done already in run {done}", now.stat, held, code=Reason.DONE_BEFORE)
            if held != row.sha256:
                raise Refused(Reason.CHANGED, "its edits in Immich, or its file, changed since it was judged: scan again")
            if not turn:
                return Outcome(row.path, Status.UNCHANGED, "", now.stat, held, row.orientation, Method.IMMICH)
            before = self._look(now.preview())
            intent = _intent(row.path, now.photo, now.photo.turned(turn), turn, now.stat)
        except (Exception, Stopped) as error:
            return _failure(row.path, error)
        intent = replace(intent, probabilities=row.probabilities or ())
        outcome = self._carry_out(journal, run, intent, now)
        if outcome.status is Status.FIXED and not self._shows(now, before, turn):
            return replace(outcome, reason=_LATE, code=Reason.NOT_YET_SHOWN)
        return outcome

    def take_back(self, journal: Journal, run: int, write: Write) -> Outcome:
        """See `Elsewhere.take_back`: the photo gets just the edits that it had."""
        done = write.intent
        try:
            now, old = self._to_take_back(journal, write)
        except (Exception, Stopped) as error:
            return _failure(done.path, error)
        if now.photo == old:
            reason = "the old edits were back already"
            journal.settle(write.id, WriteStatus.UNDONE, reason, code=Reason.DONE_BEFORE)
            return Outcome(done.path, Status.UNCHANGED, reason, now.stat, old.sha256, code=Reason.DONE_BEFORE)
        intent = replace(_intent(done.path, now.photo, old, -done.turn % 360, now.stat), undoes=write.id)
        return self._carry_out(journal, run, intent, now)

    def would_take_back(self, journal: Journal, write: Write) -> Outcome:
        """See `Elsewhere.would_take_back`."""
        try:
            now, old = self._to_take_back(journal, write)
        except (Exception, Stopped) as error:
            return _failure(write.intent.path, error)
        if now.photo == old:
            reason = "the old edits were back already"
            return Outcome(write.intent.path, Status.UNCHANGED, reason, code=Reason.DONE_BEFORE)
        return Outcome(write.intent.path, Status.PENDING)

    def settle(self, journal: Journal, write: Write) -> Outcome:
        """See `Elsewhere.settle`."""
        return self._examine(journal, write, _INTERRUPTED, Reason.INTERRUPTED)

    def state(self, write: Write) -> tuple[State, str]:
        """See `Elsewhere.state`."""
        done = write.intent
        if write.status is WriteStatus.INTENDED:
            return State.UNSETTLED, write.reason or "a write was interrupted: the next run that writes finds out what came of it"
        try:
            held = ask(self._connect, done.path).photo.sha256
        except (PhotoError, OrientdError, Stopped) as error:
            gone = isinstance(error, PhotoError) and error.code is Reason.VANISHED
            return (State.VANISHED, "it was deleted in Immich") if gone else (State.UNREADABLE, f"not reachable: {error}")
        if held == (done.old_sha256 if write.status is WriteStatus.UNDONE else done.new_sha256):
            return State.HOLDS, ""
        if held == done.old_sha256 and done.undoes is None:
            return State.OLD, "it has the edits again that it had before orientd turned it"
        return State.CHANGED, write.reason or "its edits in Immich were changed since orientd turned it"

    def _to_take_back(self, journal: Journal, write: Write) -> tuple[Now, EditedPhoto]:
        """The photo as it is, and as it was before a write. Raises PhotoError, OrientdError or what a strange answer brings."""
        done = write.intent
        new, old = _both(done)
        if old.turned(done.turn) != new:
            raise Refused(Reason.JOURNAL_DOUBTED, _NEVER)
        now = ask(self._connect, done.path)
        if now.photo not in (new, old):
            later = journal.run_that_wrote(done.path, write.id)
            raise Refused(Reason.CHANGED, f"run {later} turned it again: undo that first" if later else _CHANGED)
        return now, old

    def _carry_out(self, journal: Journal, run: int, intent: Intent, now: Now) -> Outcome:
        write = Write(journal.intend(run, intent), run, intent, WriteStatus.INTENDED, "", None)
        new = EditedPhoto.parse(intent.patch.splices[0].new)
        reason, code, may_come = "", Reason.SYSTEM_ERROR, False
        try:
            now.client.put(now.id, new.edits)
        except PhotoError as error:
            reason, code, may_come = str(error), error.code, isinstance(error, Unanswered) and error.arrived
        return self._examine(journal, write, reason, code, may_come=may_come)

    def _examine(self, journal: Journal, write: Write, reason: str, code: Reason, *, may_come: bool = False) -> Outcome:
        """Settle a write by the edits that the photo has now; while that cannot be asked, or it `may_come` yet, it stays open.

        `reason` is what went wrong so far; empty: nothing.
        """
        intent = write.intent
        try:
            new, old = _both(intent)
            now = ask(self._connect, intent.path)
        except (PhotoError, OrientdError, Stopped) as error:
            message = f"{reason or _NOT_SEEN}; {error}"
            found = error.code if isinstance(error, PhotoError) else Reason.NOT_REACHABLE
            if found is Reason.VANISHED:
                journal.settle(write.id, WriteStatus.LOST, message, code=found)
            else:
                journal.note(write.id, message, found)
            return Outcome(intent.path, Status.FAILED, message, code=found)
        held = now.photo.sha256
        if now.photo == new and (later := journal.run_that_wrote(intent.path, write.id)):
            message = _joined(reason, f"run {later} made the change then")
            journal.settle(write.id, WriteStatus.FAILED, message, code=Reason.DONE_BEFORE)
            return Outcome(intent.path, Status.UNCHANGED, message, now.stat, held, code=Reason.DONE_BEFORE)
        if now.photo == new:
            journal.settle(write.id, WriteStatus.FIXED, stat=now.stat)
            return Outcome(intent.path, Status.FIXED, "", now.stat, held, intent.new_orientation, Method.IMMICH)
        if now.photo == old and may_come:  # settled as failed it could never be undone
            message = f"{reason}; {_MAY_COME}"
            journal.note(write.id, message, code)
            return Outcome(intent.path, Status.FAILED, message, now.stat, held, code=code)
        status, reason = WriteStatus.FAILED, reason or _NOT_TAKEN if now.photo == old else _joined(reason, _CHANGED)
        if now.photo != old:
            status, code = WriteStatus.LOST, Reason.CHANGED
        journal.settle(write.id, status, reason, code=code)
        return Outcome(intent.path, Status.FAILED, reason, now.stat, held, code=code)

    def _shows(self, now: Now, before: NDArray[np.uint8], turn: int) -> bool:
        """True once the server shows the photo turned, which takes some moments after the request."""
        edited = bool(now.photo.turned(turn).edits)
        end, wait = self._clock.now() + SHOWN_WITHIN, 0.1
        try:
            while self._clock.now() < end:
                if self._is_shown(now, before, turn, edited=edited):
                    return True
                self._clock.wait(wait)
                wait = min(wait * 2, 5.0)
        except Stopped:  # nobody waits for it any more
            return True
        return False

    def _is_shown(self, now: Now, before: NDArray[np.uint8], turn: int, *, edited: bool) -> bool:
        try:
            return is_turned(before, self._look(now.preview(edited=edited)), turn)
        except PhotoError as error:  # there is none for a moment
            _log.debug("%s", now.id, exc_info=error)
            return False


def _intent(path: str, old: EditedPhoto, new: EditedPhoto, turn: int, stat: FileStat) -> Intent:
    return Intent(
        path=path,
        format=Format.UNKNOWN,
        old_stat=replace(stat, size=len(old.text)),
        old_sha256=old.sha256,
        new_sha256=new.sha256,
        patch=Patch((Splice(0, old.text, new.text),)),
        old_orientation=None,
        new_orientation=UPRIGHT,
        turn=turn,
        method=Method.IMMICH,
        mtime_ns=None,
        temp=temp_name(),
    )


def _both(intent: Intent) -> tuple[EditedPhoto, EditedPhoto]:
    """The photo as a write leaves it and as it was before. Raises Refused if the journal does not hold them."""
    if len(intent.patch.splices) != 1:
        raise Refused(Reason.JOURNAL_DOUBTED, _NEVER)
    splice = intent.patch.splices[0]
    new, old = EditedPhoto.parse(splice.new), EditedPhoto.parse(splice.old)
    if (new.sha256, old.sha256, new.checksum) != (intent.new_sha256, intent.old_sha256, old.checksum):
        raise Refused(Reason.JOURNAL_DOUBTED, _NEVER)
    return new, old


def _joined(reason: str, more: str) -> str:
    return f"{reason}; {more}" if reason else more


def _failure(path: str, error: BaseException) -> Outcome:
    """Nothing was sent. A fault of one photo, or of all of a server, must not stop those of others."""
    if isinstance(error, PhotoError):
        return Outcome(path, Status.FAILED, str(error), code=error.code)
    if isinstance(error, OrientdError):
        return Outcome(path, Status.FAILED, str(error), code=Reason.NOT_REACHABLE)
    if not isinstance(error, Exception):
        return Outcome(path, Status.FAILED, "stopped before the server answered: nothing was sent", code=Reason.INTERRUPTED)
    _log.debug("%s", path, exc_info=error)
    reason = f"unexpected {type(error).__name__} ({error}), so nothing was sent: please report this photo"
    return Outcome(path, Status.FAILED, reason, code=code_of(error))
