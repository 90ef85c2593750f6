"""Fixes one photo: reads it again, plans the change, proves it, and writes it as a journalled change."""

import logging
from dataclasses import dataclass, replace

from orientd import orientation
from orientd.errors import OrientdError, PhotoError, Refused, code_of
from orientd.files import read
from orientd.files import write as files
from orientd.files.syscalls import DISK, Disk
from orientd.files.write import Mtime
from orientd.formats import fingerprint
from orientd.library import others, sidecars
from orientd.library.photo import format_of, refuse
from orientd.reasons import Reason
from orientd.records import FileStat, Method, Outcome, Patch, Row, Status
from orientd.state.journal import Intent, Journal
from orientd.write.change import Change, Formats, Rotate, SecondReader, plan_change, proved
from orientd.write.recover import sha256_of
from orientd.write.transaction import carry_out, journalled

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fixer:
    """Turns photos, by tag or by pixels, as part of one run of the journal; one writer at a time (`lock.Lock`).

    `second_reader` is that of `change.proved`. `rotate` plans a turn of pixels, is None where the tag does as well, and raises
    Refused where something would be lost.
    """

    journal: Journal
    run: int
    formats: Formats
    second_reader: SecondReader
    mtime: Mtime = Mtime.SHIFT
    allow_hard_links: bool = False
    disk: Disk = DISK
    rotate: Rotate | None = None

    def fix(self, row: Row) -> Outcome:
        """Show the photo of a row turned as the row says: by its pixels if its method says so and nothing is lost, else by the
        orientation it stores.

        Its path is real (no symbolic link as its last part). Its hash is that of the file judged, and so is its size, where that
        is known. A photo that cannot be changed is an outcome with a reason, never a PhotoError, and its old bytes
        are in place.

        Raises:
            StateError: the journal cannot be written; no later photo is touched.
        """
        path, turn = row.path, row.turn or 0
        try:
            data, now = read.read_whole(path, disk=self.disk)
            held = sha256_of(data)
            if held != row.sha256 and (done := self.journal.run_that_made(path, turn, held, row.sha256)):
                return Outcome(path, Status.UNCHANGED, f"done already in run {done}", now, held, code=Reason.DONE_BEFORE)
            if not is_as_judged(row, now, held):
                raise Refused(Reason.CHANGED, "it changed since it was judged: scan again")
            others.check(path)
            refuse(format_of(path, data))  # by its name, too: a raw file may look like a plain TIFF
            change = self._change(data, turn, now.nlink, row.method)
            if not change.patch.splices:
                return Outcome(path, Status.UNCHANGED, "", now, held, change.old_orientation)
            sidecars.check_silent(path, self.disk)
            intent = self._intent(row, now, data, change)
        except OrientdError:
            raise
        except Exception as error:  # a parser's bug met by one strange file must not end a run, and nothing is written yet
            return failure(path, error)
        outcome = carry_out(self.journal, self.run, intent, change.patch, data, self.allow_hard_links, self.disk)
        return outcome if outcome.reason else replace(outcome, reason=change.remark, code=change.code)

    def _change(self, data: bytes, turn: int, names: int, method: Method | None) -> Change:
        format_ = self.formats.sniff(data)
        stored = self.formats.stored_orientation(format_, data)
        if not turn:
            return Change(Patch(()), format_, stored, orientation.normalise(stored))
        rotate = None if method in (Method.TAG, None) else self.rotate
        return plan_change(self.formats, rotate, format_, data, orientation.turned(stored, turn), names)

    def _intent(self, row: Row, stat: FileStat, data: bytes, change: Change) -> Intent:
        new, marks = proved(self.formats, self.second_reader, data, change), fingerprint.marks(change.format, data)
        if change.method is Method.ROTATE:
            marks |= fingerprint.marks(change.format, new)
        return Intent(
            path=row.path,
            format=change.format,
            old_stat=stat,
            old_sha256=row.sha256,
            new_sha256=sha256_of(new),
            patch=journalled(change.method, change.patch),
            old_orientation=change.old_orientation,
            new_orientation=change.orientation,
            turn=row.turn or 0,
            method=change.method,
            mtime_ns=self.mtime.after(stat.mtime_ns),
            temp=files.temp_name(),
            probabilities=row.probabilities or (),
            marks=marks,
        )


def is_as_judged(row: Row, now: FileStat, held: str) -> bool:
    """True if the photo of a row, which is in the state `now` and has the hash `held`, is still what it was.

    Its time says nothing: files are touched, and programs that make a plan of JSON round it.
    """
    return row.size in (now.size, None) and row.sha256 == held


def failure(path: str, error: Exception) -> Outcome:
    """The outcome of a photo that nothing was written to, by the reason of a PhotoError or in spite of a fault of ours."""
    if isinstance(error, PhotoError):
        return Outcome(path, Status.FAILED, str(error), code=error.code)
    _log.debug("%s", path, exc_info=error)
    reason = f"unexpected {type(error).__name__} ({error}), so nothing was written: please report this file"
    return Outcome(path, Status.FAILED, reason, code=code_of(error))
