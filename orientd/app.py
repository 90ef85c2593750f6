"""The composition root: the only module that names concrete decoders, engines and stores."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from orientd import commands, records
from orientd.config import Config, processors
from orientd.errors import ConfigError, ReadError
from orientd.judge.judge import NOT_A_PHOTO
from orientd.library import left_out as leaving_out
from orientd.library.exclude import Exclusion, read_patterns
from orientd.library.given import own_roots, to_judge
from orientd.library.listed import sorted_out
from orientd.library.paths import below, folders, presence
from orientd.library.reader import PhotoReader
from orientd.library.shard import Part, Shard
from orientd.library.walk import walk
from orientd.pipeline import deaths, planned
from orientd.pipeline import run as pipeline
from orientd.pipeline.cluster.scan import Cluster
from orientd.pipeline.immich import scan as immich
from orientd.pipeline.immich.pictures import ImmichPhotos
from orientd.pipeline.inspection import Inspection, inspected
from orientd.pipeline.stages import at_once, chosen_model, make_judge, make_stages, naming_of, open_seen
from orientd.reasons import Reason
from orientd.records import Method, Notify, Row, Status, Verdict
from orientd.state.in_hand import Hand
from orientd.state.journal import Run, open_journal
from orientd.state.kept import Kept
from orientd.state.lock import is_locked
from orientd.state.originals import Originals
from orientd.state.seen import Seen
from orientd.write import undo as undoing
from orientd.write import undo_guard
from orientd.write import verify as verifying
from orientd.write.rehearsal import rehearsed
from orientd.write.rotate import planner, planner_of
from orientd.write.undo import Move, undoable
from orientd.write.verify import Finding
from orientd.write.writer import Writer

NumberCallback = Callable[[int], object]


def _nobody(_: int) -> None:
    """Ignores the number of the run."""


def scan(
    config: Config,
    roots: Sequence[str],
    *,
    fix: bool,
    rescan: bool,
    unattended: bool = False,
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
    begun: NumberCallback = _nobody,
    left_out: leaving_out.Tally | None = None,
    listed: Sequence[str] = (),
    part: Part | None = None,
    cluster: Cluster | None = None,
    wait: float = 0.0,
) -> Generator[Row, None, None]:
    """Judge everything below `roots` and, with `fix`, fix what needs a turn; one row per file, in the order of the walk.

    Without `fix` a row says if this user may not write its photo, except if `unattended`: another user applies that plan.
    The photos `listed` come last; a path in a list may no longer exist. `left_out` counts what is not looked at. `unattended`:
    no person started the run; see `reverted.turned_back`. `begun` is called with the number of the run before its first write.
    `part`: judge only the photos of this part. `cluster`: judges in place of this machine. `wait`: how many seconds to wait for
    another orientd that is writing, here as below.

    Raises:
        OrientdError: what must stop the run; some of it before the first row.
    """
    with ExitStack() as stack:
        exclusion = Exclusion(config.exclude, read_patterns(config.exclude_file), notify)
        check_presence, part = presence(roots), part or Part()
        given, candidates = to_judge(config, roots, listed, exclusion, stop, left_out, part)
        hand = stack.enter_context(Hand(config.state_dir))
        again = [held for held in hand.all_left_out() if below(held.path, given)] if rescan else []
        deaths.look_after(hand, config, notify, stop, again)
        stack.enter_context(deaths.noticed(hand, config))
        rotate = planner(config.method, isolate=config.isolate)
        source = stack.enter_context(closing(PhotoReader(config, naming_of(config), glances=config.first_look == "thumbnail")))
        judge, part.judged_by = make_judge(config, notify, rotate, source, stop)
        seen = stack.enter_context(open_seen(config, part.judged_by, notify))
        write = Writer(config, seen, command, stop, notify, rotate, folders(given), hand=hand, begun=begun, wait=wait)
        writer = stack.enter_context(write) if fix else None
        journal = writer.journal if writer else stack.enter_context(open_journal(config, notify))
        journal.add_roots(given)
        kept = stack.enter_context(Kept(config.state_dir, notify))

        make = partial(make_stages, config, judge, seen, journal, kept, writer, hand, expect=source.expect)
        stages = make(unattended=unattended, rescan=rescan)
        at_work = partial(pipeline.run, workers=config.workers or processors.available(), batch=at_once(config, judge))
        if cluster:
            at_work = partial(cluster.run, roots=given, judged_by=part.judged_by, writes=fix, notify=notify)
        for row in stack.enter_context(closing(at_work(candidates, stages, stop=stop))):
            if row.decision is Verdict.ERROR and not row.sha256:
                check_presence()
            if row.reason_code is not Reason.NOT_A_PHOTO:
                yield row if fix or unattended else rehearsed(row, config)
            if row.outcome is Status.FAILED:
                check_presence()
        for pattern in [] if stop() else exclusion.unfit:
            notify(f"exclude {pattern}: it left nothing out, as it fits nothing that was met: is the path or the pattern right?")


def apply(
    config: Config,
    rows: Sequence[Row],
    roots: Sequence[str] = (),
    *,
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
    begun: NumberCallback = _nobody,
    wait: float = 0.0,
) -> Generator[Row, None, None]:
    """Carry out the rows of a plan whose decision is fix, each by its own method, refusing photos that changed since judged.

    A plan may come from anyone: only what is below `roots` is written, or below what was ever scanned if there are none; and
    nothing that the configuration or a marker excludes.

    Raises:
        ConfigError: a pattern of what to exclude cannot be understood.
        LibraryUnavailable: one of `roots` is not there.
    """
    exclusion = Exclusion(config.exclude, read_patterns(config.exclude_file), notify)
    given = own_roots(roots)
    within = folders(given)
    turned_by_pixels = {row.format for row in rows if row.decision is Verdict.FIX and planned.method_of(row) is Method.ROTATE}
    rotate = planner_of(turned_by_pixels, isolate=config.isolate)
    with ExitStack() as stack:
        seen = stack.enter_context(Seen(Path(config.state_dir), "", notify))
        hand = stack.enter_context(Hand(config.state_dir))
        deaths.look_after(hand, config, notify, stop)
        stack.enter_context(deaths.noticed(hand, config))
        elsewhere = stack.enter_context(closing(immich.make_writer(config, stop, notify)))
        write = Writer(
            config, seen, command, stop, notify, rotate, within, hand=hand, begun=begun, wait=wait, elsewhere=elsewhere
        )
        writer = stack.enter_context(write)
        allowed = given or writer.journal.roots()
        for row in rows:
            if stop():
                return
            if row.decision is Verdict.FIX:
                yield planned.carry_out(row, writer, allowed, exclusion, hand, named=bool(given))


def undo(
    config: Config,
    run: int | None,
    *,
    paths: Sequence[str] = (),
    moves: Sequence[Move] = (),
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
    begun: NumberCallback = _nobody,
    expect: NumberCallback = _nobody,
    wait: float = 0.0,
) -> Generator[records.Outcome, None, None]:
    """Give the photos of a run (the last one that wrote, if None), or of it only those at `paths`, exactly the bytes they had.

    With `paths` and no run, the last change of each is taken back, whichever run made it. See `undo_guard.admit`, too.
    `expect` is called with the number of outcomes to come, here as below.

    Raises:
        ConfigError: there is nothing to undo, or no such run.
    """
    within, admit = folders(paths), partial(undo_guard.admit, named=bool(paths))
    with ExitStack() as stack:
        seen = stack.enter_context(Seen(Path(config.state_dir), "", notify))
        elsewhere = stack.enter_context(closing(immich.make_writer(config, stop, notify)))
        write = Writer(
            config, seen, command, stop, notify, roots=within, admit=admit, begun=begun, wait=wait, elsewhere=elsewhere
        )
        writer = stack.enter_context(write)
        writes, left = undoable(writer.journal, run, moves, paths), writer.journal.undoable()
        expect(len(writes))
        if not paths:
            writer.journal.note_whole(writer.run)
        done = False
        hard = config.hard_links
        for outcome in undoing.undo(writer.journal, writer.run, writes, allow_hard_links=hard, admit=admit, elsewhere=elsewhere):
            seen.forget(outcome.path)
            writer.note(outcome)
            done = done or outcome.status is not Status.FAILED
            yield outcome
            if stop():
                return
        if not done and run in (None, left[0]) and not paths and len(left) > 1:
            before = commands.line("undo", left[1])
            notify(f"run {left[0]} cannot be undone in its current state; to undo the one before it: {before}")


def try_undo(
    config: Config,
    run: int | None,
    *,
    paths: Sequence[str] = (),
    moves: Sequence[Move] = (),
    notify: Notify,
    expect: NumberCallback = _nobody,
) -> Generator[records.Outcome, None, None]:
    """What `undo` would do; nothing is changed. Raises as that does."""
    admit = partial(undo_guard.admit, named=bool(paths))
    with open_journal(config, notify) as journal, closing(immich.make_reader(config, notify)) as elsewhere:
        writes = undoable(journal, run, moves, paths)
        expect(len(writes))
        yield from undoing.tried(journal, writes, allow_hard_links=config.hard_links, admit=admit, elsewhere=elsewhere)


def last_run(config: Config, notify: Notify) -> Run:
    """The run that an undo means which names none. Raises ConfigError if there is none that can be undone."""
    with open_journal(config, notify) as journal:
        number = undoing.last_to_undo(journal)
        return next(run for run in journal.runs() if run.id == number)


def redo(
    config: Config,
    run: int,
    *,
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
    begun: NumberCallback = _nobody,
    expect: NumberCallback = _nobody,
    wait: float = 0.0,
) -> Generator[records.Outcome, None, None]:
    """Turn photos again that were taken back: those that a run had turned or, if that is an undo, those that it took back.

    Raises:
        ConfigError: nothing of it was taken back.
    """
    with ExitStack() as stack:
        seen = stack.enter_context(Seen(Path(config.state_dir), "", notify))
        with open_journal(config, notify) as journal:
            undone = [write.intent for write in journal.undone(run)]
        if not undone:
            raise ConfigError(f"nothing of run {run} was taken back; to list the runs: {commands.line('history')}")
        by_pixels = {intent.format.value for intent in undone if intent.method == Method.ROTATE}
        rotate = planner_of(by_pixels, isolate=config.isolate)
        elsewhere = stack.enter_context(closing(immich.make_writer(config, stop, notify)))
        write = Writer(config, seen, command, stop, notify, rotate, begun=begun, wait=wait, elsewhere=elsewhere)
        writer = stack.enter_context(write)
        expect(len(undone))
        for outcome in writer.redo(run):
            yield outcome
            if stop():
                return


def verify(
    config: Config, moves: Sequence[Move], notify: Notify, expect: NumberCallback = _nobody
) -> Generator[Finding, None, None]:
    """Check every file ever written against the journal; nothing is changed."""
    with open_journal(config, notify) as journal, closing(immich.make_reader(config, notify)) as elsewhere:
        expect(journal.number_of_last_writes())
        yield from verifying.verify(journal, moves, elsewhere)


def count(
    config: Config, roots: Sequence[str], stop: Callable[[], bool], listed: Sequence[str] = (), part: Part | None = None
) -> int | None:
    """How many files a scan of `roots` and of what is `listed` looks at; None if stopped before the end."""
    exclusion, part = Exclusion(config.exclude, read_patterns(config.exclude_file)), Part(part.shard if part else Shard())
    more, known = sorted_out(listed, exclusion, leaving_out.Tally())
    number = sum(1 for _ in walk((*roots, *more), exclusion, config.one_file_system, stop, owns=part.owns))
    return None if stop() else number + len(part.of_list(known, ()))


def history(config: Config, notify: Notify) -> list[Run]:
    """Every run that wrote, the newest first; a run that was killed could not say so, but it no longer holds the lock."""
    originals = Originals(config.state_dir)
    with open_journal(config, notify) as journal:
        runs = journal.runs()
        forgotten = Counter(run for run, copy in journal.turned_by_pixels() if not originals.has(copy))
    alive = is_locked(config.state_dir)
    runs = [replace(run, forgotten=forgotten[run.id]) for run in runs]
    return [replace(run, status="interrupted") if run.status == "running" and not alive else run for run in runs]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the state directory holds: the files `known` from earlier scans, the runs that wrote, the newest first, the bytes of
    each original kept, and the number of writes that were interrupted. `model` is the file of the one in use."""

    state_dir: str
    model: str
    known: int
    runs: Sequence[Run]
    originals: Sequence[int]
    unsettled: int


