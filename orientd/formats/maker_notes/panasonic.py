"""Panasonic: how the camera was held (ExifTool, Panasonic.pm, tags 0x008f and 0x0030)."""

import re
from typing import Final

from orientd.formats.maker_notes.note import Held, Layout, Note

LAYOUTS: Final = (Layout(re.compile(b"Panasonic\0"), directory=12),)
_CAMERA_ORIENTATION, _ROTATION = 0x008F, 0x0030
_ORIENTATIONS: Final = {0: 1, 1: 6, 2: 3, 3: 8, 4: None, 5: None}  # the last two: tilted up, tilted down


def held(note: Note) -> Held | None:
    """The newer tag knows a camera that points up or down."""
    newer, older = note.numbers(_CAMERA_ORIENTATION, 1), note.numbers(_ROTATION, 2)
    if len(newer) == 1 and newer[0] in _ORIENTATIONS:
        return Held(_ORIENTATIONS[newer[0]])
    return Held(older[0]) if len(older) == 1 and older[0] in (1, 3, 6, 8) else None
