"""Removes the flaws of a JPEG that cost no pixel, so that a strict decoder can say whether there are any that do.

TurboJPEG reports only the first warning of libjpeg, and stops decoding at one about the header. These are all warnings of
libjpeg-turbo 3.1 (`jerror.h`), and how each is handled:

    bad ICC marker                       colors do not matter here: the profile is left out
    unknown JFIF revision                the version is set to 1
    Unknown Adobe color transform code   the code is set to what libjpeg assumes
    N extraneous bytes before marker     removed before the first scan; up to 9 before the end are the padding of some cameras
    Invalid SOS parameters               those of a sequential scan are set, which Samsung leaves out
    Premature end of JPEG file           an end is added, if the scans before it hold all coefficients
    premature end of data segment, bad Huffman code, bad arithmetic code, found marker … instead of RST, Inconsistent
    progression sequence                 pixels are lost: damage

Every repair leaves the picture the same to the bit (ITU-T T.81, annex B).
"""

import re
from collections.abc import Callable
from typing import Final

from orientd.decode import progressive
from orientd.errors import Refused
from orientd.formats import jpeg
from orientd.formats.jpeg import Segment
from orientd.formats.jpeg_markers import AFTER_SCAN, APP0, APP2, APP14, BASELINE, EOI, EXTENDED, FRAMES, PROGRESSIVE, SOS
from orientd.reasons import Reason

MOST: Final = 8  # flaws of one file

_SEQUENTIAL: Final = (BASELINE, EXTENDED)
_JFIF, _ADOBE, _ICC = b"JFIF\0", b"Adobe", b"ICC_PROFILE\0"
_TRANSFORMS: Final = {3: 1, 4: 2}  # number of components → YCbCr, YCCK
_WHOLE_SPECTRUM: Final = bytes((0, 63, 0))


def without(data: bytes, warning: str) -> bytes | None:
    """The file without the flaw that TurboJPEG warns of; None if that is damage, or the file is not understood."""
    for pattern, repair in _REPAIRS:
        if found := re.search(pattern, warning):
            try:
                repaired = repair(data, found)
            except Refused:
                return None
            return repaired if repaired != data else None
    return None


def _without_profile(data: bytes, _: re.Match[str]) -> bytes:
    return _rebuilt(data, lambda one, content: b"" if one.marker == APP2 and content.startswith(_ICC) else content)


def _with_jfif_1(data: bytes, _: re.Match[str]) -> bytes:
    def repaired(one: Segment, content: bytes) -> bytes:
        return _JFIF + b"\1" + content[6:] if one.marker == APP0 and content.startswith(_JFIF) else content

    return _rebuilt(data, repaired)


def _with_known_transform(data: bytes, _: re.Match[str]) -> bytes:
    numbers = [data[one.start + 5] for one in jpeg.segments(data, lenient=True) if one.marker in FRAMES]
    code = bytes((_TRANSFORMS.get(numbers[0] if numbers else 0, 0),))

    def repaired(one: Segment, content: bytes) -> bytes:
        return content[:11] + code + content[12:] if one.marker == APP14 and content.startswith(_ADOBE) else content

    return _rebuilt(data, repaired)


def _without_strays(data: bytes, _: re.Match[str]) -> bytes:
    return _rebuilt(data, lambda _, content: content)


def _without_padding(data: bytes, found: re.Match[str]) -> bytes:
    *_, scan = jpeg.segments(data, lenient=True)
    end = jpeg.end_of_image(data, scan.end) - len(EOI)
    return data[: end - int(found[1])] + EOI


def _with_whole_spectrum(data: bytes, _: re.Match[str]) -> bytes:
    """With scan headers that cover all 64 coefficients, in all their bits, as every scan of a sequential frame does."""
    if _frame(data).marker not in _SEQUENTIAL:
        return data
    repaired = bytearray(data)
    for scan in _scans(data):
        repaired[scan.end - len(_WHOLE_SPECTRUM) : scan.end] = _WHOLE_SPECTRUM
    return bytes(repaired)


def _with_end(data: bytes, _: re.Match[str]) -> bytes:
    """With an end, unless whole scans are missing, which libjpeg would not notice: half a scan it does."""
    frame, closed = _frame(data), data + EOI
    if frame.marker == PROGRESSIVE:
        return closed if progressive.abridged(closed) else data
    present = {name for scan in _scans(data) for name in data[scan.start + 1 : scan.start + 1 + 2 * data[scan.start] : 2]}
    wanted = set(data[frame.start + 6 : frame.end : 3])
    return closed if frame.marker in _SEQUENTIAL and wanted <= present else data


def _frame(data: bytes) -> Segment:
    frames = [one for one in jpeg.segments(data, lenient=True) if one.marker in FRAMES]
    if len(frames) != 1:
        raise Refused(Reason.UNUSUAL, "it has not one frame but several, or none")
    return frames[0]


def _scans(data: bytes) -> list[Segment]:
    """The headers of all scans up to the end of the picture, or of the file."""
    *_, scan = jpeg.segments(data, lenient=True)
    found = [scan]
    place = scan.end
    while (marker := AFTER_SCAN.search(data, place)) and marker[0] != EOI:
        place = marker.end() + max(int.from_bytes(data[marker.end() : marker.end() + 2], "big"), 2)
        if marker[1][0] == SOS and place <= len(data):
            found.append(Segment(SOS, marker.end() + 2, place))
    if any(one.end - one.start < 6 for one in found):
        raise Refused(Reason.UNUSUAL, "a scan has no header")
    return found


def _rebuilt(data: bytes, repaired: Callable[[Segment, bytes], bytes]) -> bytes:
    """The file with nothing between its segments up to the first scan and their payloads `repaired`; an empty one is left out."""
    parts, end = [data[:2]], 2
    for one in jpeg.segments(data, lenient=True):
        if content := repaired(one, data[one.start : one.end]):
            parts.append(bytes((0xFF, one.marker)) + (len(content) + 2).to_bytes(2, "big") + content)
        end = one.end
    return b"".join([*parts, data[end:]])


_REPAIRS: Final[tuple[tuple[str, Callable[[bytes, re.Match[str]], bytes]], ...]] = (
    (r"bad ICC marker", _without_profile),
    (r"unknown JFIF revision", _with_jfif_1),
    (r"Unknown Adobe color transform", _with_known_transform),
    (r": (\d) extraneous bytes before marker 0xd9", _without_padding),
    (r"extraneous bytes before marker 0x(?!d9)", _without_strays),
    (r"Invalid SOS parameters", _with_whole_spectrum),
    (r"Premature end of JPEG file", _with_end),
)
