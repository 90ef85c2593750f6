"""The index of a multi-picture file, an APP2 segment (CIPA DC-007-2009, section 5.2.3).

Image offsets in it count from its own TIFF header, so bytes added before the index move the images and the header alike. The
size of the first image, the one that grows, is the only number in it that must change.
"""

from typing import Final

from orientd.errors import Refused
from orientd.formats.tiff_block import TiffBlock
from orientd.items import Splice

SIGNATURE: Final = b"MPF\0"
_ENTRIES: Final = 0xB002
_MULTI_FRAME: Final = 0x02


def is_multi_frame(payload: bytes) -> bool:
    """True for panoramas, stereo pairs and multi-angle sets, what a `.mpo` holds; false for previews and gain maps.

    Raises:
        Refused: the index is broken.
    """
    block, places = _images(payload)
    return any(block.number(place, 4) >> 16 & 0xFF == _MULTI_FRAME for place in places)


def grown(payload: bytes, growth: int) -> list[Splice]:
    """The splices, relative to the payload of the segment, for a first image that becomes `growth` bytes longer before it.

    Raises:
        Refused: the index is broken.
    """
    block, places = _images(payload)
    splices = []
    for place in places:
        size, offset = block.number(place + 4, 4), block.number(place + 8, 4)
        if offset == 0 and size > 0:
            at = len(SIGNATURE) + place + 4
            splices.append(Splice(at, payload[at : at + 4], (size + growth).to_bytes(4, block.order)))
    return splices


def _images(payload: bytes) -> tuple[TiffBlock, range]:
    """The block of the index, and where in it the 16 bytes about each image start."""
    block = TiffBlock(payload[len(SIGNATURE) :])
    for entry in block.first().entries:
        if entry.tag == _ENTRIES:
            start, end = block.value(entry)
            return block, range(start, end - 15, 16)
    raise Refused("the multi-picture index lists no images")
