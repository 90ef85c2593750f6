"""What was taken back, or kept as a person said, offered again.

Which writes keep a photo from being turned is passed over from now on, and what was noted of its picture (`keeping`) forgotten.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from orientd import commands, formats
from orientd.config import Config
from orientd.errors import ConfigError, PhotoError
from orientd.files import read
from orientd.formats import fingerprint
from orientd.library import sidecars
from orientd.library.paths import below
from orientd.records import ON_SERVERS, Notify
from orientd.state.journal import Journal, Write, WriteStatus, open_journal
from orientd.write import keeping
from orientd.write.reverted import stands
from orientd.write.undo import names_of


def offer(config: Config, wanted: Sequence[int | str], notify: Notify) -> int:
    """Have photos judged like any other that were turned and taken back: those of runs, by number, or at paths, and with these
    what a person wanted as it is shown. Gives how many.

    Raises:
        ConfigError: nothing was taken back or kept there.
    """
    found: set[str] = set()
    with open_journal(config, notify) as journal:
        for one in wanted:
            writes = of_run(journal, one) if isinstance(one, int) else of_path(journal, one)
            kept = set() if isinstance(one, int) else _lift(config, one, notify)
            if not writes and not kept:
                place = f"of run {one}" if isinstance(one, int) else f"at {one}"
                also = "" if isinstance(one, int) else " or kept as a person said"
                raise ConfigError(f"nothing {place} was taken back{also}; to list the runs: {commands.line('history')}")
            journal.offer(write.id for write in writes)
            found.update(kept, (write.intent.path for write in writes))
    return len(found)


def of_run(journal: Journal, run: int) -> list[Write]:
    """What was taken back of a run, or by it, and what of it was turned back by another program where it was written."""
    return [*journal.undone(run), *_by_hand(journal.writes(run))]


def of_path(journal: Journal, path: str) -> list[Write]:
    """What was taken back of a photo, also if it was moved since; of a folder, of all that was written below it."""
    names = names_of(path)
    if os.path.isdir(path):
        inside = (write for run in journal.runs() for write in journal.writes(run.id) if below(write.intent.path, list(names)))
        return [write for write in inside if _was_undone(write) or next(_by_hand([write]), None)]
    nearby = [sidecar for name in names for sidecar in sidecars.paths(name)]
    held, marks = _known(path)
    found = journal.about([*names, *nearby], held, fingerprint.pictures(marks))
    return [write for write in found if _was_undone(write) or _was_turned_back(write, names, held, marks)]


def _lift(config: Config, path: str, notify: Notify) -> set[str]:
    if mark := keeping.on_server(path):
        return keeping.lift(config, lambda kept: kept.path == path, notify, [mark])
    names = names_of(path)
    if os.path.isdir(path):
        return keeping.lift(config, lambda kept: below(kept.path, list(names)), notify)
    held, marks = _known(path)
    return keeping.lift(config, lambda kept: kept.path in names or kept.sha256 == held, notify, fingerprint.pictures(marks))


def _known(path: str) -> tuple[str, fingerprint.Marks]:
    """The hash and the marks of a photo; none of one that cannot be read, of which the path alone counts then."""
    try:
        data = read.read_whole(path)[0]
    except PhotoError:
        return "", frozenset()
    return sha256(data).hexdigest(), fingerprint.marks(formats.sniff(data), data)


def _was_undone(write: Write) -> bool:
    return write.status is WriteStatus.UNDONE


def _was_turned_back(write: Write, names: Iterable[str], held: str, marks: fingerprint.Marks) -> bool:
    if write.intent.path in names and write.intent.path.startswith(ON_SERVERS):  # a person who names it has seen it left alone
        return write.is_undoable
    if write.intent.path in names:
        return next(_by_hand([write]), None) is not None
    return held != write.intent.new_sha256 and bool(fingerprint.is_same(write.intent.marks, marks))


def _by_hand(writes: Iterable[Write]) -> Iterator[Write]:
    """Those of which the photo is there and is not as it was written."""
    for write in writes:
        if write.is_undoable and os.path.exists(write.intent.path) and not stands(write):
            yield write
