"""`orientd-train prepare`: folders and zips of upright photos → a cache, decoded once, in groups that no split tears apart.

Files of a cache: `pixels.npy` (uint8, N × S × S × 3), `dhash.npy` (N × 8 × 32, see `near_duplicates`), `manifest.csv` (a row for
each photo, first those to train on), `dropped.csv` (what was left out, and why) and `prepare.json` (what it was made from). The
manifest comes last: a cache without one is incomplete. Until then the photos decoded so far are kept, see `decoded`; for a moment
at the end this takes twice the room.
"""

import csv
import fcntl
import hashlib
import json
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd.decode.cpu import CpuDecoder
from orientd.errors import ConfigError, OrientdError
from orientd_training.data import near_duplicates
from orientd_training.data.decoded import LINES, MIDDLE, SQUARES, SQUEEZED, Fact, Squares, check
from orientd_training.data.near_duplicates import Split
from orientd_training.data.sources import Member, Sources
from orientd_training.files import swapped

PIXELS, HASHES, MANIFEST = "pixels.npy", "dhash.npy", "manifest.csv"
SETTINGS, DROPPED = "prepare.json", "dropped.csv"
TRAIN, VALIDATION = "train", "validation"
COLUMNS: Final = ("name", "group", "sha256", "source", "cluster", "split")
_AHEAD: Final = 128
_Judged = tuple[Fact, NDArray[np.uint8] | None]


class Why(StrEnum):
    """Why a photo was left out."""

    PASSED_OVER = "passed over"
    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"


class Dropped(NamedTuple):
    """A photo that was left out."""

    name: str
    source: str
    why: Why
    reason: str


class Prepared(NamedTuple):
    """How many photos the cache holds, and what was left out."""

    photos: int
    dropped: list[Dropped]


