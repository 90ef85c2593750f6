"""TIFF structure as cameras write it in raw files and maker notes: what cannot be read is passed over, all reading is bounded."""

from contextlib import suppress
from typing import Final, Literal

from orientd.errors import Refused
from orientd.formats.tiff_block import TiffBlock
from orientd.formats.tiff_layout import BIG, BIG_HEADERS, CLASSIC, Directory, Entry
from orientd.reasons import Reason

_POINTERS: Final = (3, 4, 13, 16, 18)
_MOST_ENTRIES: Final = 1000  # of a directory; cameras write up to 150
_MOST_POINTERS: Final = 16


class LooseBlock(TiffBlock):
    """A block of any header, or of none, whose offsets count from `base`."""

    def __init__(self, data: bytes, order: Literal["little", "big"], base: int = 0) -> None:
        self.data = data
        self.order = order
        self.base = base
        self.layout = BIG if data[:8] in BIG_HEADERS else CLASSIC

    def number(self, offset: int, size: int, *, signed: bool = False) -> int:
        return super().number(self.base + offset, size, signed=signed)

    def bounded(self, start: int) -> Directory:
        """The directory at `start`.

        Raises:
            Refused: there is none, or it has more entries than any camera writes.
        """
        if self.number(start, self.layout.counted) > _MOST_ENTRIES:
            raise Refused(Reason.UNUSUAL, "it has more entries than any camera writes")
        return self.directory(start)

    def few(self, entry: Entry | None) -> list[int]:
        """The whole numbers of an entry; none if it is not there, cannot be read or holds many."""
        if entry is not None and entry.type in _POINTERS and entry.length <= _MOST_POINTERS:
            with suppress(Refused):
                return self.numbers(entry)
        return []


def order_at(data: bytes, place: int) -> Literal["little", "big"]:
    """The byte order that two letters at `place` name: II, or anything else."""
    return "little" if data.startswith(b"II", place) else "big"


def by_tag(directory: Directory) -> dict[int, Entry]:
    """The entries of a directory; of several with one tag the last."""
    return {entry.tag: entry for entry in directory.entries}
