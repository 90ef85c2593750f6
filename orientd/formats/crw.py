"""Canon's CRW: heaps, each with a directory at its end (CIFF 1.0; https://exiftool.org/canon_raw.html).

The rotation of the photo is stored in degrees clockwise, and the JPEG is oriented as the sensor saw the scene.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats.raw_tiff import Contents
from orientd.reasons import Reason

HEADER: Final = b"HEAPCCDR"  # from byte 6 on

_JPG_FROM_RAW: Final = 0x2007
_IMAGE_INFO: Final = 0x1810
_KIND, _HEAPS, _HERE = 0x3FFF, (0x2800, 0x3000), 0xC000
_ORIENTATIONS: Final = {0: 1, 90: 6, 180: 3, 270: 8}
_ENTRY: Final = 10
_MOST_ENTRIES: Final = 1000
_MOST_HEAPS: Final = 16


class _Entry(NamedTuple):
    """A tag without its storage bits, and the start and end of its value."""

    tag: int
    start: int
    end: int


def read(data: bytes) -> Contents:
    """What a CRW file says of itself; nothing of one that cannot be read."""
    orientation, sensor, places = None, (0, 0), []
    for entry in _entries(data):
        if entry.tag == _JPG_FROM_RAW:
            places.append((entry.start, entry.end - entry.start))
        elif entry.tag == _IMAGE_INFO and entry.end - entry.start >= 16:
            sensor = _number(data, entry.start, 4), _number(data, entry.start + 4, 4)
            orientation = _ORIENTATIONS.get(_number(data, entry.start + 12, 4, signed=True) % 360)
    return Contents(orientation, sensor, tuple(places))


def _entries(data: bytes) -> Iterator[_Entry]:
    """The entries of all heaps. The first one starts after the header and ends with the file."""
    waiting = [(_number(data, 2, 4), len(data))]
    for start, end in islice(waiting, _MOST_HEAPS):  # grows on the way
        with suppress(Refused):
            for entry in _directory(data, start, end):
                yield entry
                if entry.tag & 0x3800 in _HEAPS:
                    waiting.append((entry.start, entry.end))


def _directory(data: bytes, start: int, end: int) -> Iterator[_Entry]:
    place = start + _number(data, end - 4, 4)
    for at in range(place + 2, place + 2 + _ENTRY * min(_number(data, place, 2), _MOST_ENTRIES), _ENTRY):
        tag = _number(data, at, 2)
        if not tag & _HERE:
            length, offset = _number(data, at + 2, 4), _number(data, at + 6, 4)
            yield _Entry(tag & _KIND, start + offset, start + offset + length)


def _number(data: bytes, place: int, size: int, *, signed: bool = False) -> int:
    if not 0 <= place <= len(data) - size:
        raise Refused(Reason.DAMAGED, "broken heap: it points outside the file")
    return int.from_bytes(data[place : place + size], "little", signed=signed)
