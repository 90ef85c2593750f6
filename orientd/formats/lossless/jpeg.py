"""A JPEG whose pixels are turned: new tables and scans between the metadata and the trailer it had (ITU-T T.81, annex B).

The metadata stays verbatim but for what it says of orientation, sides and thumbnail. What a turn would leave as it was, and what
is not known, is looked for first, and the photo is refused if it has any: other pictures, videos, gain maps, regions.
"""

import re
from itertools import pairwise
from typing import Final, NamedTuple

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import jpeg, jpeg_frame, thumbnail
from orientd.formats.jpeg_markers import APP, APP0, APP1, APP2, APP12, APP13, APP14, COM, PROGRESSIVE, SOI
from orientd.formats.lossless import exif as exif_turn
from orientd.formats.lossless import xmp
from orientd.formats.lossless.exif import Turn
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_KNOWN: Final = (
    (APP0, b"JFIF\0"),
    (APP1, jpeg.EXIF),
    (APP1, jpeg.XMP),
    (APP2, b"ICC_PROFILE\0"),
    (APP12, b"Ducky"),
    (APP13, b"Photoshop 3.0\0"),
    (APP13, b"Adobe_CM"),
    (APP14, b"Adobe"),
    (COM, b""),
)
_NAMED: Final = ((APP2, b"MPF\0", "it holds several pictures (MPF)"), (APP1, jpeg.XMP_EXTENSION, "its XMP has an extended part"))
_PICTURE: Final = re.compile(rb"\xd8\xff[\xc0-\xc4\xdb\xe0-\xef]", re.DOTALL)
_PHOTOSHOP: Final = re.compile(rb"8BIM(\x04[\x09\x0c]|[\x07-\x0b].)", re.DOTALL)
_POSITIONED: Final = re.compile(rb"ftyp|SEF[HT]|MotionPhoto|AXS[!*]")
_METADATA_IN_SCAN: Final = re.compile(rb"\xff[\xe0-\xef\xfe]")
_MOST_TRAILER: Final = 1024
_LARGEST: Final = 0xFFFF


class Core(NamedTuple):
    """The tables and scans of a file are the bytes `start` to `end`, EOI included; before `start` there is only metadata."""

    start: int
    end: int
    metadata: tuple[jpeg.Segment, ...]
    width: int
    height: int
    progressive: bool


def find(data: bytes) -> Core:
    """The core of a file.

    Raises:
        Refused: it is not made of metadata, one picture of 8 bits with Huffman coding, and a trailer.
    """
    metadata: list[jpeg.Segment] = []
    tables: list[jpeg.Segment] = []
    for segment in jpeg.segments(data):
        if _is_metadata(segment.marker) and tables:
            raise Refused(Reason.NOT_LOSSLESS, "metadata stands between the tables of the picture")
        (metadata if _is_metadata(segment.marker) else tables).append(segment)
    frame = _frame(data, tables)
    end = jpeg.end_of_image(data, tables[-1].end)
    if _METADATA_IN_SCAN.search(data, tables[-1].end, end):
        raise Refused(Reason.NOT_LOSSLESS, "metadata stands between the scans of the picture")
    start = metadata[-1].end if metadata else len(SOI)
    return Core(start, end, tuple(metadata), frame.width, frame.height, frame.marker == PROGRESSIVE)


def _frame(data: bytes, tables: list[jpeg.Segment]) -> jpeg_frame.Frame:
    frame = jpeg_frame.only(data, tables)
    if not frame:
        raise Refused(Reason.NOT_LOSSLESS, "it has not one frame but several, or none")
    if not frame.is_usual:
        raise Refused(Reason.NOT_LOSSLESS, f"it is {frame.kind}")
    if frame.bits != 8:
        raise Refused(Reason.NOT_LOSSLESS, f"it has {frame.bits} bits a channel")
    if not frame.width or not frame.height:
        raise Refused(Reason.NOT_LOSSLESS, "the frame has no size")
    if not frame.is_reducible:
        raise Refused(Reason.NOT_LOSSLESS, "its channels are sampled in a way that libturbojpeg does not know")
    return frame


def bare(data: bytes) -> bytes:
    """The core alone, without SOI, metadata and trailer.

    Raises:
        Refused: as `find`.
    """
    core = find(data)
    return data[core.start : core.end]


def plan(data: bytes, orientation: int, turn: Turn) -> Patch:
    """The patch that turns the pixels as `orientation` (1–8) says and makes the file store 1, if it stores any.

    `turn` transforms a whole JPEG, whose metadata are of no account, without loss; it raises Refused where it cannot.

    Raises:
        Refused: something in the file would not be turned with the pixels, or is not known; the message says what.
    """
    core = find(data)
    exif = _check_metadata(data, core)
    found = thumbnail.in_exif(data[exif.start + len(jpeg.EXIF) : exif.end]) if exif else None
    _check_pictures(data, core, exif, found)
    upright = jpeg.plan(data, group.UPRIGHT)  # says no to everything the tag says no to
    splices = list(upright.splices) if jpeg.stored(data) is not None else []
    if exif:
        splices += _exif(data, exif, core, orientation, turn)
    if group.swaps_sides(orientation):
        splices += [splice for segment in core.metadata for splice in _sides(data, segment, orientation)]
    splices.append(Splice(core.start, data[core.start : core.end], bare(turn(data[: core.end], orientation))))
    splices.sort(key=lambda splice: splice.offset)
    if any(before.offset + len(before.old) > after.offset for before, after in pairwise(splices)):
        raise Refused(Reason.BROKEN_METADATA, "broken EXIF: its values overlap")
    return Patch(tuple(splices))


