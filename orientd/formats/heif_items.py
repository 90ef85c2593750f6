"""What a HEIF or AVIF file lists in its `meta` box: items, their properties, where their bytes are, how they refer to each other.

ISO/IEC 14496-12, section 8.11 (iinf, iloc, iref, pitm); ISO/IEC 23008-12, section 9.3 (iprp) and 9.4 (grpl).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats.isobmff import MOST, Box, Number, Reader, box, inside
from orientd.reasons import Reason
from orientd.records import Splice

_MOST_BYTES: Final = 4 * 2**20  # of one list; the largest seen in photos has a few thousand
_MOST_LISTED: Final = 4 * MOST  # properties of all items together, and pieces of them
_MUST_BE_WHOLE: Final = (b"mdat", b"meta", b"moov")
_TOO_LONG: Final = "broken HEIF: a list is longer than any photo needs"


class Association(NamedTuple):
    """That an item has the property `number` of `ipco`, counted from 1; 0 is none."""

    number: int
    essential: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """The properties of one item, as `parent`, an `ipma` box, lists them; each takes `width` bytes, the last ends at `end`."""

    parent: Box
    count: Number
    width: int
    end: int
    associations: tuple[Association, ...]

    def place(self, index: int) -> int:
        """Where the property at `index` is listed; `end` if that is one behind the last."""
        return self.end - self.width * (len(self.associations) - index)


@dataclass(frozen=True, slots=True)
class Location:
    """Where the bytes of an item are: extents as (offset, length), counted from `base` and, by `method`, from the start of the
    file (0), of `idat` (1) or of another item (2). `external`: the offsets are those of a file named elsewhere."""

    method: int
    external: bool
    base: Number
    extents: tuple[tuple[Number, int], ...]


class Item(NamedTuple):
    """One entry of `iinf`; `content` is the MIME type, if it has one. `packed`: compressed or encrypted."""

    kind: bytes
    content: bytes
    packed: bool


class Reference(NamedTuple):
    kind: bytes
    source: int
    targets: frozenset[int]


class Content(NamedTuple):
    """The bytes of an item, and the pieces of the file they come from: (start, length)."""

    data: bytes
    pieces: tuple[tuple[int, int], ...]

    def placed(self, splice: Splice) -> Splice:
        """A splice of these bytes as one of the file.

        Raises:
            Refused: it spans two pieces.
        """
        before = 0
        for start, length in self.pieces:
            if before <= splice.offset and splice.offset + len(splice.old) <= before + length:
                return Splice(start + splice.offset - before, splice.old, splice.new)
            before += length
        raise Refused(Reason.UNUSUAL, "its EXIF or XMP is stored in pieces")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a whole file lists. `end` is where its boxes end: behind that something is appended, unless it is the file's end.

    properties: the boxes in `ipco`; a property's index is one more than its place here.
    groups: kind and members of the entity groups.
    """

    data: bytes
    top: tuple[Box, ...]
    end: int
    meta: Box
    iprp: Box
    ipco: Box
    idat: Box | None
    primary: int
    items: dict[int, Item]
    references: tuple[Reference, ...]
    groups: tuple[tuple[bytes, tuple[int, ...]], ...]
    properties: tuple[Box, ...]
    entries: dict[int, Entry]
    locations: dict[int, Location]

    def properties_of(self, item: int) -> list[tuple[Association, Box]]:
        """The properties of an item in the order in which they apply."""
        listed = self.entries[item].associations if item in self.entries else ()
        return [(one, self.properties[one.number - 1]) for one in listed if one.number]

    def content(self, item: int) -> Content:
        """The bytes of an item.

        Raises:
            Refused: they cannot be found in this file.
        """
        location = self.locations.get(item)
        if location is None or location.external or self.items[item].packed:
            raise Refused(Reason.UNUSUAL, "its EXIF or XMP cannot be read where it is stored")
        start, end = self._origin(location.method)
        pieces = tuple((start + location.base.value + offset.value, length) for offset, length in location.extents)
        if not all(length and at + length <= end for at, length in pieces) or sum(length for _, length in pieces) > end:
            raise Refused(Reason.BROKEN_METADATA, "its EXIF or XMP lies outside the file")
        if location.method == 0 and any(at < self.meta.end and at + length > self.meta.start for at, length in pieces):
            raise Refused(Reason.BROKEN_METADATA, "its EXIF or XMP lies within the lists of the file")
        return Content(b"".join(self.data[at : at + length] for at, length in pieces), pieces)

    def packets(self, items: Iterable[int]) -> Iterator[Content]:
        """The bytes of several items, one after another.

        Raises:
            Refused: they cannot be found in this file, or are together longer than it, as those that share their bytes may be.
        """
        size = 0
        for item in items:
            content = self.content(item)
            size += len(content.data)
            if size > len(self.data):
                raise Refused(Reason.BROKEN_METADATA, "its EXIF and XMP overlap")
            yield content

    def _origin(self, method: int) -> tuple[int, int]:
        if method == 0:
            return 0, len(self.data)
        if method == 1 and self.idat:
            return self.idat.body, self.idat.end
        raise Refused(Reason.UNUSUAL, "its EXIF or XMP cannot be read where it is stored")


