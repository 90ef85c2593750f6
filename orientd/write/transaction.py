"""A decision becomes bytes on the disk: plan, prove, journal, write, verify; take back; mend what a kill interrupted.

After a write that did not end well, and after a kill, the file itself is asked what happened: its hash is that of the new bytes,
of the old ones, or neither. So the journal says what the disk holds, whichever system call failed or was never reached.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from orientd import orientation
from orientd.errors import OrientdError, PhotoError, Refused, WriteError
from orientd.files import read
from orientd.files import write as files
from orientd.files.syscalls import DISK, Disk
from orientd.files.write import Mtime
from orientd.formats import fingerprint
from orientd.library import sidecars
from orientd.library.paths import below
from orientd.library.photo import format_of, refuse
from orientd.records import FileStat, Method, Outcome, Patch, Splice, Status
from orientd.state.journal import Intent, Journal, Write, WriteStatus
from orientd.state.originals import Originals
from orientd.write import undo_guard
from orientd.write.change import Change, Formats, Rotate, Witness, plan_change, proved

Admit = Callable[[Intent, bytes, bytes], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fixer:
    """Turns photos, by tag or by pixels, as part of one run of the journal; one writer at a time (`record.Lock`).

    `witness` is that of `change.proved`. `rotate` plans a turn of pixels, is None where the tag does as well, and raises Refused
    where something would be lost.
    """

    journal: Journal
    run: int
    formats: Formats
    witness: Witness
    mtime: Mtime = Mtime.SHIFT
    allow_hard_links: bool = False
    disk: Disk = DISK
    rotate: Rotate | None = None

    def fix(
        self,
        path: str,
        size: int | None,
        mtime_ns: int | None,
        sha256: str,
        turn: int,
        probabilities: tuple[float, ...] = (),
        method: Method = Method.TAG,
    ) -> Outcome:
        """Show the photo turned by `turn` degrees clockwise more: by its pixels if `method` says so and nothing is lost, else by
        the orientation it stores.

        `path` is real (no symbolic link as its last part). `sha256` (hexadecimal) is that of the file judged, and so are `size`
        and `mtime_ns`, where they are known. A photo that cannot be changed is an outcome with a reason, never a PhotoError,
        and its old bytes are in place.

        Raises:
            StateError: the journal cannot be written; no later photo is touched.
        """
        try:
            data, now = read.read_whole(path, disk=self.disk)
            held = _sha256(data)
            if held != sha256 and (done := self.journal.run_that_made(path, turn, held, sha256)):
                return Outcome(path, Status.UNCHANGED, f"done already in run {done}", now, held)
            if size not in (now.size, None) or mtime_ns not in (now.mtime_ns, None) or held != sha256:
                raise Refused("it changed since it was judged: scan again")
            refuse(format_of(path, data))  # by its name, too: a raw file may look like a plain TIFF
            change = self._change(data, turn, now.nlink, method)
            if not change.patch.splices:
                return Outcome(path, Status.UNCHANGED, "", now, sha256, change.old_orientation)
            sidecars.check_silent(path, self.disk)
            intent = self._intent(path, now, sha256, data, turn, change, probabilities)
        except OrientdError:
            raise
        except Exception as error:  # a parser's bug met by one strange file must not end a run, and nothing is written yet
            return failure(path, error)
        outcome = carry_out(self.journal, self.run, intent, change.patch, data, self.allow_hard_links, self.disk)
        return replace(outcome, reason=outcome.reason or change.remark)

    def _change(self, data: bytes, turn: int, names: int = 1, method: Method = Method.TAG) -> Change:
        format_ = self.formats.sniff(data)
        stored = self.formats.stored_orientation(format_, data)
        if not turn:
            return Change(Patch(()), format_, stored, orientation.normalise(stored))
        rotate = None if method is Method.TAG else self.rotate
        return plan_change(self.formats, rotate, format_, data, orientation.turned(stored, turn), names)

    def _intent(
        self,
        path: str,
        stat: FileStat,
        sha256: str,
        data: bytes,
        turn: int,
        change: Change,
        probabilities: tuple[float, ...] = (),
    ) -> Intent:
        new, marks = proved(self.formats, self.witness, data, change), fingerprint.marks(change.format, data)
        if change.method is Method.ROTATE:
            marks |= fingerprint.marks(change.format, new)
        return Intent(
            path=path,
            format=change.format,
            old_stat=stat,
            old_sha256=sha256,
            new_sha256=_sha256(new),
            patch=_journalled(change.method, change.patch),
            old_orientation=change.old_orientation,
            new_orientation=change.orientation,
            turn=turn,
            method=change.method,
            mtime_ns=self.mtime.after(stat.mtime_ns),
            temp=files.temp_name(),
            probabilities=probabilities,
            marks=marks,
        )


def failure(path: str, error: Exception) -> Outcome:
    """The outcome of a photo that nothing was written to, by the reason of a PhotoError or in spite of a fault of ours."""
    if isinstance(error, PhotoError):
        return Outcome(path, Status.FAILED, str(error))
    _log.debug("%s", path, exc_info=error)
    reason = f"unexpected {type(error).__name__} ({error}), so nothing was written: please report this file"
    return Outcome(path, Status.FAILED, reason)


def undo(
    journal: Journal,
    run: int,
    writes: Iterable[Write],
    *,
    allow_hard_links: bool = False,
    disk: Disk = DISK,
    admit: Admit = undo_guard.admit,
) -> Iterator[Outcome]:
    """Take writes back, as part of the run `run`: give each file exactly the bytes it had.

    The newest write comes first, as in `Journal.writes`. Those that are not fixed, and those of an undo, are passed over. The
    modification time goes back to what it was, unless the write was told to leave the time of the write: then so does this one.
    A file that does not hold the bytes written is left alone, with a reason; one that holds the old bytes counts as undone.
    A photo whose pixels were turned gets its bytes from the copy that was kept, which is then dropped. Nothing is written but
    what `admit` lets pass, which is told the write, what it left and what was there before it.
    """
    for write in writes:
        if write.is_undoable:
            yield _undo_one(journal, run, write, allow_hard_links, disk, admit)


def recover(journal: Journal, disk: Disk = DISK, *, within: Sequence[str] = (), admit: Admit = undo_guard.admit) -> list[Outcome]:
    """Find out what came of every write that a kill or a power cut interrupted, and finish or mend it.

    To be called at the start of every command that writes, with the lock held and before its run is started. What cannot be
    found out now (the library is not mounted, the disk fails) stays open for the next time; it is among the outcomes only once
    for the same reason, which the journal keeps. So does, without a word, what lies outside the real folders `within`, if any
    are given: a command touches no other folders than it was given.
    """
    reason = "an earlier run was interrupted at this photo"
    writes = [write for write in journal.unsettled() if not within or below(write.intent.path, within)]
    outcomes = [(write.reason, _examine(journal, write, reason, disk, admit)) for write in writes]
    journal.mark_interrupted()
    return [outcome for told, outcome in outcomes if not told or outcome.reason != told]


def forget(journal: Journal, run: int) -> list[int]:
    """Delete the copies kept of photos that a run turned by pixels: the bytes of each. They cannot be undone any more."""
    originals = originals_of(journal, DISK)
    settled = (write for write in journal.writes(run) if write.status is not WriteStatus.INTENDED)
    return [size for write in settled if (size := originals.drop(write.intent.temp))]


def carry_out(
    journal: Journal, run: int, intent: Intent, patch: Patch, data: bytes, allow_hard_links: bool, disk: Disk
) -> Outcome:
    """Journal a proven intent, write, and settle it by what the file holds then. `patch` leads from `data` to the new bytes.

    What cannot be opened for writing is not journalled: it may be tried for months.

    Raises:
        StateError: the journal cannot be written.
    """
    try:
        if intent.old_stat.nlink:
            files.check_writable(intent.path, disk)
    except PhotoError as error:
        return Outcome(intent.path, Status.FAILED, str(error))
    write = Write(journal.intend(run, intent), run, intent, WriteStatus.INTENDED, "", None)
    try:
        if intent.method == Method.ROTATE and intent.undoes is None:
            originals_of(journal, disk).keep(intent.temp, data)
        stat = files.write(
            intent.path,
            intent.old_stat,
            data,
            patch,
            intent.mtime_ns,
            intent.temp,
            allow_hard_links=allow_hard_links,
            disk=disk,
        )
        written, now = _read(intent, disk)
        if not read.same_state(stat, now) or _sha256(written) != intent.new_sha256:
            raise WriteError("it does not hold the bytes written: check the disk, and what else writes to it")
    except PhotoError as error:
        return _examine(journal, write, str(error), disk)
    return _settle_fixed(journal, write, now, disk)


def originals_of(journal: Journal, disk: Disk) -> Originals:
    """The copies kept beside a journal."""
    return Originals(os.path.dirname(journal.path), disk)


def _undo_one(journal: Journal, run: int, write: Write, allow_hard_links: bool, disk: Disk, admit: Admit) -> Outcome:
    done, originals = write.intent, originals_of(journal, disk)
    try:
        data, stat = _read(done, disk)
        held = _sha256(data)
        patch = originals.back(done, data) if held == done.new_sha256 else Patch(())
        if patch.splices:
            admit(done, data, patch.apply(data))
    except PhotoError as error:
        return Outcome(done.path, Status.FAILED, str(error))
    if held == done.old_sha256:
        originals.drop(done.temp)
        journal.settle(write.id, WriteStatus.UNDONE, "the old bytes were back already")
        return Outcome(done.path, Status.UNCHANGED, "the old bytes were back already", stat, held, done.old_orientation)
    if held != done.new_sha256:
        later = journal.run_that_wrote(done.path, write.id)
        reason = f"run {later} changed it again: undo that first" if later else "it changed since orientd wrote it: left alone"
        return Outcome(done.path, Status.FAILED, reason + originals.where(done.temp), stat, held)
    intent = Intent(
        path=done.path,
        format=done.format,
        old_stat=stat,
        old_sha256=done.new_sha256,
        new_sha256=done.old_sha256,
        patch=_journalled(done.method, patch),
        old_orientation=done.new_orientation,
        new_orientation=done.old_orientation,
        turn=-done.turn % 360,
        method=done.method,
        mtime_ns=None if done.mtime_ns is None else done.old_stat.mtime_ns,
        temp=files.temp_name(),
        undoes=write.id,
    )
    return carry_out(journal, run, intent, patch, data, allow_hard_links, disk)


def _journalled(method: str, patch: Patch) -> Patch:
    """What the journal holds of a patch. One that turns pixels changes nearly all bytes: a copy is kept instead (`Originals`)."""
    return Patch(()) if method == Method.ROTATE and not files.fits_one_page(patch) else patch


def _settle_fixed(journal: Journal, write: Write, stat: FileStat, disk: Disk) -> Outcome:
    intent = write.intent
    if intent.undoes is not None and intent.method == Method.ROTATE:  # before it is settled: no one comes back for the copy
        originals_of(journal, disk).drop(journal.write(intent.undoes).intent.temp)
    journal.settle(write.id, WriteStatus.FIXED, stat=stat)
    return Outcome(intent.path, Status.FIXED, "", stat, intent.new_sha256, intent.new_orientation, Method(intent.method))


def _examine(journal: Journal, write: Write, reason: str, disk: Disk, admit: Admit | None = None) -> Outcome:
    """Settle a write by what the file holds now; one that cannot be read, or mended, stays unsettled for the next time.

    What another process noted is mended only if `admit` lets that pass.
    """
    intent = write.intent
    try:
        files.remove_temp(intent.path, intent.temp, disk)
        data, stat = _read(intent, disk)
        held = _sha256(data)
        if held == intent.new_sha256:
            undo_guard.recognise(intent, data)
        if held == intent.new_sha256 and (later := journal.run_that_wrote(intent.path, write.id)):
            reason = f"{reason}; run {later} made the change then"
            journal.settle(write.id, WriteStatus.FAILED, reason)
            return Outcome(intent.path, Status.UNCHANGED, reason, stat, held)
        if held == intent.new_sha256:
            return _settle_fixed(journal, write, files.finish(intent.path, stat, intent.mtime_ns, disk), disk)
        if held != intent.old_sha256:
            torn = _mending(intent, data)
            if torn is None:
                reason = f"{reason}; its bytes are neither the old nor the new ones now: left alone"
                journal.settle(write.id, WriteStatus.LOST, reason)
                return Outcome(intent.path, Status.FAILED, reason, stat, held)
            if admit:
                admit(*_made(intent, torn.apply(data)))
            stat = files.write(
                intent.path, stat, data, torn, intent.old_stat.mtime_ns, intent.temp, allow_hard_links=True, disk=disk
            )
        elif stat.mtime_ns == intent.mtime_ns != intent.old_stat.mtime_ns:  # at a power cut the new date was on the disk first
            stat = files.finish(intent.path, stat, intent.old_stat.mtime_ns, disk)
    except PhotoError as error:
        if read.gone(intent.path, intent.old_stat.dev, disk):
            journal.settle(write.id, WriteStatus.LOST, f"{reason}; it has vanished since")
        told = reason if reason == str(error) else f"{reason}; {error}"
        journal.note(write.id, told)
        return Outcome(intent.path, Status.FAILED, told)
    originals_of(journal, disk).drop(intent.temp)
    journal.settle(write.id, WriteStatus.FAILED, reason)
    return Outcome(intent.path, Status.FAILED, reason, stat, intent.old_sha256, intent.old_orientation)


def _read(intent: Intent, disk: Disk) -> tuple[bytes, FileStat]:
    """What the file of a write holds now; only one that was made by a write may be absent."""
    if read.ABSENT in (intent.old_sha256, intent.new_sha256):
        return read.read_or_absent(intent.path, intent.old_stat.dev, disk)
    return read.read_whole(intent.path, disk=disk)


def _mending(intent: Intent, data: bytes) -> Patch | None:
    """The patch back to the old bytes, if each byte of `data` is an old or a new one: an overwrite in place that was torn."""
    if not intent.patch.splices or len(data) != intent.old_stat.size or not files.fits_one_page(intent.patch):
        return None
    splices = []
    for splice in intent.patch.splices:
        held = data[splice.offset : splice.offset + len(splice.old)]
        if any(byte not in either for byte, *either in zip(held, splice.old, splice.new, strict=True)):
            return None
        splices.append(Splice(splice.offset, held, splice.old))
    torn = Patch(tuple(splices))
    return torn if _sha256(torn.apply(data)) == intent.old_sha256 else None


def _made(intent: Intent, before: bytes) -> tuple[Intent, bytes, bytes]:
    """A write of which the bytes `before` are known, what it leaves and what was there; of an undo, the write taken back."""
    after = intent.patch.apply(before)
    return (intent, after, before) if intent.undoes is None else (replace(intent, turn=-intent.turn % 360), before, after)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
