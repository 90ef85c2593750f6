"""Stage order and concurrency: candidates are looked up, judged by workers, then acted on by one owner, in a fixed order.

At most a few batches are in flight, so memory does not grow with the library, and rows come out in the order of the walk,
whatever the number of workers.
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
    """What the pipeline calls. `judge` runs in several threads at once; the others only in the caller's.

    lookup: for each candidate the row it got before, or None.
    judge: one row per candidate, in order; never raises for one photo's sake, but may raise Stopped once the run is to stop.
    act: carries out a row whose decision is fix; a dry run passes the row through. An unsure one it leaves, if no person decided.
    record: remembers rows just judged, before any is acted on.
    expect: is told of every batch, in order, before it is judged.
    """

    lookup: Callable[[Sequence[Candidate]], Sequence[Row | None]]
    judge: Callable[[Sequence[Candidate]], Sequence[Row]]
    act: Callable[[Row], Row]
    record: Callable[[Sequence[Row]], None]
    expect: Callable[[Sequence[Candidate]], None] = lambda _: None


def run(
    candidates: Iterable[Candidate], stages: Stages, workers: int, batch: int, stop: Callable[[], bool], lookup: int = LOOKUP
) -> Generator[Row, None, None]:
    """Yield one row per candidate. Once `stop()` is true nothing new is begun; what was judged but not acted on is dropped.

    So many candidates as `lookup` says are taken at a time.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="orientd-judge") as pool:
        pending: deque[list[Row] | Future[Sequence[Row]]] = deque()
        try:
            for known, new in _chunks(takewhile(lambda _: not stop(), candidates), stages, batch, lookup):
                if stop():
                    return
                stages.expect(new)
                pending.append(pool.submit(stages.judge, new) if new else known)
                while len(pending) > 2 * workers or (pending and _ready(pending[0])):
                    yield from _finish(pending.popleft(), stages, stop)
            while pending and not stop():
                yield from _finish(pending.popleft(), stages, stop)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _chunks(
    candidates: Iterable[Candidate], stages: Stages, batch: int, lookup: int
) -> Iterator[tuple[list[Row], list[Candidate]]]:
    """Runs of known rows and batches of new candidates; each yielded pair holds one or the other."""
    source = iter(candidates)
    waiting: list[Candidate] = []
    while chunk := list(islice(source, lookup)):
        rows = stages.lookup(chunk)
        yield [row for row in rows if row is not None], []
        waiting += [candidate for candidate, row in zip(chunk, rows, strict=True) if row is None]
        while len(waiting) >= batch:
            yield [], waiting[:batch]
            waiting = waiting[batch:]
    if waiting:
        yield [], waiting


def _ready(entry: list[Row] | Future[Sequence[Row]]) -> bool:
    return isinstance(entry, list) or entry.done()


def _finish(entry: list[Row] | Future[Sequence[Row]], stages: Stages, stop: Callable[[], bool]) -> Iterator[Row]:
    if isinstance(entry, list):
        rows: Sequence[Row] = entry
    else:
        try:
            rows = entry.result()
        except Stopped:
            return
        stages.record(rows)
    for row in rows:
        if stop():
            return
        yield stages.act(row) if row.decision in (Verdict.FIX, Verdict.UNSURE) else row
