"""A scan by many workers, of which any may be slow or be lost: every photo is judged, and comes out once, as the walk goes.

Units (see `units`) are begun in the order of the walk and come back in any; what comes back is remembered at once and waits until
all before it is there. So much may be under way or wait, whatever the size of the library; then nothing new is begun. A unit that
is late is begun once more by a worker that has nothing else to do, and whichever comes first counts; one whose worker was lost is
begun again. If that happens to a unit twice its photos are tried each by itself, and one that takes several workers with it is
left out.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Final, NamedTuple, Protocol

from orientd.pipeline.cluster import units
from orientd.pipeline.run import Stages
from orientd.reasons import Reason
from orientd.records import Candidate, Row, Verdict

LATE: Final = 30.0
"""Seconds after which a unit is worth beginning once more. One of photos that all need a second look takes about so long."""

MOST_HELD: Final = 20_000
"""Rows under way or waiting, at least; more where that is too few to keep a large cluster at work."""

LOSSES: Final = 3
"""Workers that one photo may cost; a unit of several may cost one fewer."""

_LOOK: Final = 0.2
_LEFT_OUT: Final = (
    "{} workers ended one after the other while they judged it: left out; open it in a viewer, or compare it with a backup, and "
    "scan it without --cluster"
)


class Ended(NamedTuple):
    """What became of a unit, by its number; `rows` is None if its worker was lost, `blamed` if that was judging it."""

    unit: int
    rows: Sequence[Row] | None
    blamed: bool = False


class Crew(Protocol):
    """Workers that judge units, each in the order in which it got them."""

    @property
    def has_room(self) -> bool:
        """True if `begin` would take a unit."""
        ...

    @property
    def capacity(self) -> int:
        """How many photos it has room for in all."""
        ...

    def begin(self, unit: int, candidates: Sequence[Candidate], *, spare: bool = False) -> bool:
        """Have a worker judge it; with `spare` one that has nothing else to do, nor this unit. False if there is none."""
        ...

    def ended(self, seconds: float) -> Sequence[Ended]:
        """What has ended since, in the order of arrival; waits so long for the first. Raises OrientdError if nobody is left."""
        ...


@dataclass(eq=False)
class _Block:
    """Rows as the walk goes; each None among the `slots` is the next one of `judged`, of which so many are `missing`."""

    slots: units.Slots
    judged: list[Row | None]
    missing: int

    def rows(self) -> Iterator[Row]:
        judged = iter(self.judged)
        for slot in self.slots:
            row = slot or next(judged)
            assert row
            yield row


@dataclass(eq=False)
class _Unit:
    """Photos of a block, from the place `start` of its judged ones on; `copies` of it are under way, the first `since` then."""

    block: _Block
    start: int
    candidates: Sequence[Candidate]
    number: int
    copies: int = 0
    losses: int = 0
    since: float = 0.0

    @property
    def is_hopeless(self) -> bool:
        return self.losses >= (LOSSES if len(self.candidates) == 1 else LOSSES - 1)


def run(
    candidates: Iterable[Candidate],
    stages: Stages,
    crew: Crew,
    stop: Callable[[], bool],
    most: int = units.MOST,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Row, None, None]:
    """As `pipeline.run`, which see; the crew judges in place of `stages.judge`, `most` photos at a time. Once `stop()` is true
    nothing more comes out.

    Raises:
        OrientdError: no worker is left.
    """
    blocks = units.in_units(takewhile(lambda _: not stop(), candidates), stages.lookup, most)
    spread = _Spread(blocks, stages, crew, clock)
    while not stop():
        for row in spread.ready():
            if stop():
                return
            yield stages.act(row) if row.decision in (Verdict.FIX, Verdict.UNSURE) else row
        if spread.begin_next():
            continue
        if spread.is_done:
            return
        spread.settle(crew.ended(_LOOK))
        spread.back_up()


@dataclass(eq=False)
class _Spread:
    blocks: Iterator[tuple[units.Slots, list[Candidate]]]
    stages: Stages
    crew: Crew
    clock: Callable[[], float]
    waiting: deque[_Block] = field(default_factory=deque)
    under_way: dict[int, _Unit] = field(default_factory=dict)
    again: deque[_Unit] = field(default_factory=deque)
    held: int = 0
    walked: bool = False
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def is_done(self) -> bool:
        """True once the walk has ended and nothing is left to wait for."""
        return self.walked and not self.waiting

    def ready(self) -> Iterator[Row]:
        """The rows before which none is missing."""
        while self.waiting and not self.waiting[0].missing:
            block = self.waiting.popleft()
            self.held -= len(block.slots)
            yield from block.rows()

    def begin_next(self) -> bool:
        """Begin a unit that was lost, or the next one of the walk; False if there is no room, or nothing left."""
        if self.again:
            if begun := self._begin(self.again[0]):
                self.again.popleft()
            return begun
        if self.held >= max(MOST_HELD, 4 * self.crew.capacity) or not self.crew.has_room:
            return False
        slots, candidates = next(self.blocks, (None, []))
        if slots is None:
            self.walked = True
            return False
        block = _Block(slots, [None] * len(candidates), len(candidates))
        self.waiting.append(block)
        self.held += len(slots)
        if candidates:
            unit = _Unit(block, 0, candidates, next(self.numbers))
            if not self._begin(unit):
                self.again.append(unit)
        return True

    def settle(self, ended: Iterable[Ended]) -> None:
        """Take what came back. Of a unit that was begun twice the later is passed over."""
        for end in ended:
            unit = self.under_way.get(end.unit)
            if unit and end.rows is not None:
                self._judged(unit, end.rows)
            elif unit:
                unit.copies -= 1
                unit.losses += end.blamed
                if not unit.copies:
                    self._lost(unit)

    def back_up(self) -> None:
        """Have who has nothing else to do begin what is late."""
        late = self.clock() - LATE
        for unit in takewhile(lambda each: each.since <= late, list(self.under_way.values())):
            if unit.copies == 1:
                if not self.crew.begin(unit.number, unit.candidates, spare=True):
                    return
                unit.copies += 1

    def _begin(self, unit: _Unit) -> bool:
        if not self.crew.begin(unit.number, unit.candidates):
            return False
        unit.copies, unit.since = 1, self.clock()
        self.under_way[unit.number] = unit
        return True

    def _judged(self, unit: _Unit, rows: Sequence[Row]) -> None:
        assert [row.path for row in rows] == [each.path for each in unit.candidates]
        self.under_way.pop(unit.number, None)
        self.stages.record(rows)
        unit.block.judged[unit.start : unit.start + len(rows)] = rows
        unit.block.missing -= len(rows)

    def _lost(self, unit: _Unit) -> None:
        del self.under_way[unit.number]
        if not unit.is_hopeless:
            self.again.append(unit)
        elif len(unit.candidates) == 1:
            self._judged(unit, [_left_out(unit.candidates[0])])
        else:
            each = enumerate(unit.candidates, unit.start)
            self.again.extend(_Unit(unit.block, place, [one], next(self.numbers)) for place, one in each)


def _left_out(photo: Candidate) -> Row:
    stat, reason = photo.stat, _LEFT_OUT.format(LOSSES)
    return Row(
        photo.path,
        decision=Verdict.ERROR,
        reason=reason,
        size=stat.size,
        mtime_ns=stat.mtime_ns,
        reason_code=Reason.CRASHES,
    )
