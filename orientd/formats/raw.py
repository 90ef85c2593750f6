"""Raw photos: the orientation they store and the preview they carry. They are read here and never written.

Each kind of container says where its previews may be (`raw_tiff`, `cr3`, `crw`; Fuji's header as ExifTool documents it,
https://exiftool.org/TagNames/FujiFilm.html#RAF). Which of these is judged is decided here. Previews lie as the sensor saw the
scene, so the stored orientation holds for them, too; where a preview shows that it does not, the file is refused.
"""

from itertools import islice
from math import prod
from typing import Final

from orientd.errors import Refused
from orientd.formats import cr3, crw, jpeg, raw_tiff
from orientd.formats.jpeg_markers import BASELINE, EXTENDED, PROGRESSIVE, SOS
from orientd.formats.raw_tiff import Contents
from orientd.orientation import normalise
from orientd.reasons import Reason

_FUJI: Final = b"FUJIFILMCCD-RAW"
_FUJI_PREVIEW: Final = 84
_TIFFS: Final = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")  # the last four are Olympus and Panasonic
_UNREAD: Final = {
    b"FOVb": "Sigma's X3F is not read",
    b"\0MRM": "Minolta's MRW is not read",
    b"II+\0": "BigTIFF is not read",
    b"MM\0+": "BigTIFF is not read",
}
_JPEG: Final = b"\xff\xd8\xff"
_LOSSY: Final = (BASELINE, EXTENDED, PROGRESSIVE)  # frames of the JPEGs that are pictures; sensor data is in lossless ones
_COLOURS: Final = 3
_LEAST_SIDE: Final = 320  # pixels on the longer side: smaller ones are thumbnails, many of them framed by black bars
_ENOUGH: Final = 1024  # pixels on the longer side: a larger one costs more and does not show more
_MOST_SEGMENTS: Final = 1000  # before the scan of a preview, and
_MOST_BEFORE_SCAN: Final = 4 * 2**20  # bytes: far more than any camera writes
_CLEARLY: Final = 1.1  # sides that differ by less do not show whether a picture is portrait or landscape


def stored(data: bytes) -> int | None:
    """The orientation in IFD0 (in the preview where there is no IFD0), exactly as found; None if there is none."""
    return _contents(data).orientation


def preview(data: bytes) -> bytes:
    """The JPEG of a raw file to be judged: the smallest of at least 1024 pixels on the longer side, else the largest.

    Raises:
        Refused: there is none, only a thumbnail, or one that is not oriented as the file says.
    """
    contents = _contents(data)
    found = {place: _sides(data, place) for place in contents.places if data.startswith(_JPEG, place[0])}
    fit = {place: sides for place, sides in found.items() if max(sides) >= _LEAST_SIDE}
    if not fit:
        raise Refused(Reason.NO_PREVIEW, f"this raw file has no preview that can be judged{_why(data, found)}")
    enough = [place for place, sides in fit.items() if max(sides) >= _ENOUGH]
    chosen = min(enough, key=lambda place: prod(fit[place])) if enough else max(fit, key=lambda place: prod(fit[place]))
    picture = _piece(data, chosen)
    _check_agreement(contents, jpeg.stored(picture), fit[chosen])
    return picture


def _contents(data: bytes) -> Contents:
    if data.startswith(_FUJI):
        place = _number(data, _FUJI_PREVIEW, 4), _number(data, _FUJI_PREVIEW + 4, 4)
        own = jpeg.stored(_piece(data, place)) if any(_sides(data, place)) else None
        return Contents(own, (0, 0), (place,))
    if data.startswith(cr3.BRAND, 4):
        return cr3.read(data)
    if data.startswith(crw.HEADER, 6):
        return crw.read(data)
    return raw_tiff.read(data) if data.startswith(_TIFFS) else Contents()


def _check_agreement(contents: Contents, own: int | None, sides: tuple[int, int]) -> None:
    """Refuse a preview that says, or shows by its sides, that it is not oriented as the sensor saw the scene."""
    file = contents.orientation
    if own is not None and file is not None and normalise(own) != normalise(file):
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE,
            f"this raw file says orientation {file}, its preview says {own}: it is not clear how it is displayed",
        )
    if _lies(sides) != _lies(contents.sensor) and None not in (_lies(sides), _lies(contents.sensor)):
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE, "the preview of this raw file is turned already: it is not clear how it is displayed"
        )


def _lies(sides: tuple[int, int]) -> bool | None:
    """True if the width is the longer one of (width, height); None if that is not clear."""
    width, height = sides
    return width > height if max(sides) > _CLEARLY * min(sides) else None


def _why(data: bytes, found: dict[tuple[int, int], tuple[int, int]]) -> str:
    unread = next((reason for start, reason in _UNREAD.items() if data.startswith(start)), "")
    if unread:
        return f": {unread}"
    if any(start + length > len(data) for start, length in found):
        return ": the file ends within it, so compare it with a backup"
    width, height = max(found.values(), key=prod, default=(0, 0))
    return f": only a thumbnail of {width} × {height} pixels" if width else ""


def _piece(data: bytes, place: tuple[int, int]) -> bytes:
    """The bytes at a place; empty if it ends after the file."""
    start, length = place
    return data[start : start + length] if start + length <= len(data) else b""


def _sides(data: bytes, place: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels of the picture at a place, if it is whole and one that can be decoded; zeros if not."""
    (start, length), sides = place, (0, 0)
    head = data[start : start + min(length, _MOST_BEFORE_SCAN)] if start + length <= len(data) else b""
    try:
        for segment in islice(jpeg.segments(head), _MOST_SEGMENTS):
            if segment.marker in _LOSSY and head[segment.start + 5] == _COLOURS:
                sides = _number(head, segment.start + 3, 2), _number(head, segment.start + 1, 2)
            if segment.marker == SOS:
                return sides
    except (Refused, IndexError):
        pass
    return 0, 0


def _number(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "big")
