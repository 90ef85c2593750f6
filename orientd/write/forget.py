"""The copies kept of photos that were turned by pixels: what there is, and how it is deleted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orientd import commands
from orientd.config import Config
from orientd.errors import ConfigError
from orientd.files.syscalls import DISK
from orientd.records import Notify
from orientd.state.journal import Journal, Write, WriteStatus, open_journal
from orientd.state.lock import Lock, Waiting
from orientd.write.recover import originals_of


@dataclass(frozen=True, slots=True)
class Forgettable:
    """The copies kept of photos that runs turned by pixels: how many, their bytes, and the photos that only they can undo."""

    runs: Sequence[int]
    copies: int
    size: int
    photos: int


def forgettable(config: Config, run: int | None, before_ns: int | None, notify: Notify) -> Forgettable:
    """What there is to forget of a run, of those begun before a time, or of all.

    Raises:
        ConfigError: there is no such run.
    """
    with open_journal(config, notify) as journal:
        known = [each for each in journal.runs() if run in (None, each.id)]
        if run is not None and not known:
            raise ConfigError(f"there is no run {run}; to list the runs: {commands.line('history')}")
        chosen = [each.id for each in known if before_ns is None or each.started_ns < before_ns]
        kept = {number: list(_kept(journal, number)) for number in chosen}
    found = [one for each in kept.values() for one in each]
    photos = sum(write.is_undoable for write, _ in found)
    return Forgettable([number for number, each in kept.items() if each], len(found), sum(size for _, size in found), photos)


def forget(config: Config, runs: Sequence[int], notify: Notify, wait: float = 0.0) -> list[int]:
    """Delete the copies kept of photos that runs turned by pixels: the bytes of each. Waits so many seconds for who writes."""
    waiting = Waiting(config.state_dir, wait, lambda: False, notify)
    with Lock(config.state_dir, wait=waiting), open_journal(config, notify) as journal:
        return [size for run in runs for size in delete(journal, run)]


def _kept(journal: Journal, run: int) -> Iterator[tuple[Write, int]]:
    """The writes of a run of which a copy is kept, and its bytes; those of interrupted ones are not counted."""
    originals = originals_of(journal, DISK)
    for write in journal.writes(run):
        if write.status is not WriteStatus.INTENDED and (size := originals.size(write.intent.temp)):
            yield write, size


def delete(journal: Journal, run: int) -> list[int]:
    """Delete the copies kept of photos that a run turned by pixels: the bytes of each. They cannot be undone any more."""
    originals = originals_of(journal, DISK)
    return [size for write, _ in _kept(journal, run) if (size := originals.drop(write.intent.temp))]
