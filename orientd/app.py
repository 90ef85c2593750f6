"""The composition root: the only module that names concrete decoders, engines and stores."""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from orientd import act, formats, pipeline
from orientd.config import Config
from orientd.decide import decide, needs_second_look
from orientd.discover import walk
from orientd.errors import ConfigError, ReadError, Refused
from orientd.files import Mtime
from orientd.items import Decision, Photo, Picture, Prediction, Row, Status, Verdict
from orientd.judge import NOT_A_PHOTO, Judge
from orientd.orientation import turned
from orientd.record import Journal, Lock, Run, is_locked
from orientd.seen import Seen

JUDGEMENT: Final = "1"  # raise it when decoding or judging changes its answers, so that cached ones are dropped
PROVIDERS: Final = {"cpu": ("CPUExecutionProvider",), "cuda": ("CUDAExecutionProvider",)}

Notify = Callable[[str], None]


def model_path(config: Config) -> Path:
    """The model file in use: the one configured, or the one that comes with orientd."""
    return Path(config.model) if config.model else Path(__file__).parent / "models" / "orientd.onnx"


def make_judge(config: Config) -> tuple[Judge, str]:
    """A judge by this configuration, and the id under which its rows may be reused.

    Raises:
        EngineUnavailable: ONNX Runtime or the provider asked for is not there.
        ModelError: the model cannot be used.
    """
    from orientd import infer, read
    from orientd.decode.cpu import CpuDecoder

    providers = PROVIDERS[config.provider]
    first = infer.Engine(str(model_path(config)), providers)
    local, spare = threading.local(), [first]

    def eyes() -> infer.Engine:
        if not hasattr(local, "engine"):
            try:
                local.engine = spare.pop()  # asking first whether there is one would let two threads take it
            except IndexError:
                local.engine = infer.Engine(str(model_path(config)), providers)
        engine: infer.Engine = local.engine
        return engine

    decoder = CpuDecoder(first.spec.input_size, config.max_pixels)

    def check(photo: Photo, orientation: int) -> None:
        if photo.stat.nlink > 1 and not config.hard_links:
            raise Refused("it has several names (hard links): run with --hard-links to change all of them")
        formats.plan(photo.format, photo.data, orientation)

    judge = Judge(lambda candidate: read.read(candidate, config.max_bytes), decoder.decode, eyes, check, config.policy)
    return judge, f"{JUDGEMENT}-{first.model_id}-{config.policy.id}-{config.hard_links}-{config.max_pixels}-{config.max_bytes}"


def scan(
    config: Config,
    roots: Sequence[str],
    *,
    fix: bool,
    rescan: bool,
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
) -> Generator[Row, None, None]:
    """Judge everything below `roots` and, with `fix`, put right what is shown wrong; one row per file, in the order of the walk.

    Raises:
        OrientdError: what must stop the run; some of it before the first row.
    """
    with ExitStack() as stack:
        candidates = walk(roots, config.exclude, config.one_file_system)
        judge, identity = make_judge(config)
        seen = stack.enter_context(Seen(Path(config.state_dir), identity, notify))
        writer = stack.enter_context(Writer(config, seen, command, stop, notify)) if fix else None
        journal = writer.journal if writer else stack.enter_context(open_journal(config, notify))

        def act_on(row: Row) -> Row:
            if run := journal.was_undone(row.sha256):
                reason = f"you undid this change of run {run}: left alone"
                return row._replace(decision=Verdict.SKIP.value, new_orientation=None, method="", reason=reason)
            return _fix(writer, row) if writer else row

        stages = pipeline.Stages(
            lookup=(lambda chunk: [None] * len(chunk)) if rescan else seen.lookup, judge=judge, act=act_on, record=_recorder(seen)
        )
        workers = config.workers or os.cpu_count() or 1
        for row in pipeline.run(candidates, stages, workers, config.batch, stop):
            if row.reason != NOT_A_PHOTO:
                yield row


