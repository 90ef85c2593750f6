"""What all maker notes have in common: a directory of tags, somewhere, whose offsets count from somewhere.

No maker has published its format; sources are ExifTool (https://exiftool.org/TagNames/) and real files. Programs that rewrite
EXIF move maker notes and leave their offsets as they were, so a value counts only if it is within the note.
"""

import re
from contextlib import suppress
from typing import Final, NamedTuple, Self

from orientd.errors import Refused
from orientd.formats.loose_block import LooseBlock, by_tag, order_at
from orientd.formats.tiff_layout import Entry

_BY_QUARTERS: Final = (1, 6, 3, 8)
_CLEARLY: Final = 30.0  # degrees from a quarter turn; farther off it might be the next one
_MOST_BYTES: Final = 65536


class Held(NamedTuple):
    """How a camera says that it was held: `orientation` (1, 3, 6 or 8) is the EXIF value that shows upright what its sensor for
    pictures saw; None if it was pointed up or down, or held between two of these."""

    orientation: int | None


class Layout(NamedTuple):
    """Where the parts of a note are, all from its start: its directory, from where its offsets count (None: the start of the EXIF
    block), and its byte order (None: that of the block). It is known by how it starts and how the camera's maker does."""

    header: re.Pattern[bytes]
    directory: int
    base: int | None = None
    order: int | None = None
    make: str = ""


class Note:
    """The tags of a directory in a maker note, which is the bytes `start` to `end` of the block. `lens` is what EXIF names so."""

    def __init__(self, block: LooseBlock, tags: dict[int, Entry], start: int, end: int, lens: str) -> None:
        self.lens = lens
        self._block, self._tags = block, tags
        self._start, self._end = start, end

    @classmethod
    def read(cls, outer: LooseBlock, start: int, end: int, layout: Layout, lens: str = "") -> Self:
        """The note from `start` to `end` of an EXIF block.

        Raises:
            Refused: there is no directory where it should be.
        """
        base = 0 if layout.base is None else start + layout.base
        order = outer.order if layout.order is None else order_at(outer.data, start + layout.order)
        block = LooseBlock(outer.data, order, base)
        place = start - base + layout.directory
        try:
            directory = block.bounded(place)
        except Refused:  # a program that rewrote EXIF, in the other byte order, left the note as it was
            block.order = "big" if order == "little" else "little"
            directory = block.bounded(place)
        return cls(block, by_tag(directory), start, end, lens)

    def value(self, tag: int) -> bytes:
        """The bytes of a tag; empty if it is not there, too long, or not within the note."""
        try:
            start, end = self._block.value(self._tags[tag])
        except (KeyError, Refused):
            return b""
        start, end = self._block.base + start, self._block.base + end
        inside = self._start <= start <= end <= self._end and end - start <= _MOST_BYTES
        return self._block.data[start:end] if inside else b""

    def numbers(self, tag: int, size: int, *, signed: bool = False) -> list[int]:
        """The value of a tag as whole numbers of `size` bytes."""
        held, order = self.value(tag), self._block.order
        return [int.from_bytes(held[at : at + size], order, signed=signed) for at in range(0, len(held) - size + 1, size)]

    def below(self, tag: int) -> Self | None:
        """The directory at which a tag points; None if there is none within the note."""
        for start in self._block.few(self._tags.get(tag))[:1]:
            if self._start <= self._block.base + start < self._end:
                with suppress(Refused):
                    return type(self)(self._block, by_tag(self._block.bounded(start)), self._start, self._end, self.lens)
        return None


def by_roll(degrees: float) -> Held:
    """Of a camera that was turned so far clockwise, as seen from behind it."""
    quarters = round(degrees / 90)
    return Held(_BY_QUARTERS[quarters % 4] if abs(degrees - 90 * quarters) <= _CLEARLY else None)
