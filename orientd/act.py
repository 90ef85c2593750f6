"""A decision becomes bytes on the disk: plan, prove, journal, write, verify; take back; mend what a kill interrupted.

After a write that did not end well, and after a kill, the file itself is asked what happened: its hash is that of the new bytes,
of the old ones, or neither. So the journal says what the disk holds, whichever system call failed or was never reached.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from orientd import files, orientation
from orientd.errors import PhotoError, ReadError, Refused, WriteError
from orientd.files import DISK, Disk, Mtime
from orientd.items import FileStat, Format, Patch, Splice, Status
from orientd.record import Intent, Journal, Write, WriteStatus

METHOD_TAG = "tag"


class Formats(Protocol):
    """What is asked of the module `orientd.formats`."""

    def sniff(self, data: bytes, /) -> Format: ...

    def stored_orientation(self, format: Format, data: bytes, /) -> int | None: ...  # noqa: A002

    def plan(self, format: Format, data: bytes, orientation: int, /) -> Patch: ...  # noqa: A002


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one file. `stat`, `sha256` and `orientation` are those it has now, where that is known."""

    path: str
    status: Status
    reason: str = ""
    stat: FileStat | None = None
    sha256: str = ""
    orientation: int | None = None


@dataclass(frozen=True, slots=True)
class Fixer:
    """Changes the stored orientation of photos, as part of one run of the journal; one writer at a time (`record.Lock`).

    `witness` reads the stored orientation (None: absent) with a library that is not ours, and raises what it likes.
    """

    journal: Journal
    run: int
    formats: Formats
    witness: Callable[[bytes], int | None]
    mtime: Mtime = Mtime.SHIFT
    allow_hard_links: bool = False
    disk: Disk = DISK

    def fix(
        self, path: str, size: int | None, mtime_ns: int | None, sha256: str, turn: int, probabilities: tuple[float, ...] = ()
    ) -> Outcome:
        """Store the orientation that shows the photo turned by `turn` degrees clockwise more.

        `path` is real (no symbolic link as its last part). `sha256` (hexadecimal) is that of the file judged, and so are `size`
        and `mtime_ns`, where they are known. A photo that cannot be changed is an outcome with a reason, never a PhotoError,
        and its old bytes are in place.

        Raises:
            StateError: the journal cannot be written; no later photo is touched.
        """
        try:
            data, now = files.read_whole(path, disk=self.disk)
            if size not in (now.size, None) or mtime_ns not in (now.mtime_ns, None) or _sha256(data) != sha256:
                raise Refused("it changed since it was judged: scan again")
            intent = self._intent(path, now, sha256, data, turn, probabilities)
        except PhotoError as error:
            return Outcome(path, Status.FAILED, str(error))
        if not intent.patch.splices:
            return Outcome(path, Status.UNCHANGED, "", now, sha256, intent.old_orientation)
        return _carry_out(self.journal, self.run, intent, data, self.allow_hard_links, self.disk)

    def _intent(self, path: str, stat: FileStat, sha256: str, data: bytes, turn: int, probabilities: tuple[float, ...]) -> Intent:
        format_ = self.formats.sniff(data)
        stored = self.formats.stored_orientation(format_, data)
        new = orientation.turned(stored, turn)
        patch = self.formats.plan(format_, data, new) if turn else Patch(())
        return Intent(
            path=path,
            format=format_,
            old_stat=stat,
            old_sha256=sha256,
            new_sha256=_sha256(self._proved(format_, data, patch, new)) if patch.splices else sha256,
            patch=patch,
            old_orientation=stored,
            new_orientation=new,
            turn=turn,
            method=METHOD_TAG,
            mtime_ns=self.mtime.after(stat.mtime_ns),
            temp=files.temp_name(),
            probabilities=probabilities,
        )

    def _proved(self, format_: Format, data: bytes, patch: Patch, new: int) -> bytes:
        """The patched bytes, once they are shown to be readable by others, stable under a second fix and exactly undoable."""
        try:
            patched = patch.apply(data)
            undone = patch.inverse().apply(patched)
        except ValueError as error:
            raise Refused(f"the change planned for it does not fit ({error}): please report this file") from error
        if undone != data:
            raise Refused("the change planned for it could not be taken back exactly: please report this file")
        if orientation.normalise(self.formats.stored_orientation(format_, patched)) != new:
            raise Refused("the change planned for it does not read back: please report this file")
        if self.formats.plan(format_, patched, new).splices:
            raise Refused("a second run would change it again: please report this file")
        try:
            witnessed = self.witness(patched)
        except Exception as error:  # parsers of hostile bytes raise anything
            raise Refused("another reader cannot open it, so the change could not be checked: turn it by hand") from error
        if orientation.normalise(witnessed) != new:
            raise Refused("another reader would not see the change: turn it by hand")
        return patched


def undo(
    journal: Journal, run: int, writes: Iterable[Write], *, allow_hard_links: bool = False, disk: Disk = DISK
) -> Iterator[Outcome]:
    """Take writes back, as part of the run `run`: give each file exactly the bytes it had.

    The newest write comes first, as in `Journal.writes`. Those that are not fixed, and those of an undo, are passed over. The
    modification time goes back to what it was, unless the write was told to leave the time of the write: then so does this one.
    A file that does not hold the bytes written is left alone, with a reason; one that holds the old bytes counts as undone.
    """
    for write in writes:
        if write.status is WriteStatus.FIXED and write.intent.undoes is None:
            yield _undo_one(journal, run, write, allow_hard_links, disk)