def apply(
    config: Config, rows: Sequence[Row], *, stop: Callable[[], bool], notify: Notify, command: str
) -> Generator[Row, None, None]:
    """Carry out the rows of a plan whose decision is fix, refusing every photo that changed since it was judged."""
    with Seen(Path(config.state_dir), "", notify) as seen, Writer(config, seen, command, stop, notify) as writer:
        for row in rows:
            if stop():
                return
            if row.decision == Verdict.FIX:
                yield writer.fix(row._replace(path=os.path.abspath(row.path)))[0]  # the journal is read from other folders, too


def undo(
    config: Config, run: int | None, *, stop: Callable[[], bool], notify: Notify, command: str
) -> Generator[act.Outcome, None, None]:
    """Give the photos of a run (the last one that wrote, if None) exactly the bytes they had.

    Raises:
        ConfigError: there is nothing to undo, or no such run.
    """
    with Seen(Path(config.state_dir), "", notify) as seen, Writer(config, seen, command, stop, notify) as writer:
        chosen = writer.journal.last_undoable() if run is None else run
        if chosen is None:
            raise ConfigError("there is nothing to undo")
        if not writer.journal.is_undoable(chosen):
            raise ConfigError(f"run {chosen} has nothing to undo: orientd history lists the runs")
        for outcome in act.undo(writer.journal, writer.run, writer.journal.writes(chosen), allow_hard_links=config.hard_links):
            seen.forget(outcome.path)
            yield outcome
            if stop():
                return


def count(config: Config, roots: Sequence[str], stop: Callable[[], bool]) -> int | None:
    """How many files a scan of `roots` looks at; None if stopped before the end."""
    number = 0
    for _ in walk(roots, config.exclude, config.one_file_system):
        if stop():
            return None
        number += 1
    return number


def open_journal(config: Config, notify: Notify) -> Journal:
    """The journal; that it was damaged is told at once, whichever command meets it first."""
    journal = Journal(config.state_dir)
    if journal.warning:
        notify(journal.warning)
    return journal


def history(config: Config, notify: Notify) -> list[Run]:
    """Every run that wrote, the newest first; one that was killed could not say so, but it holds the lock no more."""
    with open_journal(config, notify) as journal:
        runs = journal.runs()
    alive = is_locked(config.state_dir)
    return [replace(run, status="interrupted") if run.status == "running" and not alive else run for run in runs]


def status(config: Config, notify: Notify) -> dict[str, str]:
    """Where the state is and what it holds, for people."""
    with open_journal(config, notify) as journal, Seen(Path(config.state_dir), "", notify) as seen:
        unsettled, known = len(journal.unsettled()), seen.count()
    runs = history(config, notify)
    return {
        "state": config.state_dir,
        "model": str(model_path(config)),
        "files known": f"{known:,}",
        "runs that wrote": f"{len(runs):,}" + (f", the last {runs[0].status}: {runs[0].command}" if runs else ""),
        "photos put right": f"{sum(run.fixed for run in runs):,}",
        "interrupted writes": f"{unsettled:,}" + (", mended by the next run that writes" if unsettled else ""),
    }


@dataclass(frozen=True, slots=True)
class Inspection:
    """One photo and all that was thought about it. `refusal` says why it could not be written, if so."""

    photo: Photo
    picture: Picture
    first: Prediction
    second: Prediction
    decision: Decision
    refusal: str


def inspect(config: Config, path: str) -> Inspection:
    """Judge one photo with every view, whatever the first look says; the decision is the one a scan takes.

    Raises:
        ConfigError: it is a folder.
        PhotoError: it cannot be read or decoded.
    """
    if os.path.isdir(path):
        raise ConfigError(f"{path} is a folder: name one photo, or run orientd scan")
    judge, _ = make_judge(config)
    candidate = next(walk([path]), None)
    photo = judge.read(candidate) if candidate else None
    if photo is None:
        raise ReadError(NOT_A_PHOTO)
    picture = judge.decode(photo)
    first, second = judge.eyes().look(picture.pixels[None])[0], judge.eyes().look_again(picture.pixels)
    decision = decide(second if needs_second_look(first, judge.policy) else first, judge.policy)
    try:
        judge.check(photo, turned(photo.orientation, decision.turn))
        refusal = ""
    except Refused as error:
        refusal = str(error)
    return Inspection(photo, picture, first, second, decision, refusal)


