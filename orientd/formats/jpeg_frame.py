"""The frame header of a JPEG: how its picture is coded, its sides and its components (ITU-T T.81, B.2.2 and table B.1).

Decoders are handed buffers whose size follows from it, so a header counts only if it is in plain sight: in a file that has
one, and nothing but whole segments of known kinds before its first scan. There libjpeg and Pillow find the same header, or an
error. Segments of other kinds are an error for libjpeg, whereas Pillow looks for headers inside them.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import jpeg
from orientd.formats.jpeg_markers import BASELINE, DHP, EXP, EXTENDED, FRAMES, JPG, LOSSLESS, LOSSLESS_ARITHMETIC, PROGRESSIVE

_UNKNOWN: Final = frozenset((JPG, DHP, EXP, *range(0xF0, 0xFE)))  # to libjpeg
_KINDS: Final = {
    BASELINE: "a baseline JPEG",
    EXTENDED: "an extended JPEG",
    PROGRESSIVE: "a progressive JPEG",
    LOSSLESS: "a lossless JPEG",
    0xC9: "an arithmetic-coded JPEG",
    0xCA: "an arithmetic-coded progressive JPEG",
    LOSSLESS_ARITHMETIC: "an arithmetic-coded lossless JPEG",
}
_HIERARCHICAL: Final = "a hierarchical JPEG"
_BITS: Final = {LOSSLESS: range(2, 17), LOSSLESS_ARITHMETIC: range(2, 17)}
_BITS_OF_LOSSY: Final = (8, 12)
_CHANNELS: Final = (1, 3, 4)
_FACTORS: Final = range(1, 5)


class Component(NamedTuple):
    """A channel: its identifier, and its horizontal and vertical sampling factors."""

    name: int
    across: int
    down: int


class Frame(NamedTuple):
    """A frame header: the marker before it, bits a sample, sides in pixels, and the components.

    `start` is the offset of its payload in the file. Height and width are one byte behind that, two bytes each.
    """

    marker: int
    bits: int
    width: int
    height: int
    components: tuple[Component, ...]
    start: int

    @property
    def kind(self) -> str:
        """What it is called, with an article."""
        return _KINDS.get(self.marker, _HIERARCHICAL)

    @property
    def is_usual(self) -> bool:
        """True for DCT coefficients with Huffman coding."""
        return self.marker in (BASELINE, EXTENDED, PROGRESSIVE)

    @property
    def is_reducible(self) -> bool:
        """True if libjpeg makes a smaller picture of it when asked to.

        Of anything else it may not: a lossless JPEG comes out whole, however small the buffer is.
        """
        factors = [factor for _, *both in self.components for factor in both]
        is_sound = self.bits == 8 and self.width > 0 and self.height > 0 and all(factor in _FACTORS for factor in factors)
        return self.is_usual and is_sound and len(self.components) in _CHANNELS


def only(data: bytes, segments: Iterable[jpeg.Segment] | None = None) -> Frame | None:
    """The frame header of a file; None if there is none in plain sight, or more than one.

    `segments` are those before the first scan, if they are known. The length of the header is right, its numbers may be anything.
    """
    try:
        segments = list(jpeg.segments(data) if segments is None else segments)
    except Refused:
        return None
    found = [each for each in segments if each.marker in FRAMES]
    is_plain = len(found) == 1 and not any(each.marker in _UNKNOWN for each in segments)
    return _parsed(data, found[0]) if is_plain else None


def unsupported(data: bytes) -> str | None:
    """Why no decoder here can know what to do with a JPEG, though it need not be damaged: what it is, and what its owner can do.

    None if a decoder may know.
    """
    try:
        segments = list(jpeg.segments(data))
    except Refused:
        return None
    frame, markers = only(data, segments), {each.marker for each in segments}
    if DHP in markers or not _KINDS.keys() >= markers & FRAMES:
        return f"it is {_HIERARCHICAL}, which cannot be decoded: convert it to a baseline JPEG"
    return _fault(frame) if frame else None


def _fault(frame: Frame) -> str | None:
    if frame.bits != 8 and frame.bits in _BITS.get(frame.marker, _BITS_OF_LOSSY):
        return f"it is {frame.kind} of {frame.bits} bits, which cannot be decoded: convert it to 8 bits"
    if frame.marker == LOSSLESS_ARITHMETIC:
        return f"it is {frame.kind}, which cannot be decoded: convert it to a baseline JPEG"
    if len(frame.components) not in _CHANNELS:
        return f"it is {frame.kind} of {len(frame.components)} channels, which cannot be decoded: convert it to RGB or gray"
    if frame.width and not frame.height:
        return "its height stands behind the first scan (DNL), so it cannot be decoded: open it and save it anew"
    return None


def _parsed(data: bytes, segment: jpeg.Segment) -> Frame | None:
    payload = data[segment.start : segment.end]
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        return None
    components = (Component(payload[at], payload[at + 1] >> 4, payload[at + 1] & 15) for at in range(6, len(payload), 3))
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    return Frame(segment.marker, payload[0], width, height, tuple(components), segment.start)
