"""Boxes, the building blocks of HEIF and AVIF files (ISO/IEC 14496-12, section 4.2), and numbers in them."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.reasons import Reason
from orientd.records import Splice

MOST: Final = 2**16
"""Boxes next to one another: as many as items can have numbers of 16 bits."""


class Box(NamedTuple):
    """A box stored from `start` to `end`, its content from `body` on. A size of 0 in the file means up to its end."""

    kind: bytes
    start: int
    body: int
    end: int

    @property
    def name(self) -> str:
        return self.kind.decode("latin-1")


class Number(NamedTuple):
    """`size` bytes at `offset` that hold `value`."""

    offset: int
    size: int
    value: int

    def splice(self, value: int) -> Splice:
        """Makes it `value`.

        Raises:
            Refused: the value is too large for the field.
        """
        if value >= 1 << 8 * self.size:
            raise Refused(Reason.CANNOT_GROW, "a number in it would become too large for its field")
        return Splice(self.offset, self.value.to_bytes(self.size, "big"), value.to_bytes(self.size, "big"))


class Reader:
    """Reads numbers one after another, from `place` up to `end`.

    Raises:
        Refused: from every method, on reaching the end too early.
    """

    def __init__(self, data: bytes, place: int, end: int) -> None:
        self.data = data
        self.place = place
        self.end = end

    def number(self, size: int) -> Number:
        start, self.place = self.place, self.place + size
        if self.place > self.end:
            raise Refused(Reason.DAMAGED, "broken boxes: one is shorter than what it should hold")
        return Number(start, size, int.from_bytes(self.data[start : self.place], "big"))

    def value(self, size: int) -> int:
        return self.number(size).value

    def full_box(self) -> tuple[int, int]:
        """Version and flags."""
        return self.value(1), self.value(3)

    def text(self) -> bytes:
        """The bytes up to a zero, which may be missing at the end."""
        start = self.place
        found = self.data.find(b"\0", start, self.end)
        stop = self.end if found < 0 else found
        self.place = min(stop + 1, self.end)
        return self.data[start:stop]


def box(data: bytes, start: int, end: int) -> Box | None:
    """The box at `start`; None if there is none that ends by `end`."""
    size, body = int.from_bytes(data[start : start + 4], "big"), start + 8
    if size == 1:
        size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
    elif size == 0 and end == len(data):
        size = end - start
    if body > end or not body - start <= size <= end - start:
        return None
    return Box(data[start + 4 : start + 8], start, body, start + size)


def inside(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that fill the bytes from `start` to `end`.

    Raises:
        Refused: on reaching anything but a whole box, or more of them than any photo needs.
    """
    number = 0
    while start < end:
        number += 1
        if number > MOST:
            raise Refused(Reason.DAMAGED, "it has more boxes than any photo needs")
        found = box(data, start, end)
        if found is None:
            raise Refused(Reason.DAMAGED, f"broken boxes: at byte {start} there is none that fits")
        yield found
        start = found.end


def grown(data: bytes, parent: Box, growth: int) -> Splice | None:
    """What makes a box `growth` bytes longer; None if its size is open.

    Raises:
        Refused: the size does not fit its field.
    """
    size = Reader(data, parent.start, parent.body).number(4)
    if size.value == 1:
        size = Reader(data, parent.start + 8, parent.body).number(8)
    return size.splice(size.value + growth) if size.value else None