@dataclass
class Writer:
    """The one owner of writes: holds the lock and the journal, and mends what an earlier run left half done.

    What was remembered of a photo is forgotten before it is written, as `--mtime keep` leaves no other sign of a change.
    """

    config: Config
    seen: Seen
    command: str
    stop: Callable[[], bool]
    notify: Notify
    journal: Journal = field(init=False)
    _stack: ExitStack = field(init=False)

    def __enter__(self) -> "Writer":
        with ExitStack() as stack:
            stack.enter_context(Lock(self.config.state_dir))
            self.journal = stack.enter_context(open_journal(self.config, self.notify))
            for outcome in act.recover(self.journal):
                self.seen.forget(outcome.path)
                self.notify(f"{outcome.path}: {outcome.reason or 'the interrupted change was finished'}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if "run" in self.__dict__:
                self.journal.finish_run(self.run, "interrupted" if kind or self.stop() else "done")

    @cached_property
    def run(self) -> int:
        """Begun with the first write, so that a scan that finds nothing leaves no trace."""
        return self.journal.start_run(self.command)

    @cached_property
    def _fixer(self) -> act.Fixer:
        from orientd.decode.cpu import witness

        return act.Fixer(self.journal, self.run, formats, witness, Mtime(self.config.mtime), self.config.hard_links)

    def fix(self, row: Row) -> tuple[Row, act.Outcome]:
        """Write one photo as its row says; the row comes back with what happened."""
        probabilities = (row.p0, row.p90, row.p180, row.p270)
        known = tuple(p for p in probabilities if p is not None)
        self.seen.forget(row.path)
        outcome = self._fixer.fix(row.path, row.size, row.mtime_ns, row.sha256, row.turn or 0, known)
        done = row._replace(outcome=outcome.status.value, reason=outcome.reason)
        if outcome.status is Status.FIXED:  # a person may have changed the turn in the plan, or the decision
            done = done._replace(new_orientation=outcome.orientation, method=act.METHOD_TAG)
        return done, outcome


def _fix(writer: Writer, row: Row) -> Row:
    done, outcome = writer.fix(row)
    if outcome.status is Status.FIXED and outcome.stat:
        writer.seen.add([_put_right(row, outcome, writer.run)])
    return done


def _put_right(row: Row, outcome: act.Outcome, run: int) -> Row:
    """What a later scan would say of a photo just fixed: the same probabilities, seen from the new side."""
    assert outcome.stat
    assert row.turn
    probabilities = (row.p0, row.p90, row.p180, row.p270)
    shift = row.turn // 90
    p0, p90, p180, p270 = probabilities[shift:] + probabilities[:shift]
    return row._replace(
        orientation=outcome.orientation,
        turn=0,
        p0=p0,
        p90=p90,
        p180=p180,
        p270=p270,
        decision=Verdict.KEEP.value,
        new_orientation=None,
        method="",
        reason=f"put right in run {run}",
        size=outcome.stat.size,
        mtime_ns=outcome.stat.mtime_ns,
        sha256=outcome.sha256,
    )


def _recorder(seen: Seen) -> Callable[[Sequence[Row]], None]:
    """Remembers what the content decided. What may be better next time is asked again: a file that could not be read, or one
    that is shown wrong and must not be written, for its other names, say."""

    def lasting(row: Row) -> bool:
        return bool(row.sha256) if row.decision == Verdict.ERROR else not row.beyond_reach

    return lambda rows: seen.add(row for row in rows if lasting(row))
