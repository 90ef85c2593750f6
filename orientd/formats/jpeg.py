"""JPEG and MPO: the stored orientation and the patch that changes it (ITU-T T.81 annex B, EXIF 2.32 section 4.5).

Only the segments before the first scan are ever read as structure or changed. The value is overwritten in place;
failing that IFD0 moves to the end of the EXIF block; failing that a 36-byte EXIF segment is added. Whatever might count bytes
across the place where the file grows is looked for first, and the file is refused if it does.

Of several EXIF segments Pillow and browsers read the first, while exiftool reads all, a later value before an earlier one. So
those that store an orientation are changed together, and none may contradict the first.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import mpf, tiff_block, tiff_layout, tiff_patch, xmp
from orientd.formats.jpeg_markers import AFTER_SCAN, APP0, APP1, APP2, EOI, FRAMES, SOI, SOS
from orientd.reasons import Reason
from orientd.records import Patch, Splice

EXIF: Final = b"Exif\0\0"
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION: Final = b"http://ns.adobe.com/xmp/extension/\0"

_WITHOUT_LENGTH: Final = frozenset(range(0xC0)) | frozenset(range(0xD0, 0xD9))
_FILL: Final = re.compile(rb"\xff*")
_PASSED_OVER: Final = re.compile(rb"(?:[^\xff]+|\xff+[\0\xd0-\xd7])*")
_LARGEST: Final = 0xFFFF
_MOST: Final = 2**16  # segments before a scan, and behind it: so many of the shortest keep any reader busy for a second
_TOO_MANY: Final = "it has more segments than any camera writes"
_MOST_NOTED: Final = 8  # EXIF segments, and maker notes in one, of a file that is to grow; cameras write one


class Segment(NamedTuple):
    """A marker segment; its payload is the bytes `start` to `end` of the file, its two length bytes come just before."""

    marker: int
    start: int
    end: int


@dataclass(slots=True)
class _Layout:
    """What a file holds before its first scan."""

    exif: list[Segment] = field(default_factory=list)
    xmp: list[Segment] = field(default_factory=list)
    extension: list[Segment] = field(default_factory=list)
    mpf: list[Segment] = field(default_factory=list)
    frames: list[Segment] = field(default_factory=list)
    after_jfif: int = len(SOI)
    scan: int = len(SOI)


def segments(data: bytes, *, lenient: bool = False) -> Iterator[Segment]:
    """The segments from SOI to the first SOS, which comes last.

    If `lenient`, stray bytes between them are passed over, as libjpeg, exiftool and Pillow do.

    Raises:
        Refused: on reaching anything but a whole, well-formed segment.
    """
    if data[:2] != SOI:
        raise Refused(Reason.DAMAGED, "not a JPEG: it does not start with SOI")
    place, marker, number = len(SOI), 0, 0
    while marker != SOS:
        number += 1
        if number > _MOST:
            raise Refused(Reason.DAMAGED, _TOO_MANY)
        stray = _PASSED_OVER.match(data, place) if lenient else None
        marker, place = _marker(data, stray.end() if stray else place)
        end = place + int.from_bytes(data[place : place + 2], "big")
        if not place + 2 <= end <= len(data):
            raise Refused(Reason.DAMAGED, f"bad segment length at byte {place}")
        yield Segment(marker, place + 2, end)
        place = end


def stored(data: bytes) -> int | None:
    """The EXIF orientation in the first EXIF segment, exactly as found; None if there is none that can be read."""
    try:
        for segment in segments(data, lenient=True):
            if segment.marker == APP1 and data.startswith(EXIF, segment.start, segment.end):
                return _stored(data, segment)
    except Refused:
        pass
    return None


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that makes the file store `orientation` (1–8) in EXIF, and in XMP where that stores one.

    Raises:
        Refused: the file cannot be changed safely; the message says why.
    """
    layout = _layout(data)
    digits = _digits(data, layout)
    xmp.check_agreement(stored(data), digits)
    splices = _exif(data, layout, orientation) + xmp.patch(digits, orientation)
    return Patch(tuple(sorted(splices, key=lambda splice: splice.offset)))