def read(data: bytes) -> Catalogue:
    """Read what a file lists.

    Raises:
        Refused: it is cut short, or a list is broken or of a kind that is not known.
    """
    top, end = _top(data)
    meta = _only(top, b"meta")
    children = list(inside(data, meta.body + 4, meta.end))
    if any(child.end - child.start > _MOST_BYTES for child in children if child.kind != b"idat"):
        raise Refused(Reason.DAMAGED, _TOO_LONG)
    iprp = _only(children, b"iprp")
    parts = list(inside(data, iprp.body, iprp.end))
    ipco = _only(parts, b"ipco")
    properties = tuple(inside(data, ipco.body, ipco.end))
    return Catalogue(
        data=data,
        top=top,
        end=end,
        meta=meta,
        iprp=iprp,
        ipco=ipco,
        idat=next((child for child in children if child.kind == b"idat"), None),
        primary=_primary(data, _only(children, b"pitm")),
        items=_items(data, _only(children, b"iinf")),
        references=tuple(one for child in children if child.kind == b"iref" for one in _references(data, child)),
        groups=tuple(one for child in children if child.kind == b"grpl" for one in _groups(data, child)),
        properties=properties,
        entries=_entries(data, [part for part in parts if part.kind == b"ipma"], len(properties)),
        locations=_locations(data, _only(children, b"iloc")),
    )


def _top(data: bytes) -> tuple[tuple[Box, ...], int]:
    """The boxes of the file, and where they end; a second `ftyp` starts another file, a film say, appended to this one.

    Neither is what has no name that can be printed, as padding of zeros: it is appended, too.
    """
    found: list[Box] = []
    place = 0
    while (one := box(data, place, len(data))) and one.name.isprintable() and not (found and one.kind == b"ftyp"):
        found.append(one)
        place = one.end
        if len(found) > MOST:
            raise Refused(Reason.DAMAGED, "it has more boxes than any photo needs")
    if data[place + 4 : place + 8] in _MUST_BE_WHOLE:
        raise Refused(Reason.DAMAGED, "it is cut short")
    return tuple(found), place


def _only(boxes: tuple[Box, ...] | list[Box], kind: bytes) -> Box:
    found = [one for one in boxes if one.kind == kind]
    if len(found) != 1:
        raise Refused(Reason.DAMAGED, f"broken HEIF: it has {len(found) or 'no'} '{kind.decode()}' box{'es' if found else ''}")
    return found[0]


def _primary(data: bytes, pitm: Box) -> int:
    reader = Reader(data, pitm.body, pitm.end)
    version, _ = reader.full_box()
    return reader.value(4 if version else 2)


