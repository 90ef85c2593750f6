"""Which photos show the same thing, whichever way they are turned, and a split that keeps them together. Pure.

A difference hash (Krawetz 2013, "Kind of like that") has 256 bits: is each of 16 × 17 equal parts of the picture darker than the
one to its right? It is taken of all eight orientations of the square, so a copy that was turned or mirrored on the way is found
like any other. The sums behind it are whole numbers: the hashes of a turned square are, to the bit, those of the square.

One hash is not enough: the sky over the sea and the sun in the mist look alike to it. Two photos are near-duplicates if both
their hashes across and their hashes down (across, once turned by 90°) differ in at most RADIUS bits. Of the 60,094 photos of
../shared/photos 293 pairs do. None of them has one photo turned by 90, 180 or 270°, as pairs by chance would six times in eight;
by the hash across alone 356 matches have, at 11 bits already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from orientd import orientation
from orientd.errors import ConfigError

RADIUS: Final = 15
# A larger folder is a collection, not an album: kept together, such folders would leave nothing to split.
ALBUM_MOST: Final = 1000
_CELLS: Final = 16
_LUMA: Final = np.array([77, 150, 29])  # of 256: ITU-R BT.601
_FLAT: Final = 4.0
_CHUNK: Final = 1 << 20
_AS_IT_IS, _MIRRORED, _TURNED_90 = 1, 2, 6
# Row of the hash down of a photo shown by orientation row + 1.
_DOWN: Final = np.array([orientation.then(value, _TURNED_90) - 1 for value in range(1, 9)])

Hashes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of near-duplicates: the hashes differ in up to `distance` bits once photo `one` is shown by `orientation` (1–8)."""

    one: Index
    other: Index
    orientation: Index
    distance: Index


@dataclass(frozen=True, slots=True)
class Split:
    """What to keep apart for validation: sources by name, if any are `named`, else a `share` (0–1) of the photos."""

    share: float = 0.0
    named: tuple[str, ...] = ()
    seed: int = 0


def difference_hashes(squares: NDArray[np.uint8]) -> Hashes:
    """Hashes (N, 8, 32) of squares (N, S, S, 3), one for each orientation 1–8; all zero if a square has next to no contrast.

    A flat picture's hash is noise, so it is like no other picture.
    """
    grey = sum(squares[..., colour] * weight for colour, weight in enumerate(_LUMA))
    wide = _sums(_sums(grey, _CELLS, axis=1), _CELLS + 1, axis=2)
    tall = _sums(_sums(grey, _CELLS, axis=2), _CELLS + 1, axis=1)
    hashes = np.stack([_bits(tall if orientation.swaps_sides(value) else wide, value) for value in range(1, 9)], axis=1)
    hashes[wide.std((1, 2)) < _FLAT * _LUMA.sum() * squares.shape[1] ** 2] = 0
    return hashes


def links(hashes: Hashes, others: Hashes | None = None, radius: int = RADIUS) -> Iterator[Links]:
    """Every pair of photos within `radius` bits, in portions: within `hashes` (each pair once or more), or from them to `others`.

    Of radius + 1 parts of a hash at least one is free of the differing bits; so only photos that agree in a part are compared.
    """
    within, others = others is None, hashes if others is None else others
    seen, targets = np.flatnonzero(hashes.any((1, 2))), np.flatnonzero(others.any((1, 2)))
    photos, their = _words(hashes[seen]), _words(others[targets])
    for mask in _parts(radius + 1):
        for query, other in _equal(_key(photos.reshape(-1, 4), mask), _key(their[:, 0], mask)):
            one, row = np.divmod(query, 8)
            if within:
                one, row, other = one[one < other], row[one < other], other[one < other]
            for differing in (_across, _down):
                near = differing(photos, one, row, their, other) <= radius
                one, row, other = one[near], row[near], other[near]
            if len(one):
                yield Links(seen[one], targets[other], row + 1, _distance(photos, one, row, their, other))


def relate(hashes: Hashes, kin: Sequence[Sequence[object]], radius: int = RADIUS) -> tuple[Index, Index]:
    """For each photo the number of its group, counted by their first photos, and the photo that it contradicts about what is
    upright, or -1.

    A group is what hangs together by near-duplicates, in any orientation, and by equal entries in a list of `kin` (None is like
    nothing). Two photos contradict if they are near-duplicates, but only when one is turned.
    """
    groups = np.arange(len(hashes))
    contradicts = np.full(len(hashes), -1)
    for found in links(hashes, radius=radius):
        groups = _joined(groups, found.one, found.other)
        one, other = _at_odds(hashes, found, radius)
        contradicts[one], contradicts[other] = other, one
    for names in kin:
        first: dict[object, int] = {}
        pairs = [(i, first.setdefault(name, i)) for i, name in enumerate(names) if name is not None]
        one, other = np.array(pairs, np.int64).reshape(-1, 2).T
        groups = _joined(groups, one, other)
    return groups, contradicts


def validation(groups: Index, sources: Sequence[str], split: Split) -> NDArray[np.bool_]:
    """Which photos to keep apart: whole groups, so that nothing is on both sides.

    Of named sources every photo is kept apart, and whatever is in a group with one of them.

    Raises:
        ConfigError: a source is unknown, or the groups are too large to come near to what was asked for.
    """
    wanted = max(round(split.share * len(groups)), 1) if split.share else 0
    if split.named:
        if unknown := sorted(set(split.named) - set(sources)):
            known = sorted(set(sources))
            raise ConfigError(f"no photos of {', '.join(unknown)}: there are {', '.join(known[:20])}{' …' if known[20:] else ''}")
        chosen = np.unique(groups[[source in split.named for source in sources]])
    else:
        chosen = _drawn(groups, wanted, split.seed)
    apart = np.isin(groups, chosen)
    if apart.all() and len(apart):
        raise ConfigError("nothing would be left to train on: name fewer sources, or give more photos")
    if 2 * apart.sum() < wanted:
        largest = np.bincount(groups).max()
        raise ConfigError(
            f"only {apart.sum()} of {len(groups)} photos can be kept apart, since albums and near-duplicates stay together and "
            f"the largest such group has {largest}: give more albums, or name the sources to validate on"
        )
    return apart


