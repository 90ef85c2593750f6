"""The photos of an Immich server through the same stages as those of folders."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orientd.config import Config, processors
from orientd.decode import admitted
from orientd.errors import ConfigError, Stopped
from orientd.orientation import UPRIGHT
from orientd.pipeline import deaths
from orientd.pipeline import run as pipeline
from orientd.pipeline.immich import connections, servers
from orientd.pipeline.immich.address import SCHEME, Server
from orientd.pipeline.immich.assets import Listed
from orientd.pipeline.immich.client import READING, WRITING, Client, Clock
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.library import Choice, ImmichLibrary
from orientd.pipeline.immich.writer import ImmichWriter
from orientd.pipeline.stages import at_once, fix_now, left, make_judge, recorder
from orientd.reasons import Reason
from orientd.records import Candidate, Method, Notify, Photo, Row, Verdict
from orientd.state.in_hand import Hand
from orientd.state.journal import Journal, open_journal
from orientd.state.kept import Kept
from orientd.state.seen import Seen
from orientd.write import keeping, reverted
from orientd.write.writer import Writer

_SIDE = 96  # of previews that are compared


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with which photos of the configured server; as the arguments of `app.scan`."""

    choice: Choice
    fix: bool = False
    rescan: bool = False
    unattended: bool = False


def make_writer(
    config: Config, stop: Callable[[], bool], notify: Notify, needed: Sequence[str] = READING + WRITING
) -> ImmichWriter:
    """Who writes photos of the servers that are known; asks none before the first photo of it. `close` it at the end."""
    clock = Clock(stop)

    def look(photo: Photo) -> NDArray[np.uint8]:
        return admitted.decoder(_SIDE, config.max_pixels, config.max_memory, isolate=config.isolate).decode(photo).pixels

    return ImmichWriter(Connections(config, clock, notify, needed), look, clock)


def make_reader(config: Config, notify: Notify) -> ImmichWriter:
    """The same, for who only looks at these photos."""
    return make_writer(config, lambda: False, notify, READING)


def scan(
    config: Config,
    wish: Wish,
    *,
    stop: Callable[[], bool],
    notify: Notify,
    command: str,
    begun: Callable[[int], object],
    wait: float = 0.0,
) -> Generator[Row, None, None]:
    """Judge photos of the server and, if wished, have those turned that need it; one row each, the oldest first.

    Raises:
        OrientdError: what must stop the run: a server that does not answer, a wrong key, and as `app.scan`.
    """
    server = configured(config)
    with suppress(Stopped), ExitStack() as stack:
        elsewhere = stack.enter_context(closing(make_writer(config, stop, notify)))
        client, owner = _greeted(config, server, wish, stop, notify, stack)
        servers.keep(config.state_dir, server)
        library = stack.enter_context(closing(ImmichLibrary(client, owner, wish.choice)))
        hand = stack.enter_context(Hand(config.state_dir))
        deaths.look_after(hand, config, notify, stop)
        stack.enter_context(deaths.noticed(hand, config))
        judge, identity = make_judge(config, notify, None, library, stop, lambda photo, orientation: (Method.IMMICH, "", None))
        seen = stack.enter_context(Seen(Path(config.state_dir), identity, notify))
        within = [SCHEME + server.name]
        write = Writer(config, seen, command, stop, notify, roots=within, hand=hand, begun=begun, wait=wait, elsewhere=elsewhere)
        writer = stack.enter_context(write) if wish.fix else None
        journal = writer.journal if writer else stack.enter_context(open_journal(config, notify))
        kept = stack.enter_context(Kept(config.state_dir, notify))
        stages = pipeline.Stages(
            lookup=_lookup(seen, rescan=wish.rescan),
            judge=_judged(deaths.known(hand, judge, isolate=config.isolate)),
            act=_act(journal, kept, writer, unattended=wish.unattended),
            record=recorder(seen),
            expect=library.expect,
        )
        workers = config.workers or processors.available()
        rows = pipeline.run(library.candidates(), stages, workers, at_once(config, judge), stop)
        for row in stack.enter_context(closing(rows)):
            yield row
            if row.decision is Verdict.ERROR:
                library.check()
        for why, number in library.passed_over.items():
            notify(f"{number:,} photos {why} were not looked at")


def count(config: Config, wish: Wish, stop: Callable[[], bool]) -> int | None:
    """About how many photos a scan lists; None if that is not known."""
    with suppress(Stopped), ExitStack() as stack:
        client, owner = _greeted(config, configured(config), Wish(wish.choice), stop, _nobody, stack)
        with closing(ImmichLibrary(client, owner, wish.choice)) as library:
            return library.count()
    return None


def configured(config: Config) -> Server:
    """Raises ConfigError if no server is named."""
    if server := connections.configured(config):
        return server
    raise ConfigError("which server? Name its address: --url https://photos.example.com, or immich_url in the configuration")


def _greeted(
    config: Config, server: Server, wish: Wish, stop: Callable[[], bool], notify: Notify, stack: ExitStack
) -> tuple[Client, str]:
    needed = READING + WRITING if wish.fix else READING
    client = stack.enter_context(closing(Connections(config, Clock(stop), notify).connect(server)))
    return client, client.greet(needed)


def _lookup(seen: Seen, *, rescan: bool) -> Callable[[Sequence[Candidate]], list[Row | None]]:
    """The rows of photos whose file and edits are what they were."""

    def lookup(chunk: Sequence[Candidate]) -> list[Row | None]:
        known = [None] * len(chunk) if rescan else seen.lookup(chunk)
        return [row if row and _is_same(row, one) else None for row, one in zip(known, chunk, strict=True)]

    return lookup


def _is_same(row: Row, candidate: Candidate) -> bool:
    return isinstance(candidate, Listed) and row.sha256 == candidate.asset.photo.sha256


def _judged(judge: Callable[[Sequence[Candidate]], Sequence[Row]]) -> Callable[[Sequence[Candidate]], list[Row]]:
    """What is turned there stores no orientation: it is upright then."""

    def judged(candidates: Sequence[Candidate]) -> list[Row]:
        return [row._replace(new_orientation=UPRIGHT) if row.new_orientation else row for row in judge(candidates)]

    return judged


def _act(journal: Journal, kept: Kept, writer: Writer | None, *, unattended: bool) -> Callable[[Row], Row]:
    """As `stages.act_stage`; a photo of a server is identified by its id, whatever it shows now."""

    def act(row: Row) -> Row:
        if keeping.is_kept(kept, row):
            return keeping.as_kept(row)
        if row.decision is Verdict.UNSURE:
            return row
        if run := journal.was_undone(row.sha256, row.method, unattended=unattended):
            return left(row, reverted.taken_back(run, row.path), Reason.TAKEN_BACK)
        if earlier := next(journal.turns(row.turn, row.path, (), row.method, unattended=unattended), None):
            return left(row, reverted.taken_back(earlier.run, row.path), Reason.TAKEN_BACK)
        return fix_now(writer, row) if writer else row

    return act


def _nobody(_: str) -> None:
    """Ignores the message; the scan reports it."""
