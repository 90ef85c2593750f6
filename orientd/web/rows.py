"""The rows of a plan by number, with what persons said of them and what came of it, for several pages and threads at once.

A number stays that of its photo (path and SHA-256) for as long as this lives, also when the plan is rewritten meanwhile; so
does the history of each page, which its undo goes back through.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orientd.errors import OrientdError
from orientd.reasons import Reason
from orientd.records import Notify, Row, Verdict
from orientd.report import verdicts
from orientd.report.plan_cells import PlanCells, without_collecting
from orientd.report.verdicts import Choice, PersonVerdict

_REMEMBERED: Final = 5000  # changes; a page that missed more asks for all it shows
_UNDOS: Final = 1000  # of each page
_PAGES: Final = 100
_HEX: Final = frozenset("0123456789abcdef")
_GONE: Final = "it is not in the plan any more"
_JUDGED: Final = (Verdict.FIX, Verdict.UNSURE, Verdict.KEEP)

Key = tuple[str, str]
Clock = Callable[[], datetime]
Remember = Callable[[Sequence[tuple[Row, Choice]]], None]


def _utc() -> datetime:
    return datetime.now(UTC)


def _nothing(_: object) -> None:
    """For those who remember nothing."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a photo: `state` is done, failed, unchanged or undone; `run` the one that did it, if that is known."""

    state: str
    run: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    key: Key
    before: PersonVerdict | None
    after: PersonVerdict


