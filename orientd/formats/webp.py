"""WebP: the orientation in the EXIF chunk and the patch that changes it (RFC 9649, sections 2.3 to 2.7).

Nothing in a WebP counts bytes outside its own chunk but the RIFF header, so an EXIF chunk may grow, and may be added at the end.
A simple file, with a bitstream and perhaps chunks behind it that WebP does not know, first needs a VP8X chunk that repeats its
size. Bytes behind the RIFF part stay.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from orientd.errors import Refused
from orientd.formats import tiff_block, tiff_patch, xmp
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_HEADER: Final = 12
_EXIF_FLAG, _ALPHA_FLAG, _ANIMATION_FLAG = 0x08, 0x10, 0x02
_BITSTREAMS: Final = (b"VP8 ", b"VP8L")
XMP_NAMES: Final = (b"XMP ", b"XMP\0")
_ANIMATED: Final = frozenset({b"ANIM", b"ANMF"})
_ANNOUNCED: Final = _ANIMATED | {*XMP_NAMES, *_BITSTREAMS, b"VP8X", b"ALPH", b"ICCP", b"EXIF"}
_MOST: Final = 2**16  # chunks: many more than the longest animation has pictures
_LARGEST: Final = 2**32 - 10


class Chunk(NamedTuple):
    """The body is the bytes `start` to `end` of the file, name and length precede it; a zero follows if its length is odd."""

    name: bytes
    start: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks from the first to the end of the RIFF part.

    Raises:
        Refused: on reaching anything but a whole chunk, or more of them than any program writes.
    """
    if data[:4] != b"RIFF" or data[8:_HEADER] != b"WEBP":
        raise Refused(Reason.DAMAGED, "not a WebP: it does not start with a RIFF header")
    place, end = _HEADER, _riff_end(data)
    if end > len(data) or end % 2:
        raise Refused(Reason.DAMAGED, "cut short, or its RIFF header gives a wrong size")
    number = 0
    while place < end:
        number += 1
        if number > _MOST:
            raise Refused(Reason.DAMAGED, "it has more chunks than any picture needs")
        start = place + 8
        chunk = Chunk(data[place : place + 4], start, start + int.from_bytes(data[place + 4 : start], "little"))
        place = chunk.end + chunk.end % 2
        if place > end:
            raise Refused(Reason.DAMAGED, f"cut short, or a chunk has a bad length at byte {start - 8}")
        yield chunk


def stored(data: bytes) -> int | None:
    """The orientation, exactly as found; None if there is none that can be read.

    Like libwebp, and so like viewers, this ignores an EXIF chunk that the VP8X header does not announce.
    """
    flags = 0
    try:
        for chunk in chunks(data):
            if chunk.name == b"VP8X":
                flags = data[chunk.start]
            elif chunk.name == b"EXIF" and flags & _EXIF_FLAG:
                return tiff_block.stored(data[tiff_block.start_within(data, chunk.start) : chunk.end])
    except Refused:
        pass
    return None


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that makes the file store `orientation` (1–8) in EXIF, and in XMP where that stores one.

    Raises:
        Refused: the file cannot be changed safely; the message says why.
    """
    found = _checked(data)
    digits = [digit for chunk in found if chunk.name in XMP_NAMES for digit in xmp.find_within(data, chunk.start, chunk.end)]
    xmp.check_agreement(stored(data), digits)
    exif = next((chunk for chunk in found if chunk.name == b"EXIF"), None)
    splices = _patched(data, exif, orientation) if exif else _added(data, found, orientation)
    growth = sum(len(splice.new) - len(splice.old) for splice in splices)
    if growth:
        splices.append(_riff_size(data, growth))
    return Patch(tuple(sorted(splices + xmp.patch(digits, orientation), key=lambda splice: splice.offset)))


def whole(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and its padding."""
    return name + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def _riff_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "little")


