"""Judges and writes photos that have settled, by the same stages as a scan, in a process that runs for months.

The model is loaded when there is something to judge and released after a while without work. The lock for writing is held only
while photos are judged, so that `orientd undo` and `orientd apply` work while a watcher is idle.
"""

import gc
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.config import Config, processors
from orientd.decode.children import CHILDREN
from orientd.errors import StateError
from orientd.judge.judge import Judge, Predictor
from orientd.library import sidecars
from orientd.pipeline import allocator, deaths
from orientd.pipeline import run as pipeline
from orientd.pipeline.stages import at_once, make_judge, make_stages, model_name, open_seen
from orientd.reasons import Reason
from orientd.records import Candidate, Prediction, Row, Status, Verdict
from orientd.state.in_hand import Hand
from orientd.state.journal import open_journal
from orientd.state.kept import Kept
from orientd.state.seen import Seen
from orientd.watch.arrivals import look
from orientd.watch.log_limit import LogLimiter
from orientd.watch.metrics import Metrics
from orientd.watch.proposals import Proposals
from orientd.write import keeping
from orientd.write.rotate import planner
from orientd.write.writer import Writer

_TRIED: Final = 10_000
_AGAIN: Final = 3600.0  # as `walk_every`, where that is 0


def _nobody(_: Row, __: int | None) -> None:
    """Ignores the row."""


