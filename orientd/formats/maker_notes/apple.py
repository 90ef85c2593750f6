"""Apple: the direction of gravity, in the coordinates of the phone.

As seen from its front x points left, y down, z into the screen, in units of g (ExifTool, Apple.pm, tag 0x0008). Cameras on the
back see upright in a phone that lies on its side so that x is −1, and need orientation 6 in one that stands. Cameras on the front
look the other way, so that for them the phone turns the other way; they, too, need 6 in one that stands.
"""

import math
import re
from typing import Final

from orientd.formats.maker_notes.note import Held, Layout, Note, by_roll

LAYOUTS: Final = (Layout(re.compile(b"Apple iOS\0"), directory=14, base=0, order=12),)
_ACCELERATION: Final = 0x0008
_FRONT: Final = "front"
_ACROSS: Final = 0.5  # g: with less of it in the plane of the screen the phone is too flat to tell
_STILL: Final = 1.5  # g: with more the phone was swung or dropped


def held(note: Note) -> Held | None:
    """By the acceleration vector, three fractions."""
    numbers = note.numbers(_ACCELERATION, 4, signed=True)
    if len(numbers) != 6 or 0 in numbers[1::2]:
        return None
    x, y, z = (above / below for above, below in zip(numbers[::2], numbers[1::2], strict=True))
    if math.hypot(x, y) < _ACROSS or math.hypot(x, y, z) > _STILL:
        return Held(None)
    return by_roll(math.degrees(math.atan2(-y, x if _FRONT in note.lens.lower() else -x)))
