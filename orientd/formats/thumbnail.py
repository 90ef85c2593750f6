"""What the first bytes of a JPEG tell of its picture: the sides, and the thumbnail in EXIF (EXIF 2.32, section 4.5.8)."""

from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import jpeg, jpeg_frame
from orientd.formats.lossless import exif as exif_turn
from orientd.formats.tiff_block import TiffBlock

_APP1: Final = 0xE1


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
    """What the front of a file tells; None unless it holds all segments before the first scan, and a thumbnail.

    Both pictures are of the kinds that can be reduced. A thumbnail that is stored with another orientation than the photo does
    not count.
    """
    try:
        segments = list(jpeg.segments(data))
        frame = jpeg_frame.only(data, segments)
        blocks = [data[each.start + len(jpeg.EXIF) : each.end] for each in segments if _is_exif(data, each)]
        if not frame or len(blocks) != 1:
            return None
        place = exif_turn.thumbnail(blocks[0])
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
    return segment.marker == _APP1 and data.startswith(jpeg.EXIF, segment.start, segment.end)


def _agrees(data: bytes) -> bool:
    block = TiffBlock(data)
    first, second = ({field.value for field in block.orientations(directory)} for directory in block.chain())
    return second <= (first or {1})
