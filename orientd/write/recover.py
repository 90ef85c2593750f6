"""What an earlier run left half done, found out and finished or taken back."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from orientd.errors import PhotoError
from orientd.files import read
from orientd.files import write as files
from orientd.files.syscalls import DISK, Disk
from orientd.library.paths import below
from orientd.reasons import Reason
from orientd.records import FileStat, Method, Outcome, Patch, Splice, Status
from orientd.state.journal import Intent, Journal, Write, WriteStatus
from orientd.state.originals import Originals
from orientd.write import undo_guard
from orientd.write.elsewhere import Elsewhere

Admit = Callable[[Intent, bytes, bytes], None]


def recover(
    journal: Journal,
    disk: Disk = DISK,
    *,
    within: Sequence[str] = (),
    admit: Admit = undo_guard.admit,
    elsewhere: Elsewhere | None = None,
) -> list[Outcome]:
    """Find out the result of every write that a kill or a power cut interrupted, and finish or repair it.

    Call this at the start of every command that writes, with the lock held and before its run is started. A write whose result
    cannot be found out now (the library is not mounted, the disk fails) stays open for the next time; it is among the outcomes
    only once for the same reason, which the journal keeps. These stay open without an outcome: writes outside the real folders
    `within`, if any are given, as a command touches no other folders; and writes to a server, without `elsewhere` to ask it.
    """

    def found_out(write: Write) -> Outcome:
        if elsewhere and write.intent.method == Method.IMMICH:
            return elsewhere.settle(journal, write)
        return examine(journal, write, reason, code, disk, admit)

    reason = "an earlier run was interrupted at this photo"
    code = Reason.INTERRUPTED
    writes = [write for write in journal.unsettled() if not within or below(write.intent.path, within)]
    writes = [write for write in writes if elsewhere or write.intent.method != Method.IMMICH]
    outcomes = [(write.code, found_out(write)) for write in writes]
    journal.mark_interrupted()
    return [outcome for known, outcome in outcomes if not known or outcome.code is not known]


def originals_of(journal: Journal, disk: Disk) -> Originals:
    """The copies kept next to a journal."""
    return Originals(os.path.dirname(journal.path), disk)


def settle_fixed(journal: Journal, write: Write, stat: FileStat, disk: Disk) -> Outcome:
    intent = write.intent
    if intent.undoes is not None and intent.method == Method.ROTATE:  # before it is settled: no one comes back for the copy
        originals_of(journal, disk).drop(journal.write(intent.undoes).intent.temp)
    journal.settle(write.id, WriteStatus.FIXED, stat=stat)
    return Outcome(intent.path, Status.FIXED, "", stat, intent.new_sha256, intent.new_orientation, Method(intent.method))


def examine(journal: Journal, write: Write, reason: str, code: Reason, disk: Disk, admit: Admit | None = None) -> Outcome:
    """Settle a write by what the file holds now; if the file cannot be read or repaired, the write stays unsettled.

    `reason` and its `code` say why the write was not made, if it was not. What another process noted is repaired only if `admit`
    allows it.
    """
    intent = write.intent
    try:
        files.remove_temp(intent.path, intent.temp, disk)
        data, stat = read_now(intent, disk)
        held = sha256_of(data)
        if held == intent.new_sha256:
            undo_guard.recognise(intent, data)
        if held == intent.new_sha256 and (later := journal.run_that_wrote(intent.path, write.id)):
            reason = f"{reason}; run {later} made the change then"
            journal.settle(write.id, WriteStatus.FAILED, reason, code=Reason.DONE_BEFORE)
            return Outcome(intent.path, Status.UNCHANGED, reason, stat, held, code=Reason.DONE_BEFORE)
        if held == intent.new_sha256:
            return settle_fixed(journal, write, files.finish(intent.path, stat, intent.mtime_ns, disk), disk)
        if held != intent.old_sha256:
            repair = _repair(intent, data)
            if repair is None:
                reason = f"{reason}; its bytes are neither the old nor the new ones now: left alone"
                journal.settle(write.id, WriteStatus.LOST, reason, code=Reason.CHANGED)
                return Outcome(intent.path, Status.FAILED, reason, stat, held, code=Reason.CHANGED)
            if admit:
                admit(*_made(intent, repair.apply(data)))
            stat = files.write(
                intent.path, stat, data, repair, intent.old_stat.mtime_ns, intent.temp, allow_hard_links=True, disk=disk
            )
        elif stat.mtime_ns == intent.mtime_ns != intent.old_stat.mtime_ns:  # at a power cut the new date was on the disk first
            stat = files.finish(intent.path, stat, intent.old_stat.mtime_ns, disk)
    except PhotoError as error:
        if read.gone(intent.path, intent.old_stat.dev, disk):
            journal.settle(write.id, WriteStatus.LOST, f"{reason}; it has vanished since", code=Reason.VANISHED)
        message = reason if code is error.code else f"{reason}; {error}"
        journal.note(write.id, message, error.code)
        return Outcome(intent.path, Status.FAILED, message, code=error.code)
    originals_of(journal, disk).drop(intent.temp)
    journal.settle(write.id, WriteStatus.FAILED, reason, code=code)
    return Outcome(intent.path, Status.FAILED, reason, stat, intent.old_sha256, intent.old_orientation, code=code)


def read_now(intent: Intent, disk: Disk) -> tuple[bytes, FileStat]:
    """What the file of a write holds now; only one that was made by a write may be absent."""
    if read.ABSENT in (intent.old_sha256, intent.new_sha256):
        return read.read_or_absent(intent.path, intent.old_stat.dev, disk)
    return read.read_whole(intent.path, disk=disk)


def _repair(intent: Intent, data: bytes) -> Patch | None:
    """The patch back to the old bytes, if each byte of `data` is an old or a new one: an overwrite in place that was torn."""
    if not intent.patch.splices or len(data) != intent.old_stat.size or not files.fits_one_page(intent.patch):
        return None
    splices = []
    for splice in intent.patch.splices:
        held = data[splice.offset : splice.offset + len(splice.old)]
        if any(byte not in either for byte, *either in zip(held, splice.old, splice.new, strict=True)):
            return None
        splices.append(Splice(splice.offset, held, splice.old))
    repair = Patch(tuple(splices))
    return repair if sha256_of(repair.apply(data)) == intent.old_sha256 else None


def _made(intent: Intent, before: bytes) -> tuple[Intent, bytes, bytes]:
    """A write of which the bytes `before` are known, what it leaves and what was there; of an undo, the write taken back."""
    after = intent.patch.apply(before)
    return (intent, after, before) if intent.undoes is None else (replace(intent, turn=-intent.turn % 360), before, after)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
