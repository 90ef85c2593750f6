"""Changing the orientation that a TIFF block stores (see `tiff_block`): in place, or in a directory added at its end."""

from contextlib import suppress
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats.tiff_block import ORIENTATION, TiffBlock
from orientd.formats.tiff_layout import CLASSIC, SHORT, Directory, Field
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_MOST_ORIENTATIONS: Final = 8
_LARGEST: Final = 0xFFFFFFFF
_SEALED: Final = 8  # bytes behind a block that may change with it, such as its checksum
_MOST_SPARE: Final = 32  # bytes before what is added, so that nothing else is where a directory is looked for


def patch(data: bytes, orientation: int, behind: memoryview | None = None) -> list[Splice]:
    """The splices, relative to the block, that make it store `orientation` (1–8): in place, or IFD0 moved to the end.

    IFD1 describes the thumbnail and follows only where it agreed with IFD0 before. What is wrong outside IFD0 is no reason
    against a change in place, nor is a directory said to be `behind` the block, in the rest of the file, where there is none.

    Raises:
        Refused: IFD0 is broken, the orientation shares bytes with something else, or the block must grow and is broken anywhere.
    """
    block = TiffBlock(data, lenient=behind is not None)
    first = block.first()
    fields = block.orientations(first)
    if not fields:
        moved = (_moved(block, first, orientation, bytes(spare)) for spare in range(0, _MOST_SPARE, CLASSIC.even))
        found = next((splices for splices in moved if _lead_nowhere(block, splices, behind)), None)
        if found is None:
            raise Refused(Reason.BROKEN_METADATA, "broken EXIF: it points outside its block")
        return found
    if len({group.normalise(field.value) for field in fields}) > 1 or len(fields) > _MOST_ORIENTATIONS:
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE,
            f"EXIF stores several orientations: {', '.join(str(field.value) for field in fields[:_MOST_ORIENTATIONS])}",
        )
    values = {field.value for field in fields}
    thumbnail = [field for field in _of_thumbnail(block, first) if field.value in values][:_MOST_ORIENTATIONS]
    unshared = block.unshared(fields + thumbnail)
    if unshared[: len(fields)] != fields:
        raise Refused(Reason.BROKEN_METADATA, "broken EXIF: its orientation shares bytes with something else")
    return [
        Splice(field.offset, data[field.offset : field.offset + field.size], orientation.to_bytes(field.size, block.order))
        for field in sorted(unshared)
        if field.value != orientation
    ]


def patch_within(data: bytes, start: int, end: int, orientation: int) -> list[Splice]:
    """As `patch`, for the block that is the bytes `start` to `end` of a file; offsets are those of the file."""
    splices = patch(data[start:end], orientation, memoryview(data)[end:])
    return [Splice(start + splice.offset, splice.old, splice.new) for splice in splices]


def fresh(orientation: int) -> bytes:
    """The smallest block: IFD0 with nothing but the orientation (26 bytes)."""
    entry = CLASSIC.entry_bytes("big", ORIENTATION, SHORT, orientation)
    return b"MM\0*" + (8).to_bytes(4, "big") + CLASSIC.directory_bytes("big", [entry], 0)


def added(block: TiffBlock, directory: Directory, orientation: int, follows: int) -> bytes:
    """A directory that stores no orientation with one, to be put behind the block; `follows` is where the next one starts, or 0.

    Raises:
        Refused: the block cannot grow.
    """
    if block.layout is CLASSIC and len(block.data) >= _LARGEST:  # a byte may be needed to end evenly
        raise Refused(Reason.CANNOT_GROW, "the file is too large (4 GB) to grow")
    data = block.data
    place, layout = _place(block, directory), block.layout
    entry = layout.entry_bytes(block.order, ORIENTATION, SHORT, orientation)
    entries = [data[directory.start + layout.counted : place], entry, data[place : directory.end]]
    return layout.directory_bytes(block.order, entries, follows)


def _of_thumbnail(block: TiffBlock, first: Directory) -> list[Field]:
    """The orientations in IFD1, if it can be read and is not IFD0 once more."""
    try:
        return block.orientations(block.directory(first.next)) if first.next not in (0, first.start) else []
    except Refused:
        return []


def _moved(block: TiffBlock, first: Directory, orientation: int, spare: bytes) -> list[Splice]:
    """IFD0 with the orientation added at the end of the block, behind `spare` bytes; the old one stays behind, unused."""
    block.extents()  # refuses a block that points beyond its end: that data would move when it grows
    data = block.data
    gap = block.gap() + spare
    header = (len(data) + len(gap)).to_bytes(4, block.order)
    return [
        Splice(4, data[4:8], header),
        Splice(len(data), b"", gap + added(block, first, orientation, first.next)),
    ]


def _lead_nowhere(block: TiffBlock, splices: list[Splice], behind: memoryview | None) -> bool:
    """True if a search for the directories that should be behind the block finds none, in it or in the rest of the file,
    neither before the change nor after it."""
    if not block.strays:
        return True
    rest = b"" if behind is None else behind
    grown = Patch(tuple(splices)).apply(block.data)
    found = any(_is_directory(data + rest, start) for data in (block.data, grown) for start in block.strays)
    return not found and min(block.strays) >= len(grown) + _SEALED


def _is_directory(data: bytes, start: int) -> bool:
    """True if programs would read one there, as for `TiffBlock.readable`."""
    with suppress(Refused):
        return all(entry.type in CLASSIC.sizes for entry in TiffBlock(data).directory(start).entries[:1])
    return False


def _place(block: TiffBlock, first: Directory) -> int:
    """Where among the entries of a directory an orientation is added: by its number, but not behind a first entry of an unknown
    type, where exiftool stops reading.

    Raises:
        Refused: programs would read entries then that they do not read now.
    """
    if first.entries and first.entries[0].type not in block.layout.sizes:
        if len(first.entries) > 1:
            raise Refused(
                Reason.BROKEN_METADATA, "broken EXIF: its first entry has an unknown type, at which some programs stop reading"
            )
        return first.start + block.layout.counted
    return next((entry.offset for entry in first.entries if entry.tag > ORIENTATION), first.end)
