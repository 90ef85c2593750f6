"""Takes writes back: which are meant, where their files are now, and the bytes that these had."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from orientd import commands
from orientd.errors import ConfigError, PhotoError
from orientd.files import rights
from orientd.files import write as files
from orientd.files.syscalls import DISK, Disk
from orientd.library import sidecars
from orientd.library.paths import below
from orientd.reasons import Reason
from orientd.records import ON_SERVERS, Method, Outcome, Patch, Status
from orientd.state.journal import Intent, Journal, Write, WriteStatus
from orientd.write import undo_guard
from orientd.write.elsewhere import Elsewhere
from orientd.write.recover import Admit, originals_of, read_now, sha256_of
from orientd.write.rehearsal import is_in_place
from orientd.write.transaction import carry_out, journalled


@dataclass(frozen=True, slots=True)
class Move:
    """A folder that was moved: what was written below `old` is below `new`, on the device `dev`."""

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
    """The write as if it had been made where the file is now."""
    for move in moves:
        if path := move.follow(write.intent.path):
            old_stat = replace(write.intent.old_stat, dev=move.dev)
            return replace(write, intent=replace(write.intent, path=path, old_stat=old_stat))
    return write


def last_to_undo(journal: Journal) -> int:
    """The last run that wrote: what an undo means that names none. Never one before a run that was taken back.

    Raises:
        ConfigError: there is none, or it was taken back already.
    """
    run, left = journal.last_that_wrote(), journal.undoable()
    if run is None:
        raise ConfigError(f"there is nothing to undo; to list the runs: {commands.line('history')}")
    if run not in left and (by := journal.undone_by(run)):
        earlier = f"\nto take back run {left[0]}, an earlier one: {commands.line('undo', left[0])}" if left else ""
        raise ConfigError(
            f"run {run}, the last that wrote, was taken back already\nto put it back: {commands.line('redo', by)}{earlier}"
        )
    return run


@dataclass(frozen=True, slots=True)
class ChosenWrites:
    """Writes to take back, each read from the journal when its turn comes: of a million each holds what it changed."""

    journal: Journal
    numbers: Sequence[int]
    moves: Sequence[Move]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Write]:
        return (moved(self.journal.write(number), self.moves) for number in self.numbers)


def undoable(journal: Journal, run: int | None, moves: Sequence[Move], paths: Sequence[str]) -> ChosenWrites:
    """The writes to take back, newest first: of a run, or of single files: the last to each, if `run` is None.

    A photo that was turned by its sidecar may be named instead of that; and a folder, which stands for what the last run that
    wrote below it wrote there.

    Raises:
        ConfigError: there is nothing to undo: no such run, or it has not written one of these files.
    """
    if run is None and not paths:
        run = last_to_undo(journal)
    runs = [number for number in journal.undoable() if run in (None, number)]
    if not runs:
        nothing = "there is nothing to undo" if run is None else f"run {run} has nothing to undo"
        raise ConfigError(f"{nothing}; to list the runs: {commands.line('history')}")
    if not paths:
        return ChosenWrites(journal, journal.undoable_of(runs[0]), moves)
    targets = Targets(paths)
    found: dict[str, tuple[int, list[int]]] = {}
    for write in (moved(write, moves) for number in runs for write in journal.writes(number) if write.is_undoable):
        if owner := targets.owner_of(write):
            last_run, numbers = found.setdefault(owner, (write.run, []))
            if write.run == last_run:
                numbers.append(write.id)
    if missing := [path for path in paths if path not in found]:
        raise ConfigError(f"nothing to undo at {', '.join(missing)}: orientd did not write there, or that was taken back already")
    return ChosenWrites(journal, sorted((number for _, numbers in found.values() for number in numbers), reverse=True), moves)


class Targets:
    """Files and folders of which writes are to be taken back, as a person names them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = {name: path for path in paths for name in names_of(path)}
        self._sidecars = {sidecar: path for photo, path in self._files.items() for sidecar in sidecars.paths(photo)}
        self._folders = {name: path for name, path in self._files.items() if os.path.isdir(name)}

    def owner_of(self, write: Write) -> str | None:
        """The path that a write belongs to, if to any: the file, else the photo that it noted in a sidecar, else the innermost
        folder.
        """
        written = write.intent.path
        if written in self._files:
            return self._files[written]
        if write.intent.method == Method.SIDECAR and written in self._sidecars:
            return self._sidecars[written]
        around = [folder for folder in self._folders if below(written, [folder])]
        return self._folders[max(around, key=len)] if around else None


def names_of(path: str) -> set[str]:
    """The paths under which the journal may know a file, or what is below a folder: as a plan named it, or as a walk found it."""
    if path.startswith(ON_SERVERS):
        return {path}
    folder, name = os.path.split(os.path.abspath(path))
    real = os.path.realpath(path) if os.path.isdir(path) else os.path.join(os.path.realpath(folder), name)
    return {os.path.join(folder, name), real}


