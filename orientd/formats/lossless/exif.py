"""What an EXIF block says in pixels, changed so that it fits a picture turned by pixels (EXIF 2.32, section 4.6).

Widths and heights change places, points move, the thumbnail is turned with the picture. Nothing else in the block moves: a
thumbnail that becomes longer may go to its end.
"""

import re
from collections.abc import Callable
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats.thumbnail import THUMBNAIL, THUMBNAIL_LENGTH, in_exif, tags
from orientd.formats.tiff_block import TiffBlock
from orientd.formats.tiff_layout import Entry
from orientd.reasons import Reason
from orientd.records import Patch, Splice

Turn = Callable[[bytes, int], bytes]

_SIDES: Final = ((0x0100, 0x0101), (0x011A, 0x011B), (0x1001, 0x1002), (0xA002, 0xA003), (0xA20E, 0xA20F))
_POINTS: Final = (0x9214, 0xA214)
_SHORT: Final = 3
_PICTURE: Final = re.compile(rb"\xff\xd8\xff[\xc0-\xc4\xdb\xe0-\xef]")


def patch(data: bytes, orientation: int, width: int, height: int, turn: Turn) -> list[Splice]:
    """The splices, relative to the block, for a picture of `width` × `height` pixels that is turned as `orientation` (1–8) says.

    `turn` does the same to the thumbnail, a whole JPEG. Orientations are not touched. Only a thumbnail that becomes longer makes
    the block longer, at its end.

    Raises:
        Refused: the block is broken, or holds what cannot be turned for certain.
    """
    block = TiffBlock(data)
    splices = []
    for directory in block.every():
        found = tags(directory)
        if group.swaps_sides(orientation):
            splices += [splice for pair in _SIDES for splice in _swapped(block, found, pair)]
        splices += [splice for tag in _POINTS if tag in found for splice in _moved(block, found[tag], orientation, width, height)]
    if place := in_exif(data):
        splices += _thumbnail(block, place, orientation, turn)
    return splices


def turned(data: bytes, orientation: int, width: int, height: int) -> bytes:
    """The block of a photo in a container whose EXIF has no pictures of its own, for a picture turned as with `patch`.

    Raises:
        Refused: as `patch`, or it has a thumbnail or a preview.
    """
    if _PICTURE.search(data):
        raise Refused(Reason.NOT_LOSSLESS, "there is another picture in its EXIF block")
    splices = sorted(patch(data, orientation, width, height, _no_thumbnail), key=lambda splice: splice.offset)
    try:
        return Patch(tuple(splices)).apply(data)
    except ValueError as error:
        raise Refused(Reason.BROKEN_METADATA, "broken EXIF: its values overlap") from error


def _no_thumbnail(_thumbnail: bytes, _orientation: int) -> bytes:
    raise Refused(Reason.NOT_LOSSLESS, "its EXIF block has a thumbnail")


def _swapped(block: TiffBlock, found: dict[int, Entry], pair: tuple[int, int]) -> list[Splice]:
    entries = [found[tag] for tag in pair if tag in found]
    if not entries:
        return []
    if len(entries) == 1:
        raise Refused(Reason.NOT_LOSSLESS, f"EXIF holds only one of a width and a height (tag 0x{entries[0].tag:04x})")
    places = [block.value(entry) for entry in entries]
    old = [block.data[start:end] for start, end in places]
    same = entries[0].type == entries[1].type and len(old[0]) == len(old[1])
    new = old[::-1] if same else _converted(block, entries)
    return [Splice(start, before, after) for (start, _), before, after in zip(places, old, new, strict=True) if before != after]


def _converted(block: TiffBlock, entries: list[Entry]) -> list[bytes]:
    """The numbers of two entries exchanged, where one is a SHORT, say, and the other a LONG."""
    places = [block.value(entry) for entry in entries]
    try:
        numbers = [number for entry in entries for number in block.numbers(entry)]
        return [number.to_bytes(end - start, block.order) for number, (start, end) in zip(numbers[::-1], places, strict=True)]
    except (ValueError, OverflowError) as error:
        raise Refused(Reason.NOT_LOSSLESS, "EXIF stores width and height in ways that cannot change places") from error


def _moved(block: TiffBlock, entry: Entry, orientation: int, width: int, height: int) -> list[Splice]:
    """The centre of the subject, and the width and height around it if it has them: EXIF counts in pixels as they are stored."""
    numbers = block.numbers(entry) if entry.type == _SHORT else []
    if len(numbers) not in (2, 3, 4) or numbers[0] >= width or numbers[1] >= height:
        raise Refused(Reason.NOT_LOSSLESS, "EXIF says where its subject is in a way that cannot be turned")
    x, y, *size = numbers
    right, below = width - 1 - x, height - 1 - y
    point = {
        1: (x, y),
        2: (right, y),
        3: (right, below),
        4: (x, below),
        5: (y, x),
        6: (below, x),
        7: (below, right),
        8: (y, right),
    }[orientation]
    new = [*point, *(size[::-1] if group.swaps_sides(orientation) else size)]
    start, end = block.value(entry)
    return [Splice(start, block.data[start:end], b"".join(number.to_bytes(2, block.order) for number in new))]


def _thumbnail(block: TiffBlock, place: tuple[int, int], orientation: int, turn: Turn) -> list[Splice]:
    first, second = block.chain()
    stored = [{group.normalise(field.value) for field in block.orientations(directory)} for directory in (first, second)]
    if stored[1] and stored[1] != (stored[0] or {group.UPRIGHT}):
        raise Refused(Reason.NOT_LOSSLESS, "its thumbnail is stored with another orientation than the photo")
    start, end = place
    turned = turn(block.data[start:end], orientation)
    entries = tags(second)
    splices = [_number(block, entries[THUMBNAIL_LENGTH], len(turned))]
    if len(turned) > end - start and block.data[end:].strip(b"\0"):  # no room where it is, so it moves to the end
        pad = b"\0" * (len(block.data) % 2)
        splices.append(_number(block, entries[THUMBNAIL], len(block.data) + len(pad)))
        splices.append(Splice(len(block.data), b"", pad + turned))
        turned = b""
    elif len(turned) > end - start:
        end = len(block.data)
    splices.append(Splice(start, block.data[start:end], turned.ljust(end - start, b"\0")))
    return [splice for splice in splices if splice.old != splice.new]


def _number(block: TiffBlock, entry: Entry, number: int) -> Splice:
    start, end = block.value(entry)
    return Splice(start, block.data[start:end], number.to_bytes(end - start, block.order))
