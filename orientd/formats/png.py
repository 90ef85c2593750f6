"""PNG: the orientation in the eXIf chunk (PNG specification, third edition, section 11.3.4.5)."""

from collections.abc import Iterator
from typing import Final

from orientd.formats import tiff

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_EXIF_HEADER: Final = b"Exif\0\0"


def stored(data: bytes) -> int | None:
    """The orientation, exactly as found; None if there is none that can be read."""
    for name, body in _chunks(data):
        if name == b"eXIf":
            return tiff.stored(body.removeprefix(_EXIF_HEADER))
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each whole chunk up to IEND; the pixels, the bulk of the file, come as an empty body."""
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        length, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data) or name == b"IEND":
            return
        yield name, b"" if name == b"IDAT" else data[place + 8 : end - 4]
        place = end
