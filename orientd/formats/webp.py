"""WebP: the orientation in the EXIF chunk (RFC 9649, section 2.7.1.5)."""

from typing import Final

from orientd.formats import tiff

_HEADER: Final = 12
_EXIF_FLAG: Final = 0x08
_EXIF_HEADER: Final = b"Exif\0\0"


def stored(data: bytes) -> int | None:
    """The orientation, exactly as found; None if there is none that can be read.

    Like libwebp, and so like viewers, this ignores an EXIF chunk that the VP8X header does not announce.
    """
    if data[_HEADER : _HEADER + 4] != b"VP8X" or not data[_HEADER + 8 : _HEADER + 9] or not data[_HEADER + 8] & _EXIF_FLAG:
        return None
    place = _HEADER
    while place + 8 <= len(data):
        start = place + 8
        end = start + int.from_bytes(data[place + 4 : start], "little")
        if data[place : place + 4] == b"EXIF" and end <= len(data):
            return tiff.stored(data[start:end].removeprefix(_EXIF_HEADER))
        place = end + end % 2
    return None
