"""Layouts of upright photos, as the witness of things describes them at each of the four turns; kept as they come about."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.decode.cpu import CpuDecoder
from orientd.errors import ConfigError
from orientd.infer.session import Graph
from orientd.witnesses.layout import features
from orientd.witnesses.opened import SIDE
from orientd.witnesses.things import looks
from orientd_training.data.sources import Member, Sources

Layouts = NDArray[np.float16]
"""(N, 4, F): of N photos the `features` at each turn, the first being upright."""

_AT_ONCE: Final = 1000


def collected(paths: Sequence[Path], detector: Graph, kept: Path) -> Layouts:
    """The layouts of all photos in folders and zips that can be decoded. Stopped, the same call goes on with what `kept` holds.

    Nothing in `kept` says what it was made from: it is for the same paths and the same detector alone.

    Raises:
        ConfigError: a source cannot be read, or none of the photos can be decoded.
    """
    kept.mkdir(parents=True, exist_ok=True)
    with Sources(paths) as sources:
        members, files = iter(list(sources.members())), list[Path]()
        while some := list(islice(members, _AT_ONCE)):
            files.append(kept / f"{len(files):05d}.npy")
            if not files[-1].is_file():
                _write(files[-1], list(_seen(sources, some, detector)))
    found = [np.load(file) for file in files]
    if not sum(map(len, found)):
        raise ConfigError(f"no photo could be decoded in {', '.join(map(str, paths))}: give folders or zips of upright photos")
    layouts: Layouts = np.concatenate([each for each in found if len(each)])
    return layouts


def _seen(sources: Sources, members: Sequence[Member], detector: Graph) -> Iterator[Layouts]:
    """(4, F) each."""
    decoder = CpuDecoder(SIDE)
    for member in members:
        picture = member.unread or sources.fitted(member, decoder, SIDE)
        if not isinstance(picture, str):
            turns = {look.turn: features(answer, *look.pixels.shape[:2])[0] for look, answer in looks(detector, picture)}
            yield np.array([turns[turn] for turn in sorted(turns)], np.float16)


def _write(file: Path, layouts: Sequence[Layouts]) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        np.save(out, np.array(layouts, np.float16))
    partial.replace(file)
