"""The trailer with which Galaxy phones end their photos (SEF): named entries, then a directory that counts backwards from itself.

    entry … | SEFH, version, count | 0, kind, distance, length of each entry | length of the directory | SEFT

An entry holds 0, its kind, the length of its name, the name, the content; numbers are little-endian. Distances count from SEFH
back to the entry, so a trailer that moves as a whole stays right. One thing in it counts from the start of the file:
`MotionPhoto_Data` of HEIC holds "mpv2" and, big-endian, the place and the length of the video, which Samsung's gallery plays from
there. Samsung has published no specification; sources are exiftool (Samsung.pm, ProcessSamsung) and photos of nine models.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats.isobmff import Number
from orientd.reasons import Reason

VIDEO: Final = b"MotionPhoto_Data"  # the name of the entry that states where the video is
_VIDEO_KIND: Final = (0x0A30).to_bytes(2, "little")
_HEADER: Final = b"SEFH"
_END: Final = b"SEFT"


class Pointer(NamedTuple):
    """Where the file says that `length` bytes start, counted from its start."""

    start: Number
    length: int


class Trailer(NamedTuple):
    """It reaches from `start`, the place of its first entry, to the end of the file."""

    start: int
    pointers: tuple[Pointer, ...]


class _Entry(NamedTuple):
    kind: bytes
    start: int
    end: int


def read(data: bytes) -> Trailer | None:
    """The trailer of a whole file; None if there is none that is sound.

    Raises:
        Refused: it states the place of a video in an unknown way.
    """
    listed = _listed(data)
    if not listed:
        return None
    return Trailer(min(entry.start for entry in listed), tuple(_pointers(data, listed)))


def _listed(data: bytes) -> list[_Entry]:
    """The entries; none if anything about one, or about the directory, is wrong."""
    end = len(data) - 8
    start = end - int.from_bytes(data[-8:-4], "little")
    if not data.endswith(_END) or start < 0 or data[start : start + 4] != _HEADER:
        return []
    count = int.from_bytes(data[start + 8 : start + 12], "little")
    if end - start != 12 + 12 * count:
        return []
    found = []
    for at in range(start + 12, end, 12):
        distance, length = (int.from_bytes(data[place : place + 4], "little") for place in (at + 4, at + 8))
        entry = _Entry(data[at : at + 4], start - distance, start - distance + length)
        if not (0 <= entry.start <= entry.end <= start and _is_sound(data, entry)):
            return []
        found.append(entry)
    return found


def _is_sound(data: bytes, entry: _Entry) -> bool:
    return data[entry.start : entry.start + 4] == entry.kind and _content(data, entry) <= entry.end


def _content(data: bytes, entry: _Entry) -> int:
    """Where the content starts, behind kind and name."""
    return entry.start + 8 + int.from_bytes(data[entry.start + 4 : entry.start + 8], "little")


def _pointers(data: bytes, listed: list[_Entry]) -> Iterator[Pointer]:
    for entry in listed:
        if entry.kind[2:] != _VIDEO_KIND:
            continue
        start = _content(data, entry)
        held = data[start : entry.end]
        if held[:4] == b"mpv2" and len(held) == 12:
            yield Pointer(Number(start + 4, 4, int.from_bytes(held[4:8], "big")), int.from_bytes(held[8:], "big"))
        elif held[4:8] != b"ftyp":  # else it is the video itself
            raise Refused(
                Reason.CANNOT_GROW, "it would have to grow, and Samsung's trailer says in an unknown way where its video is"
            )
