"""The one owner of writes: the lock, the journal, and those who fix a photo by its tag, its pixels, a sidecar or a server."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from orientd import records
from orientd.config import Config
from orientd.decode import admitted
from orientd.files.write import Mtime
from orientd.orientation import swaps_sides, turned
from orientd.reasons import Reason
from orientd.records import FileStat, Method, Notify, Probabilities, Row, Status, Verdict
from orientd.state.in_hand import Hand, Held, stat_of
from orientd.state.journal import Journal, open_journal
from orientd.state.lock import Lock, Waiting
from orientd.state.seen import Seen
from orientd.write import fix, recover, redo, undo_guard
from orientd.write.change import Rotate, Writable
from orientd.write.elsewhere import Elsewhere
from orientd.write.sidecar import SidecarFixer

PATIENCE: Final = 120.0  # a watcher pauses for a second twice a minute, or later where it turns the pixels of large photos


@dataclass
class Writer:
    """The only owner of writes: holds the lock and the journal, and repairs what an earlier run left half done below the real
    folders `roots` or, without any, anywhere; see `recover.recover` for `admit`.

    A photo is in `hand` while it is written. Its remembered rows are dropped before, as `--mtime keep` leaves no other sign of a
    change. While another orientd writes it waits for `wait` seconds, or for `patience` if that is a watcher. `begun` is called
    with the number of the run. `elsewhere` writes photos on servers; without it none of them is written.
    """

    config: Config
    seen: Seen
    command: str
    stop: Callable[[], bool]
    notify: Notify
    rotate: Rotate | None = None
    roots: Sequence[str] = ()
    patience: float = PATIENCE
    admit: recover.Admit = undo_guard.admit
    hand: Hand | None = None
    begun: Callable[[int], object] = lambda _: None
    wait: float = 0.0
    elsewhere: Elsewhere | None = None
    journal: Journal = field(init=False)
    failures: list[str] = field(default_factory=list, init=False)
    _stack: ExitStack = field(init=False)

    def __enter__(self) -> "Writer":
        with ExitStack() as stack:
            waiting = Waiting(self.config.state_dir, self.wait, self.stop, self.notify, self.patience)
            stack.enter_context(Lock(self.config.state_dir, wait=waiting))
            self.journal = stack.enter_context(open_journal(self.config, self.notify))
            for outcome in recover.recover(self.journal, within=self.roots, admit=self.admit, elsewhere=self.elsewhere):
                self.seen.forget(outcome.path)
                self.notify(f"{outcome.path}: {outcome.reason or 'the interrupted change was finished'}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if "run" in self.__dict__:
                if self.failures:
                    self.journal.note_failures(self.run, self.failures)
                self.journal.finish_run(self.run, "interrupted" if kind or self.stop() else "done")

    @cached_property
    def run(self) -> int:
        """Begun with the first write, so that a scan that finds nothing leaves no trace."""
        run = self.journal.start_run(self.command)
        self.begun(run)
        return run

    @cached_property
    def _fixer(self) -> fix.Fixer:
        return fix.Fixer(
            self.journal,
            self.run,
            Writable(self.config.formats),
            admitted.make_second_reader(self.config.max_memory, isolate=self.config.isolate),
            Mtime(self.config.mtime),
            self.config.hard_links,
            rotate=self.rotate,
        )

    @cached_property
    def _sidecar_fixer(self) -> SidecarFixer:
        config = self.config
        return SidecarFixer(self.journal, self.run, config.sidecar_naming, Mtime(config.mtime), config.hard_links)

    def fix(self, row: Row, method: Method) -> tuple[Row, records.Outcome]:
        """Write one photo as its row says; the row comes back with what happened."""
        self.seen.forget(row.path)
        with self._in_hand(row, method):
            outcome = self._fixed(row._replace(method=method))
        self.note(outcome)
        done = row._replace(outcome=outcome.status, reason=outcome.reason, reason_code=outcome.code)
        if outcome.status is Status.FIXED:  # a person may have changed the turn in the plan, or the decision
            done = done._replace(new_orientation=outcome.orientation, method=outcome.method)
        return done, outcome

    def _fixed(self, row: Row) -> records.Outcome:
        if row.method is Method.IMMICH:
            assert self.elsewhere, "who is given photos on servers is given who writes them"
            return self.elsewhere.fix(self.journal, self.run, row)
        return (self._sidecar_fixer if row.method is Method.SIDECAR else self._fixer).fix(row)

    def redo(self, run: int) -> Iterator[records.Outcome]:
        """Make again what was taken back of a run, or by it."""
        for outcome in redo.redo(self._fixer, self.journal.undone(run), self._fixed):
            self.seen.forget(outcome.path)
            self.note(outcome)
            yield outcome

    def note(self, outcome: records.Outcome) -> None:
        """Have the history of this run count a failure, also one at which nothing was begun to be written."""
        if outcome.status is Status.FAILED:
            self.failures.append(outcome.path)

    def _in_hand(self, row: Row, method: Method) -> AbstractContextManager[None]:
        return self.hand.holding(_held(row, method)) if self.hand else nullcontext()


def _held(row: Row, method: Method) -> list[Held]:
    try:
        return [Held.of(row.path, stat_of(row.path), row.turn or 0, method)]
    except OSError:  # opening it will report that
        return []


def fixed_row(row: Row, outcome: records.Outcome, stat: FileStat, run: int) -> Row:
    """What a later scan would say of a photo just fixed, which is in the state `stat` now: the same probabilities, seen from the
    new side."""
    turn, sides = row.turn or 0, (row.width, row.height)
    if outcome.method in (Method.ROTATE, Method.IMMICH) and swaps_sides(turned(row.orientation, turn)):
        sides = sides[::-1]
    return row._replace(
        width=sides[0],
        height=sides[1],
        orientation=outcome.orientation,
        turn=0,
        probabilities=row.probabilities and _seen_from(turn, row.probabilities),
        decision=Verdict.KEEP,
        new_orientation=None,
        method=row.method if outcome.method is Method.SIDECAR else None,
        reason=f"fixed in run {run}",
        reason_code=Reason.DONE_BEFORE,
        size=stat.size,
        mtime_ns=stat.mtime_ns,
        sha256=outcome.sha256,
    )


def _seen_from(turn: int, probabilities: Probabilities) -> Probabilities:
    """Those of a photo that has been turned by so many degrees clockwise since."""
    first = turn // 90
    p0, p90, p180, p270 = probabilities[first:] + probabilities[:first]
    return p0, p90, p180, p270
