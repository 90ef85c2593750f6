"""What the page works on: a plan, its photos, and the running job; every result is fit for JSON."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from orientd.config import Config
from orientd.errors import PhotoError, StateError
from orientd.files.syscalls import CHANGED
from orientd.library.paths import below, real_place
from orientd.orientation import TURNS
from orientd.pipeline.immich.pictures import ImmichPhotos
from orientd.pipeline.pictures import Shown
from orientd.reasons import Reason, words
from orientd.records import ON_SERVERS, Notify, Row, Verdict
from orientd.report.text import printable
from orientd.report.verdicts import Choice
from orientd.web import jobs
from orientd.web.cards import card
from orientd.web.jobs import Jobs, Planned, Progress, Report
from orientd.web.listing import ORDERS, SHOWS, Listing, Query, accepted_at_once, listing
from orientd.web.previews import Previews
from orientd.web.rows import Done, Rows
from orientd.write import keeping

MOST_CARDS: Final = 200
_FIRST: Final = 24  # cards that come with a list
_UNDONE: Final = ("", "undone", "failed")


class NotPossible(Exception):
    """The page asked for something that is not possible; the text says why, `status` is that of the answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Rules:
    """How a page is served: `roots` are the real folders given, `command` what the journal says, `read_only` is without Apply."""

    config: Config
    roots: Sequence[str]
    command: str
    read_only: bool
    notify: Notify


