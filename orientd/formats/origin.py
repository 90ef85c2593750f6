"""What made a file, in its own words: the camera and the program that EXIF names, and how the camera was held (EXIF 2.32)."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import heif, jpeg, maker_notes, png, tiff_block, webp
from orientd.formats.jpeg_markers import APP1
from orientd.formats.loose_block import LooseBlock, by_tag
from orientd.formats.maker_notes import Held
from orientd.formats.tiff_block import MAKER_NOTE
from orientd.formats.tiff_layout import HEADERS, Entry
from orientd.records import Format

_MAKE, _MODEL, _SOFTWARE, _EXIF, _LENS = 0x010F, 0x0110, 0x0131, 0x8769, 0xA434
_MOST_LETTERS: Final = 200


class Origin(NamedTuple):
    """The maker and the model of the camera or scanner, and the program that wrote the file, empty where EXIF names none; and how
    the camera says that it was held, if it does."""

    make: str
    model: str
    software: str
    held: Held | None


def origin(format: Format, data: bytes) -> Origin | None:  # noqa: A002
    """What a whole file says of it; None if it has no EXIF that can be read."""
    try:
        found = _FINDERS[format](data) if format in _FINDERS else b""
        return _origin(LooseBlock(found, HEADERS[found[:4]])) if found[:4] in HEADERS else None
    except Refused:
        return None


def _origin(block: LooseBlock) -> Origin:
    tags = by_tag(block.bounded(block.start))
    make, model, software = (_text(block, tags.get(tag)) for tag in (_MAKE, _MODEL, _SOFTWARE))
    held = None
    with suppress(Refused):
        for start in block.few(tags.get(_EXIF))[:1]:
            below = by_tag(block.bounded(start))
            if MAKER_NOTE in below:
                held = maker_notes.held(block, *block.value(below[MAKER_NOTE]), make, _text(block, below.get(_LENS)))
    return Origin(make, model, software, held)


def _text(block: LooseBlock, entry: Entry | None) -> str:
    if entry is None or entry.length > _MOST_LETTERS:
        return ""
    with suppress(Refused):
        start, end = block.value(entry)
        return block.data[start:end].partition(b"\0")[0].decode("utf-8", "replace").strip()
    return ""


def _jpeg(data: bytes) -> bytes:
    segments = (segment for segment in jpeg.segments(data, lenient=True) if segment.marker == APP1)
    found = (segment for segment in segments if data.startswith(jpeg.EXIF, segment.start, segment.end))
    return next((data[segment.start + len(jpeg.EXIF) : segment.end] for segment in found), b"")


def _png(data: bytes) -> bytes:
    found = (chunk for chunk in png.chunks(data) if chunk.name == b"eXIf")
    return next((data[tiff_block.start_within(data, chunk.start) : chunk.end] for chunk in found), b"")


def _webp(data: bytes) -> bytes:
    found = (chunk for chunk in webp.chunks(data) if chunk.name == b"EXIF")
    return next((data[tiff_block.start_within(data, chunk.start) : chunk.end] for chunk in found), b"")


_FINDERS: Final[dict[Format, Callable[[bytes], bytes]]] = {
    Format.JPEG: _jpeg,
    Format.MPO: _jpeg,
    Format.HEIF: heif.exif,
    Format.AVIF: heif.exif,
    Format.TIFF: lambda data: data,
    Format.PNG: _png,
    Format.WEBP: _webp,
}