def _is_metadata(marker: int) -> bool:
    return marker in APP or marker == COM


def _check_metadata(data: bytes, core: Core) -> jpeg.Segment | None:
    """The EXIF segment, once every segment is known to be one that a turn leaves true."""
    exif = []
    for segment in core.metadata:
        payload = data[segment.start : segment.end]
        for marker, head, reason in _NAMED:
            if segment.marker == marker and payload.startswith(head):
                raise Refused(Reason.NOT_LOSSLESS, reason)
        if not any(segment.marker == marker and payload.startswith(head) for marker, head in _KNOWN):
            raise Refused(Reason.NOT_LOSSLESS, f"it has a segment that orientd does not know (APP{segment.marker - APP0})")
        if segment.marker == APP0 and any(payload[12:14]):
            raise Refused(Reason.NOT_LOSSLESS, "it has a JFIF thumbnail")
        if _PHOTOSHOP.search(payload) and segment.marker == APP13:
            raise Refused(Reason.NOT_LOSSLESS, "it holds a thumbnail or paths of Photoshop")
        if payload.startswith(jpeg.XMP):
            xmp.check(payload)
        if payload.startswith(jpeg.EXIF):
            exif.append(segment)
    if len(exif) > 1:
        raise Refused(Reason.BROKEN_METADATA, "two EXIF segments")
    return exif[0] if exif else None


def _check_pictures(data: bytes, core: Core, exif: jpeg.Segment | None, thumbnail: tuple[int, int] | None) -> None:
    """Check that the metadata holds no other picture (such as a preview in a maker note), and that nothing large follows."""
    block = exif.start + len(jpeg.EXIF) if exif else 0
    start, end = (block + place for place in thumbnail) if thumbnail else (len(SOI), len(SOI))
    if _PICTURE.search(data, len(SOI), start) or _PICTURE.search(data, end, core.start):
        raise Refused(Reason.NOT_LOSSLESS, "there is another picture in its metadata")
    trailer = data[core.end :]
    if _PICTURE.search(trailer) or _POSITIONED.search(trailer) or len(trailer.strip(b"\0\xff")) > _MOST_TRAILER:
        raise Refused(Reason.NOT_LOSSLESS, "there is more behind the picture: another picture, a video or unknown data")


def _exif(data: bytes, exif: jpeg.Segment, core: Core, orientation: int, turn: Turn) -> list[Splice]:
    start = exif.start + len(jpeg.EXIF)

    def small(thumbnail: bytes, by: int) -> bytes:
        try:
            inside = find(thumbnail)
        except Refused as error:
            raise Refused(Reason.NOT_LOSSLESS, f"its thumbnail cannot be turned: {error}") from error
        if any(segment.marker == APP1 for segment in inside.metadata) or inside.end != len(thumbnail.rstrip(b"\0")):
            raise Refused(Reason.NOT_LOSSLESS, "its thumbnail holds more than a picture")
        if (inside.width - inside.height) * (core.width - core.height) < 0:
            raise Refused(Reason.NOT_LOSSLESS, "its thumbnail is turned already, or the photo is")
        return thumbnail[: inside.start] + bare(turn(thumbnail[: inside.end], by))

    splices = [
        Splice(start + splice.offset, splice.old, splice.new)
        for splice in exif_turn.patch(data[start : exif.end], orientation, core.width, core.height, small)
    ]
    growth = sum(len(splice.new) - len(splice.old) for splice in splices)
    if growth:
        size = exif.end - exif.start + 2 + growth
        if size > _LARGEST:
            raise Refused(Reason.NOT_LOSSLESS, "the EXIF segment is full (64 KB)")
        splices.append(Splice(exif.start - 2, data[exif.start - 2 : exif.start], size.to_bytes(2, "big")))
    return splices


def _sides(data: bytes, segment: jpeg.Segment, orientation: int) -> list[Splice]:
    """Width and height, or their densities, changing places in JFIF and XMP."""
    payload = data[segment.start : segment.end]
    if segment.marker == APP0:
        x, y = payload[8:10], payload[10:12]
        return [Splice(segment.start + 8, x + y, y + x)] if x != y else []
    if not payload.startswith(jpeg.XMP):
        return []
    return [Splice(segment.start + splice.offset, splice.old, splice.new) for splice in xmp.patch(payload, orientation)]
