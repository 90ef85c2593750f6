"""Changes that might turn what a TIFF block states, made naively without anything of orientd (TIFF 6.0, section 2; BigTIFF)."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

ORIENTATION: Final = 0x0112
_MOST_PAGES: Final = 50
_BY_TURN: Final = {  # EXIF 2.32, tag 0x0112: the value that shows a photo of each value turned so many degrees clockwise
    90: {1: 6, 6: 3, 3: 8, 8: 1, 2: 7, 7: 4, 4: 5, 5: 2},
    180: {1: 3, 3: 1, 6: 8, 8: 6, 2: 4, 4: 2, 5: 7, 7: 5},
}


class Kind(NamedTuple):
    """How a TIFF writes: byte order, and the letters of `struct` for a count of entries, an offset and the head of an entry."""

    order: str
    count: str
    offset: str
    entry: str

    @property
    def width(self) -> int:
        """Bytes of an entry, its value or offset included."""
        return struct.calcsize(self.entry) + struct.calcsize(self.offset)

    @property
    def first(self) -> int:
        """Where the header states the offset of the first directory."""
        return struct.calcsize(self.offset)


class Directory(NamedTuple):
    """Where an IFD is, where the pointers to it and to the next one are, and its entries as they are."""

    pointer: int
    place: int
    entries: list[bytes]
    follows: int


def turned(old: int, turn: int) -> int:
    """The value for a photo of the value `old`, turned by 90 or 180 degrees clockwise; others than 1 to 8 count as 1."""
    return _BY_TURN[turn].get(old, _BY_TURN[turn][1])


def fresh(turn: int) -> bytes:
    """The smallest block that states a turn."""
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, ORIENTATION, 3, 1, turned(1, turn), 0, 0)


def only_previews(data: bytes) -> bool:
    """True of a TIFF whose further pages are reduced copies of the first (NewSubfileType, bit 0)."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    order = "<" if data[:2] == b"II" else ">"
    pages = list(_directories(data, _kind(data)))[1:]
    kinds = [
        [struct.unpack(order + "HHII", entry)[3] for entry in page.entries if entry[:2] in (b"\xfe\0", b"\0\xfe")]
        for page in pages
    ]
    return bool(kinds) and all(kind and kind[0] & 1 for kind in kinds)


def block_changes(block: bytes, turn: int) -> Iterator[tuple[str, bytes]]:
    """Each change by name, and the block it leads to: the first directory alone, and all of the chain."""
    kind = _kind(block)
    found = list(_directories(block, kind))
    for name, some in (("first IFD", found[:1]), ("all IFDs", found if len(found) > 1 else [])):
        changed = bytearray(block)
        for each in reversed(some):  # a directory that moves changes the pointer to it, which is in the one before
            _turn(changed, each, kind, turn)
        if some:
            yield f"{name}, {'in place' if len(changed) == len(block) else 'grown'}", bytes(changed)


def _kind(block: bytes) -> Kind:
    order = "<" if block[:2] == b"II" else ">"
    big = block[2:4] in (b"+\0", b"\0+")
    return Kind(order, order + "Q", order + "Q", order + "HHQ") if big else Kind(order, order + "H", order + "I", order + "HHI")


def _directories(block: bytes, kind: Kind) -> Iterator[Directory]:
    pointer, seen = kind.first, set()
    while len(seen) < _MOST_PAGES:
        try:
            (place,) = struct.unpack_from(kind.offset, block, pointer)
            (count,) = struct.unpack_from(kind.count, block, place)
        except struct.error:
            return
        start = place + struct.calcsize(kind.count)
        follows = start + count * kind.width
        if not place or place in seen or follows > len(block):
            return
        seen.add(place)
        yield Directory(pointer, place, [block[at : at + kind.width] for at in range(start, follows, kind.width)], follows)
        pointer = follows


def _turn(changed: bytearray, each: Directory, kind: Kind, turn: int) -> None:
    start = each.place + struct.calcsize(kind.count)
    grown = True
    for number, entry in enumerate(each.entries):
        tag, type_, count = struct.unpack_from(kind.entry, entry)
        if tag == ORIENTATION and count == 1 and type_ in (3, 4):
            value, at = kind.order + ("H" if type_ == 3 else "I"), start + number * kind.width + struct.calcsize(kind.entry)
            struct.pack_into(value, changed, at, turned(struct.unpack_from(value, changed, at)[0], turn))
            grown = False
    if grown:
        _move(changed, each, kind, turn)


def _move(changed: bytearray, each: Directory, kind: Kind, turn: int) -> None:
    """A copy of the directory at the end, with an orientation more, and the pointer to it changed."""
    entry = struct.pack(kind.entry, ORIENTATION, 3, 1) + struct.pack(kind.order + "H", turned(1, turn)).ljust(kind.first, b"\0")
    place = sum(struct.unpack_from(kind.order + "H", other)[0] < ORIENTATION for other in each.entries)
    entries = [*each.entries[:place], entry, *each.entries[place:]]
    changed += b"\0" * (-len(changed) % 8)
    struct.pack_into(kind.offset, changed, each.pointer, len(changed))
    rest = bytes(changed[each.follows : each.follows + kind.first]).ljust(kind.first, b"\0")
    changed += struct.pack(kind.count, len(entries)) + b"".join(entries) + rest
