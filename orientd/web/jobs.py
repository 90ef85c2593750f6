"""What takes a while: a scan, Apply, and undo. One at a time, in a thread of its own, with its progress for the page."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from orientd.config import Config
from orientd.errors import OrientdError
from orientd.library.paths import real_place
from orientd.records import Notify, Row, Status, Verdict
from orientd.report.text import printable
from orientd.state.journal import open_journal
from orientd.web.rows import Done, Rows

_NAMED: Final = 200  # failures and notices that the page names
_LEFT: Final = "left alone, as something else was said of them, or the plan was written anew, before their turn came: {:,}"
_STATES: Final = {Status.FIXED: "done", Status.UNCHANGED: "unchanged", Status.FAILED: "failed"}

Stop = Callable[[], bool]
Work = Callable[["Progress", Stop], None]


class Report(Protocol):
    """Where a scan writes its rows; `finish` gives the path of the plan."""

    notice: str

    def write(self, row: Row) -> None: ...

    def finish(self) -> str: ...

    def close(self) -> None: ...


@dataclass
class Progress:
    """How far a job is, for the page; numbers only grow."""

    kind: str
    total: int | None = None
    done: int = 0
    fixed: int = 0
    failed: int = 0
    found: int = 0
    run: int | None = None
    ended: bool = False
    stopped: bool = False
    error: str = ""
    notices: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def notify(self, text: str) -> None:
        if len(self.notices) < _NAMED:
            self.notices.append(printable(text))

    def began(self, run: int) -> None:
        self.run = run

    def add(self, path: str, status: Status, reason: str) -> None:
        self.done += 1
        self.fixed += status is Status.FIXED
        if status is Status.FAILED:
            self.failed += 1
            if len(self.failures) < _NAMED:
                self.failures.append((printable(path), printable(reason)))


class Jobs:
    """Starts jobs, one at a time, and sees that they end when the page does."""

    def __init__(self) -> None:
        self._lock, self._thread = threading.Lock(), threading.Thread()
        self._stop = threading.Event()
        self.progress: Progress | None = None

    def start(self, progress: Progress, work: Work) -> bool:
        """Begin to work; False if there is something to do already."""
        with self._lock:
            if self.is_busy or self._stop.is_set():
                return False
            self._ask = threading.Event()
            self.progress = progress
            self._thread = threading.Thread(target=self._run, args=(progress, work, self._ask), name=f"orientd-{progress.kind}")
            self._thread.start()
            return True

    def _run(self, progress: Progress, work: Work, ask: threading.Event) -> None:
        try:
            work(progress, ask.is_set)
        except OrientdError as error:
            progress.error = printable(str(error))
        except Exception as error:  # the page shows it; a thread would only print it
            progress.error = f"a fault of orientd, please report it: {printable(repr(error))}"
        finally:
            progress.stopped, progress.ended = ask.is_set(), True

    @property
    def is_busy(self) -> bool:
        return self.progress is not None and not self.progress.ended

    def ask_to_stop(self) -> None:
        """Let the job in hand end after its photo."""
        if self.is_busy:
            self._ask.set()

    def close(self) -> None:
        """As `ask_to_stop`, and wait for that; no other begins."""
        with self._lock:
            self._stop.set()
            self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join()


class Planned(Sequence[Row]):
    """The rows of photos as they are to be turned; one that is not wanted so any more when it is asked for is left alone.

    `at` is the place of the row that was asked for last, `left` are the numbers of those that are left alone.
    """

    def __init__(self, rows: Rows, numbers: Sequence[int], is_wanted: Callable[[int, Row], bool]) -> None:
        self.numbers, self._is_wanted = numbers, is_wanted
        self._rows = [rows.row(number) for number in numbers]
        self.at = -1
        self.left: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        """The row at a place. What was left alone once stays so: what it needs was not made ready."""
        row, number, self.at = self._rows[place], self.numbers[place], place
        if number not in self.left and self._is_wanted(number, row):
            return row
        self.left.add(number)
        return row._replace(decision=Verdict.SKIP)


def apply(config: Config, rows: Rows, roots: Sequence[str], planned: Planned, command: str, job: Progress, stop: Stop) -> None:
    """As `orientd apply` does it, the rows of these photos, each as far as it is wanted when its turn comes."""
    from orientd import app  # with all that judges: it would make the first card wait

    done = app.apply(config, planned, roots, stop=stop, notify=job.notify, command=command, begun=job.began)
    with closing(done):
        for row in done:
            number, job.done = planned.numbers[planned.at], planned.at
            job.add(row.path, row.outcome, row.reason)
            rows.note({number: Done(_STATES.get(row.outcome, "failed"), job.run, row.reason)})
    if not stop():
        job.done = len(planned)
    if planned.left:
        job.notify(_LEFT.format(len(planned.left)))


def undo(config: Config, rows: Rows, run: int, command: str, job: Progress, stop: Stop) -> None:
    """As `orientd undo RUN` does it."""
    from orientd import app

    of_run = rows.done_by(run)
    places = {real_place(rows.base(number).path): number for number in of_run}
    outcomes = app.undo(config, run, stop=stop, notify=job.notify, command=command)
    with closing(outcomes):
        for outcome in outcomes:
            job.add(outcome.path, outcome.status, outcome.reason)
            number = places.get(outcome.path)
            if number is not None:
                state = "failed" if outcome.status is Status.FAILED else "undone"
                rows.note({number: Done(state, run, outcome.reason)})
    if not job.failed and not stop():  # sidecars have other paths than their photos
        rows.note({number: Done("undone", run) for number in of_run})


def scan(config: Config, roots: Sequence[str], report: Report, command: str, job: Progress, stop: Stop) -> str:
    """As `orientd scan` does it; the path of the plan, empty if it was stopped before it was whole."""
    from orientd import app

    counted = threading.Event()

    def count() -> None:
        with suppress(OrientdError):  # the walk that judges meets the same fault and reports it
            job.total = app.count(config, roots, lambda: stop() or counted.is_set())

    ahead = threading.Thread(target=count, name="orientd-count")
    ahead.start()
    looking = app.scan(config, roots, fix=False, rescan=False, stop=stop, notify=job.notify, command=command)
    try:
        with closing(looking):
            for row in looking:
                report.write(row)
                job.done += 1
                job.found += row.decision is Verdict.FIX
        if stop():
            return ""
        plan = report.finish()
        if report.notice:
            job.notify(report.notice)
        return plan
    finally:
        counted.set()
        ahead.join()
        report.close()


def done_before(config: Config, rows: Rows, numbers: Sequence[int], notify: Notify) -> dict[int, Done]:
    """Which of these photos an earlier run has changed as they were judged, if that was not taken back."""
    found: dict[int, Done] = {}
    with open_journal(config, notify) as journal:
        for number in numbers if journal.has_writes() else ():
            row = rows.base(number)
            same = (one for one in journal.about([row.path], row.sha256, []) if one.intent.path == row.path)
            last = next((one for one in same if one.intent.old_sha256 == row.sha256), None)
            if last and last.is_undoable:
                found[number] = Done("done", last.run)
    return found


def allowed(config: Config, given: Sequence[str], notify: Notify) -> Sequence[str]:
    """The real folders that may be read: those given or, without any, those that this user's runs ever scanned."""
    if given:
        return given
    with open_journal(config, notify) as journal:
        return journal.roots()
