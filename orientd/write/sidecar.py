"""Writes a turn to the sidecar of a photo that is never written itself: creates or changes it, journalled like any write."""

import os
from dataclasses import dataclass, replace

from orientd import formats, orientation, records
from orientd.errors import OrientdError, Refused
from orientd.files import read
from orientd.files import write as files
from orientd.files.syscalls import DISK, Disk
from orientd.files.write import Mtime
from orientd.formats import raw, sidecar
from orientd.library import others, sidecars
from orientd.library.photo import format_of, refuse
from orientd.library.sidecars import Naming, Sidecar
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Method, Patch, Row, Status
from orientd.state.journal import Intent, Journal
from orientd.write import fix, transaction
from orientd.write.recover import sha256_of


@dataclass(frozen=True, slots=True)
class SidecarFixer:
    """Writes sidecars as part of one run of the journal; one writer at a time (`lock.Lock`)."""

    journal: Journal
    run: int
    naming: Naming
    mtime: Mtime = Mtime.SHIFT
    allow_hard_links: bool = False
    disk: Disk = DISK

    def fix(self, row: Row) -> records.Outcome:
        """Write to the sidecar that the photo of a row is to be shown turned as the row says.

        The row's orientation is the one that the photo, with its sidecar, was shown with when it was judged; the size is compared
        if it is known. The outcome describes the photo: its path, state and hash, and the orientation it is shown with now.

        Raises:
            StateError: the journal cannot be written.
        """
        try:
            format_, now, sidecar_file = self._examine(row)
            new = orientation.turned(row.orientation, row.turn or 0)
            patch = sidecar_file.plan(new, row.path) if row.turn else Patch(())
            if not patch.splices:
                done = self._run_that_made(row, sidecar_file)
                reason = f"done already in run {done}" if done else ""
                code = Reason.DONE_BEFORE if done else None
                return records.Outcome(row.path, Status.UNCHANGED, reason, now, row.sha256, row.orientation, Method.SIDECAR, code)
            intent = self._intent(format_, row, sidecar_file, patch, new)
        except OrientdError:
            raise
        except Exception as error:  # as in fix.Fixer.fix
            return fix.failure(row.path, error)
        outcome = transaction.carry_out(
            self.journal, self.run, intent, patch, sidecar_file.data, self.allow_hard_links, self.disk
        )
        reason = f"{os.path.basename(sidecar_file.path)}: {outcome.reason}" if outcome.reason else ""
        return replace(outcome, path=row.path, reason=reason, stat=now, sha256=row.sha256, code=outcome.code)

    def _examine(self, row: Row) -> tuple[Format, FileStat, Sidecar]:
        """The photo's format and state, and its sidecar, if all is as it was when the photo was judged."""
        data, now = read.read_whole(row.path, disk=self.disk)
        if not fix.is_as_judged(row, now, sha256_of(data)):
            raise Refused(Reason.CHANGED, "it changed since it was judged: scan again")
        others.check(row.path)
        format_ = format_of(row.path, data)
        refuse(format_, self.naming)
        if format_ is Format.RAW:
            raw.preview(data)  # without one it is not clear how it is displayed
        if format_ is Format.UNKNOWN or not formats.needs_sidecar(format_, data):
            raise Refused(Reason.FORMAT_NEVER_WRITTEN, "sidecars are for photos that are never written themselves: scan again")
        sidecar_file = sidecars.find(row.path, self.naming, self.disk)
        stored = formats.stored_orientation(format_, data) if sidecar_file.orientation is None else sidecar_file.orientation
        same = orientation.normalise(stored) == orientation.normalise(row.orientation)
        if not same and not self._run_that_made(row, sidecar_file):
            raise Refused(Reason.CHANGED, "its sidecar changed since it was judged: scan again")
        return format_, now, sidecar_file

    def _run_that_made(self, row: Row, sidecar_file: Sidecar) -> int | None:
        return self.journal.run_that_made(sidecar_file.path, row.turn, sha256_of(sidecar_file.data))

    def _intent(self, format_: Format, row: Row, sidecar_file: Sidecar, patch: Patch, new: int) -> Intent:
        return Intent(
            path=sidecar_file.path,
            format=format_,
            old_stat=sidecar_file.stat,
            old_sha256=sha256_of(sidecar_file.data),
            new_sha256=sha256_of(_proved(patch, sidecar_file.data, new)),
            patch=patch,
            old_orientation=row.orientation,
            new_orientation=new,
            turn=row.turn or 0,
            method=Method.SIDECAR,
            mtime_ns=self.mtime.after(sidecar_file.stat.mtime_ns) if sidecar_file.stat.nlink else None,
            temp=files.temp_name(),
            probabilities=row.probabilities or (),
        )


def _proved(patch: Patch, data: bytes, orientation: int) -> bytes:
    """The new sidecar, once it is shown to read back, to be stable and to be exactly undoable."""
    patched = patch.apply(data)
    if patch.inverse().apply(patched) != data:
        raise Refused(Reason.NOT_PROVED, "the change of its sidecar could not be taken back exactly: please report this file")
    if sidecar.stored(patched) != orientation or sidecar.plan(patched, orientation).splices:
        raise Refused(Reason.NOT_PROVED, "the change of its sidecar does not read back: please report this file")
    return patched
