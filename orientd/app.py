"""The composition root: the only module that names concrete decoders, engines and stores."""

import os
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from orientd import act, cards, catalogue, change, deaths, guard, memory, past, pipeline, sidecars
from orientd.config import Config, data_directory
from orientd.decide import decide, needs_second_look
from orientd.decode import admitted
from orientd.discover import below, presence, real_place, real_roots, walk
from orientd.errors import ConfigError, ReadError, Refused
from orientd.in_hand import Hand
from orientd.items import Candidate, Decision, Method, Photo, Picture, Prediction, Row, Status, Verdict
from orientd.judge import NOT_A_PHOTO, Judge, until
from orientd.orientation import turned
from orientd.originals import Originals
from orientd.past import Finding, Move, undoable
from orientd.record import Journal, Lock, Run, is_locked
from orientd.rotate import planner, planner_of
from orientd.seen import Seen
from orientd.sidecars import Naming
from orientd.source import Source
from orientd.writer import Notify, Writable, Writer, open_journal, put_right

JUDGEMENT: Final = "3"  # raise it when decoding or judging changes its answers, so that cached ones are dropped
_OUTSIDE: Final = (
    "it is outside the folders named or, if none is, outside all that was ever scanned: if it shall be written, name its folder, "
    "as in orientd apply PLAN.csv FOLDER"
)


def models_folder() -> Path:
    """Where the models are kept that a person has added."""
    return Path(data_directory(os.environ), "models")


def chosen_model(config: Config) -> catalogue.Model:
    """The model in use: the one configured by name or path, or the one that comes with orientd.

    Raises:
        ModelError: there is none of that name, or its record is damaged.
    """
    return catalogue.find(config.model, models_folder())


def model_path(config: Config) -> Path:
    """The file of the model in use."""
    return chosen_model(config).path


def naming_of(config: Config) -> Naming | None:
    """How new sidecars are named; None if there are to be none, and those that are there do not count."""
    return config.sidecar_naming if config.sidecar == "write" else None


def make_judge(
    config: Config,
    notify: Notify | None = None,
    rotate: change.Rotate | None = None,
    source: Source | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Judge, str]:
    """A judge by this configuration, and the id under which its rows may be reused.

    `notify` is told if the model's probabilities were never calibrated; `rotate` plans turns of pixels, if these are wanted;
    `source` opens photos, if they are not simply read. Once `stop` is true, whoever judges gets Stopped at the next photo.

    Raises:
        EngineUnavailable: ONNX Runtime or the provider asked for is not there.
        ModelError: the model cannot be used.
    """
    from orientd import infer
    from orientd.decode.noted import as_noted

    memory.share_one_arena()
    model, crowd = chosen_model(config), None
    if config.provider == "cpu":
        first = model.open()
    else:
        crowd, first = cards.open_cards(model, config, notify or (lambda _: None))
    if notify and not first.spec.calibrated:
        notify(
            f"the model {model.name} is not calibrated: --min-confidence promises nothing with it. Look at the report before "
            "anything is turned."
        )
    local, spare = threading.local(), [first]

    def eyes() -> infer.Engine:
        if not hasattr(local, "engine"):
            try:
                local.engine = spare.pop()  # asking first whether there is one would let two threads take it
            except IndexError:
                local.engine = model.open()
            weakref.finalize(threading.current_thread(), spare.append, local.engine).atexit = False
        engine: infer.Engine = local.engine
        return engine

    decoder = admitted.decoder(first.spec.input_size, config.max_pixels, config.max_memory, isolate=config.isolate)
    shown = as_noted(decoder.decode)
    crowd = crowd and crowd.beside(shown, config.workers or os.cpu_count() or 1, stop)
    naming = naming_of(config)

    def check(photo: Photo, orientation: int) -> tuple[Method, str]:
        if naming and photo.by_sidecar:
            beside = sidecars.find(photo.path, naming)
            beside.plan(orientation, photo.path)
            return Method.SIDECAR, f"by its sidecar {os.path.basename(beside.path)}"
        if photo.stat.nlink > 1 and not config.hard_links:
            raise Refused("it has several names (hard links): run with --hard-links to change all of them")
        names = photo.stat.nlink
        planned = change.plan_change(Writable(config.formats), rotate, photo.format, photo.data, orientation, names)
        sidecars.check_silent(photo.path)
        return planned.method, planned.remark

    source = source or Source(config, naming)
    glance = partial(source.glance, look=decoder.glance)
    opened, decode, eyes_of = until(stop, source.open), until(stop, shown), (lambda: crowd) if crowd else eyes
    judge = Judge(opened, decode, eyes_of, until(stop, check), config.policy, crowd, until(stop, glance))
    written = f"{config.hard_links}-{','.join(sorted(config.formats))}-{config.sidecar}-{config.sidecar_naming}"
    limits = f"{config.max_pixels}-{config.max_bytes}" + "-glances" * source.glances
    return judge, f"{JUDGEMENT}-{first.model_id}-{config.policy.id}-{written}-{limits}"


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
        check_presence, candidates = presence(roots), walk(roots, config.exclude, config.one_file_system, stop)
        given = real_roots(roots)
        hand = stack.enter_context(Hand(config.state_dir))
        again = [held for held in hand.all_left_out() if below(held.path, given)] if rescan else []
        deaths.look_after(hand, config, notify, stop, again)
        stack.enter_context(deaths.noticed(hand, config))
        rotate = planner(config.method, isolate=config.isolate)
        source = stack.enter_context(closing(Source(config, naming_of(config), glances=config.first_look == "thumbnail")))
        judge, identity = make_judge(config, notify, rotate, source, stop)
        seen = stack.enter_context(open_seen(config, identity, notify))
        within = past.folders(given)
        writer = stack.enter_context(Writer(config, seen, command, stop, notify, rotate, within, hand=hand)) if fix else None
        journal = writer.journal if writer else stack.enter_context(open_journal(config, notify))
        journal.add_roots(given)

        stages = replace(make_stages(config, judge, seen, journal, writer, hand, rescan=rescan), expect=source.expect)
        workers = config.workers or os.cpu_count() or 1
        for row in stack.enter_context(closing(pipeline.run(candidates, stages, workers, at_once(config, judge), stop))):
            if row.decision == Verdict.ERROR and not row.sha256:
                check_presence()
            if row.reason != NOT_A_PHOTO:
                yield row
            if row.outcome == Status.FAILED:
                check_presence()