def prepare(
    sources: Sequence[Path],
    out: Path,
    size: int = 192,
    *,
    split: Split = Split(),  # noqa: B008 — it is frozen
    keep_duplicates: bool = False,
    middle: bool = False,
    force: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> Prepared:
    """Decode every photo of `sources` to squares of `size` pixels into the cache folder `out`, or go on where that was stopped.

    A complete cache is left as it is, unless `force` starts it over. Unless `keep_duplicates`, copies of the same pixels are left
    out but for the first, and so are near-duplicates that disagree about what is upright.

    Raises:
        ConfigError: a source is no folder or zip, no photo is left, the split cannot be made, or `out` was made otherwise.
        OrientdError: `out` cannot be written; what was decoded is kept.
    """
    with Sources(sources, middle=size if middle else 0) as opened, ExitStack() as stack:
        members = list(opened.members())
        if not members:
            where = ", ".join(map(str, sources))
            raise ConfigError(f"no photo could be decoded in {where}, there is none: give folders or zips of upright photos")
        stack.enter_context(_writing(out))
        origin = _origin(sources, members, size) | {"square": MIDDLE if middle else SQUEEZED}
        settings = origin | {"validation": split.share, "validation_groups": list(split.named), "seed": split.seed}
        settings |= {"keep_duplicates": keep_duplicates}
        if force:
            _clear(out, (MANIFEST, SETTINGS, SQUARES, LINES))
        if (out / MANIFEST).exists():
            return _complete(out, settings, say)
        squares = stack.enter_context(Squares(out, size, origin))
        if squares.facts:
            say(f"going on after {len(squares.facts):,} of {len(members):,} photos")
        _decode(opened, members, CpuDecoder(size), squares)
        prepared = _finish(out, members, squares, settings, split, keep_duplicates)
    _clear(out, (SQUARES, LINES))
    return prepared


def _decode(opened: Sources, members: list[Member], decoder: CpuDecoder, squares: Squares) -> None:
    def judged(member: Member) -> _Judged:
        square = member.unread or opened.square(member, decoder)
        if isinstance(square, str):
            return Fact(reason=square), None
        hashes = near_duplicates.difference_hashes(square[None])[0]
        return Fact(hashlib.sha256(square.tobytes()).hexdigest()[:16], hashes.tobytes().hex()), square

    rest = members[len(squares.facts) :]
    with _bar(len(members), squares.facts) as advance, closing(_in_order(judged, rest)) as results:
        for fact, square in results:
            squares.add(fact, square)
            advance(bool(fact.reason))


def _in_order(work: Callable[[Member], _Judged], members: Iterable[Member]) -> Generator[_Judged, None, None]:
    """Results in the order of `members`, some worked ahead on all cores; stopping early waits only for what has begun."""
    waiting: deque[Future[_Judged]] = deque()
    with ThreadPoolExecutor() as pool:
        try:
            for member in members:
                waiting.append(pool.submit(work, member))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _finish(
    out: Path, members: list[Member], squares: Squares, settings: dict[str, Any], split: Split, keep_duplicates: bool
) -> Prepared:
    """Group, drop, split and write; a function of what was decoded, so it can be done again."""
    decoded = [i for i, fact in enumerate(squares.facts) if not fact.reason]
    named = _named(members)
    its, facts = [named[i] for i in decoded], [squares.facts[i] for i in decoded]
    hashes = np.frombuffer(bytes.fromhex("".join(fact.dhash for fact in facts)), np.uint8).reshape(-1, 8, 32)
    hashed = [fact.sha256 for fact in facts]
    clusters, against = near_duplicates.relate(hashes, [near_duplicates.albums([member.folder for member in its]), hashed])
    doubtful = {} if keep_duplicates else _doubtful(its, hashed, against)
    dropped = sorted(_unread(named, squares.facts)) + [doubtful[i] for i in sorted(doubtful)]
    _write_csv(out / DROPPED, Dropped._fields, dropped)
    kept = np.array([i for i in range(len(its)) if i not in doubtful], np.int64)
    if not len(kept):
        advice = f"{out / DROPPED} names each with the reason" + (", --keep-duplicates keeps the copies" if doubtful else "")
        raise ConfigError(f"none of {len(members):,} photos is left, {in_words(dropped)}: {advice}")
    apart = near_duplicates.validation(clusters[kept], [its[i].group for i in kept], split)
    order = kept[np.argsort(apart, kind="stable")]
    _write_array(out / PIXELS, squares.pixels(), order)
    _write_array(out / HASHES, hashes, order)
    (out / SETTINGS).write_text(json.dumps(settings, indent=1))
    rows = (
        (its[i].name, its[i].group, hashed[i], its[i].source, clusters[i], VALIDATION if far else TRAIN)
        for i, far in zip(order, np.sort(apart), strict=True)
    )
    _write_csv(out / MANIFEST, COLUMNS, rows)
    return Prepared(len(order), dropped)


def in_words(dropped: Sequence[Dropped]) -> str:
    """How many were left out for which reason, in words."""
    counts = {why: sum(entry.why == why for entry in dropped) for why in Why}
    words = {Why.DUPLICATE: "with the pixels of another", Why.CONTRADICTION: "that contradict a turned copy"}
    return ", ".join(f"{count:,} {words.get(why, why)}" for why, count in counts.items() if count) or "none"


def _unread(members: list[Member], facts: list[Fact]) -> Iterator[Dropped]:
    for member, fact in zip(members, facts, strict=True):
        if fact.reason:
            yield Dropped(member.name, member.source, Why.PASSED_OVER if member.unread else Why.UNREADABLE, fact.reason)


def _named(members: list[Member]) -> list[Member]:
    """The photos by unique names: where sources have photos of the same name, the source is put before it."""
    counts = Counter(member.name for member in members)
    return [replace(its, name=f"{its.source}/{its.name}") if counts[its.name] > 1 else its for its in members]


def _doubtful(members: list[Member], hashed: list[str], against: NDArray[np.int64]) -> dict[int, Dropped]:
    """By position the photos that teach nothing new, or of which nobody knows what is upright."""
    first: dict[str, int] = {}
    found = {}
    for i, member in enumerate(members):
        same = first.setdefault(hashed[i], i)
        if against[i] >= 0:
            reason = f"{members[against[i]].name} is a copy of it turned another way: one of them is not upright"
            found[i] = Dropped(member.name, member.source, Why.CONTRADICTION, reason)
        elif same != i:
            found[i] = Dropped(member.name, member.source, Why.DUPLICATE, f"its pixels are those of {members[same].name}")
    return found


def _complete(out: Path, settings: dict[str, Any], say: Callable[[str], object]) -> Prepared:
    """What a complete cache holds, if it is the one asked for."""
    try:
        before = json.loads((out / SETTINGS).read_text())
    except (FileNotFoundError, ValueError):
        raise ConfigError(f"{out} holds photos of unknown origin: choose another --out, or begin anew with --force") from None
    check(before, settings)
    _clear(out, (SQUARES, LINES))
    with (out / MANIFEST).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        photos = sum(1 for _ in csv.reader(file)) - 1
    with (out / DROPPED).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        dropped = [Dropped(name, source, Why(why), reason) for name, source, why, reason in list(csv.reader(file))[1:]]
    say(f"{out} is complete: there is nothing to do (--force begins anew)")
    return Prepared(photos, dropped)


def _origin(sources: Sequence[Path], members: list[Member], size: int) -> dict[str, Any]:
    """What decides which squares come in which order; `content` changes with the names, sizes and times of the photos."""
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{member.name}\0{member.stamp}\0{member.unread}\0".encode(errors="surrogateescape"))
    paths = [os.path.realpath(source) for source in sources]
    return {"size": size, "sources": paths, "photos": len(members), "content": digest.hexdigest()[:16]}


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """The cache folder, locked; raises ConfigError if another one holds it, OrientdError if it cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(folder)
    except BlockingIOError:
        raise ConfigError(f"another orientd-train prepare is at work in {out}: wait for it, or choose another --out") from None
    except OSError as error:
        advice = "make room or choose another --out, and give the same command again: it goes on with what is decoded"
        raise OrientdError(f"{out} cannot be written ({error.strerror or error}): {advice}") from error


def _clear(out: Path, names: Iterable[str]) -> None:
    for name in names:
        (out / name).unlink(missing_ok=True)


def _write_array(path: Path, rows: NDArray[np.uint8], order: NDArray[np.int64]) -> None:
    """`rows` in that order as a .npy file; written, not mapped, as a full disk kills a process that writes to a map."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(order), *rows.shape[1:])}
    with swapped(path) as partial, partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), _AHEAD):
            file.write(rows[order[start : start + _AHEAD]].tobytes())


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with swapped(path) as partial, partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def _bar(total: int, done: Sequence[Fact]) -> Iterator[Callable[[bool], None]]:
    """A progress bar on a terminal; yields what counts one more photo, bad or not."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(24), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), TimeRemainingColumn()
    bad = sum(bool(fact.reason) for fact in done)
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total, completed=len(done))

        def advance(is_bad: bool) -> None:
            nonlocal bad
            bad += is_bad
            speed = bar.tasks[0].speed or 0
            bar.update(task, advance=1, description=f"{speed:,.0f} images/s · {bad:,} bad")

        yield advance
