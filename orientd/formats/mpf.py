"""The index of a multi-picture file, an APP2 segment (CIPA DC-007-2009, section 5.2.3).

Image offsets in it count from its own TIFF header, so bytes added before the index move the images and the header alike. The
size of the first image, the one that grows there, is the only number in it that must change for that.
"""

from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats.tiff_block import TiffBlock
from orientd.reasons import Reason
from orientd.records import Splice

SIGNATURE: Final = b"MPF\0"
PANORAMA: Final = 0x020001
_NUMBER_OF_IMAGES, _ENTRIES = 0xB001, 0xB002
_KIND: Final = 0xFFFFFF
_MULTI_FRAME: Final = 0x02
_LARGEST: Final = 0xFFFFFFFF
_MARKS: Final = {b"\0*": b"MM", b"*\0": b"II"}  # the number 42, and the byte order in which it is written so


class Image(NamedTuple):
    """One image of the index: its type code, its size in bytes, and its offset from the TIFF header (0: the first image).

    The 16 bytes about it start at `place` of the payload of the segment.
    """

    place: int
    kind: int
    size: int
    offset: int

    @property
    def is_frame(self) -> bool:
        """True for a part of a panorama, of a stereo pair or of a multi-angle set; false for previews and gain maps."""
        return self.kind >> 16 == _MULTI_FRAME


def is_multi_frame(payload: bytes) -> bool:
    """True for panoramas, stereo pairs and multi-angle sets, what a `.mpo` holds; false for previews and gain maps.

    Raises:
        Refused: the index is broken.
    """
    return any(image.is_frame for image in images(payload))


def images(payload: bytes) -> list[Image]:
    """The images that the payload of a segment lists; none in the segment that an image behind the first has for itself.

    Raises:
        Refused: the index is broken.
    """
    try:
        block = _block(payload)
        found = {entry.tag: entry for entry in block.first().entries}
        places = range(*block.value(found[_ENTRIES]), 16) if _ENTRIES in found else range(0)
        listed = [(place, *(block.number(place + at, 4) for at in (0, 4, 8))) for place in places]
    except Refused as error:
        raise Refused(Reason.BROKEN_METADATA, "the multi-picture index (MPF) is broken") from error
    if _NUMBER_OF_IMAGES in found and not listed:
        raise Refused(Reason.BROKEN_METADATA, "the multi-picture index (MPF) lists no images")
    return [Image(len(SIGNATURE) + place, kind & _KIND, size, offset) for place, kind, size, offset in listed]


def _block(payload: bytes) -> TiffBlock:
    """The index without its signature. A mark of the byte order that is no mark is skipped: the next number states it, too."""
    data = payload[len(SIGNATURE) :]
    return TiffBlock(_MARKS.get(data[2:4], data[:2]) + data[2:])


def resized(payload: bytes, image: Image, growth: int, shift: int = 0) -> list[Splice]:
    """The splices, relative to the payload, for an image that becomes `growth` bytes longer and moves by `shift` bytes.

    Raises:
        Refused: a number would become too large.
    """
    order = _block(payload).order
    changes = ((image.place + 4, image.size, growth), (image.place + 8, image.offset, shift))
    if any(number + more > _LARGEST for _, number, more in changes):
        raise Refused(Reason.BROKEN_METADATA, "the multi-picture index (MPF) is broken")
    return [Splice(at, payload[at : at + 4], (number + more).to_bytes(4, order)) for at, number, more in changes if more]


def grown(payload: bytes, growth: int) -> list[Splice]:
    """The splices, relative to the payload of the segment, for a first image that becomes `growth` bytes longer before it.

    Raises:
        Refused: the index is broken.
    """
    firsts = [image for image in images(payload) if image.offset == 0 and image.size > 0]
    return [splice for image in firsts for splice in resized(payload, image, growth)]