@dataclass
class Worker:
    """Judges, and fixes or proposes what is sideways or upside down, by the configuration.

    stop: true once nothing new is to be begun. alive: called after every photo. roots: the folders watched, real paths.
    on_judged: called with the row of each photo judged or fixed, and the number of the run that fixed it, if any.
    """

    config: Config
    roots: Sequence[str]
    command: str
    metrics: Metrics
    log: logging.Logger
    stop: Callable[[], bool]
    alive: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    local: Callable[[], time.struct_time] = time.localtime
    on_judged: Callable[[Row, int | None], object] = _nobody
    _judge: Judge | None = None
    _identity: str = ""
    _seen: Seen | None = None
    _proposals: Proposals | None = None
    _tried: dict[str, tuple[tuple[int | None, int | None, str], float]] = field(default_factory=dict)
    _fresh: set[str] = field(default_factory=set)
    _day: tuple[str, int] = ("", 0)

    def __post_init__(self) -> None:
        self._limited = LogLimiter(self.log, self.clock)

    def prepare(self) -> None:
        """Load the model, and open the memory of what was judged.

        Raises:
            OrientdError: the model or the state directory cannot be used.
        """
        if self._judge is None:
            rotate = planner(self.config.method, isolate=self.config.isolate)
            notify = self.log.warning if not self._identity else None
            judge, identity = make_judge(self.config, notify, rotate, None, self.stop)
            self._judge, self.metrics.model = self._timed(judge), model_name(self.config)
            if identity != self._identity or self._seen is None:
                self._open(identity)
        plan = self.config.plan
        if plan != (self._proposals.path if self._proposals else ""):
            self._proposals = Proposals(plan) if plan else None

    def change(self, config: Config) -> None:
        """Use another configuration from now on. Raises as `prepare`, and then keeps the old one."""
        before, judge, self._judge = self.config, self._judge, None
        self.config = config
        try:
            self.prepare()
        except BaseException:
            self.config, self._judge = before, judge
            raise
        self._tried.clear()

    def release(self) -> None:
        """Give back the memory of the model, on the card too."""
        if self._judge is not None:
            self._judge = None
            CHILDREN.end()
            gc.collect()
            allocator.give_back()

    def news(self, candidates: list[Candidate]) -> list[Candidate]:
        """Those of some candidates that are not judged in their current state, or that wait to be fixed or proposed."""
        assert self._seen is not None
        if self._proposals:
            with suppress(StateError):  # the next burst reports it
                self._proposals.refresh()
        known = self._seen.lookup(candidates)
        return self.untried([each for each, row in zip(candidates, known, strict=True) if row is None or self._is_open(row)])

    def untried(self, candidates: list[Candidate]) -> list[Candidate]:
        """Those without the ones that came to nothing less than `walk_every` seconds ago and are as they were then."""
        return [each for each in candidates if not self._was_tried(each)]

    def burst(self, candidates: Iterable[Candidate]) -> None:
        """Judge photos and do what is to be done about them.

        Raises:
            StateError: another process writes, or the state directory cannot be written.
            OrientdError: the model cannot be used.
        """
        self.prepare()
        try:
            self._judge_all(candidates)
        except StateError:
            self._day = ("", 0)  # it may be another journal, without that run
            raise

    def _judge_all(self, candidates: Iterable[Candidate]) -> None:
        assert self._judge is not None
        assert self._seen is not None
        with ExitStack() as stack:
            stack.callback(self._fresh.clear)
            stack.callback(self._limited.sum_up)
            stack.callback(self._seen.flush)
            if self._proposals:
                self._proposals.refresh()
                stack.callback(self._proposals.flush)
            hand = stack.enter_context(Hand(self.config.state_dir))
            deaths.look_after(hand, self.config, self.log.warning, self.stop, alive=self.alive)
            stack.enter_context(deaths.noticed(hand, self.config))
            writer = stack.enter_context(self._writer(self._seen, hand)) if self.config.fix else None
            journal = writer.journal if writer else stack.enter_context(open_journal(self.config, self.log.warning))
            journal.add_roots(self.roots)
            kept = stack.enter_context(Kept(self.config.state_dir, self.log.warning))
            stages = self._counted(
                make_stages(self.config, self._judge, self._seen, journal, kept, writer, hand, unattended=True)
            )
            workers = self.config.workers or processors.available()
            batch = at_once(self.config, self._judge)
            for row in pipeline.run(candidates, stages, workers, batch, self.stop, lookup=batch):
                self._note(row, writer)
                self.alive()

    def close(self) -> None:
        self._judge = None
        if self._seen:
            self._seen.close()
            self._seen = None

    def _open(self, identity: str) -> None:
        if self._seen:
            self._seen.close()
        self._seen, self._identity = open_seen(self.config, identity, self.log.warning), identity

    def _writer(self, seen: Seen, hand: Hand | None = None) -> Writer:
        """All writes of a day are one run, so that history stays short and one `undo` takes back one day."""
        rotate = planner(self.config.method, isolate=self.config.isolate)
        writer = Writer(self.config, seen, self.command, self.stop, self.log.warning, rotate, self.roots, patience=0, hand=hand)
        day, run = self._day
        if day == self._today():
            writer.run = run
        return writer

    def _today(self) -> str:
        return time.strftime("%F", self.local())

    def _is_open(self, row: Row) -> bool:
        if row.decision is Verdict.FIX and self.config.fix:
            return True
        proposed = row.decision in (Verdict.FIX, Verdict.UNSURE)
        return proposed and self._proposals is not None and not self._proposals.holds(row)

    def _was_tried(self, candidate: Candidate) -> bool:
        if candidate.path not in self._tried:
            return False
        state, when = self._tried[candidate.path]
        same = state == (candidate.stat.size, candidate.stat.mtime_ns, sidecars.signature(candidate.path))
        return same and self.clock() - when < (self.config.walk_every or _AGAIN)

    def _timed(self, judge: Judge) -> Judge:
        timed = self.metrics.timed
        return replace(
            judge,
            read=timed("read", judge.read),
            decode=timed("decode", judge.decode),
            predictor=_TimedPredictor(judge.predictor, self.metrics),
        )

    def _counted(self, stages: pipeline.Stages) -> pipeline.Stages:
        def record(rows: Sequence[Row]) -> None:
            for row in rows:
                if row.reason_code is not Reason.NOT_A_PHOTO:
                    self.metrics.count(row.decision)
                    self._fresh.add(row.path)
            stages.record(rows)

        def act(row: Row) -> Row:
            decided = self._proposals.decided(row) if self._proposals else row
            return keeping.as_kept(row) if decided.decision is Verdict.KEEP else stages.act(decided)

        timed = self.metrics.timed
        return replace(stages, lookup=timed("lookup", stages.lookup), act=timed("act", act), record=record)

    def _note(self, row: Row, writer: Writer | None) -> None:
        """Log the outcome of a photo; one that may be different later is not tried again at once."""
        fresh = row.path in self._fresh
        self._fresh.discard(row.path)
        if fresh or row.outcome is Status.FIXED:
            self.on_judged(row, writer.run if writer and row.outcome is Status.FIXED else None)
        if row.outcome is Status.FIXED:
            assert writer is not None
            self._day = (self._today(), writer.run)
            self._log_fixed(row, writer.run)
            return
        if row.decision is Verdict.UNSURE:
            self._log_unsure(row, fresh)
        elif row.decision is Verdict.FIX and not row.outcome:
            self._log_wrong(row, fresh)
        elif row.decision is not Verdict.KEEP or row.decided_by:
            self._remember(row)
            self._log_left(row, fresh)

    def _remember(self, row: Row) -> None:
        self._tried.pop(row.path, None)
        self._tried[row.path] = (row.size, row.mtime_ns, sidecars.signature(row.path)), self.clock()
        if len(self._tried) > _TRIED:
            del self._tried[next(iter(self._tried))]

    def _log_left(self, row: Row, fresh: bool) -> None:
        if row.outcome:
            self.metrics.count(row.outcome)
        if row.outcome is Status.FAILED:
            self._limited.add(logging.WARNING, "not fixed", row.path, row.reason, row.reason_code)
        elif row.decision is Verdict.ERROR and look(row.path):  # one that was deleted meanwhile is no trouble
            self._limited.add(logging.WARNING, "not judged", row.path, row.reason, row.reason_code)
        elif row.decided_by or (row.decision is Verdict.SKIP and row.turn):
            if self._proposals:
                self._proposals.drop(row)
            if fresh:
                self._limited.add(logging.INFO, "left alone", row.path, row.reason, row.reason_code)

    def _log_fixed(self, row: Row, run: int) -> None:
        self.metrics.count("fixed")
        old = "none" if row.orientation is None else row.orientation
        facts = {"path": row.path, "run": run, "turn": row.turn, "old": row.orientation, "new": row.new_orientation}
        text = "fixed: %s: orientation %s → %s (%s° clockwise by %s) in run %s"
        self.log.info(text, row.path, old, row.new_orientation, row.turn, row.method, run, extra=facts)

    def _log_wrong(self, row: Row, fresh: bool) -> None:
        proposed = self._propose(row)
        if proposed or fresh:
            what = "proposed" if proposed else "sideways or upside down"
            self.log.info("%s: %s: needs %s° clockwise", what, row.path, row.turn, extra={"path": row.path, "turn": row.turn})

    def _log_unsure(self, row: Row, fresh: bool) -> None:
        proposed = self._propose(row)
        if proposed or fresh:
            what = "not sure, in the plan" if proposed else "not sure"
            self._limited.add(logging.INFO, what, row.path, row.reason, row.reason_code)

    def _propose(self, row: Row) -> bool:
        """Put it into the plan, if there is one; False if it is there already."""
        proposed = self._proposals is not None and self._proposals.add(row)
        if proposed:
            self.metrics.count("proposed")
        return proposed


class _TimedPredictor:
    def __init__(self, predictor: Predictor, metrics: Metrics) -> None:
        self._look = metrics.timed("infer", predictor.look)
        self._look_again = metrics.timed("infer", predictor.look_again)

    def look(self, pixels: NDArray[np.uint8]) -> list[Prediction]:
        return self._look(pixels)

    def look_again(self, pixels: NDArray[np.uint8]) -> Prediction:
        return self._look_again(pixels)
