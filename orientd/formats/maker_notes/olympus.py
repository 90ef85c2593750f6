"""Olympus and OM System: the level gauge (ExifTool, Olympus.pm, tag 0x0903 of the camera settings)."""

import re
from typing import Final

from orientd.formats.maker_notes.note import Held, Layout, Note, by_roll

LAYOUTS: Final = (
    Layout(re.compile(b"OLYMPUS\0"), directory=12, base=0, order=8),
    Layout(re.compile(b"OM SYSTEM\0"), directory=16, base=0, order=12),
)
_SETTINGS, _ROLL = 0x2020, 0x0903
_ON: Final = 1


def held(note: Note) -> Held | None:
    """Tenths of degrees counter-clockwise, and whether the gauge is on."""
    settings = note.below(_SETTINGS)
    roll = settings.numbers(_ROLL, 2, signed=True) if settings else []
    return by_roll(-roll[0] / 10) if len(roll) == 2 and roll[1] == _ON else None
