"""How a HEIF or AVIF grows by a rotation: the new property, the items that have it, and the new offsets of all that moves.

Data behind the lists may move if none of its offsets count from the start of the file: a video in `mpvd` counts from its own
start (Android, Motion Photo 1.0), entries of Samsung's trailer from its directory. Anything else there forbids growth.
"""

import struct
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from orientd.errors import Refused
from orientd.formats import samsung
from orientd.formats.heif_items import Catalogue, Entry, Location
from orientd.formats.isobmff import Box, Number, box, grown
from orientd.reasons import Reason
from orientd.records import Splice

TRANSFORMATIONS: Final = (b"clap", b"irot", b"imir")

_COUNT_NOTHING: Final = (b"ftyp", b"etyp", b"meta", b"mdat", b"free", b"skip", b"wide")
_VIDEO: Final = b"mpvd"
_TRAILER: Final = b"sefd"
_TOWARDS_CHUNKS: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl")  # one within another
_CHUNKS: Final = {b"stco": ">I", b"co64": ">Q"}


def added(listed: Catalogue, items: Collection[int], angle: int, bare: Iterable[int] = ()) -> Iterator[Splice]:
    """One new rotation for all `items`, in place of the one that each has, else before its mirror, else behind all properties.

    That is the order of the standard: crop, rotation, mirror (ISO/IEC 23000-22, section 7.3.6.7). What is `bare` gets all
    transformations that the photo has then.
    """
    number = len(listed.properties) + 1
    rotation = b"\0\0\0\x09irot" + bytes([angle])
    inserted, growth = dict[int, int](), dict[Box, int]()
    if items:
        inserted[listed.ipco.end] = len(rotation)
        growth = {listed.ipco: len(rotation), listed.iprp: len(rotation), listed.meta: len(rotation)}
        yield Splice(listed.ipco.end, b"", rotation)
    for entry in (listed.entries[item] for item in items):
        kinds = [listed.properties[one.number - 1].kind if one.number else b"" for one in entry.associations]
        if b"irot" in kinds:
            yield _replaced(listed.data, entry, kinds.index(b"irot"), _index(number, entry))
        else:
            place = entry.place(kinds.index(b"imir") if b"imir" in kinds else len(kinds))
            yield from _listed(listed, entry, place, [number], inserted, growth)
    of_photo = _transformations(listed, number if listed.primary in items else None)
    for entry in (listed.entries[item] for item in bare):
        yield from _listed(listed, entry, entry.end, of_photo, inserted, growth)
    yield from (splice for parent, size in growth.items() if (splice := grown(listed.data, parent, size)))
    yield from _shifted(listed, inserted)


def _listed(
    listed: Catalogue, entry: Entry, place: int, numbers: list[int], inserted: dict[int, int], growth: dict[Box, int]
) -> Iterator[Splice]:
    """Properties more of an item, at `place` of the file; what moves by that is noted in `inserted` and `growth`."""
    essential = 1 << 8 * entry.width - 1
    new = b"".join((essential | _index(number, entry)).to_bytes(entry.width, "big") for number in numbers)
    yield entry.count.splice(entry.count.value + len(numbers))
    yield Splice(place, b"", new)
    inserted[place] = inserted.get(place, 0) + len(new)
    for parent in (entry.parent, listed.iprp, listed.meta):
        growth[parent] = growth.get(parent, 0) + len(new)


def _index(number: int, entry: Entry) -> int:
    if number >= 1 << 8 * entry.width - 1:
        raise Refused(Reason.CANNOT_GROW, "it has too many properties to add one")
    return number


def _transformations(listed: Catalogue, new: int | None) -> list[int]:
    """The numbers of the photo's crop, rotation and mirror, in their order, once it has the rotation `new`, if that is one."""
    found = [(box.kind, one.number) for one, box in listed.properties_of(listed.primary) if box.kind in TRANSFORMATIONS]
    kinds = [kind for kind, _ in found]
    if new and b"irot" not in kinds:
        found.insert(kinds.index(b"imir") if b"imir" in kinds else len(kinds), (b"irot", new))
    return [new if new and kind == b"irot" else number for kind, number in found]


