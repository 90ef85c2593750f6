"""Pentax: the electronic level (ExifTool, Pentax.pm, tag 0x022b), of cameras since the K-5."""

import re
from typing import Final

from orientd.formats.maker_notes.note import Held, Layout, Note

LAYOUTS: Final = (
    Layout(re.compile(b"PENTAX \0"), directory=10, base=0, order=8),
    Layout(re.compile(b"AOC\0(II|MM)"), directory=6, order=4),
)
_LEVEL: Final = 0x022B
_ORIENTATIONS: Final = {1: 1, 2: 3, 3: 6, 4: 8, 9: 1, 10: 3, 11: 6, 12: 8, 13: None, 14: None}  # from 9 off level; up; down


def held(note: Note) -> Held | None:
    level = note.value(_LEVEL)
    return Held(_ORIENTATIONS[level[0] & 0x0F]) if level and level[0] & 0x0F in _ORIENTATIONS else None
