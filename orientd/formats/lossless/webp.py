"""A lossless WebP whose pixels are turned: a new bitstream between the metadata it had (RFC 9649, sections 2.7 and 3.4).

The metadata stays verbatim but for what it says of orientation and sides. A lossy picture would lose by being packed again, and
is refused, as is every chunk that is not known.
"""

from collections.abc import Callable
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import tiff_block, webp
from orientd.formats.lossless import exif as exif_turn
from orientd.formats.lossless import xmp
from orientd.formats.webp import Chunk
from orientd.reasons import Reason
from orientd.records import Patch, Splice

Turn = Callable[[bytes, int], bytes]

_KNOWN: Final = (b"VP8X", b"VP8L", b"ICCP", b"EXIF", *webp.XMP_NAMES)
_ALPHA: Final = 0x10


def plan(data: bytes, orientation: int, turn: Turn) -> Patch:
    """The patch that turns the pixels as `orientation` (1–8) says and makes the file store 1, if it stores any.

    `turn` does that to a whole lossless WebP without metadata, sample for sample.

    Raises:
        Refused: the picture is lossy, something in the file would not be turned with it, or is not known.
    """
    still = _still(data)
    width, height = _sides(data, still)
    upright = webp.plan(data, group.UPRIGHT)  # says no to everything the tag says no to
    marked = upright.apply(data) if webp.stored(data) is not None else data
    body = data[still.start : still.end]
    turned = turn(_alone(body), orientation)
    new = _still(turned)
    picture = bytearray(turned[new.start : new.end])
    picture[4] |= body[4] & _ALPHA  # whether it may be transparent: the encoder looks, the old file may have promised
    chunks = []
    for chunk in webp.chunks(marked):
        part = bytes(picture) if chunk.name == b"VP8L" else _body(marked, chunk, width, height, orientation)
        end = chunk.end + chunk.end % 2
        chunks.append(Splice(chunk.start - 8, data[chunk.start - 8 : end], webp.whole(chunk.name, part)))
    size = 4 + sum(len(splice.new) for splice in chunks)
    splices = [Splice(4, data[4:8], size.to_bytes(4, "little")), *chunks]
    return Patch(tuple(splice for splice in splices if splice.old != splice.new))


def others(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of each chunk that no turn changes."""
    return [(chunk.name, data[chunk.start : chunk.end]) for chunk in webp.chunks(data) if chunk.name == b"ICCP"]


def _still(data: bytes) -> Chunk:
    """The one picture, once every chunk is known to be one that stays true, or is made so."""
    end, found = 0, []
    for chunk in webp.chunks(data):
        end = chunk.end + chunk.end % 2
        if chunk.name in (b"VP8 ", b"ALPH"):
            raise Refused(Reason.NOT_LOSSLESS, "it is lossy, and would lose by being packed again")
        if chunk.name not in _KNOWN:
            raise Refused(
                Reason.NOT_LOSSLESS,
                f"it has a chunk that orientd does not know ({chunk.name.decode('ascii', 'backslashreplace')})",
            )
        found += [chunk] if chunk.name == b"VP8L" else []
    if len(found) != 1 or data[found[0].start : found[0].start + 1] != b"\x2f" or found[0].end - found[0].start < 5:
        raise Refused(Reason.DAMAGED, "its picture is missing or broken")
    if data[end:].strip(b"\0"):
        raise Refused(Reason.NOT_LOSSLESS, "there is more behind the picture")
    return found[0]


def _sides(data: bytes, still: Chunk) -> tuple[int, int]:
    bits = int.from_bytes(data[still.start + 1 : still.start + 5], "little")
    sides = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    for chunk in webp.chunks(data):
        if chunk.name == b"VP8X" and data[chunk.start + 4 : chunk.end] != b"".join(_less_one(side) for side in sides):
            raise Refused(Reason.DAMAGED, "its header gives another size than its picture")
    return sides


def _less_one(side: int) -> bytes:
    return (side - 1).to_bytes(3, "little")


def _alone(bitstream: bytes) -> bytes:
    body = b"WEBP" + webp.whole(b"VP8L", bitstream)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _body(data: bytes, chunk: Chunk, width: int, height: int, orientation: int) -> bytes:
    """What a chunk other than the picture holds then."""
    body = data[chunk.start : chunk.end]
    if chunk.name == b"EXIF":
        start = tiff_block.start_within(data, chunk.start) - chunk.start
        return body[:start] + exif_turn.turned(body[start:], orientation, width, height)
    if chunk.name in webp.XMP_NAMES:
        splices = sorted(xmp.patch(body, orientation), key=lambda splice: splice.offset)
        return Patch(tuple(splices)).apply(body)
    if chunk.name == b"VP8X" and group.swaps_sides(orientation):
        return body[:4] + body[7:10] + body[4:7]
    return body