def _marker(data: bytes, place: int) -> tuple[int, int]:
    """The marker at `place`, which any number of 0xFF may precede, and the place after it."""
    if data[place : place + 1] not in (b"\xff", b""):
        raise Refused(Reason.DAMAGED, f"junk between segments at byte {place}")
    filled = _FILL.match(data, place)
    place = filled.end() if filled else place
    if place >= len(data):
        raise Refused(Reason.DAMAGED, "no scan: the file ends before the picture starts")
    marker = data[place]
    if marker == EOI[1]:
        raise Refused(Reason.DAMAGED, "end of image before the scan")
    if marker in _WITHOUT_LENGTH:
        raise Refused(Reason.DAMAGED, f"unexpected marker 0x{marker:02x} before the scan at byte {place}")
    return marker, place + 1


def _layout(data: bytes) -> _Layout:
    layout = _Layout()
    for segment in segments(data, lenient=True):
        head = data[segment.start : min(segment.end, segment.start + 64)]
        if segment.marker == APP0 and layout.after_jfif == layout.scan:
            layout.after_jfif = segment.end
        elif segment.marker == APP1:
            _sort_app1(layout, segment, head)
        elif segment.marker == APP2 and head.startswith(mpf.SIGNATURE):
            layout.mpf.append(segment)
        elif segment.marker in FRAMES:
            layout.frames.append(segment)
        layout.scan = segment.end
    if not layout.frames or any(b"\0\0" in _sides(data, frame) for frame in layout.frames):
        raise Refused(Reason.DAMAGED, "the frame has no size, or one that is only given after the scan (DNL)")
    return layout


def _sort_app1(layout: _Layout, segment: Segment, head: bytes) -> None:
    if head.startswith(EXIF):
        layout.exif.append(segment)
    elif b"exif" in head[:10].lower():
        raise Refused(Reason.BROKEN_METADATA, "the EXIF segment has a broken header")
    elif head.startswith(XMP):
        layout.xmp.append(segment)
    elif head.startswith(XMP_EXTENSION):
        layout.extension.append(segment)


def _sides(data: bytes, frame: Segment) -> tuple[bytes, bytes]:
    """Height and width of a frame, two bytes each."""
    if frame.end - frame.start < 6:
        raise Refused(Reason.DAMAGED, f"bad segment length at byte {frame.start - 2}")
    return data[frame.start + 1 : frame.start + 3], data[frame.start + 3 : frame.start + 5]


def _digits(data: bytes, layout: _Layout) -> list[xmp.Digit]:
    """The orientations in XMP, at their offsets in the file."""
    skipped = len(XMP_EXTENSION) + 40
    extension = b"".join(data[segment.start + skipped : segment.end] for segment in layout.extension)
    if b"tiff:Orientation" in extension:
        raise Refused(Reason.UNUSUAL, "XMP holds the orientation in its extended part, which is sealed by a checksum")
    return [digit for segment in layout.xmp for digit in xmp.find_within(data, segment.start + len(XMP), segment.end)]


def _exif(data: bytes, layout: _Layout, orientation: int) -> list[Splice]:
    if not layout.exif:
        payload = EXIF + tiff_patch.fresh(orientation)
        whole = bytes([0xFF, APP1]) + (len(payload) + 2).to_bytes(2, "big") + payload
        return [Splice(layout.after_jfif, b"", whole), *_carried(data, layout, layout.after_jfif, len(whole))]
    return [splice for segment in _that_count(data, layout.exif) for splice in _in_segment(data, layout, segment, orientation)]


def _stored(data: bytes, exif: Segment) -> int | None:
    """The orientation in an EXIF segment, exactly as found; None if there is none that can be read."""
    try:
        return tiff_block.stored(data[exif.start + len(EXIF) : exif.end])
    except Refused:
        return None


def _that_count(data: bytes, exif: list[Segment]) -> list[Segment]:
    """The EXIF segments that store an orientation, and the first in any case, as it is the one that most programs read.

    Raises:
        Refused: one of them contradicts the first.
    """
    values = [_stored(data, segment) for segment in exif]
    if any(value is not None and group.normalise(value) != group.normalise(values[0]) for value in values):
        says = ["nothing" if value is None else str(value) for value in values[:_MOST_NOTED]]
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE,
            f"it has several EXIF segments that say {', '.join(says)}: viewers disagree about this photo",
        )
    return [segment for segment, value in zip(exif, values, strict=True) if value is not None or segment is exif[0]]