def _replaced(data: bytes, entry: Entry, index: int, number: int) -> Splice:
    """Another property at `index`, as essential as the one before."""
    place, essential = entry.place(index), entry.associations[index].essential << 8 * entry.width - 1
    return Splice(place, data[place : place + entry.width], (essential | number).to_bytes(entry.width, "big"))


def _shifted(listed: Catalogue, inserted: dict[int, int]) -> Iterator[Splice]:
    """The places of all items, and of Samsung's video, once bytes are inserted: how many at which offset."""
    trailer = samsung.read(listed.data)
    _check_behind(listed, trailer)
    for location in listed.locations.values():
        if location.external or location.method > 1:
            raise Refused(Reason.CANNOT_GROW, "it would have to grow, and an item is not stored in this file")
        if location.method == 0:
            yield from _moved(location, inserted, len(listed.data))
    if trailer:
        yield from _pointed_anew(listed, trailer, inserted)


def _pointed_anew(listed: Catalogue, trailer: samsung.Trailer, inserted: dict[int, int]) -> Iterator[Splice]:
    """The place of the video in Samsung's trailer."""
    for start, length in trailer.pointers:
        end = start.value + length
        if (start.value < listed.meta.end and end > listed.meta.start) or end > trailer.start:
            raise Refused(Reason.CANNOT_GROW, "it would have to grow, and what Samsung's trailer names is no video")
        yield from _moved(Location(0, False, Number(0, 0, 0), ((start, length),)), inserted, len(listed.data))


def _check_behind(listed: Catalogue, trailer: samsung.Trailer | None) -> None:
    harmless = (*_COUNT_NOTHING, _VIDEO, *([_TRAILER] if trailer else []))
    strange = [part.name for part in listed.top if part.kind not in harmless]
    appended = listed.data[listed.end :].strip(b"\0")
    if strange or (appended and not trailer) or (trailer and trailer.start < listed.meta.end):
        what = f"the '{strange[0]}' box in it" if strange else "what is appended to it"
        raise Refused(Reason.CANNOT_GROW, f"it would have to grow, and {what} may count bytes from the start of the file")
    if not trailer and listed.data.find(samsung.VIDEO, listed.meta.end) >= 0:
        raise Refused(
            Reason.CANNOT_GROW, "it would have to grow, and Samsung's trailer, which says where the video is, cannot be read"
        )
    videos = [(part.body, part.end) for part in listed.top if part.kind == _VIDEO] + [(listed.end, len(listed.data))]
    if any(place >= end - start for start, end in videos for place in _chunks(listed.data, start, end)):
        raise Refused(Reason.CANNOT_GROW, "it would have to grow, and the video in it counts bytes from the start of the file")


def _chunks(data: bytes, start: int, end: int, path: tuple[bytes, ...] = _TOWARDS_CHUNKS) -> Iterator[int]:
    """Where the chunks of a video are that is stored from `start` to `end`, as its own lists say (ISO/IEC 14496-12, 8.7.5)."""
    while found := box(data, start, end):
        if path and found.kind == path[0]:
            yield from _chunks(data, found.body, found.end, path[1:])
        elif not path and found.kind in _CHUNKS:
            yield from _numbers(data, found, _CHUNKS[found.kind])
        start = found.end


def _numbers(data: bytes, table: Box, form: str) -> Iterator[int]:
    size = struct.calcsize(form)
    count = min(int.from_bytes(data[table.body + 4 : table.body + 8], "big"), (table.end - table.body - 8) // size)
    yield from (place for (place,) in struct.iter_unpack(form, data[table.body + 8 : table.body + 8 + max(count, 0) * size]))


def _moved(location: Location, inserted: dict[int, int], size: int) -> Iterator[Splice]:
    shifts = set()
    for offset, length in location.extents:
        start = location.base.value + offset.value
        if not length or start + length > size or any(start < place < start + length for place in inserted):
            raise Refused(Reason.CANNOT_GROW, "it would have to grow, and it is not clear where an item lies")
        shift = sum(width for place, width in inserted.items() if place <= start)
        shifts.add(shift)
        if shift and offset.size:
            yield offset.splice(offset.value + shift)
    if location.extents and not location.extents[0][0].size and shifts != {0}:
        yield location.base.splice(location.base.value + shifts.pop())
