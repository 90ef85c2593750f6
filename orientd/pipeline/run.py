"""Stage order and concurrency: candidates are looked up, judged by workers, then acted on by one owner, in a fixed order.

At most a few batches are in flight, so memory does not grow with the library, and rows come out in the order of the walk,
whatever the number of workers and whatever was known before.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, takewhile

from orientd.errors import Stopped
from orientd.records import Candidate, Row, Verdict

LOOKUP = 500


@dataclass(frozen=True)
class Stages:
    """What the pipeline calls. `judge` runs in several threads at once; the others run only in the caller's thread.

    lookup: for each candidate the row it got before, or None.
    judge: one row per candidate, in order; no photo makes it raise, but it may raise Stopped once the run is to stop.
    act: carries out a row whose decision is fix; a dry run returns the row unchanged. It leaves an unsure row unless a person
        decided it.
    record: remembers rows just judged, before any is acted on.
    expect: called with every batch, in order, before it is judged.
    """

    lookup: Callable[[Sequence[Candidate]], Sequence[Row | None]]
    judge: Callable[[Sequence[Candidate]], Sequence[Row]]
    act: Callable[[Row], Row]
    record: Callable[[Sequence[Row]], None]
    expect: Callable[[Sequence[Candidate]], object] = lambda _: None


def run(
    candidates: Iterable[Candidate], stages: Stages, workers: int, batch: int, stop: Callable[[], bool], lookup: int = LOOKUP
) -> Generator[Row, None, None]:
    """Yield one row per candidate, in their order. Once `stop()` is true nothing new is begun; what was judged but not acted on
    is dropped.

    So many candidates as `lookup` says are taken at a time.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="orientd-judge") as pool:
        pending: deque[_Block] = deque()
        try:
            for slots, new in _blocks(takewhile(lambda _: not stop(), candidates), stages, batch, lookup):
                if stop():
                    return
                stages.expect(new)
                pending.append(_Block(slots, pool.submit(stages.judge, new) if new else None))
                while len(pending) > 2 * workers or (pending and pending[0].is_ready):
                    yield from _finish(pending.popleft(), stages, stop)
            while pending and not stop():
                yield from _finish(pending.popleft(), stages, stop)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Block:
    """Rows in the order of the walk; each None among the `slots` is the next one of `judged`."""

    slots: Sequence[Row | None]
    judged: Future[Sequence[Row]] | None

    @property
    def is_ready(self) -> bool:
        return self.judged is None or self.judged.done()


def _blocks(
    candidates: Iterable[Candidate], stages: Stages, batch: int, lookup: int
) -> Iterator[tuple[list[Row | None], list[Candidate]]]:
    """Known rows, with None where a new candidate belongs, and these: as many as a batch holds, or fewer, as known rows do not
    wait for ever."""
    source, most = iter(candidates), max(batch, LOOKUP)
    slots: list[Row | None] = []
    new: list[Candidate] = []
    while chunk := list(islice(source, lookup)):
        for candidate, row in zip(chunk, stages.lookup(chunk), strict=True):
            slots.append(row)
            if row is None:
                new.append(candidate)
            if len(new) == batch or len(slots) == most:
                yield slots, new
                slots, new = [], []
        if slots and not new:
            yield slots, new
            slots, new = [], []
    if slots:
        yield slots, new


def _finish(block: _Block, stages: Stages, stop: Callable[[], bool]) -> Iterator[Row]:
    judged: Sequence[Row] = ()
    if block.judged:
        try:
            judged = block.judged.result()
        except Stopped:
            return
        stages.record(judged)
    waiting = iter(judged)
    for slot in block.slots:
        row = next(waiting) if slot is None else slot
        if stop():
            return
        yield stages.act(row) if row.decision in (Verdict.FIX, Verdict.UNSURE) else row
