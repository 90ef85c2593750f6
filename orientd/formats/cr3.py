"""Canon's CR3: ISO base media with boxes of Canon's own (https://github.com/lclevy/canon_cr3; ExifTool, Canon uuid tags).

CMT1 in the first uuid box of `moov` is a TIFF with what is IFD0 elsewhere. A JPEG of about 1620 pixels is in PRVW, in a uuid
box of its own, one of the full size in the media data, as the sample of the first track. Both are oriented as the sensor saw the
scene. HDR photos have HEVC there instead.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from orientd.errors import Refused
from orientd.formats import raw_tiff
from orientd.formats.isobmff import Box, Reader, box
from orientd.formats.raw_tiff import Contents

BRAND: Final = b"ftypcrx "  # from byte 4 on

_UUID: Final = 16
_METADATA: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_PREVIEW: Final = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
_BEFORE_PRVW: Final = 8  # version, flags and a count
_OPEN_END: Final = 1 << 63  # where a box is cut off, its start still says what it was
_MOST_BOXES: Final = 64  # side by side; cameras write up to 12


def read(data: bytes) -> Contents:
    """What a CR3 file says of itself; nothing of one that cannot be read."""
    boxes = list(_inside(data, 0, len(data)))
    movie = [inner for outer in boxes if outer.kind == b"moov" for inner in _inside(data, outer.body, outer.end)]
    contents = Contents()
    for found in _in_uuid(data, movie, _METADATA, 0):
        if found.kind == b"CMT1":
            contents = raw_tiff.read(data[found.body : found.end])
    return contents._replace(places=(*_previews(data, boxes), *_samples(data, movie)))


def _inside(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes from `start` to `end`, up to what is none; the last one may end later, as in a file that is cut short."""
    for _ in range(_MOST_BOXES):
        found = box(data, start, _OPEN_END) if start + 8 <= min(end, len(data)) else None
        if found is None:
            return
        yield found
        start = found.end


def _in_uuid(data: bytes, boxes: list[Box], name: bytes, skipped: int) -> Iterator[Box]:
    for found in boxes:
        if found.kind == b"uuid" and data.startswith(name, found.body):
            yield from _inside(data, found.body + _UUID + skipped, found.end)


def _previews(data: bytes, boxes: list[Box]) -> Iterator[tuple[int, int]]:
    for found in _in_uuid(data, boxes, _PREVIEW, _BEFORE_PRVW):
        with suppress(Refused):
            if found.kind == b"PRVW":
                reader = Reader(data, found.body + 12, len(data))
                length = reader.value(4)
                yield reader.place, length


def _samples(data: bytes, movie: list[Box]) -> Iterator[tuple[int, int]]:
    """The first sample of each track."""
    for track in islice((found for found in movie if found.kind == b"trak"), _MOST_BOXES):
        inner = [track]
        for kind in (b"mdia", b"minf", b"stbl"):
            inner = [found for outer in inner[:1] for found in _inside(data, outer.body, outer.end) if found.kind == kind]
        table = {found.kind: found for outer in inner[:1] for found in _inside(data, outer.body, outer.end)}
        with suppress(Refused):
            if b"stsz" in table and b"co64" in table:
                yield _first(data, table[b"co64"], 8), _size(data, table[b"stsz"])


def _first(data: bytes, table: Box, size: int) -> int:
    """The first number of a table of numbers of `size` bytes."""
    return Reader(data, table.body + 8, table.end).value(size)


def _size(data: bytes, table: Box) -> int:
    """The size of the first sample: one for all of them, or the first of a list."""
    reader = Reader(data, table.body + 4, table.end)
    return reader.value(4) or _first(data, table, 8) & 0xFFFFFFFF
