"""What XMP says in pixels, changed so that it fits a picture turned by pixels (XMP specification, part 2, sections 3.3 and 3.4).

Widths and heights change places, each digit for digit, so that the packet keeps its length. What says more of the picture than
that is looked for first.
"""

import re
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.reasons import Reason
from orientd.records import Splice

_NOT_TURNED: Final = {
    "it has a gain map": (b"hdrgm", b"HDRGainMap"),
    "it is a motion photo": (b"MicroVideo", b"MotionPhoto", b"Container:Directory"),
    "it is a panorama": (b"GPano:",),
    "it has a depth map": (b"GDepth:", b"GImage:"),
    "XMP marks regions in it": (b"mwg-rs:", b"acdsee-rs:", b"MPReg:", b"ImageRegion"),
    "XMP holds thumbnails": (b"xmpGImg:",),
}
_CAMERA_RAW: Final = b"crs:"
_APPLIED: Final = re.compile(rb"""crs:AlreadyApplied(?:\s*=\s*["']|>)\s*True\b""")
_SIDES: Final = (
    (b"ImageWidth", b"ImageLength"),
    (b"XResolution", b"YResolution"),
    (b"PixelXDimension", b"PixelYDimension"),
    (b"FocalPlaneXResolution", b"FocalPlaneYResolution"),
)


def check(packet: bytes) -> None:
    """Look for what a turn would leave as it was.

    Raises:
        Refused: the packet has it; the message says what.
    """
    letters = packet.replace(b"\0", b"")  # a packet in UTF-16 is not to slip through
    for reason, names in _NOT_TURNED.items():
        if any(name in letters for name in names):
            raise Refused(Reason.NOT_LOSSLESS, reason)
    if _CAMERA_RAW in letters and not _APPLIED.search(letters):
        raise Refused(Reason.NOT_LOSSLESS, "XMP holds edits of Camera Raw, with places in it, that are not applied to it yet")


def patch(packet: bytes, orientation: int) -> list[Splice]:
    """The splices, relative to the packet, for a picture that is turned as `orientation` (1–8) says; its length stays.

    Raises:
        Refused: as `check`, or widths and heights are written in a form that cannot be changed in place.
    """
    check(packet)
    return [splice for pair in _SIDES for splice in _swapped(packet, *pair)] if group.swaps_sides(orientation) else []


def _swapped(packet: bytes, one: bytes, other: bytes) -> list[Splice]:
    found = [re.findall(rb":%s\b" % name, packet.replace(b"\0", b"")) for name in (one, other)]
    if not any(found):
        return []
    values = [list(re.finditer(rb""":%s(?:\s*=\s*["']|>)\s*([0-9/.]+)\s*["'<]""" % name, packet)) for name in (one, other)]
    if [len(value) for value in values] != [1, 1]:
        raise Refused(Reason.NOT_LOSSLESS, "XMP holds width and height in a form that cannot be changed in place")
    first, second = values[0][0], values[1][0]
    if first[1] == second[1]:
        return []
    return [Splice(first.start(1), first[1], second[1]), Splice(second.start(1), second[1], first[1])]
