"""How the numbers of a TIFF are laid out: in the usual kind, and in BigTIFF, the kind for files of more than 4 GB.

BigTIFF differs in its header, in the width of counts, lengths and offsets, and in three types more (libtiff, "The BigTIFF File
Format"); tags and what they mean are the same.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Order = Literal["little", "big"]

HEADERS: Final[dict[bytes, Order]] = {b"II*\0": "little", b"MM\0*": "big"}
BIG_HEADERS: Final[dict[bytes, Order]] = {b"II+\0\x08\0\0\0": "little", b"MM\0+\0\x08\0\0": "big"}
SHORT: Final = 3
_SIZES: Final = {1: 1, 2: 1, SHORT: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BIG_SIZES: Final = {16: 8, 17: 8, 18: 8}


class Layout(NamedTuple):
    """How many bytes the number of entries of a directory takes (`counted`); a length, an offset or the value in an entry
    (`offset`); the unit of each type that is known (`sizes`). A directory starts at a multiple of `even`."""

    counted: int
    offset: int
    sizes: Mapping[int, int]
    even: int

    @property
    def entry(self) -> int:
        """Bytes of an entry."""
        return 4 + 2 * self.offset

    def entry_bytes(self, order: Order, tag: int, type_: int, value: int) -> bytes:
        """An entry that holds a single number."""
        size = self.sizes[type_]
        numbers = ((tag, 2), (type_, 2), (1, self.offset), (value, size))
        return b"".join(number.to_bytes(each, order) for number, each in numbers) + bytes(self.offset - size)

    def directory_bytes(self, order: Order, entries: list[bytes], follows: int) -> bytes:
        """A directory of these entries, given in pieces of one or more; the next one starts at `follows`, 0 if none does."""
        body = b"".join(entries)
        count = len(body) // self.entry
        return count.to_bytes(self.counted, order) + body + follows.to_bytes(self.offset, order)


CLASSIC: Final = Layout(counted=2, offset=4, sizes=_SIZES, even=2)
BIG: Final = Layout(counted=8, offset=8, sizes=_SIZES | _BIG_SIZES, even=8)


class Entry(NamedTuple):
    """One directory entry; its bytes start at `offset`, its value has `length` units of `type`."""

    offset: int
    tag: int
    type: int
    length: int


class Directory(NamedTuple):
    """The entries stored from `start` to `end`; `next` is the offset of the directory that follows, 0 if none does."""

    start: int
    end: int
    entries: tuple[Entry, ...]
    next: int


class Field(NamedTuple):
    """An orientation as stored: `size` bytes at `offset` that hold `value`."""

    offset: int
    size: int
    value: int
