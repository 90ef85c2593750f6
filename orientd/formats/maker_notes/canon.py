"""Canon: AutoRotate among the information on the shot (ExifTool, Canon.pm, tag 0x0004, number 27).

What single models hold elsewhere is different for each, and is not read.
"""

import re
from typing import Final

from orientd.formats.maker_notes.note import Held, Layout, Note

LAYOUTS: Final = (Layout(re.compile(b""), directory=0, make="Canon"),)
_SHOT, _AUTO_ROTATE = 0x0004, 27
_ORIENTATIONS: Final = {0: 1, 1: 6, 2: 3, 3: 8}  # −1 in cameras that cannot tell, and once Canon's programs turned the picture


def held(note: Note) -> Held | None:
    """The first number must be the length in bytes: where a program has moved the note, it is another number."""
    shot = note.numbers(_SHOT, 2, signed=True)
    whole = len(shot) > _AUTO_ROTATE and shot[0] == 2 * len(shot)
    found = _ORIENTATIONS.get(shot[_AUTO_ROTATE]) if whole else None
    return Held(found) if found else None