class Rows:
    """See above. Every method may be called by any thread."""

    def __init__(self, plan: str, notify: Notify, remember: Remember = _nothing, clock: Clock = _utc) -> None:
        """`remember` is called with the rows and the person's choices once these are saved; it may take long.

        Raises:
            ConfigError, StateError: the plan, or the verdicts on it, cannot be read.
        """
        self.plan = os.path.abspath(plan)
        self._notify, self._remember, self._clock, self._lock = notify, remember, clock, threading.RLock()
        self._numbers: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._lines: list[int] = []
        self._by_decision: dict[str, list[int]] = {}
        self._rows: dict[int, Row] = {}
        self._done: dict[int, Done] = {}
        self._changes: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._pages: dict[str, list[list[_Said]]] = {}
        self._states: tuple[object, object] = (None, None)
        self._verdicts: dict[Key, PersonVerdict] = {}
        self.version = self._since_all = 0
        self.refresh()

    def refresh(self) -> bool:
        """Read again what another program has written since; True if the plan was. What cannot be read stays as it was known.

        Raises:
            OrientdError: on the first time.
        """
        with self._lock:
            is_first = self._states == (None, None)
            try:
                return self._refreshed(_state(self.plan), _state(verdicts.path_for(self.plan)))
            except OrientdError:  # a spreadsheet is writing it, say: it is tried again
                if is_first:
                    raise
                return False

    def _refreshed(self, plan: object, given: object) -> bool:
        if given != self._states[1]:
            self._fold()
            self._states = self._states[0], given
        is_anew = plan != self._states[0] or plan is None
        if is_anew:
            with without_collecting():
                self._load()
            self._states = plan, given
        return is_anew

    def _load(self) -> None:
        cells = PlanCells(self.plan)
        columns = {name: cells.column(name) for name in ("path", "sha256", "decision", "reason_code", "evidence")}
        found = dict(zip(zip(columns["path"], columns["sha256"], strict=True), range(len(cells.lines)), strict=True))
        for key in found if self._keys else ():
            if key not in self._numbers:
                self._numbers[key] = len(self._keys)
                self._keys.append(key)
        if not self._keys:  # the first time, as fast as it can be
            self._keys, self._numbers = list(found), dict(zip(found, range(len(found)), strict=True))
        lines = [found.get(key, -1) for key in self._keys]
        by_decision: dict[str, list[int]] = {}
        for number, line in enumerate(lines):
            if line >= 0:
                by_decision.setdefault(columns["decision"][line].strip().lower(), []).append(number)
        self._rows.clear()
        self._cells, self._columns, self._lines, self._by_decision = cells, columns, lines, by_decision
        self._everything_changed()

    def _fold(self) -> None:
        before, self._verdicts = self._verdicts, verdicts.read(self.plan, self._notify)
        keys = {key for key in (*before, *self._verdicts) if before.get(key) != self._verdicts.get(key)}
        self._touch([self._numbers[key] for key in keys if key in self._numbers])

    # what is there

    def __len__(self) -> int:
        return len(self._cells.lines)

    def numbers(self, decisions: Iterable[str]) -> list[int]:
        """The photos whose rows have one of these decisions, in the order of the plan."""
        with self._lock:
            return [number for decision in decisions for number in self._by_decision.get(decision, ())]

    def decided(self) -> list[int]:
        """The photos of the plan that a person said something of, but for those put off."""
        with self._lock:
            known = ((self._numbers.get(key, -1), said) for key, said in self._verdicts.items())
            return [number for number, said in known if self.is_there(number) and said.choice is not Choice.SKIP]

    def kept(self) -> list[Row]:
        """The rows of photos of the plan that a person wants as they are, where nothing else was said of the same bytes."""
        with self._lock:
            others = {sha256 for (_, sha256), said in self._verdicts.items() if said.choice is not Choice.KEEP}
            found = (self._numbers.get(key, -1) for key in self._verdicts if key[1] not in others)
            return [self.base(number) for number in found if self.is_there(number) and self.can_be_judged(number)]

    def is_there(self, number: int) -> bool:
        return 0 <= number < len(self._lines) and self._lines[number] >= 0

    def cell(self, name: str, number: int) -> str:
        """One cell of a photo's row, as it is in the plan; empty for one that left it."""
        with self._lock:
            if name not in self._columns:
                self._columns[name] = self._cells.column(name)
            line = self._lines[number]
            return self._columns[name][line] if line >= 0 else ""

    def base(self, number: int) -> Row:
        """The row of a photo, as it is in the plan; one that is no row, or left the plan, is an error that says so."""
        with self._lock:
            row = self._rows.get(number)
            if row is None:
                row = self._rows[number] = self._made(number)
            return row

    def _made(self, number: int) -> Row:
        line, reason = self._lines[number], _GONE
        if line >= 0:
            try:
                return self._cells.row(line)
            except ValueError as error:
                reason = f"row {line + 1:,} of the plan: {error}"
        path, sha256 = self._keys[number]
        return Row(path, decision=Verdict.ERROR, reason=reason, reason_code=Reason.NOT_ALLOWED, sha256=sha256)

    def row(self, number: int) -> Row:
        """The row of a photo, as `base` has it, as it is decided."""
        with self._lock:
            return verdicts.fold(self.base(number), self.verdict(number))

    def verdict(self, number: int) -> PersonVerdict | None:
        return self._verdicts.get(self._keys[number])

    def is_put_off(self, number: int) -> bool:
        said = self.verdict(number)
        return said is not None and said.choice is Choice.SKIP

    def done(self, number: int) -> Done | None:
        return self._done.get(number)

    def done_by(self, run: int) -> list[int]:
        """The photos that a run has changed."""
        with self._lock:
            return [number for number, done in self._done.items() if done.run == run and done.state == "done"]

    def can_be_judged(self, number: int) -> bool:
        row = self.base(number)
        is_known = len(row.sha256) == 64 and _HEX.issuperset(row.sha256) and row.size is not None and row.size >= 0
        return is_known and row.decision in _JUDGED and bool(row.path)

    # what happens

    def judge(self, numbers: Sequence[int], choice: Choice, turn: int | None, page: str) -> list[int]:
        """Note a verdict of a page, which is on the disk when this returns; the photos it was noted for.

        More than one at once are accepted only where orientd proposes a turn.

        Raises:
            StateError: the disk says no; nothing is noted.
            ValueError: `turn` does not go with `choice`.
        """
        with self._lock:
            fit = [number for number in numbers if self.is_there(number) and self.can_be_judged(number)]
            if choice is Choice.ACCEPT and len(numbers) > 1:
                fit = [number for number in fit if self.base(number).decision is Verdict.FIX]
            when = self._when()
            new = [PersonVerdict(*self._keys[number], choice, turn, when) for number in fit]
            said = [_Said(self._keys[number], self.verdict(number), one) for number, one in zip(fit, new, strict=True)]
            self._append(new)
            if said:
                self._note_for_undo(page, said)
            saved = [(self.base(number), choice) for number in fit]
        self._remember(saved)
        return fit

    def take_back(self, page: str) -> list[int]:
        """Take back the last verdict of a page, where no other page has said something else since; the photos concerned.

        Raises:
            StateError: the disk says no.
        """
        with self._lock:
            history = self._pages.get(page) or [[]]
            last = [one for one in history.pop() if self._verdicts.get(one.key) == one.after]
            when = self._when()
            new = [one.before or PersonVerdict(*one.key, Choice.WITHDRAWN, None, when) for one in last]
            self._append(new)
            numbers = [self._numbers[one.key] for one in last]
            saved = [(self.base(number), one.choice) for number, one in zip(numbers, new, strict=True)]
        self._remember(saved)
        return numbers

    def _when(self) -> str:
        return self._clock().isoformat(timespec="seconds")

    def note(self, found: Mapping[int, Done]) -> None:
        """Note what came of photos."""
        with self._lock:
            self._done.update(found)
            self._touch(found)

    def _append(self, new: Sequence[PersonVerdict]) -> None:
        if not new:
            return
        verdicts.append(self.plan, new)
        for one in new:
            if one.choice is Choice.WITHDRAWN:
                self._verdicts.pop((one.path, one.sha256), None)
            else:
                self._verdicts[one.path, one.sha256] = one
        self._touch([self._numbers[one.path, one.sha256] for one in new])

    def _note_for_undo(self, page: str, said: list[_Said]) -> None:
        history = self._pages.setdefault(page, [])
        history.append(said)
        del history[:-_UNDOS]
        while len(self._pages) > _PAGES:
            del self._pages[next(iter(self._pages))]

    # what pages missed

    def changed_since(self, version: int) -> list[int] | None:
        """The photos that changed after a version; None if too much did."""
        with self._lock:
            if version < self._since_all or (
                self._changes and len(self._changes) == _REMEMBERED and self._changes[0][0] > version
            ):
                return None
            return list(dict.fromkeys(number for at, number in self._changes if at > version))

    def _touch(self, numbers: Iterable[int]) -> None:
        self.version += 1
        numbers = list(numbers)
        if len(numbers) > _REMEMBERED:
            self._since_all = self.version
        self._changes.extend((self.version, number) for number in numbers)

    def _everything_changed(self) -> None:
        self.version += 1
        self._since_all = self.version
        self._changes.clear()


def _state(path: str) -> object:
    """What distinguishes one state of a file from another."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return None