def _items(data: bytes, iinf: Box) -> dict[int, Item]:
    reader = Reader(data, iinf.body, iinf.end)
    version, _ = reader.full_box()
    reader.value(4 if version else 2)
    found = {}
    for one in inside(data, reader.place, iinf.end):
        entry = Reader(data, one.body, one.end)
        version, _ = entry.full_box()
        if version not in (2, 3):
            raise Refused(Reason.DAMAGED, "broken HEIF: it lists items without a type")
        number = entry.value(4 if version == 3 else 2)
        protected, kind = bool(entry.value(2)), entry.value(4).to_bytes(4, "big")
        _name, content, packing = entry.text(), entry.text(), entry.text()
        mime = kind == b"mime"
        if number in found:
            raise Refused(Reason.DAMAGED, "broken HEIF: it lists an item twice")
        found[number] = Item(kind, content if mime else b"", protected or (mime and bool(packing)))
    return found


def _references(data: bytes, iref: Box) -> Iterator[Reference]:
    reader = Reader(data, iref.body, iref.end)
    width = 4 if reader.full_box()[0] else 2
    for one in inside(data, reader.place, iref.end):
        fields = Reader(data, one.body, one.end)
        source, count = fields.value(width), fields.value(2)
        yield Reference(one.kind, source, frozenset(fields.value(width) for _ in range(count)))


def _groups(data: bytes, grpl: Box) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    for one in inside(data, grpl.body, grpl.end):
        fields = Reader(data, one.body, one.end)
        fields.full_box()
        fields.value(4)
        count = fields.value(4)
        yield one.kind, tuple(fields.value(4) for _ in range(count))


def _entries(data: bytes, boxes: list[Box], most: int) -> dict[int, Entry]:
    found: dict[int, Entry] = {}
    number = 0
    for parent in boxes:
        reader = Reader(data, parent.body, parent.end)
        version, flags = reader.full_box()
        width = 2 if flags & 1 else 1
        for _ in range(reader.value(4)):
            item, count = reader.value(4 if version else 2), reader.number(1)
            number += 1 + count.value
            if number > _MOST_LISTED:
                raise Refused(Reason.DAMAGED, _TOO_LONG)
            listed = tuple(_association(reader.value(width), width) for _ in range(count.value))
            if item in found or any(one.number > most for one in listed):
                raise Refused(
                    Reason.DAMAGED, "broken HEIF: it lists the properties of an item twice, or some that it does not have"
                )
            found[item] = Entry(parent, count, width, reader.place, listed)
    return found


def _association(value: int, width: int) -> Association:
    essential = 1 << 8 * width - 1
    return Association(value & essential - 1, bool(value & essential))


def _locations(data: bytes, iloc: Box) -> dict[int, Location]:
    reader = Reader(data, iloc.body, iloc.end)
    version, _ = reader.full_box()
    if version > 2:
        raise Refused(Reason.UNUSUAL, f"its 'iloc' box has the unknown version {version}")
    sizes = reader.value(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    found, number = {}, 0
    for _ in range(reader.value(wide)):
        item = reader.value(wide)
        method = reader.value(2) & 15 if version else 0
        external, start, count = bool(reader.value(2)), reader.number(base), reader.value(2)
        number += 1 + count
        if number > _MOST_LISTED:
            raise Refused(Reason.DAMAGED, _TOO_LONG)
        if count > 1 and not offset + length:
            raise Refused(Reason.DAMAGED, "broken HEIF: an item is said to be in several places that are not named")
        extents = []
        for _ in range(count):
            reader.value(index if version else 0)
            extents.append((reader.number(offset), reader.value(length)))
        if item in found:
            raise Refused(Reason.DAMAGED, "broken HEIF: it names the place of an item twice")
        found[item] = Location(method, external, start, tuple(extents))
    return found