class Desk:
    """See above. Every method may be called by any thread."""

    def __init__(self, rules: Rules) -> None:
        self._rules, self._jobs, self._lock = rules, Jobs(), threading.Lock()
        self._rows: Rows | None = None
        self._readable: Sequence[str] = ()
        self._last: tuple[Query, int, Listing] = Query(), -1, Listing([], [], [], [])  # of a version
        self._counted = (-1, 0, 0)  # version, photos accepted, and these with the open proposals
        self._folders: dict[str, int] = {}
        self._served = None if rules.roots else ImmichPhotos(rules.config, rules.notify)
        self._previews = Previews(rules.config, lambda: self._readable, served=self._served)

    def warm(self) -> None:
        """Get ready for the first photo."""
        self._previews.warm()

    def expect(self) -> None:
        """Get ready for the first page, which will want the usual list."""
        self.listed({})

    def open(self, plan: str) -> None:
        """Show a plan.

        Raises:
            OrientdError: it cannot be read.
        """
        rules = self._rules
        rows = Rows(plan, rules.notify, self._remember)
        self._readable = jobs.allowed(rules.config, rules.roots, rules.notify)
        numbers = list(dict.fromkeys([*rows.numbers([Verdict.FIX]), *rows.decided()]))
        rows.note(jobs.done_before(rules.config, rows, numbers, rules.notify))
        self._remember_lost(rows)
        self._rows = rows

    def _remember_lost(self, rows: Rows) -> None:
        """Remember the photos that are kept only by the verdicts next to the plan: these are saved first, and a crash lost the
        rest."""
        if kept := [row for row in rows.kept() if self._may_be_known(row)]:
            try:
                keeping.remember_lost(self._rules.config, kept, self._rules.notify, rows.plan)
            except StateError as error:  # the plan is shown all the same
                self._rules.notify(str(error))

    def _remember(self, said: Sequence[tuple[Row, Choice]]) -> None:
        """Have what is kept not offered again, as far as it may be read, and all else offered like any other."""
        config, notify = self._rules.config, self._rules.notify
        kept = [row for row, choice in said if choice is Choice.KEEP and self._may_be_known(row)]
        if others := [row for row, choice in said if choice is not Choice.KEEP]:
            keeping.forget_keep(config, others, notify)
        if kept:
            keeping.remember_keep(config, kept, notify, self.rows.plan)

    def _may_be_known(self, row: Row) -> bool:
        """True if a photo may be read, or need not be as it is on a server."""
        return row.path.startswith(ON_SERVERS) or below(real_place(row.path), self._readable)

    def scan(self, report: Report) -> None:
        """Scan the folders given, and show the plan once it is there."""

        def work(job: Progress, stop: jobs.Stop) -> None:
            if plan := jobs.scan(self._rules.config, self._rules.roots, report, self._rules.command, job, stop):
                self.open(plan)

        self._jobs.start(Progress("scan"), work)

    def close(self) -> None:
        """End the job in hand after its photo; no server is asked for a picture any more."""
        if self._served:
            self._served.close()
        self._jobs.close()

    def fault(self, error: Exception) -> str:
        """Report a fault at the terminal; returns the message for the page."""
        self._rules.notify(f"a fault of orientd, please report it: {error!r}")
        return f"A fault of orientd, please report it: {type(error).__name__}"

    @property
    def rows(self) -> Rows:
        if self._rows is None:
            raise NotPossible("There is no plan yet.", 409)
        return self._rows

    def state(self, since: int | None) -> dict[str, Any]:
        """What happened after a version, and how far the job in hand is."""
        job = self._jobs.progress
        answer: dict[str, Any] = {"ready": self._rows is not None, "job": asdict(job) if job else None}
        if self._rows is not None:
            self._rows.refresh()
            changed = None if since is None else self._changed(since)
            answer |= {"version": self._rows.version, "changed": changed, **self._totals()}
        return answer

    def _changed(self, since: int) -> list[tuple[int, bool]] | None:
        changed = self.rows.changed_since(since)
        decided = set(self.rows.decided()) if changed else set()
        return None if changed is None else [(number, number in decided) for number in changed]

    def _totals(self) -> dict[str, Any]:
        rows, version = self.rows, self.rows.version
        if self._counted[0] != version:
            self._counted = version, len(self._to_apply("accepted")), len(self._to_apply("all"))
        _, accepted, proposed = self._counted
        about = {"plan": printable(rows.plan), "readOnly": self._rules.read_only}
        return {**about, "accepted": accepted, "proposed": proposed}

    def listed(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The photos of a query in their order, the first as cards, and what can be chosen from; nothing without a plan."""
        if self._rows is None:
            return {}
        self.rows.refresh()
        with self._lock:
            query, version = self._query(asked), self.rows.version
            if self._last[:2] != (query, version):
                self._last = query, version, listing(self.rows, query)
            found = self._last[2]
            for name, _ in found.folders:
                self._folders.setdefault(name, len(self._folders))
            folders = [(self._folders[name], printable(name), count) for name, count in found.folders]
        numbers, decided = found.numbers, set(self.rows.decided())
        return {
            "version": version,
            "sections": [asdict(section) for section in found.sections],
            "decided": [number for number in numbers if number in decided],
            "cards": self.cards(numbers[:_FIRST]),
            "folders": folders,
            "reasons": [(code, words(Reason.known(code)) if Reason.known(code) else code, n) for code, n in found.reasons],
            "witnesses": [(printable(name), n) for name, n in found.witnesses],
        }

    def _query(self, asked: Mapping[str, str]) -> Query:
        folder = asked.get("folder", "")
        path = next((path for path, number in self._folders.items() if str(number) == folder), "") if folder else ""
        show, order = asked.get("show", "decide"), asked.get("order", "confidence")
        if show not in SHOWS or order not in ORDERS or (folder and not path):
            raise NotPossible("There is no such choice.")
        return Query(show, order, path, asked.get("reason", ""), asked.get("witness", ""))

    def cards(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """The photos of these numbers that are there."""
        return [card(self.rows, number) for number in numbers[:MOST_CARDS] if self.rows.is_there(number)]

    def preview(self, number: int, side: int) -> Shown:
        """A photo in small, as it is shown now.

        Raises:
            PhotoError: it cannot be shown.
        """
        rows = self.rows
        if not rows.is_there(number):
            raise NotPossible("There is no such photo.", 404)
        row = rows.base(number)
        if row.reason_code is Reason.CRASHES:
            raise PhotoError(Reason.CRASHES, row.reason)
        found = self._previews.get(row.path, side)
        if row.sha256 and found.sha256 != row.sha256 and not rows.done(number):
            rows.note({number: Done("changed", None, CHANGED)})
        return found

    def judge(self, numbers: Sequence[int], choice: Choice, turn: int | None, page: str) -> dict[str, Any]:
        """Note a verdict on photos."""
        return self._answer(self.rows.judge(numbers, choice, turn, page))

    def accept(self, asked: Mapping[str, str], above: float, page: str) -> dict[str, Any]:
        """Accept all proposals that a query shows and nobody has decided on, from a confidence (0–1) on."""
        with self._lock:
            numbers = accepted_at_once(self.rows, listing(self.rows, self._query(asked)).numbers, above)
        return self._answer(self.rows.judge(numbers, Choice.ACCEPT, None, page) if numbers else [])

    def take_back(self, page: str) -> dict[str, Any]:
        """Take back the last verdict of a page."""
        return self._answer(self.rows.take_back(page))

    def _answer(self, numbers: Sequence[int]) -> dict[str, Any]:
        decided = set(self.rows.decided())
        changed = [(number, number in decided) for number in numbers]
        return {"version": self.rows.version, "changed": changed, "cards": self.cards(numbers), **self._totals()}

    def _to_apply(self, which: str) -> list[int]:
        """The photos to be turned: those that a person accepted or turned or, for all, the open proposals, too."""
        rows = self.rows
        numbers = rows.decided() if which == "accepted" else [*rows.decided(), *rows.numbers([Verdict.FIX])]
        return [number for number in dict.fromkeys(numbers) if not rows.is_put_off(number) and self._is_to_do(number)]

    def _is_to_do(self, number: int) -> bool:
        done, row = self.rows.done(number), self.rows.row(number)
        is_sound = row.decision is Verdict.FIX and row.turn in TURNS[1:] and self.rows.can_be_judged(number)
        return is_sound and (done.state if done else "") in _UNDONE

    def _is_still_wanted(self, which: str, number: int, row: Row) -> bool:
        """True if a photo is to be turned as its row says, whatever this page, another or another program said meanwhile."""
        rows = self.rows
        rows.refresh()
        now, said = rows.row(number), rows.verdict(number)
        is_meant = not rows.is_put_off(number) and (which == "all" or said is not None)
        return is_meant and (now.turn, now.method) == (row.turn, row.method) and self._is_to_do(number)

    def apply(self, which: str, count: int) -> dict[str, Any]:
        """Begin to turn the photos; `count` is how many the page showed to the person."""
        self._check_may_write()
        self.rows.refresh()
        numbers = self._to_apply(which)
        if not numbers or len(numbers) != count:
            raise NotPossible(f"There are {len(numbers):,} photos to turn now: check the number again.", 409)
        rules = self._rules
        planned = Planned(self.rows, numbers, partial(self._is_still_wanted, which))
        work = partial(jobs.apply, rules.config, self.rows, rules.roots, planned, rules.command)
        return self._begin(Progress("apply", total=len(numbers)), work)

    def undo(self, run: int) -> dict[str, Any]:
        """Begin to take back a run that turned photos of this plan."""
        self._check_may_write()
        number = len(self.rows.done_by(run))
        if not number:
            raise NotPossible(f"Run {run} has turned none of these photos.", 409)
        work = partial(jobs.undo, self._rules.config, self.rows, run, self._rules.command)
        return self._begin(Progress("undo", total=number), work)

    def _check_may_write(self) -> None:
        if self._rules.read_only:
            raise NotPossible("This page is served read-only: no photo is changed.", 403)

    def _begin(self, progress: Progress, work: Callable[[Progress, jobs.Stop], None]) -> dict[str, Any]:
        if not self._jobs.start(progress, work):
            raise NotPossible("Something else is being done: wait until it has ended.", 409)
        return self.state(None)

    def stop(self) -> dict[str, Any]:
        """Let the job in hand end after its photo."""
        self._jobs.ask_to_stop()
        return self.state(None)