def at_once(config: Config, judge: Judge) -> int:
    """How many photos go together from stage to stage: where pixels may be turned, which takes seconds, no more than need be."""
    return max(config.batch if Method(config.method) is Method.TAG else 1, judge.batch)


def make_stages(
    config: Config, judge: Judge, seen: Seen, journal: Journal, writer: Writer | None, hand: Hand, *, rescan: bool = False
) -> pipeline.Stages:
    """The stages of a scan and of the watcher: look up (unless `rescan`), judge, put right (with a writer), remember.

    What is judged is in `hand`, and what was left out is not judged.
    """

    def act_on(row: Row) -> Row:
        if reason := _undone(journal, row):
            return row._replace(decision=Verdict.SKIP.value, new_orientation=None, method="", reason=reason)
        return _fix(writer, row) if writer else row

    def lookup(chunk: Sequence[Candidate]) -> list[Row | None]:
        known = [None] * len(chunk) if rescan else seen.lookup(chunk)
        kept = [row if row and _still_planned(row, config.method) else None for row in known]
        return [deaths.left_out(hand, candidate) or row for candidate, row in zip(chunk, kept, strict=True)]

    judged = deaths.known(hand, judge, isolate=config.isolate)
    return pipeline.Stages(lookup=lookup, judge=judged, act=act_on, record=_recorder(seen))


def open_seen(config: Config, identity: str, notify: Notify) -> Seen:
    """The memory of files judged under that id (see `make_judge`)."""
    return Seen(Path(config.state_dir), identity, notify, _beside(config))


def apply(
    config: Config, rows: Sequence[Row], roots: Sequence[str] = (), *, stop: Callable[[], bool], notify: Notify, command: str
) -> Generator[Row, None, None]:
    """Carry out the rows of a plan whose decision is fix, each by its own method, refusing photos that changed since judged.

    A plan may come from anyone: only what lies below `roots` is written, or below what was ever scanned if there are none.

    Raises:
        LibraryUnavailable: one of `roots` is not there.
    """
    given = real_roots(roots)
    within = past.folders(given)
    turned_by_pixels = {row.format for row in rows if row.decision == Verdict.FIX and _method(row) is Method.ROTATE}
    rotate = planner_of(turned_by_pixels, isolate=config.isolate)
    with ExitStack() as stack:
        seen = stack.enter_context(Seen(Path(config.state_dir), "", notify))
        hand = stack.enter_context(Hand(config.state_dir))
        deaths.look_after(hand, config, notify, stop)
        stack.enter_context(deaths.noticed(hand, config))
        writer = stack.enter_context(Writer(config, seen, command, stop, notify, rotate, within, hand=hand))
        for row in rows:
            if stop():
                return
            if row.decision == Verdict.FIX:
                row = row._replace(path=real_place(row.path))  # the journal is read from other folders, too
                reason = "" if below(row.path, given or writer.journal.roots()) else _OUTSIDE
                reason = reason or deaths.why_left_out(hand, row.path)
                yield row._replace(outcome=Status.FAILED.value, reason=reason) if reason else writer.fix(row, _method(row))[0]


