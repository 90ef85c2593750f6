"""Which photos a GPU decodes: whole baseline JPEGs of 8 bits and one or three channels, as their headers say (ITU-T T.81).

The CPU decodes everything else: progressive, arithmetic-coded, lossless and 12-bit JPEGs, CMYK, RGB and rare samplings, which
the hardware decoder does not support; files without an end; and all other containers, of which DALI decodes only JPEG 2000 on a
GPU.
"""

from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import jpeg, jpeg_frame
from orientd.formats.jpeg_markers import APP14, BASELINE, EOI
from orientd.records import Format, Photo

_FORMATS: Final = (Format.JPEG, Format.MPO, Format.RAW)  # of a raw file these are the bytes of its preview
_LUMA: Final = frozenset({(1, 1), (1, 2), (2, 1), (2, 2)})
_CHROMA: Final = (1, 1)
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
    header, scan = jpeg_frame.only(photo.data, segments), segments[-1]
    if not header or header.marker != BASELINE or not header.is_reducible:
        return None
    if not _is_plain(header, photo.data[scan.start : scan.end]):
        return None
    transforms = [photo.data[segment.start : segment.end] for segment in segments if segment.marker == APP14]
    if len(header.components) > 1 and any(each.startswith(b"Adobe") and each[11:12] == b"\0" for each in transforms):
        return None  # RGB
    end = photo.data.find(EOI, scan.end) + len(EOI)
    return Frame(header.width, header.height, end) if end >= len(EOI) else None


def _is_plain(header: jpeg_frame.Frame, scan: bytes) -> bool:
    """True for gray or YCbCr in a usual sampling, all channels in the first scan (T.81, B.2.2 and B.2.3)."""
    names, factors = bytes(each.name for each in header.components), [(each.across, each.down) for each in header.components]
    if len(names) not in (1, 3) or scan[:1] != bytes([len(names)]) or names == _RGB:
        return False
    return factors[0] in _LUMA and all(each == _CHROMA for each in factors[1:])