def albums(folders: Sequence[str]) -> list[str | None]:
    """The album of each photo that is in one of `folders`; None where its folder is too large, or all are in the same one."""
    names, index, counts = np.unique(np.array(folders, dtype=object), return_inverse=True, return_counts=True)
    is_album = (counts <= ALBUM_MOST) & (len(names) > 1)
    return [folder if is_album[i] else None for folder, i in zip(folders, index, strict=True)]


def _drawn(groups: Index, wanted: int, seed: int) -> Index:
    """Groups in random order, each that brings the number of photos nearer to what is wanted."""
    sizes = np.bincount(groups)
    drawn = []
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        if sizes[group] < 2 * wanted:
            wanted -= int(sizes[group])
            drawn.append(group)
    return np.array(drawn, np.int64)


def _sums(values: Index, cells: int, axis: int) -> Index:
    """Sums over `cells` equal parts of an axis, whole numbers in 1/cells of a pixel. No BLAS: its threads fight with ours."""
    values = np.moveaxis(values, axis, -1)
    whole, part = np.divmod(np.arange(cells + 1) * values.shape[-1], cells)
    padded = np.concatenate([np.zeros_like(values[..., :1]), values, np.zeros_like(values[..., :1])], axis=-1)
    upto = np.cumsum(padded, axis=-1)[..., whole] * cells + padded[..., whole + 1] * part
    return np.moveaxis(np.diff(upto, axis=-1), -1, axis)


def _bits(grids: Index, value: int) -> Hashes:
    shown = orientation.apply(np.moveaxis(grids, 0, 2), value)
    return np.packbits(np.moveaxis(shown[:, 1:] > shown[:, :-1], 2, 0).reshape(len(grids), -1), axis=1)


def _words(hashes: Hashes) -> Words:
    return np.ascontiguousarray(hashes).view(np.uint64)


def _across(photos: Words, one: Index, row: Index | int, others: Words, other: Index) -> Index:
    """How many bits of the hash across differ between photos shown by orientation row + 1 and others as they are."""
    return _differing(photos[one, row], others[other, 0])


def _down(photos: Words, one: Index, row: Index | int, others: Words, other: Index) -> Index:
    return _differing(photos[one, _DOWN[row]], others[other, _DOWN[0]])


def _differing(some: Words, others: Words) -> Index:
    return np.asarray(np.bitwise_count(some ^ others).sum(axis=1), np.int64)


def _distance(photos: Words, one: Index, row: Index | int, others: Words, other: Index) -> Index:
    return np.maximum(_across(photos, one, row, others, other), _down(photos, one, row, others, other))


def _at_odds(hashes: Hashes, found: Links, radius: int) -> tuple[Index, Index]:
    """Those pairs that are near-duplicates only when one is turned."""
    turned = ~np.isin(found.orientation, (_AS_IT_IS, _MIRRORED))
    one, other = found.one[turned], found.other[turned]
    first, second = _words(hashes[one]), _words(hashes[other])
    pairs = np.arange(len(one))
    upright = [_distance(first, pairs, value - 1, second, pairs) for value in (_AS_IT_IS, _MIRRORED)]
    at_odds = np.minimum(*upright) > radius
    return one[at_odds], other[at_odds]


def _parts(number: int) -> Iterator[Words]:
    """Masks that share out the bits of a hash; the bits of one are far from each other, as neighbours are often alike."""
    order = np.random.default_rng(0).permutation(8 * 32)
    for part in range(number):
        bits = np.zeros(8 * 32, np.uint8)
        bits[order[part::number]] = 1
        yield np.packbits(bits).view(np.uint64)


def _key(words: Words, mask: Words) -> Words:
    """One number that is equal where the masked bits are; that it is equal elsewhere does no harm and hardly happens."""
    factors = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)
    keys: Words = ((words & mask) * factors).sum(axis=1, dtype=np.uint64)
    return keys


def _equal(queries: Words, targets: Words) -> Iterator[tuple[Index, Index]]:
    """Positions (in queries, in targets) of all equal pairs, about a million at a time."""
    by_query, by_target = np.argsort(queries), np.argsort(targets)
    queries, targets = queries[by_query], targets[by_target]
    start = np.searchsorted(targets, queries, "left")
    count = np.searchsorted(targets, queries, "right") - start
    by_query, start, count = (part[count > 0] for part in (by_query, start, count))
    ends = np.cumsum(count)
    bounds = [0, *np.unique(np.searchsorted(ends, np.arange(_CHUNK, ends[-1] if len(ends) else 0, _CHUNK), "right")), len(count)]
    for low, high in pairwise(bounds):
        some = count[low:high]
        within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        yield np.repeat(by_query[low:high], some), by_target[np.repeat(start[low:high], some) + within]


def _joined(groups: Index, one: Index, other: Index) -> Index:
    """`groups` (each photo's, numbered by their first photos) once more pairs hang together."""
    pairs = coo_array((np.ones(len(one), bool), (groups[one], groups[other])), shape=(len(groups), len(groups)))
    joined: Index = connected_components(pairs, directed=False)[1].astype(np.int64)
    return joined[groups]