def _in_segment(data: bytes, layout: _Layout, segment: Segment, orientation: int) -> list[Splice]:
    splices = tiff_patch.patch_within(data, segment.start + len(EXIF), segment.end, orientation)
    growth = sum(len(splice.new) - len(splice.old) for splice in splices)
    if not growth:
        return splices
    size = segment.end - segment.start + 2
    if size + growth > _LARGEST:
        raise Refused(Reason.CANNOT_GROW, "the EXIF segment is full (64 KB)")
    length = Splice(segment.start - 2, data[segment.start - 2 : segment.start], (size + growth).to_bytes(2, "big"))
    if not all(data.startswith(tuple(tiff_layout.HEADERS), exif.start + len(EXIF)) for exif in layout.exif):
        raise Refused(Reason.CANNOT_GROW, "the EXIF block goes on in a second segment, so it cannot grow")
    if len(layout.exif) > _MOST_NOTED:
        raise Refused(Reason.CANNOT_GROW, "it has more EXIF segments than any camera writes, so none of them can grow")
    trailer = end_of_image(data, layout.scan)
    for exif in layout.exif if trailer < len(data) else []:
        _check_maker_notes(data, trailer, exif, lenient=exif is segment)
    return [length, *splices, *_carried(data, layout, segment.end, growth)]


def _carried(data: bytes, layout: _Layout, place: int, growth: int) -> list[Splice]:
    """What must change elsewhere when the file grows at `place`: the multi-picture index, at most."""
    trailer = end_of_image(data, layout.scan)
    if max(data.find(b"AXS!", trailer), data.find(b"AXS*", trailer)) >= 0:
        raise Refused(Reason.CANNOT_GROW, "an AFCP trailer counts from the start of the file, so the file cannot grow")
    if len(layout.mpf) > 1 or any(segment.start < place for segment in layout.mpf):
        raise Refused(Reason.CANNOT_GROW, "the multi-picture index (MPF) stands before the EXIF block, so the block cannot grow")
    return [
        Splice(segment.start + splice.offset, splice.old, splice.new)
        for segment in layout.mpf
        for splice in mpf.grown(data[segment.start : segment.end], growth)
    ]


def _check_maker_notes(data: bytes, trailer: int, exif: Segment, *, lenient: bool) -> None:
    """No word of a maker note may be the offset of a preview behind the picture, from `trailer` on, which would move with it.

    Makers count from the start of the file, of the TIFF block or of the note, in either byte order, and some overwrite the first
    byte of the preview. Residual risk: an undocumented offset of something else, deeper in the data behind the picture.
    """
    block = exif.start + len(EXIF)
    notes = tiff_block.maker_notes(data[block : exif.end], lenient=lenient)
    if len(notes) > _MOST_NOTED:
        raise Refused(Reason.CANNOT_GROW, "it has more maker notes than any camera writes, so the EXIF block cannot grow")
    for start, end in notes:
        words = _words(data[block + start : block + end])
        targets = (word + base for base in (0, block, block + start) for word in words if trailer <= word + base < len(data))
        if any(target == trailer or data.startswith(SOI[1:] + b"\xff", target + 1) for target in targets):
            raise Refused(
                Reason.CANNOT_GROW, "the maker note may point at data behind the picture, so the EXIF block cannot grow"
            )


def _words(note: bytes) -> set[int]:
    """The numbers of four bytes at all even offsets, in either byte order."""
    aligned = [note[start : start + (len(note) - start) // 4 * 4] for start in (0, 2)]
    return {word for part in aligned for order in "<>" for (word,) in struct.iter_unpack(f"{order}I", part)}


def end_of_image(data: bytes, scan: int) -> int:
    """The offset after EOI of the picture whose first scan starts at `scan`."""
    place = scan
    for _ in range(_MOST):
        found = AFTER_SCAN.search(data, place)
        if not found:
            raise Refused(Reason.CANNOT_GROW, "the picture has no end marker (EOI), so the file cannot grow")
        if found[0] == EOI:
            return found.end()
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        place = found.end() + max(length, 2)
    raise Refused(Reason.DAMAGED, _TOO_MANY)
