"""What the stages are made of: the composition of decoders, engines, stores and writer."""

import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final

from orientd.config import Config, data_directory, processors
from orientd.decode import admitted
from orientd.errors import Refused
from orientd.gpu import pool as cards
from orientd.infer import registry
from orientd.judge.judge import Decode, Judge, until
from orientd.judge.panel import PanelSpec
from orientd.judge.policy import DEFAULT
from orientd.library import others, sidecars
from orientd.library.reader import PhotoReader
from orientd.library.sidecars import Naming
from orientd.library.source import Source
from orientd.pipeline import allocator, deaths
from orientd.pipeline import run as pipeline
from orientd.pipeline.cache_key import CacheKey
from orientd.reasons import Reason
from orientd.records import Candidate, Method, Notify, Photo, Row, Status, Verdict
from orientd.state.in_hand import Hand
from orientd.state.journal import Journal
from orientd.state.kept import Kept
from orientd.state.seen import Seen
from orientd.witnesses.asking import Bench
from orientd.write import change, keeping, reverted
from orientd.write.change import Writable
from orientd.write.writer import Writer, fixed_row

Check = Callable[[Photo, int], tuple[Method, str, Reason | None]]

_UNCALIBRATED: Final = (
    "the model {} is not calibrated: --min-confidence promises nothing with it. Look at the report before anything is turned."
)


def models_folder() -> Path:
    """Where the models are kept that a person has added."""
    return Path(data_directory(os.environ), "models")


def chosen_model(config: Config) -> registry.Model:
    """The model in use: the one configured by name or path, or the one that comes with orientd.

    Raises:
        ModelError: there is none of that name, or its record is damaged.
    """
    return registry.find(config.model, models_folder())


def model_name(config: Config) -> str:
    """The name of the model in use; of one that is given by its path, the name of the file. Raises as `chosen_model`."""
    model = chosen_model(config)
    return model.path.name if model.origin == "file" else model.name


def naming_of(config: Config) -> Naming | None:
    """How new sidecars are named; None if there are to be none, and those that are there do not count."""
    return config.sidecar_naming if config.sidecar == "write" else None


def make_judge(
    config: Config,
    notify: Notify | None = None,
    rotate: change.Rotate | None = None,
    source: Source | None = None,
    stop: Callable[[], bool] = lambda: False,
    check: Check | None = None,
) -> tuple[Judge, str]:
    """A judge by this configuration, and the id under which its rows may be reused.

    `notify` is called if the model's probabilities were never calibrated; `rotate` plans turns of pixels, if they are allowed;
    `source` opens photos that are not simply read from disk; `check` is the stage *plan* for photos that are no files. Once
    `stop` is true, the judge raises Stopped at the next photo.

    Raises:
        EngineUnavailable: ONNX Runtime or the provider asked for is not there.
        ModelError: the model cannot be used.
    """
    from orientd.decode.by_sidecar import as_noted
    from orientd.witnesses import opened as witnesses

    allocator.share_one_arena()
    model = chosen_model(config)
    notify, workers = notify or _nobody, config.workers or processors.available()

    @cache
    def decoder(size: int) -> admitted.AdmittedDecoder:
        return admitted.decoder(size, config.max_pixels, config.max_memory, isolate=config.isolate)

    def decoding(size: int) -> Decode:
        return as_noted(decoder(size).decode)

    if config.provider == "cpu":
        gpu_pool, first = None, model.open()
    else:
        gpu_pool, first = cards.open_cards(model, config, notify, decoding, workers, stop)
    if not first.spec.calibrated:
        notify(_UNCALIBRATED.format(model.name))
    source, size = source or PhotoReader(config, naming_of(config)), first.spec.input_size
    panel = PanelSpec.from_json(first.spec.panel) if first.spec.panel else PanelSpec((), DEFAULT)
    policy = config.policy(panel.policy)
    names = witnesses.askable(panel.names, first.spec.second_size)
    fitted = until(stop, partial(as_noted(decoder(size).fitted), side=witnesses.SIDE))
    bench = Bench(names, lambda: witnesses.open_witnesses(model.open() if gpu_pool else first, notify), fitted, notify)
    judge = Judge(
        read=until(stop, source.open),
        decode=until(stop, decoding(size)),
        predictor=gpu_pool or first,
        check=until(stop, check or plan_stage(config, rotate)),
        policy=policy,
        voices=panel.voices,
        ask=bench.questions,
        batch_predictor=gpu_pool,
        thumbnail_glance=until(stop, partial(source.glance, look=decoder(size).glance)),
    )
    return judge, CacheKey.of(config, first.model_id, policy, names, by_thumbnail=source.glances).id


def plan_stage(config: Config, rotate: change.Rotate | None = None) -> Check:
    """The stage *plan*: how a photo would be shown as a new orientation (1–8) shows it, and the reason, with its code, if not as
    asked.

    `rotate` plans turns of pixels, if these are wanted. What is returned raises Refused if the photo could not be written at all.
    """
    naming = naming_of(config)

    def plan(photo: Photo, orientation: int) -> tuple[Method, str, Reason | None]:
        others.check(photo.path)
        if naming and photo.by_sidecar:
            sidecar = sidecars.find(photo.path, naming)
            sidecar.plan(orientation, photo.path)
            return Method.SIDECAR, f"by its sidecar {os.path.basename(sidecar.path)}", Reason.BY_SIDECAR
        links = photo.stat.nlink
        if links > 1 and not config.hard_links:
            raise Refused(Reason.HARD_LINKS, "it has several names (hard links): run with --hard-links to change all of them")
        planned = change.plan_change(Writable(config.formats), rotate, photo.format, photo.data, orientation, links)
        sidecars.check_silent(photo.path)
        return planned.method, planned.remark, planned.code

    return plan


