"""Sony: how the camera was held, in an enciphered block (ExifTool, Sony.pm, tag 0x9400), of cameras since 2011.

A byte stands for its third power modulo 249. The first byte states the kind of the block, and so where the orientation is.
"""

import re
from typing import Final

from orientd.formats.maker_notes.note import Held, Layout, Note

LAYOUTS: Final = (
    Layout(re.compile(b"SONY (DSC|CAM|MOBILE)"), directory=12),
    Layout(re.compile(b"(?!SONY|\1\0)"), directory=0, make="SONY"),
)
_ENCIPHERED: Final = 0x9400
_PLACES: Final = {
    **dict.fromkeys(b"\x07\x09\x0a", 0x28),
    **dict.fromkeys(b"\x0c", 0x24),
    **dict.fromkeys(b"\x23\x24\x26\x28\x31\x32", 0x29),
}
_ORIENTATIONS: Final = {pow(value, 3, 249): value for value in (1, 3, 6, 8)}


def held(note: Note) -> Held | None:
    block = note.value(_ENCIPHERED)
    place = _PLACES.get(block[0]) if block else None
    found = _ORIENTATIONS.get(block[place]) if place and place < len(block) else None
    return Held(found) if found else None
