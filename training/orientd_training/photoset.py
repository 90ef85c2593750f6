"""Upright photos decoded once to a compact cache: `pixels.npy` (uint8, N × S × S × 3) and `manifest.csv` beside it.

A source is a folder of photos or a zip of folders; the top folder of a photo's name is its *group*: the album or collection it
comes from. They are decoded and squeezed to a square by the decoder that serves: the network is trained on what it is served.
"""

import csv
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd import formats
from orientd.decode.cpu import CpuDecoder
from orientd.discover import walk
from orientd.errors import ConfigError, DecodeError
from orientd.items import FileStat, Photo

_NO_STAT = FileStat(0, 0, 0, 0)
_AHEAD = 256


class Member(NamedTuple):
    """A photo of a source, not yet read."""

    name: str
    group: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class PhotoSet:
    """A prepared cache. `pixels` is memory-mapped uint8 (N, S, S, 3) RGB, upright; `names` and `groups` have N entries."""

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    digest: str

    @property
    def size(self) -> int:
        return int(self.pixels.shape[1])

    def __len__(self) -> int:
        return len(self.names)


def prepare(sources: list[Path], out: Path, size: int, limit: int | None = None) -> tuple[int, list[str]]:
    """Decode every photo of `sources` into the cache folder `out`; returns how many, and the unreadable ones with reasons.

    Raises:
        ConfigError: a source does not exist or nothing in the sources could be decoded.
    """
    members = list(islice(_members(sources), limit))
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str]] = []
    bad: list[str] = []
    pixels = np.lib.format.open_memmap(
        out / "pixels.partial.npy", mode="w+", dtype=np.uint8, shape=(max(len(members), 1), size, size, 3)
    )
    for member, square in _decoded(members, CpuDecoder(size)):
        if isinstance(square, str):
            bad.append(f"{member.name}: {square}")
            continue
        pixels[len(rows)] = square
        rows.append((member.name, member.group))
    if not rows:
        raise ConfigError(f"no photo could be decoded in {', '.join(map(str, sources))}: give folders or zips of upright photos")
    pixels.flush()
    _finish(out, rows, pixels)
    return len(rows), bad


def load(folder: Path) -> PhotoSet:
    """Open a cache that `prepare` made.

    Raises:
        ConfigError: there is no complete cache in `folder`.
    """
    try:
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
        with (folder / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        digest = hashlib.sha256((folder / "manifest.csv").read_bytes()).hexdigest()[:16]
        return PhotoSet(pixels[: len(rows)], tuple(r["name"] for r in rows), tuple(r["group"] for r in rows), digest)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no prepared photos ({error}): run orientd-train prepare first") from error


def _decoded(members: list[Member], decoder: CpuDecoder) -> Iterator[tuple[Member, NDArray[np.uint8] | str]]:
    """Squares in the order of `members`, or why there is none; a few hundred at a time, so that memory stays flat."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(members), _AHEAD):
            some = members[start : start + _AHEAD]
            yield from zip(some, pool.map(lambda member: _square(member, decoder), some), strict=True)


def _finish(out: Path, rows: list[tuple[str, str]], pixels: NDArray[np.uint8]) -> None:
    """The manifest comes last under its final name: a cache without one is incomplete."""
    (out / "pixels.partial.npy").rename(out / "pixels.npy")
    with (out / "manifest.partial.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "group", "sha256"])
        writer.writerows((*row, hashlib.sha256(pixels[i].tobytes()).hexdigest()[:16]) for i, row in enumerate(rows))
    (out / "manifest.partial.csv").rename(out / "manifest.csv")


def _members(sources: list[Path]) -> Iterator[Member]:
    for source in sources:
        if source.suffix == ".zip" and source.is_file():
            archive = zipfile.ZipFile(source)
            names = sorted(name for name in archive.namelist() if not name.endswith("/"))
            yield from (Member(name, name.split("/")[0], partial(archive.read, name)) for name in names)
        elif source.is_dir():
            for candidate in walk([str(source)]):
                inside = Path(candidate.path).relative_to(source.resolve())
                group = inside.parts[0] if len(inside.parts) > 1 else source.name
                yield Member(str(inside), group, Path(candidate.path).read_bytes)
        else:
            raise ConfigError(f"{source} is neither a folder nor a zip of photos")


def _square(member: Member, decoder: CpuDecoder) -> NDArray[np.uint8] | str:
    try:
        data = member.read()
        kind = formats.sniff(data)
        photo = Photo(member.name, _NO_STAT, kind, data, formats.stored_orientation(kind, data), "")
        return decoder.decode(photo).pixels
    except (OSError, zipfile.BadZipFile, DecodeError) as error:
        return str(error) or type(error).__name__