def _checked(data: bytes) -> list[Chunk]:
    """All chunks of a still picture whose parts are there once, and in the order that decoders insist on."""
    found = list(chunks(data))
    names = [chunk.name for chunk in found]
    if len([name for name in names if name in _BITSTREAMS]) > 1 or any(names.count(name) > 1 for name in (b"VP8X", b"ALPH")):
        raise Refused(Reason.DAMAGED, "it holds its picture, or the header of it, twice")
    if names.count(b"EXIF") > 1:
        raise Refused(Reason.BROKEN_METADATA, "two EXIF chunks")
    if names[:1] == [b"VP8X"]:
        _check_extended(data, found[0], names)
    elif not set(names[:1]) & set(_BITSTREAMS) or _ANNOUNCED & set(names[1:]):
        raise Refused(Reason.DAMAGED, "it has chunks that its header does not announce, or no picture")
    return found


def _check_extended(data: bytes, header: Chunk, names: list[bytes]) -> None:
    if header.end - header.start != 10:
        raise Refused(Reason.DAMAGED, "its VP8X header has a wrong length")
    if data[header.start] & _ANIMATION_FLAG or _ANIMATED & set(names):
        raise Refused(Reason.SEVERAL_PICTURES, "an animated WebP is no photo")
    if not set(names) & set(_BITSTREAMS):
        raise Refused(Reason.DAMAGED, "its picture is missing")
    if b"EXIF" in names and not data[header.start] & _EXIF_FLAG:
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE, "its header does not announce its EXIF chunk: viewers disagree about this photo"
        )


def _patched(data: bytes, chunk: Chunk, orientation: int) -> list[Splice]:
    splices = tiff_patch.patch_within(data, tiff_block.start_within(data, chunk.start), chunk.end, orientation)
    growth = sum(len(splice.new) - len(splice.old) for splice in splices)
    if not growth:
        return splices
    _check_growth(data)
    size = chunk.end - chunk.start
    *inside, tail = splices
    length = Splice(chunk.start - 4, data[chunk.start - 4 : chunk.start], (size + growth).to_bytes(4, "little"))
    padding = data[chunk.end : chunk.end + size % 2]
    return [length, *inside, Splice(tail.offset, padding, tail.new + bytes((size + growth) % 2))]


def _added(data: bytes, found: list[Chunk], orientation: int) -> list[Splice]:
    """A fresh EXIF chunk at the end, where metadata belongs, and what announces it."""
    _check_growth(data)
    header, end = found[0], _riff_end(data)
    fresh = Splice(end, b"", whole(b"EXIF", tiff_patch.fresh(orientation)))
    if header.name != b"VP8X":
        return [Splice(_HEADER, b"", whole(b"VP8X", _extended(data[header.start : header.end], header.name))), fresh]
    flags = data[header.start]
    announced = [] if flags & _EXIF_FLAG else [Splice(header.start, bytes([flags]), bytes([flags | _EXIF_FLAG]))]
    return [*announced, fresh]


def _extended(bitstream: bytes, name: bytes) -> bytes:
    """The body of a VP8X chunk that announces EXIF, for a bitstream that was alone (RFC 6386, 9.1; RFC 9649, 3.4)."""
    if name == b"VP8 " and bitstream[3:6] == b"\x9d\x01\x2a":
        sides = [int.from_bytes(bitstream[at : at + 2], "little") & 0x3FFF for at in (6, 8)]
        alpha = False
    elif name == b"VP8L" and bitstream[:1] == b"\x2f":
        bits = int.from_bytes(bitstream[1:5], "little")
        sides, alpha = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1], bool(bits >> 28 & 1)
    else:
        raise Refused(Reason.DAMAGED, "the header of its picture is broken")
    if not all(sides):
        raise Refused(Reason.DAMAGED, "the header of its picture gives no size")
    flags = _EXIF_FLAG | (_ALPHA_FLAG if alpha else 0)
    return bytes([flags, 0, 0, 0]) + b"".join((side - 1).to_bytes(3, "little") for side in sides)


def _check_growth(data: bytes) -> None:
    end = _riff_end(data)
    if max(data.find(b"AXS!", end), data.find(b"AXS*", end)) >= 0:
        raise Refused(Reason.CANNOT_GROW, "an AFCP trailer counts from the start of the file, so the file cannot grow")


def _riff_size(data: bytes, growth: int) -> Splice:
    size = int.from_bytes(data[4:8], "little") + growth
    if size > _LARGEST:
        raise Refused(Reason.CANNOT_GROW, "the file is full (4 GB)")
    return Splice(4, data[4:8], size.to_bytes(4, "little"))