def undo(
    config: Config,
    run: int | None,
    *,
    paths: Sequence[str] = (),
    moves: Sequence[Move] = (),
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
) -> Generator[act.Outcome, None, None]:
    """Give the photos of a run (the last one that wrote, if None), or of it only those at `paths`, exactly the bytes they had.

    With `paths` and no run, the last change of each is taken back, whichever run made it. See `guard.admit`, too.

    Raises:
        ConfigError: there is nothing to undo, or no such run.
    """
    within, admit = past.folders(paths), partial(guard.admit, named=bool(paths))
    with ExitStack() as stack:
        seen = stack.enter_context(Seen(Path(config.state_dir), "", notify))
        writer = stack.enter_context(Writer(config, seen, command, stop, notify, roots=within, admit=admit))
        writes, left = undoable(writer.journal, run, moves, paths), writer.journal.undoable()
        done = False
        for outcome in act.undo(writer.journal, writer.run, writes, allow_hard_links=config.hard_links, admit=admit):
            seen.forget(outcome.path)
            done = done or outcome.status is not Status.FAILED
            yield outcome
            if stop():
                return
        if not done and run is None and not paths and len(left) > 1:
            notify(f"nothing of run {left[0]} can be undone as things are; to undo the one before it: orientd undo {left[1]}")


def verify(config: Config, moves: Sequence[Move], notify: Notify) -> Generator[Finding, None, None]:
    """Check every file ever written against the journal; nothing is changed."""
    with open_journal(config, notify) as journal:
        yield from past.verify(journal, moves)


def count(config: Config, roots: Sequence[str], stop: Callable[[], bool]) -> int | None:
    """How many files a scan of `roots` looks at; None if stopped before the end."""
    number = sum(1 for _ in walk(roots, config.exclude, config.one_file_system, stop))
    return None if stop() else number


def forget(config: Config, run: int | None, notify: Notify) -> list[int]:
    """Delete the copies kept of photos that a run (every run, if None) turned by pixels: the bytes of each.

    Raises:
        ConfigError: there is no such run.
    """
    with Lock(config.state_dir), open_journal(config, notify) as journal:
        chosen = [each.id for each in journal.runs() if run in (None, each.id)]
        if run is not None and not chosen:
            raise ConfigError(f"there is no run {run}: orientd history lists the runs")
        return [size for each in chosen for size in act.forget(journal, each)]


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
    runs, kept = history(config, notify), Originals(config.state_dir).sizes()
    mended = ", mended by the next run that writes there; orientd verify names them" if unsettled else ""
    return {
        "state": config.state_dir,
        "model": str(chosen_model(config).path),
        "files known": f"{known:,}",
        "runs that wrote": f"{len(runs):,}" + (f", the last {runs[0].status}: {runs[0].command}" if runs else ""),
        "photos put right": f"{sum(run.fixed for run in runs):,}",
        "originals kept": f"{len(kept):,}" + (f", {sum(kept) / 1e6:,.1f} MB; orientd forget deletes them" if kept else ""),
        "interrupted writes": f"{unsettled:,}{mended}",
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


def _method(row: Row) -> Method:
    asked = row.method.strip().lower()
    return Method(asked) if asked in (Method.ROTATE, Method.SIDECAR) else Method.TAG


def _beside(config: Config) -> Callable[[Row], str]:
    """What the memory of a row depends on beyond its file: sidecars, where they count or would forbid to write the photo."""
    obeyed = naming_of(config) is not None

    def state(row: Row) -> str:
        by_sidecar = row.method == Method.SIDECAR or not row.format  # without a format: left alone as sidecars are not clear
        return sidecars.signature(row.path) if row.decision == Verdict.FIX or (obeyed and by_sidecar) else ""

    return state


def _undone(journal: Journal, row: Row) -> str:
    """Why a photo is left as its owner wants it: what an earlier run made of it was taken back. Empty if not so."""
    if row.method == Method.SIDECAR:
        run = journal.was_undone_at(sidecars.paths(row.path), row.orientation)
        return past.TAKEN_BACK.format(run) if run else ""
    return past.turned_back(journal, row)


def _still_planned(row: Row, method: str) -> bool:
    """False if a photo judged earlier may have to be put right by another method now."""
    return row.decision != Verdict.FIX or row.method == method == Method.TAG or row.method == Method.SIDECAR


def _fix(writer: Writer, row: Row) -> Row:
    done, outcome = writer.fix(row, Method.SIDECAR if row.method == Method.SIDECAR else Method(writer.config.method))
    if outcome.status is Status.FIXED and outcome.stat:
        writer.seen.add([put_right(row, outcome, writer.run)])
    return done


def _recorder(seen: Seen) -> Callable[[Sequence[Row]], None]:
    """Remembers what the content decided. What may be better next time is asked again: a file that could not be read, or one
    that is shown wrong and must not be written, for its other names, say."""

    def lasting(row: Row) -> bool:
        return bool(row.sha256) if row.decision == Verdict.ERROR else not row.beyond_reach

    return lambda rows: seen.add(row for row in rows if lasting(row))
