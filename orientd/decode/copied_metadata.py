"""What is said of a picture, made true of its turned copy: upright, of another size, without a thumbnail; else untouched.

Pure functions of bytes: EXIF (EXIF 2.32), XMP, and the resources of Photoshop, of which IPTC is one (Adobe Photoshop File Formats
Specification, "Image Resources Section").
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import xmp
from orientd.formats.tiff_block import THUMBNAIL, TiffBlock
from orientd.formats.tiff_layout import Directory, Entry
from orientd.records import Patch

RESOLUTIONS: Final = (0x011A, 0x011B)
SIZE: Final = (0xA002, 0xA003)
_TURNED: Final = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>)\s*)[2-8]""")
_PREFIX: Final = b"Exif\0\0"
_IPTC, _RESOLUTION = 0x0404, 0x03ED
_THUMBNAILS, _PATHS = (0x0409, 0x040C), range(0x07D0, 0x0BB7)


def exif(block: bytes, size: tuple[int, int], *, swapped: bool) -> bytes:
    """An EXIF block of a picture of that width and height; `swapped` if what was across is up and down. Nothing in it moves.

    Raises:
        Refused: it is broken.
    """
    block = block.removeprefix(_PREFIX)
    found, made = TiffBlock(block, lenient=True), bytearray(block)
    first = found.first()
    for field in found.orientations(first):
        made[field.offset : field.offset + field.size] = group.UPRIGHT.to_bytes(field.size, found.order)
    if first.next:
        end = _without_thumbnail(found, first, made)
        made[first.end : first.end + found.layout.offset] = bytes(found.layout.offset)
        del made[end:]
    with suppress(Refused):
        for directory in found.every():
            tags = {entry.tag: entry for entry in directory.entries}
            if swapped and directory.start == first.start:
                _swap(found, tags, made)
            _state(found, tags, size, made)
    return bytes(made)


def _without_thumbnail(block: TiffBlock, first: Directory, made: bytearray) -> int:
    """Blanks the thumbnail; gives where the block ends without it."""
    with suppress(Refused):
        tags = {entry.tag: entry for entry in block.directory(first.next).entries}
        if not tags.keys() >= {*THUMBNAIL}:
            return len(made)
        start, length = (block.numbers(tags[tag])[0] for tag in THUMBNAIL)
        end = start + length
        made[start:end] = bytes(min(end, len(made)) - start)
        return start if end >= len(block.data) and start >= _last(block, first) else len(made)
    return len(made)


def _last(block: TiffBlock, first: Directory) -> int:
    """Where everything else ends."""
    kept = [directory for directory in block.readable() if directory.start != first.next]
    values = [block.value(entry)[1] for directory in kept for entry in directory.entries]
    return max([directory.end + block.layout.offset for directory in kept] + values)


def _swap(block: TiffBlock, tags: dict[int, Entry], made: bytearray) -> None:
    one, other = (block.value(tags[tag]) if tag in tags else (0, 0) for tag in RESOLUTIONS)
    if one[1] - one[0] == other[1] - other[0]:
        made[slice(*one)], made[slice(*other)] = block.data[slice(*other)], block.data[slice(*one)]


def _state(block: TiffBlock, tags: dict[int, Entry], size: tuple[int, int], made: bytearray) -> None:
    for tag, side in zip(SIZE, size, strict=True):
        if tag in tags:
            start, end = block.value(tags[tag])
            with suppress(OverflowError):
                made[start:end] = side.to_bytes(end - start, block.order)


def upright_xmp(packet: bytes) -> bytes:
    """An XMP packet that stores no turn. Of one that is no XML what some programs take for a turn is changed."""
    try:
        splices = xmp.patch(xmp.find(packet), group.UPRIGHT)
    except Refused:
        return _TURNED.sub(rb"\g<1>1", packet)
    return Patch(tuple(splices)).apply(packet)


def photoshop(resources: bytes, *, swapped: bool) -> bytes:
    """Resources of Photoshop without the thumbnails and the paths, which are no longer true; as they are if they are broken."""
    try:
        return b"".join(_swapped(data) if swapped and kind == _RESOLUTION else data for kind, data in _resources(resources))
    except struct.error:
        return resources


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The number of each that is kept, and its bytes, head included."""
    place = 0
    while place + 12 <= len(data):
        (kind,) = struct.unpack_from(">H", data, place + 4)
        (name,) = struct.unpack_from("B", data, place + 6)
        body = place + 7 + name + (name + 1) % 2
        (size,) = struct.unpack_from(">L", data, body)
        end = body + 4 + size + size % 2
        if kind not in _THUMBNAILS and kind not in _PATHS:
            yield kind, data[place:end]
        place = end


def _swapped(resource: bytes) -> bytes:
    """A resolution: across and up, with the units in which each, and the width and the height, are shown."""
    head, across, up = resource[:-16], resource[-16:-8], resource[-8:]
    return head + up + across


def iptc_resource(caption: bytes) -> bytes:
    """IPTC as a resource of Photoshop."""
    return b"8BIM" + struct.pack(">HxxL", _IPTC, len(caption)) + caption + bytes(len(caption) % 2)
