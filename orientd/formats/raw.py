"""Raw photos: the orientation they store and the preview they carry. They are read here and never written.

Most raw files are TIFFs inside, a few with a header of their own (DNG 1.7, chapter 2; the others as ExifTool documents them,
https://exiftool.org/TagNames/). Previews lie as the sensor saw the scene, so the orientation in IFD0 holds for them, too.
"""

from collections.abc import Iterator
from math import prod
from typing import Final

from orientd.errors import Refused
from orientd.formats import jpeg, tiff_block
from orientd.formats.tiff_block import Directory, TiffBlock
from orientd.orientation import normalise

_HEADERS: Final = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"MMOR": b"MM\0*", b"IIU\0": b"II*\0"}  # Olympus, Panasonic
_FUJI: Final = b"FUJIFILMCCD-RAW"
_FUJI_PREVIEW: Final = 84
_JPG_FROM_RAW: Final = 0x2E  # Panasonic
_JPEG: Final = b"\xff\xd8\xff"
_NONE: Final = "this raw file has no preview that can be judged"
_LOSSY: Final = (0xC0, 0xC1, 0xC2)  # frames of the JPEGs that are pictures; sensor data is in lossless ones
_COLOURS: Final = 3
_LEAST_SIDE: Final = 320  # pixels on the longer side: smaller ones are thumbnails, many of them framed by black bars


def stored(data: bytes) -> int | None:
    """The orientation in IFD0 (in the preview where there is no IFD0), exactly as found; None if there is none."""
    try:
        return jpeg.stored(preview(data)) if data.startswith(_FUJI) else tiff_block.stored(_as_tiff(data))
    except Refused:
        return None


def preview(data: bytes) -> bytes:
    """The largest JPEG that a raw file carries of itself.

    Raises:
        Refused: there is none, only a thumbnail, or one that says it lies otherwise than the file says.
    """
    if not data.startswith((_FUJI, b"II*\0", b"MM\0*", *_HEADERS)):
        raise Refused(_NONE)
    found = max((data[start : start + length] for start, length in _previews(data)), key=_area, default=b"")
    if max(_sides(found)) < _LEAST_SIDE:
        raise Refused(_NONE)
    own, file = jpeg.stored(found), None if data.startswith(_FUJI) else stored(data)
    if own is not None and file is not None and normalise(own) != normalise(file):
        raise Refused(f"this raw file says orientation {file}, its preview says {own}: nobody knows how it is shown")
    return found


def _previews(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each JPEG starts, and its length."""
    if data.startswith(_FUJI):
        places = iter([(_number(data, _FUJI_PREVIEW, 4), _number(data, _FUJI_PREVIEW + 4, 4))])
    else:
        block = TiffBlock(_as_tiff(data))
        places = (place for directory in block.every() for place in _within(block, directory))
    return ((start, length) for start, length in places if data.startswith(_JPEG, start) and start + length <= len(data))


def _within(block: TiffBlock, directory: Directory) -> Iterator[tuple[int, int]]:
    entries = {entry.tag: entry for entry in directory.entries}
    for tags in (tiff_block.THUMBNAIL, tiff_block.STRIPS):
        if all(tag in entries for tag in tags):
            starts, lengths = (block.numbers(entries[tag]) for tag in tags)
            if len(starts) == len(lengths) == 1:
                yield starts[0], lengths[0]
    if _JPG_FROM_RAW in entries:
        start, end = block.value(entries[_JPG_FROM_RAW])
        yield start, end - start


def _area(data: bytes) -> int:
    return prod(_sides(data))


def _sides(data: bytes) -> tuple[int, int]:
    """Height and width of a picture in pixels; zeros if it is none."""
    try:
        for segment in jpeg.segments(data):
            if segment.marker in _LOSSY and data[segment.start + 5] == _COLOURS:
                return _number(data, segment.start + 1, 2), _number(data, segment.start + 3, 2)
    except (Refused, IndexError):
        pass
    return 0, 0


def _as_tiff(data: bytes) -> bytes:
    header = _HEADERS.get(data[:4])
    return header + data[4:] if header else data


def _number(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "big")