def status(config: Config, notify: Notify) -> Standing:
    """Where the state is and what it holds."""
    with open_journal(config, notify) as journal, Seen(Path(config.state_dir), "", notify) as seen:
        unsettled, known = len(journal.unsettled()), seen.count()
    runs, originals = history(config, notify), Originals(config.state_dir).sizes()
    return Standing(config.state_dir, str(chosen_model(config).path), known, runs, originals, unsettled)


def inspect(config: Config, path: str, notify: Notify) -> Inspection:
    """Judge one photo with every view and every witness, whatever the first look says; the decision is the one a scan takes.

    Raises:
        ConfigError: it is a folder.
        PhotoError: it cannot be read or decoded.
    """
    if os.path.isdir(path):
        raise ConfigError(f"{path} is a folder: name one photo, or run {commands.line('scan', path)}")
    if path.startswith(records.ON_SERVERS):
        with closing(ImmichPhotos(config, notify)) as served:
            check = served.checked(path)
            return inspected(make_judge(config, check=check)[0], served.read(path))
    judge, _ = make_judge(config)
    candidate = next(walk([path]), None)
    photo = judge.read(candidate) if candidate else None
    if photo is None:
        raise ReadError(Reason.NOT_A_PHOTO, NOT_A_PHOTO)
    return inspected(judge, photo)