def act_stage(journal: Journal, kept: Kept, writer: Writer | None, *, unattended: bool) -> Callable[[Row], Row]:
    """The stage *act*: a row whose decision is fix is carried out, or passed through without a `writer`.

    A photo that a person wants as it is shown is kept, whether orientd was sure of it or not. What another run did to the photo
    since it was judged, or an earlier one did and somebody took back, is not done again; see `reverted.turned_back`.
    """

    def act(row: Row) -> Row:
        if keeping.is_kept(kept, row):
            return keeping.as_kept(row)
        if row.decision is Verdict.UNSURE:
            return row
        if run := reverted.made_meanwhile(journal, row):
            return left(row, reverted.MADE.format(run), Reason.DONE_BEFORE)
        if reason := _undone(journal, row, unattended):
            return left(row, reason, Reason.TAKEN_BACK)
        return fix_now(writer, row) if writer else row

    return act


def left(row: Row, reason: str, code: Reason) -> Row:
    """The row of a photo that is left alone after all."""
    return row._replace(decision=Verdict.SKIP, new_orientation=None, method=None, reason=reason, reason_code=code)


def at_once(config: Config, judge: Judge) -> int:
    """How many photos go together from stage to stage: as few as possible where pixels may be turned, which takes seconds."""
    return max(config.batch if Method(config.method) is Method.TAG else 1, judge.batch)


def make_stages(
    config: Config,
    judge: Judge,
    seen: Seen,
    journal: Journal,
    kept: Kept,
    writer: Writer | None,
    hand: Hand,
    *,
    unattended: bool,
    rescan: bool = False,
    expect: Callable[[Sequence[Candidate]], object] = lambda _: None,
) -> pipeline.Stages:
    """The stages of a scan and of the watcher: look up (unless `rescan`), judge, fix (with a writer), remember.

    Photos are in `hand` while they are judged; those left out are not judged. `expect`: see `pipeline.Stages`.
    """

    def lookup(chunk: Sequence[Candidate]) -> list[Row | None]:
        known = [None] * len(chunk) if rescan else seen.lookup(chunk)
        kept = [row if row and _still_planned(row, config.method) else None for row in known]
        return [deaths.left_out(hand, candidate) or row for candidate, row in zip(chunk, kept, strict=True)]

    judged = deaths.known(hand, judge, isolate=config.isolate)
    act = act_stage(journal, kept, writer, unattended=unattended)
    return pipeline.Stages(lookup=lookup, judge=judged, act=act, record=recorder(seen), expect=expect)


def open_seen(config: Config, identity: str, notify: Notify) -> Seen:
    """The memory of files judged under that id (see `make_judge`)."""
    return Seen(Path(config.state_dir), identity, notify, _dependencies(config))


def _dependencies(config: Config) -> Callable[[Row], str]:
    """What the memory of a row depends on beyond its file: sidecars, where they count or would forbid to write the photo."""
    obeyed = naming_of(config) is not None

    def state(row: Row) -> str:
        by_sidecar = row.method is Method.SIDECAR or not row.format  # without a format: left alone as sidecars are not clear
        return sidecars.signature(row.path) if row.decision is Verdict.FIX or (obeyed and by_sidecar) else ""

    return state


def _undone(journal: Journal, row: Row, unattended: bool) -> str:
    """Why a photo is left as its owner wants it: what an earlier run made of it was taken back. Empty if not so."""
    if row.method is Method.SIDECAR:
        run = journal.was_undone_at(sidecars.paths(row.path), row.orientation, unattended=unattended)
        return reverted.taken_back(run, row.path) if run else ""
    return reverted.turned_back(journal, row, unattended=unattended)


def _still_planned(row: Row, method: str) -> bool:
    """False if a photo judged earlier may need another method now, or may not be fixed at all."""
    same = row.method == method == Method.TAG or row.method is Method.SIDECAR
    return row.decision is not Verdict.FIX or (same and others.is_free(row.path))


def fix_now(writer: Writer, row: Row) -> Row:
    """Carry out a row whose decision is fix, and remember what a later scan would say of it."""
    method = row.method if row.method in (Method.SIDECAR, Method.IMMICH) else Method(writer.config.method)
    done, outcome = writer.fix(row, method)
    if outcome.status is Status.FIXED and outcome.stat:
        writer.seen.add([fixed_row(row, outcome, outcome.stat, writer.run)])
    return done


def recorder(seen: Seen) -> Callable[[Sequence[Row]], None]:
    """Remembers what the content decided. What may be better next time is asked again: a file that could not be read, or one
    that is sideways or upside down and must not be written, for its other names, say."""

    def lasting(row: Row) -> bool:
        return bool(row.sha256) if row.decision is Verdict.ERROR else not row.beyond_reach

    return lambda rows: seen.add(row for row in rows if lasting(row))


def _nobody(_: str) -> None:
    """Ignores the message."""
