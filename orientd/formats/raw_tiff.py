"""Raw files that are TIFFs inside: the orientation, the side of the sensor's picture, and where JPEGs may be.

Most have previews as strips or thumbnails of their directories (DNG 1.7, chapter 2; TIFF/EP); some hide them in the maker note
(ExifTool, https://exiftool.org/TagNames/, under Nikon, Olympus, Pentax and Samsung). Cameras break rules that are enforced
where something is written, so what cannot be read here is passed over; how much is looked at is bounded.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from math import prod
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import tiff_block
from orientd.formats.loose_block import LooseBlock, by_tag, order_at
from orientd.formats.tiff_layout import Directory, Entry

_SUBFILE_TYPE, _SIDES, _SUB_IFDS, _EXIF, _JPG_FROM_RAW = 0xFE, (0x100, 0x101), 0x14A, 0x8769, 0x2E  # the last is Panasonic's
_MASKS: Final = 4 | 8  # bits of the subfile type: transparency, semantic and depth maps (DNG 1.7, NewSubFileType)
_UNDEFINED: Final = 7
_MOST_DIRECTORIES: Final = 64
_MOST_PLACES: Final = 32


class Contents(NamedTuple):
    """What a raw file states: `orientation` exactly as found; `sensor`, the (width, height) of the sensor's picture in pixels,
    zeros if not stated; `places`, the (start, length) of each possible JPEG. None of it is verified.
    """

    orientation: int | None = None
    sensor: tuple[int, int] = (0, 0)
    places: tuple[tuple[int, int], ...] = ()


class _Note(NamedTuple):
    """How a maker note is built, all from its start: its directory, from where its offsets count (None: the start of the TIFF)
    and its byte order (None: that of the TIFF); the tag that points at a directory with the preview, if any; start and length.
    """

    directory: int
    base: int | None
    order: int | None
    pointer: int | None
    pair: tuple[int, int]


_NIKON_PAIR, _OLYMPUS_PAIR = tiff_block.THUMBNAIL, (0x101, 0x102)
_NOTES: Final = {
    re.compile(b"OLYMPUS\0"): _Note(12, 0, 8, 0x2020, _OLYMPUS_PAIR),
    re.compile(b"OM SYSTEM\0"): _Note(16, 0, 12, 0x2020, _OLYMPUS_PAIR),
    re.compile(b"(OLYMP|EPSON)\0"): _Note(8, None, None, 0x2020, _OLYMPUS_PAIR),
    re.compile(b"PENTAX \0"): _Note(10, 0, 8, None, (4, 3)),
    re.compile(b"AOC\0(II|MM)"): _Note(6, None, 4, None, (4, 3)),
    re.compile(b"Nikon\0\2"): _Note(18, 10, 10, 0x11, _NIKON_PAIR),
    re.compile(b"..\1\0\7\0\4\0\0\0", re.DOTALL): _Note(0, None, None, 0x35, _NIKON_PAIR),  # Samsung
}


def read(data: bytes) -> Contents:
    """What a TIFF, or a raw file that is one but for its header, says of itself; nothing of one that cannot be read."""
    block = LooseBlock(data, order_at(data, 0))
    directories = list(islice(_directories(block), _MOST_DIRECTORIES))
    sides = [_sides(block, by_tag(directory)) for directory in directories]
    places = chain.from_iterable(_places(block, directory) for directory in directories)
    bounded = tuple(dict.fromkeys(islice(places, _MOST_PLACES)))
    return Contents(_orientation(block, directories), max(sides, key=prod, default=(0, 0)), bounded)


def _orientation(block: LooseBlock, directories: list[Directory]) -> int | None:
    with suppress(Refused):
        fields = block.orientations(directories[0]) if directories else []
        return fields[0].value if fields else None
    return None


def _directories(block: LooseBlock) -> Iterator[Directory]:
    """Each directory that can be read, IFD0 first, then those that follow or are below it; a GPS directory has no pictures."""
    known: set[int] = set()
    try:
        waiting = [block.start]
        block.bounded(waiting[0])  # without IFD0 nobody knows which directory is the first
    except Refused:
        return
    while waiting:
        start = waiting.pop(0)
        if start in known:
            continue
        known.add(start)
        with suppress(Refused):
            directory = block.bounded(start)
            yield directory
            tags = by_tag(directory)
            waiting += [*block.few(tags.get(_SUB_IFDS)), *block.few(tags.get(_EXIF)), *filter(None, [directory.next])]


def _sides(block: LooseBlock, tags: dict[int, Entry]) -> tuple[int, int]:
    width, height = (sum(block.few(tags.get(tag))[:1]) for tag in _SIDES)
    return width, height


def _places(block: LooseBlock, directory: Directory) -> Iterator[tuple[int, int]]:
    tags = by_tag(directory)
    if sum(block.few(tags.get(_SUBFILE_TYPE))) & _MASKS:
        return
    for pair in (tiff_block.THUMBNAIL, tiff_block.STRIPS):
        yield from _pair(block, tags, pair)
    with suppress(Refused):
        if _JPG_FROM_RAW in tags:
            start, end = block.value(tags[_JPG_FROM_RAW])
            yield start, end - start
        if tiff_block.MAKER_NOTE in tags:
            yield from _noted(block, block.value(tags[tiff_block.MAKER_NOTE])[0])


def _pair(block: LooseBlock, tags: dict[int, Entry], pair: tuple[int, int]) -> Iterator[tuple[int, int]]:
    starts, lengths = (block.few(tags.get(tag)) for tag in pair)
    if len(starts) == len(lengths) == 1:
        yield starts[0], lengths[0]


def _noted(block: LooseBlock, start: int) -> Iterator[tuple[int, int]]:
    """What the maker note at `start` points at. Some makers count from other places than they should, so each is tried."""
    note = next((note for pattern, note in _NOTES.items() if pattern.match(block.data, start)), None)
    if note is None:
        return
    base = 0 if note.base is None else start + note.base
    inner = LooseBlock(block.data, block.order if note.order is None else order_at(block.data, start + note.order), base)
    tags = by_tag(inner.bounded(start - base + note.directory))
    for found in [tags] if note.pointer is None else _pointed(inner, tags.get(note.pointer), start - base):
        for place, length in _pair(inner, found, note.pair):
            yield from ((origin + place, length) for origin in (0, base, start))


def _pointed(inner: LooseBlock, entry: Entry | None, start: int) -> Iterator[dict[int, Entry]]:
    """The directory of a maker note below its first one: an entry points at it, or holds it (old cameras of Olympus)."""
    held = entry is not None and entry.type == _UNDEFINED
    for at in inner.value(entry)[:1] if entry and held else inner.few(entry)[:1]:
        for origin in (0, start):
            with suppress(Refused):
                yield by_tag(inner.bounded(origin + at))
