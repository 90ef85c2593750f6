"""Which photos a GPU decodes: whole baseline JPEGs of 8 bits and one or three channels, told from the header (ITU-T T.81).

Everything else is left to the CPU road: progressive, arithmetic-coded, lossless and 12-bit JPEGs, CMYK, RGB and rare samplings,
which the decoder in the hardware does not know; files without an end; and every other container, of which DALI decodes none but
JPEG 2000 on a GPU.
"""

from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import jpeg
from orientd.items import Format, Photo

_BASELINE, _APP14 = 0xC0, 0xEE
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EOI: Final = b"\xff\xd9"
_FORMATS: Final = (Format.JPEG, Format.MPO, Format.RAW)  # of a raw file these are the bytes of its preview
_LUMA: Final = frozenset({0x11, 0x12, 0x21, 0x22})
_CHROMA: Final = 0x11
_RGB: Final = b"RGB"


class Frame(NamedTuple):
    """Sides of the stored picture in pixels, and the offset in the file at which it ends."""

    width: int
    height: int
    end: int


def frame(photo: Photo) -> Frame | None:
    """The frame of a photo that a GPU decodes; None for all others."""
    if photo.format not in _FORMATS:
        return None
    try:
        segments = list(jpeg.segments(photo.data))
    except Refused:
        return None
    payloads = [photo.data[segment.start : segment.end] for segment in segments if segment.marker in _FRAMES]
    transforms = [photo.data[segment.start : segment.end] for segment in segments if segment.marker == _APP14]
    scan = segments[-1]
    if [segment.marker for segment in segments if segment.marker in _FRAMES] != [_BASELINE]:
        return None
    if not _is_plain(payloads[0], photo.data[scan.start : scan.end]):
        return None
    if len(payloads[0]) > 9 and any(each.startswith(b"Adobe") and each[11:12] == b"\0" for each in transforms):
        return None  # RGB
    height, width = (int.from_bytes(payloads[0][at : at + 2], "big") for at in (1, 3))
    end = photo.data.find(_EOI, scan.end) + len(_EOI)
    return Frame(width, height, end) if width and height and end >= len(_EOI) else None


def _is_plain(payload: bytes, scan: bytes) -> bool:
    """True for 8 bits, grey or YCbCr in a usual sampling, all channels in the first scan (T.81, B.2.2 and B.2.3)."""
    if len(payload) < 6 or payload[0] != 8 or payload[5] not in (1, 3) or payload[5:6] != scan[:1]:
        return False
    channels = [payload[at : at + 3] for at in range(6, 6 + 3 * payload[5], 3)]
    if len(payload) != 6 + 3 * payload[5] or bytes(channel[0] for channel in channels) == _RGB:
        return False
    return channels[0][1] in _LUMA and all(channel[1] == _CHROMA for channel in channels[1:])
