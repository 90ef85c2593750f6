"""Prepared photos, opened: what training reads, see `prepare` for how they come about."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd.errors import ConfigError
from orientd_training.data import near_duplicates
from orientd_training.data.near_duplicates import Hashes
from orientd_training.data.prepare import HASHES, MANIFEST, PIXELS, TRAIN, VALIDATION, prepare

__all__ = ["TRAIN", "VALIDATION", "PhotoSet", "Shared", "load", "overlap", "prepare"]
_AT_ONCE = 64


@dataclass(frozen=True)
class PhotoSet:
    """A prepared cache, or a split of it. `pixels` is memory-mapped uint8 (N, S, S, 3) RGB, upright.

    `names`, `groups` (the album or collection a photo comes from), `clusters` (equal for near-duplicates and photos of one album)
    and `splits` have N entries. `hashes` (N, 8, 32) is None where an older cache has none. What is named in `left_out` is not
    trained on.
    """

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    digest: str
    clusters: tuple[int, ...] = ()
    splits: tuple[str, ...] = ()
    hashes: Hashes | None = None
    left_out: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        return int(self.pixels.shape[1])

    def __len__(self) -> int:
        return len(self.names)


class Shared(NamedTuple):
    """A photo to train on that is a near-duplicate of one to validate on, `distance` bits of its hash apart."""

    train: str
    validation: str
    distance: int


def load(folder: Path, split: str | None = None) -> PhotoSet:
    """Open a cache that `prepare` made, or only its photos of one split (TRAIN or VALIDATION).

    All photos of a cache from before there were splits are to train on, each in a cluster of its own.

    Raises:
        ConfigError: there is no complete cache in `folder`, or it has no photo of that split.
    """
    try:
        pixels = np.load(folder / PIXELS, mmap_mode="r")
        with (folder / MANIFEST).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
        hashes = np.load(folder / HASHES, mmap_mode="r") if (folder / HASHES).exists() else None
        if not rows or len(rows) > len(pixels):
            raise ValueError(f"{len(rows)} rows for {len(pixels)} photos")
        splits = [row.get("split") or TRAIN for row in rows]
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:16]
        chosen = [i for i, its in enumerate(splits) if split in (None, its)]
        if not chosen:
            raise ConfigError(f"{folder} has no photos to {split}: prepare them with --validation or --validation-groups")
        first, last = chosen[0], chosen[-1] + 1
        return PhotoSet(
            pixels[first:last],
            tuple(row["name"] for row in rows[first:last]),
            tuple(row["group"] for row in rows[first:last]),
            digest if split is None else f"{digest}-{split}",
            tuple(int(row.get("cluster") or i) for i, row in enumerate(rows[first:last], first)),
            tuple(splits[first:last]),
            None if hashes is None else hashes[first:last],
        )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder} holds no prepared photos ({error}): run orientd-train prepare first") from error


def leaving_out(photos: PhotoSet, file: Path) -> PhotoSet:
    """The same photos without those named in a file, one a line; a line that begins with # is for people.

    Raises:
        ConfigError: the file cannot be read, or names none of them, or all.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise ConfigError(f"leave_out: {file} cannot be read ({error.strerror}): is the path right?") from error
    found = frozenset(photos.names) & {line.strip() for line in text.splitlines() if not line.startswith("#")}
    if not 0 < len(found) < len(photos):
        raise ConfigError(f"leave_out: {file} names {len(found)} of {len(photos)} photos: give names as manifest.csv has them")
    digest = hashlib.sha256(" ".join([photos.digest, *sorted(found)]).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return replace(photos, left_out=found, digest=digest)


def overlap(train: PhotoSet, validation: PhotoSet) -> list[Shared]:
    """Photos that are in both sets, turned or not; a model that trained on them is not measured by them.

    Where a set has no hashes they are made from its pixels: half a millisecond a photo.
    """
    found = {
        (int(one), int(other)): int(distance)
        for links in near_duplicates.links(_hashes(train), _hashes(validation))
        for one, other, distance in zip(links.one, links.other, links.distance, strict=True)
    }
    return [Shared(train.names[one], validation.names[other], found[one, other]) for one, other in sorted(found)]


def _hashes(photos: PhotoSet) -> Hashes:
    return np.concatenate(list(_made(photos))) if photos.hashes is None else photos.hashes


def _made(photos: PhotoSet) -> Iterator[Hashes]:
    for start in range(0, len(photos), _AT_ONCE):
        yield near_duplicates.difference_hashes(photos.pixels[start : start + _AT_ONCE])
