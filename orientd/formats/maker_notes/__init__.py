"""How a camera was held when it took a photo, by its own sensor, from the maker note in EXIF; one file for each maker.

Not read are Nikon's, which is enciphered with the camera's serial number and is elsewhere in each model; Fujifilm's, whose
sense of rotation is not documented; Samsung's, which only a camera for spheres writes (so ExifTool's modules of these names).
"""

from contextlib import suppress
from typing import Final

from orientd.errors import Refused
from orientd.formats.loose_block import LooseBlock
from orientd.formats.maker_notes import apple, canon, olympus, panasonic, pentax, sony
from orientd.formats.maker_notes.note import Held, Note

__all__ = ["Held", "held"]

_READERS: Final = (
    (apple.LAYOUTS, apple.held),
    (canon.LAYOUTS, canon.held),
    (olympus.LAYOUTS, olympus.held),
    (panasonic.LAYOUTS, panasonic.held),
    (pentax.LAYOUTS, pentax.held),
    (sony.LAYOUTS, sony.held),
)


def held(block: LooseBlock, start: int, end: int, make: str, lens: str) -> Held | None:
    """What the maker note from `start` to `end` of an EXIF block says; None if it says nothing that is understood.

    `make` and `lens` are the maker of the camera and the lens as EXIF has them.
    """
    for layouts, read in _READERS:
        for layout in layouts:
            if make.startswith(layout.make) and layout.header.match(block.data, start, end):
                with suppress(Refused):
                    return read(Note.read(block, start, end, layout, lens))
    return None
