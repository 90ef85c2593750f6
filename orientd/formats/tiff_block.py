"""Reading the TIFF structure that EXIF, MPF and TIFF files share (TIFF 6.0, section 2; EXIF 2.32, section 4.6.2).

A block is a header, then directories (IFD0, IFD1, …) of entries whose larger values are elsewhere in the block. Every offset
counts from the start of the block, so bytes may be added at its end, but nothing inside it may ever move. A TIFF file, and no
other block, may be a BigTIFF.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise, zip_longest
from typing import Final

from orientd.errors import Refused
from orientd.formats.tiff_layout import BIG, BIG_HEADERS, CLASSIC, HEADERS, SHORT, Directory, Entry, Field
from orientd.reasons import Reason

ORIENTATION: Final = 0x0112
MAKER_NOTE: Final = 0x927C
STRIPS: Final = (0x0111, 0x0117)
TILES: Final = (0x0144, 0x0145)
THUMBNAIL: Final = (0x0201, 0x0202)
_SUBDIRECTORIES: Final = (0x014A, 0x8769, 0x8825, 0xA005)

_SIGNED: Final = (6, 8, 9, 17)
_INTEGERS: Final = (1, SHORT, 4, 16, *_SIGNED)
_POINTERS: Final = (4, 9, 13, 16, 18)
_MOST_ENTRIES: Final = 0xFFFF  # as many as a block that is no BigTIFF can count
_MOST_NUMBERS: Final = 2**20  # of one entry: so many strips have a picture of a million rows
_MOST_DIRECTORIES: Final = 64
_JPEG_HEADER: Final = b"Exif\0\0"


class TiffBlock:
    """Bounds-checked reading of a block.

    A `lenient` one skips directories of which the block holds no byte: those with the offset 0, where the header is, and those
    with an offset behind the block; the latter offsets are added to `strays` when they are met.

    Raises:
        Refused: from every method, when the block does not hold what its structure promises.
    """

    layout = CLASSIC

    def __init__(self, data: bytes, *, lenient: bool = False) -> None:
        if data[:4] not in HEADERS:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: it does not start with a TIFF header")
        self.data = data
        self.order = HEADERS[data[:4]]
        self.lenient = lenient
        self.strays = set[int]()

    def number(self, offset: int, size: int, *, signed: bool = False) -> int:
        if not 0 <= offset <= len(self.data) - size:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: it points outside its block")
        return int.from_bytes(self.data[offset : offset + size], self.order, signed=signed)

    def directory(self, start: int) -> Directory:
        """The directory at `start`. One cut off right after its last entry has no next one: some writers leave that field out."""
        counted, wide, each = self.layout.counted, self.layout.offset, self.layout.entry
        if start < 2 * wide:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: a directory lies inside the header")
        count = self.number(start, counted)
        if count > _MOST_ENTRIES:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: it points outside its block")
        end = start + counted + each * count
        self.number(end - 1, 1)
        places = range(start + counted, end, each)
        entries = (Entry(at, self.number(at, 2), self.number(at + 2, 2), self.number(at + 4, wide)) for at in places)
        follows = 0 if end == len(self.data) else self.number(end, wide)
        return Directory(start, end, tuple(entries), follows)

    @property
    def start(self) -> int:
        """The offset of IFD0, as the header states it."""
        return self.number(self.layout.offset, self.layout.offset)

    def first(self) -> Directory:
        """IFD0."""
        return self.directory(self.start)

    def chain(self) -> list[Directory]:
        """IFD0, IFD1 and any that follow."""
        found = [self.first()]
        while found[-1].next and (following := self._led_to(found[-1].next)):
            found += following
            _check_apart(found)
        return found

    def _led_to(self, start: int) -> list[Directory]:
        """The directory at `start`; none if this block is lenient and holds no byte of it."""
        if self.lenient and (start == 0 or start >= len(self.data)):
            self.strays |= {start} - {0}
            return []
        return [self.directory(start)]

    def readable(self) -> Iterator[Directory]:
        """Each directory that can be read, whatever is wrong elsewhere: the chain and those below it, in no order.

        One whose first entry has an unknown type is no directory, for exiftool either.
        """
        starts, known = [self.start], {0}
        while starts and len(known) <= _MOST_DIRECTORIES:
            start = starts.pop()
            if start in known:
                continue
            known.add(start)
            with suppress(Refused):
                directory = self.directory(start)
                if any(entry.type not in self.layout.sizes for entry in directory.entries[:1]):
                    continue
                yield directory
                starts.append(directory.next)
                for entry in directory.entries:
                    with suppress(Refused):
                        starts += self.numbers(entry) if self._is_pointer(entry) else []

    def every(self) -> Iterator[Directory]:
        """The directories of the chain and those below them: EXIF, GPS, interoperability, sub-images."""
        found = self.chain()
        for directory in found:
            yield directory
            pointers = [entry for entry in directory.entries if self._is_pointer(entry)]
            found += [led_to for entry in pointers for start in self.numbers(entry) for led_to in self._led_to(start)]
            _check_apart(found)

    def _is_pointer(self, entry: Entry) -> bool:
        return entry.tag in _SUBDIRECTORIES and entry.type in _POINTERS and entry.type in self.layout.sizes

    def value(self, entry: Entry) -> tuple[int, int]:
        """Where the value of an entry starts and ends."""
        if entry.type not in self.layout.sizes:
            raise Refused(Reason.BROKEN_METADATA, f"broken EXIF: tag 0x{entry.tag:04x} has the unknown type {entry.type}")
        size, wide = self.layout.sizes[entry.type] * entry.length, self.layout.offset
        inside = entry.offset + 4 + wide
        start = inside if size <= wide else self.number(inside, wide)
        if start + size > len(self.data):
            raise Refused(Reason.CANNOT_GROW, f"EXIF tag 0x{entry.tag:04x} points outside its block, so the block cannot grow")
        return start, start + size

    def numbers(self, entry: Entry) -> list[int]:
        """The whole numbers an entry holds."""
        (start, end), size = self.value(entry), self.layout.sizes[entry.type]
        if entry.length > _MOST_NUMBERS:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: a list in it is longer than any picture needs")
        return [self.number(at, size, signed=entry.type in _SIGNED) for at in range(start, end, size)]

    def extents(self) -> list[tuple[int, int]]:
        """Start and end of everything the directories point at: values too long for an entry, pixels and thumbnails.

        The content of an entry of an unknown type is not known, so it points at nothing.
        """
        found = []
        for directory in self.every():
            values = [self.value(entry) for entry in directory.entries if entry.type in self.layout.sizes]
            found += [(start, end) for start, end in values if end - start > self.layout.offset]
            for starts, lengths in (STRIPS, TILES, THUMBNAIL):
                found += self._pieces(directory, starts, lengths)
        return found

    def pixels(self, directory: Directory) -> Iterator[tuple[int, int]]:
        """Start and end of the strips and tiles of a picture."""
        for pair in (STRIPS, TILES):
            yield from self._pieces(directory, *pair)

    def _pieces(self, directory: Directory, starts: int, lengths: int) -> Iterator[tuple[int, int]]:
        places, sizes = self._numbers(directory, starts), self._numbers(directory, lengths)
        for start, length in zip_longest(places, sizes[: len(places)], fillvalue=0):  # a length alone is no place
            if start + length > len(self.data):
                raise Refused(Reason.CANNOT_GROW, "the EXIF thumbnail lies outside its block, so the block cannot grow")
            yield start, start + length

    def _numbers(self, directory: Directory, tag: int) -> list[int]:
        types = self.layout.sizes.keys() & _INTEGERS
        wanted = (entry for entry in directory.entries if entry.tag == tag and entry.type in types)
        return [number for entry in wanted for number in self.numbers(entry)]

    def gap(self, added: int = 0) -> bytes:
        """The bytes needed between the block, with so many bytes `added` already, and a directory behind it: what makes that
        start where it may, and the end of a directory that the block cuts off, or the bytes added would name the next one."""
        is_cut = not added and any(directory.end == len(self.data) for directory in self.every())
        end = bytes(self.layout.offset * is_cut)
        return end + bytes(-(len(self.data) + added + len(end)) % self.layout.even)

    def unshared(self, fields: list[Field]) -> list[Field]:
        """The orientations whose bytes are no part of anything else that can be read. Maker notes are not looked at: their length
        is often wrong."""
        parts = list(self.parts())
        return [
            field for field in fields if not any(start < field.offset + field.size and field.offset < end for start, end in parts)
        ]

    def parts(self) -> Iterator[tuple[int, int]]:
        """Start and end of the directories that can be read and of what they point at, except the values of orientations,
        maker notes and pixels."""
        for directory in self.readable():
            yield from self._parts(directory)

    def _parts(self, directory: Directory) -> Iterator[tuple[int, int]]:
        yield directory.start, directory.start + self.layout.counted
        yield directory.end, directory.end + self.layout.offset
        for entry in directory.entries:
            if entry.type in self.layout.sizes:
                yield entry.offset, entry.offset + 4 + self.layout.offset
            if entry.tag not in (ORIENTATION, MAKER_NOTE):
                with suppress(Refused):
                    yield self.value(entry)
        with suppress(Refused):
            yield from self._pieces(directory, *THUMBNAIL)

    def orientations(self, directory: Directory) -> list[Field]:
        """Every orientation a directory stores; two or more are a fault of the writer, and real."""
        return [self._field(entry) for entry in directory.entries if entry.tag == ORIENTATION]

    def _field(self, entry: Entry) -> Field:
        if entry.type not in _INTEGERS or entry.length != 1:
            raise Refused(
                Reason.BROKEN_METADATA, f"broken EXIF: the orientation is stored with type {entry.type}, count {entry.length}"
            )
        start, end = self.value(entry)
        return Field(start, end - start, self.number(start, end - start, signed=entry.type in _SIGNED))


class BigTiff(TiffBlock):
    """A whole file of that kind."""

    layout = BIG

    def __init__(self, data: bytes, *, lenient: bool = False) -> None:
        if data[:8] not in BIG_HEADERS:
            raise Refused(Reason.BROKEN_METADATA, "broken TIFF: it starts as a BigTIFF does, and not with the header of one")
        self.data = data
        self.order = BIG_HEADERS[data[:8]]
        self.lenient = lenient
        self.strays = set[int]()


def of_file(data: bytes, *, lenient: bool = False) -> TiffBlock:
    """A TIFF file, whose header states its kind."""
    return (BigTiff if data[:4] in (b"II+\0", b"MM\0+") else TiffBlock)(data, lenient=lenient)


def stored(data: bytes) -> int | None:
    """As `stored_in`, of a block that is no BigTIFF."""
    return stored_in(TiffBlock(data))


def stored_in(block: TiffBlock) -> int | None:
    """The orientation in IFD0, exactly as found (the first, should there be several).

    Raises:
        Refused: the block is broken.
    """
    fields = block.orientations(block.first())
    return fields[0].value if fields else None


def start_within(data: bytes, start: int) -> int:
    """Where the block of an EXIF chunk that starts at `start` does: some writers put the header of a JPEG's before it."""
    return start + len(_JPEG_HEADER) if data.startswith(_JPEG_HEADER, start) else start


def maker_notes(data: bytes, *, lenient: bool) -> list[tuple[int, int]]:
    """Where each maker note starts and ends; `lenient` as of a `TiffBlock`.

    Raises:
        Refused: the block is broken or points beyond its end.
    """
    block = TiffBlock(data, lenient=lenient)
    return [block.value(entry) for ifd in block.every() for entry in ifd.entries if entry.tag == MAKER_NOTE]


def _check_apart(directories: list[Directory]) -> None:
    """Directories that share a byte are a loop or a trap: a change to one would change the other."""
    if len(directories) > _MOST_DIRECTORIES:
        raise Refused(Reason.BROKEN_METADATA, "broken EXIF: it has more directories than any camera writes")
    for before, after in pairwise(sorted(directories)):
        if after.start < before.end:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: its directories overlap or loop")