def recover(journal: Journal, disk: Disk = DISK) -> list[Outcome]:
    """Find out what came of every write that a kill or a power cut interrupted, and finish or mend it.

    To be called at the start of every command that writes, with the lock held and before its run is started. What cannot be
    found out now (the library is not mounted, the disk fails) stays open for the next time.
    """
    outcomes = [_examine(journal, write, "an earlier run was interrupted at this photo", disk) for write in journal.unsettled()]
    journal.mark_interrupted()
    return outcomes


def _undo_one(journal: Journal, run: int, write: Write, allow_hard_links: bool, disk: Disk) -> Outcome:
    done = write.intent
    try:
        data, stat = files.read_whole(done.path, disk=disk)
    except ReadError as error:
        return Outcome(done.path, Status.FAILED, str(error))
    held = _sha256(data)
    if held == done.old_sha256:
        journal.settle(write.id, WriteStatus.UNDONE, "the old bytes were back already")
        return Outcome(done.path, Status.UNCHANGED, "the old bytes were back already", stat, held, done.old_orientation)
    if held != done.new_sha256:
        return Outcome(done.path, Status.FAILED, "it changed since orientd wrote it: left alone", stat, held)
    intent = Intent(
        path=done.path,
        format=done.format,
        old_stat=stat,
        old_sha256=done.new_sha256,
        new_sha256=done.old_sha256,
        patch=done.patch.inverse(),
        old_orientation=done.new_orientation,
        new_orientation=done.old_orientation,
        turn=-done.turn % 360,
        method=done.method,
        mtime_ns=None if done.mtime_ns is None else done.old_stat.mtime_ns,
        temp=files.temp_name(),
        undoes=write.id,
    )
    return _carry_out(journal, run, intent, data, allow_hard_links, disk)


def _carry_out(journal: Journal, run: int, intent: Intent, data: bytes, allow_hard_links: bool, disk: Disk) -> Outcome:
    write = Write(journal.intend(run, intent), run, intent, WriteStatus.INTENDED, "", None)
    try:
        stat = files.write(
            intent.path,
            intent.old_stat,
            data,
            intent.patch,
            intent.mtime_ns,
            intent.temp,
            allow_hard_links=allow_hard_links,
            disk=disk,
        )
        written, now = files.read_whole(intent.path, disk=disk)
        if not files.same_state(stat, now) or _sha256(written) != intent.new_sha256:
            raise WriteError("it does not hold the bytes written: check the disk, and what else writes to it")
    except PhotoError as error:
        return _examine(journal, write, str(error), disk)
    return _settle_fixed(journal, write, now)


def _settle_fixed(journal: Journal, write: Write, stat: FileStat) -> Outcome:
    intent = write.intent
    journal.settle(write.id, WriteStatus.FIXED, stat=stat)
    return Outcome(intent.path, Status.FIXED, "", stat, intent.new_sha256, intent.new_orientation)


def _examine(journal: Journal, write: Write, reason: str, disk: Disk) -> Outcome:
    """Settle a write by what the file holds now; one that cannot be read, or mended, stays unsettled for the next time."""
    intent = write.intent
    try:
        files.remove_temp(intent.path, intent.temp, disk)
        data, stat = files.read_whole(intent.path, disk=disk)
        held = _sha256(data)
        if held == intent.new_sha256:
            return _settle_fixed(journal, write, files.finish(intent.path, stat, intent.mtime_ns, disk))
        if held != intent.old_sha256:
            torn = _mending(intent, data)
            if torn is None:
                reason = f"{reason}; its bytes are neither the old nor the new ones now: left alone"
                journal.settle(write.id, WriteStatus.LOST, reason)
                return Outcome(intent.path, Status.FAILED, reason, stat, held)
            stat = files.write(
                intent.path, stat, data, torn, intent.old_stat.mtime_ns, intent.temp, allow_hard_links=True, disk=disk
            )
    except PhotoError as error:
        if files.gone(intent.path, intent.old_stat.dev, disk):
            journal.settle(write.id, WriteStatus.LOST, f"{reason}; it has vanished since")
        return Outcome(intent.path, Status.FAILED, f"{reason}; {error}")
    journal.settle(write.id, WriteStatus.FAILED, reason)
    return Outcome(intent.path, Status.FAILED, reason, stat, intent.old_sha256, intent.old_orientation)


def _mending(intent: Intent, data: bytes) -> Patch | None:
    """The patch back to the old bytes, if each byte of `data` is an old or a new one: an overwrite in place that was torn."""
    if len(data) != intent.old_stat.size or not files.fits_one_page(intent.patch):
        return None
    splices = []
    for splice in intent.patch.splices:
        held = data[splice.offset : splice.offset + len(splice.old)]
        if any(byte not in either for byte, *either in zip(held, splice.old, splice.new, strict=True)):
            return None
        splices.append(Splice(splice.offset, held, splice.old))
    torn = Patch(tuple(splices))
    return torn if _sha256(torn.apply(data)) == intent.old_sha256 else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