def undo(
    journal: Journal,
    run: int,
    writes: Iterable[Write],
    *,
    allow_hard_links: bool = False,
    disk: Disk = DISK,
    admit: Admit = undo_guard.admit,
    elsewhere: Elsewhere | None = None,
) -> Iterator[Outcome]:
    """Take writes back, as part of the run `run`: give each file exactly the bytes it had.

    The newest write comes first, as in `Journal.writes`. Writes that are not fixed, and those of an undo, are skipped. The
    modification time is restored, too, unless the write did not keep it: then the undo does not keep it, either. A file that does
    not hold the bytes written is left alone, with a reason; one that holds the old bytes counts as undone. A photo that a newer
    sidecar then contradicts gets its old bytes, too, with the reason. A photo whose pixels were turned gets its bytes from the
    copy that was kept, which is then deleted. Nothing is written unless `admit` allows it, which is called with the write, the
    bytes it left and those before it. What was written `elsewhere` is taken back there.
    """
    for write in writes:
        if write.is_undoable and elsewhere and write.intent.method == Method.IMMICH:
            yield elsewhere.take_back(journal, run, write)
        elif write.is_undoable:
            yield _undo_one(journal, run, write, allow_hard_links, disk, admit)


def tried(
    journal: Journal,
    writes: Iterable[Write],
    *,
    allow_hard_links: bool = False,
    disk: Disk = DISK,
    admit: Admit = undo_guard.admit,
    elsewhere: Elsewhere | None = None,
) -> Iterator[Outcome]:
    """What `undo` would do, as far as reading shows; nothing is changed. A file that would get its old bytes back is pending."""
    for write in writes:
        if write.is_undoable and elsewhere and write.intent.method == Method.IMMICH:
            yield elsewhere.would_take_back(journal, write)
        elif write.is_undoable:
            found = _prepared(journal, write, disk, admit)
            if isinstance(found, Outcome):
                yield found
            elif found.intent.old_stat.nlink > 1 and not allow_hard_links:
                reason = "it has several names (hard links), and all would change: allow that with --hard-links"
                yield Outcome(write.intent.path, Status.FAILED, reason, code=Reason.HARD_LINKS)
            else:
                yield _tried(write, found, disk)


def _tried(write: Write, found: "_Prepared", disk: Disk) -> Outcome:
    path = write.intent.path
    try:
        rights.check(path, in_place=is_in_place(found.patch), dates=found.intent.mtime_ns is not None)
    except PhotoError as error:
        return Outcome(path, Status.FAILED, f"it cannot be written now: {error}", code=error.code)
    if against := _contradiction(write.intent, disk):
        reason = f"would get its old bytes back, but {against}"
        return Outcome(path, Status.PENDING, reason, code=Reason.SIDECAR_CONTRADICTS)
    return Outcome(path, Status.PENDING)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An undo that is admitted: `patch` leads from `data` back."""

    intent: Intent
    patch: Patch
    data: bytes


def _undo_one(journal: Journal, run: int, write: Write, allow_hard_links: bool, disk: Disk, admit: Admit) -> Outcome:
    found = _prepared(journal, write, disk, admit)
    if isinstance(found, _Prepared):
        outcome = carry_out(journal, run, found.intent, found.patch, found.data, allow_hard_links, disk)
        against = _contradiction(write.intent, disk) if outcome.status is Status.FIXED else ""
        reason = f"has its old bytes back, but {against}"
        return replace(outcome, reason=reason, code=Reason.SIDECAR_CONTRADICTS) if against else outcome
    if found.status is Status.UNCHANGED:
        originals_of(journal, disk).drop(write.intent.temp)
        journal.settle(write.id, WriteStatus.UNDONE, found.reason, code=found.code)
    return found


def _prepared(journal: Journal, write: Write, disk: Disk, admit: Admit) -> _Prepared | Outcome:
    """How a write is to be taken back; or why not: it is not possible, or (UNCHANGED) not needed."""
    done, originals = write.intent, originals_of(journal, disk)
    try:
        data, stat = read_now(done, disk)
        held = sha256_of(data)
        patch = originals.back(done, data) if held == done.new_sha256 else Patch(())
        if patch.splices:
            admit(done, data, patch.apply(data))
    except PhotoError as error:
        return Outcome(done.path, Status.FAILED, str(error), code=error.code)
    if held == done.old_sha256:
        reason, code = "the old bytes were back already", Reason.DONE_BEFORE
        return Outcome(done.path, Status.UNCHANGED, reason, stat, held, done.old_orientation, code=code)
    if held != done.new_sha256:
        later = journal.run_that_wrote(done.path, write.id)
        reason = f"run {later} changed it again: undo that first" if later else "it changed since orientd wrote it: left alone"
        return Outcome(done.path, Status.FAILED, reason + originals.where(done.temp), stat, held, code=Reason.CHANGED)
    intent = Intent(
        path=done.path,
        format=done.format,
        old_stat=stat,
        old_sha256=done.new_sha256,
        new_sha256=done.old_sha256,
        patch=journalled(done.method, patch),
        old_orientation=done.new_orientation,
        new_orientation=done.old_orientation,
        turn=-done.turn % 360,
        method=done.method,
        mtime_ns=None if done.mtime_ns is None else done.old_stat.mtime_ns,
        temp=files.temp_name(),
        undoes=write.id,
    )
    return _Prepared(intent, patch, data)


def _contradiction(done: Intent, disk: Disk) -> str:
    """What a sidecar stores against a photo that has its old bytes back; empty if nothing, or if it is a sidecar itself."""
    return "" if done.method == Method.SIDECAR else sidecars.contradiction(done.path, done.old_orientation, disk)
