"""How much memory decoding a photo takes, estimated from its headers before anything is decoded.

The bytes per pixel were measured as the growth of a fresh process that decodes 12 to 48 megapixels, and rounded up: JPEGs are
reduced while they are decoded, but progressive ones keep all their coefficients; everything else is decoded at full size, and
most of it is held twice, as the library's buffer and as RGB.
"""

import re
from collections.abc import Callable
from itertools import islice
from typing import Final

from orientd.errors import Refused
from orientd.formats import heif_items, jpeg, raw_tiff
from orientd.formats.jpeg_markers import BASELINE, EXTENDED, LOSSLESS, PROGRESSIVE
from orientd.records import Format

TILED_FROM: Final = 24_000_000  # pixels; HEIF grids of more are looked at tile by tile

_BASE: Final = 2**20
_COPIES: Final = 3  # of the file: as it was read, on its way to a child process, and there
_BYTES: Final = {
    Format.PNG: 9,
    Format.BMP: 9,
    Format.GIF: 9,
    Format.TIFF: 12,
    Format.WEBP: 17,
    Format.HEIF: 12,
    Format.AVIF: 14,
    Format.JPEG2000: 28,
}
_TILED, _SEQUENTIAL, _PROGRESSIVE, _LOSSLESS = 1, 1, 7, 9
_JPEGS: Final = (Format.JPEG, Format.MPO, Format.RAW)
_FRAMES: Final = {BASELINE: _SEQUENTIAL, EXTENDED: _SEQUENTIAL, PROGRESSIVE: _PROGRESSIVE, LOSSLESS: _LOSSLESS}
_MOST_SEGMENTS: Final = 1000
_ISPE: Final = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)
_SIZ: Final = re.compile(rb"\xff\x4f\xff\x51.{4}(.{8})|ihdr(.{8})", re.DOTALL)


def footprint(kind: Format, data: bytes, *, whole: bool) -> int:
    """About how many bytes decoding takes, the file's own among them; `whole` as a `Decoder` is asked.

    data: a whole file or, of a raw file, its preview. Where the headers do not state the size, the file's own bytes count.
    """
    pixels, each = _jpeg(data) if kind in _JPEGS else (_pixels(kind, data), _BYTES.get(kind, 0))
    if kind is Format.HEIF and not whole and pixels >= TILED_FROM and _is_grid(data):
        each = _TILED
    return _BASE + _COPIES * len(data) + pixels * each


def _pixels(kind: Format, data: bytes) -> int:
    sides = _SIDES[kind](data) if kind in _SIDES else (0, 0)
    return sides[0] * sides[1]


def _jpeg(data: bytes) -> tuple[int, int]:
    """Pixels, and the bytes that each takes."""
    try:
        for segment in islice(jpeg.segments(data), _MOST_SEGMENTS):
            if segment.marker in _FRAMES:
                height, width = (int.from_bytes(data[segment.start + at : segment.start + at + 2], "big") for at in (1, 3))
                return width * height, _FRAMES[segment.marker]
    except Refused:
        pass
    return 0, 0


def _is_grid(data: bytes) -> bool:
    try:
        listed = heif_items.read(data)
        return listed.items[listed.primary].kind == b"grid"
    except (Refused, KeyError):
        return False


def _big(data: bytes, *places: int) -> tuple[int, int]:
    first, second = (int.from_bytes(data[place : place + 4], "big") for place in places)
    return first, second


def _bmp(data: bytes) -> tuple[int, int]:
    places, size = ((18, 20), 2) if data[14:15] == b"\x0c" else ((18, 22), 4)
    width, height = (abs(int.from_bytes(data[place : place + size], "little", signed=size == 4)) for place in places)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _webp(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _largest(data: bytes) -> tuple[int, int]:
    """The largest of all pictures in a HEIF or AVIF."""
    found = (_big(one[1], 0, 4) for one in islice(_ISPE.finditer(data), _MOST_SEGMENTS))
    return max(found, key=lambda sides: sides[0] * sides[1], default=(0, 0))


def _jpeg2000(data: bytes) -> tuple[int, int]:
    found = _SIZ.search(data)
    return _big(found[1] or found[2], 0, 4) if found else (0, 0)


_SIDES: Final[dict[Format, Callable[[bytes], tuple[int, int]]]] = {
    Format.PNG: lambda data: _big(data, 16, 20),
    Format.BMP: _bmp,
    Format.GIF: _gif,
    Format.TIFF: lambda data: raw_tiff.read(data).sensor,
    Format.WEBP: _webp,
    Format.HEIF: _largest,
    Format.AVIF: _largest,
    Format.JPEG2000: _jpeg2000,
}
