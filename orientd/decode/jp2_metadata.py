"""EXIF, XMP, IPTC and color profile of a JPEG 2000 file, which Pillow does not read (ISO/IEC 15444-1, annex I; XMP, part 3)."""

from contextlib import suppress
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import isobmff

_EXIF: Final = b"JpgTiffExif->JP2"
_XMP: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_IPTC: Final = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_PROFILES: Final = (2, 3)  # methods: a restricted ICC profile, and any


class Said(NamedTuple):
    """Each empty if it is not there."""

    exif: bytes
    xmp: bytes
    iptc: bytes
    profile: bytes


def read(data: bytes) -> Said:
    """What the boxes before and behind the picture say; nothing behind the first that is broken."""
    found: dict[bytes, bytes] = {}
    with suppress(Refused):
        for box in isobmff.inside(data, 0, len(data)):
            if box.kind == b"uuid":
                found.setdefault(data[box.body : box.body + 16], data[box.body + 16 : box.end])
            elif box.kind == b"jp2h":
                found |= {each.kind: data[each.body : each.end] for each in isobmff.inside(data, box.body, box.end)}
    color = found.get(b"colr", b"")
    profile = color[3:] if color[:1] and color[0] in _PROFILES else b""
    return Said(found.get(_EXIF, b""), found.get(_XMP, b""), found.get(_IPTC, b""), profile)
