"""What the first bytes of a JPEG hold of its picture: the sides, and the thumbnail in EXIF (EXIF 2.32, section 4.5.8)."""

from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import jpeg, jpeg_frame
from orientd.formats.jpeg_markers import APP1
from orientd.formats.tiff_block import TiffBlock
from orientd.formats.tiff_layout import Directory, Entry
from orientd.reasons import Reason

_COMPRESSION, _STRIPS, THUMBNAIL, THUMBNAIL_LENGTH = 0x0103, 0x0111, 0x0201, 0x0202
_JPEG: Final = 6


class Front(NamedTuple):
    """Sides of the stored picture in pixels, its thumbnail, a whole JPEG that is stored as the picture is, and what holds both.

    `sides` is the offset of height and width in `data`, two bytes each.
    """

    width: int
    height: int
    thumbnail: bytes
    data: bytes
    sides: int

    def lowered(self, height: int) -> bytes:
        """The same front of a picture that is only so high."""
        return self.data[: self.sides] + height.to_bytes(2, "big") + self.data[self.sides + 2 :]


def find(data: bytes) -> Front | None:
    """What the front of a file states; None unless it holds all segments before the first scan, and a thumbnail.

    Both pictures are of the kinds that can be reduced. A thumbnail that is stored with another orientation than the photo does
    not count.
    """
    try:
        segments = list(jpeg.segments(data))
        frame = jpeg_frame.only(data, segments)
        blocks = [data[each.start + len(jpeg.EXIF) : each.end] for each in segments if _is_exif(data, each)]
        if not frame or len(blocks) != 1:
            return None
        place = in_exif(blocks[0])
        if not place or not _agrees(blocks[0]):
            return None
    except Refused:
        return None
    small = blocks[0][slice(*place)]
    inside = jpeg_frame.only(small)
    if not frame.is_reducible or not inside or not inside.is_reducible:
        return None
    return Front(frame.width, frame.height, small, data, frame.start + 1)


def _is_exif(data: bytes, segment: jpeg.Segment) -> bool:
    return segment.marker == APP1 and data.startswith(jpeg.EXIF, segment.start, segment.end)


def _agrees(data: bytes) -> bool:
    block = TiffBlock(data)
    first, second = ({field.value for field in block.orientations(directory)} for directory in block.chain())
    return second <= (first or {1})


def in_exif(data: bytes) -> tuple[int, int] | None:
    """Where the thumbnail in a block starts and ends; None if there is none.

    Raises:
        Refused: the block is broken, or holds more pictures than one JPEG.
    """
    block = TiffBlock(data)
    if len(directories := block.chain()) > 2:
        raise Refused(Reason.UNUSUAL, "its EXIF block holds more pictures than a thumbnail")
    found = tags(directories[1]) if len(directories) == 2 else {}
    if _STRIPS in found or any(block.numbers(entry) != [_JPEG] for tag, entry in found.items() if tag == _COMPRESSION):
        raise Refused(Reason.UNUSUAL, "its thumbnail is no JPEG")
    if THUMBNAIL not in found and THUMBNAIL_LENGTH not in found:
        return None
    try:
        (start,), (length,) = (block.numbers(found[tag]) for tag in (THUMBNAIL, THUMBNAIL_LENGTH))
    except (KeyError, ValueError) as error:
        raise Refused(Reason.BROKEN_METADATA, "broken EXIF: it does not say where its thumbnail is") from error
    if not 8 <= start <= start + length <= len(data):
        raise Refused(Reason.BROKEN_METADATA, "its thumbnail lies outside its EXIF block")
    return (start, start + length) if length else None


def tags(directory: Directory) -> dict[int, Entry]:
    found = {entry.tag: entry for entry in directory.entries}
    if 0x014A in found:
        raise Refused(Reason.UNUSUAL, "its EXIF block holds more pictures than a thumbnail")
    return found
