"""Draws multi-picture files (CIPA DC-007-2009): several whole JPEGs, and an index in the first."""

import io

from PIL import Image
from support import jpeg_files
from support.jpeg_files import LONG, UNDEFINED, Tag, directory, segment

PANORAMA, STEREO, ANGLE = 0x020001, 0x020002, 0x020003
PREVIEW = 0x010001


def file(*frames: bytes, kinds: tuple[int, ...] = (), order: str = "big", offsets: tuple[int, ...] = ()) -> bytes:
    """The frames one after the other, a byte between them, as a Nintendo 3DS does; `offsets` are added to where they lie."""
    kinds = kinds or (STEREO,) * len(frames)
    tables = _tables(frames[0])
    size = len(_index(kinds, order, [0] * len(frames), [0] * len(frames)))
    first = len(frames[0]) + size
    lengths = [first, *map(len, frames[1:])]
    starts = [sum(lengths[:number]) + number for number in range(len(frames))]
    header = tables + 8  # behind the marker, the length and the signature
    listed = [0, *(start - header for start in starts[1:])]
    moved = [place + more for place, more in zip(listed, offsets or [0] * len(frames), strict=True)]
    whole = frames[0][:tables] + _index(kinds, order, lengths, moved) + frames[0][tables:]
    return b"\0".join([whole, *frames[1:]])


def _index(kinds: tuple[int, ...], order: str, sizes: list[int], offsets: list[int]) -> bytes:
    listed = b"".join(
        number.to_bytes(4, order)
        for kind, size, offset in zip(kinds, sizes, offsets, strict=True)
        for number in (0x20000000 | kind, size, offset, 0)
    )
    tags = [Tag(0xB000, UNDEFINED, b"0100"), Tag(0xB001, LONG, len(kinds).to_bytes(4, order)), Tag(0xB002, UNDEFINED, listed)]
    return _mpf(tags, order)


def attributes(order: str = "big") -> bytes:
    """The segment that a frame behind the first has for itself: which one it is, and no list."""
    return _mpf([Tag(0xB000, UNDEFINED, b"0100"), Tag(0xB101, LONG, (2).to_bytes(4, order))], order)


def _mpf(tags: list[Tag], order: str) -> bytes:
    header = {"little": b"II*\0", "big": b"MM\0*"}[order] + (8).to_bytes(4, order)
    return segment(0xE2, b"MPF\0" + header + directory(tags, 8, order))


def frame(*segments: bytes, width: int = 24, height: int = 16) -> bytes:
    """A drawn JPEG with these segments before its tables."""
    plain = jpeg_files.picture(width, height)
    tables = _tables(plain)
    return plain[:tables] + b"".join(segments) + plain[tables:]


def _tables(data: bytes) -> int:
    """Where the segments for applications end."""
    place = 2
    while data[place + 1] & 0xF0 == 0xE0:
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place


def frames(data: bytes) -> list[bytes]:
    """The pictures of a file, cut out where Pillow finds them; the bytes between them are left out."""
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for number, listed in enumerate(image.mpinfo[0xB002]):
            image.seek(number)
            found.append(data[image.offset : image.offset + listed["Size"]])
    return found
