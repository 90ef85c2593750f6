"""A PNG whose pixels are turned: every sample moved in its full depth, and packed again (PNG specification, third edition).

The picture is unpacked and packed here, as libraries round 16-bit colours to 8 bits and spread 2 bits over 8. All other chunks
stay verbatim and in order but for what they say of sides and orientation. A chunk that says more about places, or that must not
survive a change of the picture by the rule of section 5.4 (its name's last letter is upper-case), is looked for first.
"""

import re
import zlib
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import png, png_text, tiff_block
from orientd.formats.lossless import exif as exif_turn
from orientd.formats.lossless import png_filter, xmp
from orientd.formats.png import Chunk
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_PALETTE: Final = 3
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), _PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # colour type → bits
_CHANNELS: Final = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
_STAYS: Final = frozenset(  # in whatever way the picture changes, if its colours do not
    b"PLTE tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI mDCv cLLi bKGD hIST sPLT pCAL tIME iTXt tEXt zTXt IEND".split()
)
_TURNS: Final = frozenset({b"IHDR", b"IDAT", b"pHYs", b"eXIf"})
_PLACES: Final = {  # by the rule they might be kept
    b"oFFs": "a place on a page",
    b"caNv": "a place on a canvas",
    b"vpAg": "the size of a page",
    b"orNT": "an orientation of its own",
    b"npTc": "stretchable parts",
    b"skMf": "drawings upon it",
    b"skRf": "another picture",
}
_TEXT_IN_PIXELS: Final = re.compile(rb"(exif|tiff):.*(Orientation|Dimension|Width|Length|Height|Resolution|Subject)", re.DOTALL)
_MOST_BYTES: Final = 2**28
_MOST_PIXELS_A_SIDE: Final = 2**16


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int

    @property
    def unit(self) -> int:
        """Bytes of a pixel; 1 if it is smaller than that."""
        return max(1, _CHANNELS[self.colour] * self.depth // 8)

    @property
    def row(self) -> int:
        """Bytes of a row."""
        return -(-self.width * _CHANNELS[self.colour] * self.depth // 8)


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that turns the pixels as `orientation` (1–8) says and makes the file store 1, if it stores any.

    Raises:
        Refused: the picture cannot be unpacked, something in the file would not be turned with it, or is not known.
    """
    header = _checked(data)
    upright = png.plan(data, group.UPRIGHT)  # says no to everything the tag says no to
    marked = upright.apply(data) if png.stored(data) is not None else data
    pixels = group.apply(samples(data), orientation)
    splices, packed = [], png.whole(b"IDAT", _packed(pixels, header))
    for chunk in png.chunks(marked):
        start, end = chunk.start - 8, chunk.end + 4
        if chunk.name == b"IDAT":
            new, packed = packed, b""
        else:
            new = png.whole(chunk.name, _body(marked, chunk, header, orientation))
        if data[start:end] != new:
            splices.append(Splice(start, data[start:end], new))
    return Patch(tuple(splices))


def samples(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG, of shape (height, width, bytes of a pixel); one of less than a byte has a byte of its own.

    Raises:
        Refused: it is interlaced, damaged, or too large to be held in memory.
    """
    header = _header(data)
    lines = np.frombuffer(_inflated(data, header.height * (1 + header.row)), np.uint8).reshape(header.height, -1)
    rows = png_filter.undo(lines, header.unit)
    if header.depth >= 8:
        return rows
    shifts = np.arange(8 - header.depth, -1, -header.depth, dtype=np.uint8)
    split = (rows >> shifts) & np.uint8(2**header.depth - 1)
    return split.reshape(header.height, -1, 1)[:, : header.width]


def others(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of each chunk that no turn changes."""
    return [(chunk.name, data[chunk.start : chunk.end]) for chunk in png.chunks(data) if not _is_turned(data, chunk)]


def _checked(data: bytes) -> _Header:
    """What the first chunk says, once every chunk is known to be one that stays true, or is made so."""
    end, name = 0, b""
    for chunk in png.chunks(data):
        name, end = chunk.name, chunk.end + 4
        if name in _PLACES:
            raise Refused(Reason.NOT_LOSSLESS, f"it has a chunk ({_printable(name)}) that holds {_PLACES[name]}")
        safe = name.isalpha() and name[0] & ~name[2] & name[3] & 0x20  # ancillary, of this edition, safe to copy
        if name not in _STAYS | _TURNS and not safe:
            raise Refused(Reason.NOT_LOSSLESS, f"it has a chunk ({_printable(name)}) that may not be true of a turned picture")
        body = data[chunk.start : chunk.end]
        if name in png_text.TEXTS and (png_text.exif(name, body) or png_text.plain_exif(name, body) is not None):
            raise Refused(Reason.NOT_LOSSLESS, "its EXIF stands in an old text chunk")
        if name in png_text.TEXTS and _TEXT_IN_PIXELS.fullmatch(data[chunk.start : chunk.end].partition(b"\0")[0]):
            raise Refused(Reason.NOT_LOSSLESS, "a text in it states its orientation or its size")
    if name != b"IEND":
        raise Refused(Reason.NOT_LOSSLESS, "it has no end")
    if data[end:].strip(b"\0"):
        raise Refused(Reason.NOT_LOSSLESS, "there is more behind the picture")
    return _header(data)


def _printable(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")


def _header(data: bytes) -> _Header:
    first = next(png.chunks(data))
    body = data[first.start : first.end]
    if first.name != b"IHDR" or len(body) != 13:
        raise Refused(Reason.DAMAGED, "not a standard PNG: its header is broken")
    width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    depth, colour, compression, filters, interlace = body[8:]
    if depth not in _DEPTHS.get(colour, ()) or compression or filters or not width or not height:
        raise Refused(Reason.DAMAGED, "not a standard PNG: its header is broken")
    if interlace:
        raise Refused(Reason.NOT_LOSSLESS, "it is interlaced")
    header = _Header(width, height, depth, colour)
    if header.row * height > _MOST_BYTES or max(width, height) > _MOST_PIXELS_A_SIDE:
        raise Refused(Reason.NOT_LOSSLESS, "its picture is too large (more than 256 MB unpacked, or 65,536 pixels a side)")
    return header


def _inflated(data: bytes, size: int) -> bytes:
    packed = b"".join(data[chunk.start : chunk.end] for chunk in png.chunks(data) if chunk.name == b"IDAT")
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise Refused(Reason.DAMAGED, f"damaged: its picture cannot be unpacked ({error})") from error
    if len(unpacked) != size or not unpacker.eof or unpacker.unused_data:
        raise Refused(Reason.DAMAGED, "damaged: its picture has not the size that its header gives")
    return unpacked


def _packed(pixels: NDArray[np.uint8], header: _Header) -> bytes:
    if header.depth < 8 or header.colour == _PALETTE:
        return zlib.compress(png_filter.unfiltered(_joined(pixels, header.depth)).tobytes(), 9)
    packer = zlib.compressobj(6, strategy=zlib.Z_FILTERED)  # level 9 takes seven times as long and saves 3 %
    return packer.compress(png_filter.apply(pixels).data) + packer.flush()


def _joined(pixels: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """Pixels of less than a byte, side by side; what fills the last byte of a row is zero."""
    height, width = pixels.shape[:2]
    in_byte = 8 // depth
    filled = np.pad(pixels.reshape(height, width), ((0, 0), (0, -width % in_byte))).reshape(height, -1, in_byte)
    joined: NDArray[np.uint8] = np.bitwise_or.reduce(filled << np.arange(8 - depth, -1, -depth, dtype=np.uint8), axis=2)
    return joined


def _is_turned(data: bytes, chunk: Chunk) -> bool:
    return chunk.name in _TURNS or (chunk.name in png_text.TEXTS and bool(png.packet(data, chunk)[1]))


def _body(data: bytes, chunk: Chunk, header: _Header, orientation: int) -> bytes:
    """What a chunk other than IDAT holds then."""
    body = data[chunk.start : chunk.end]
    if chunk.name == b"eXIf":
        start = tiff_block.start_within(data, chunk.start) - chunk.start
        return body[:start] + exif_turn.turned(body[start:], orientation, header.width, header.height)
    if chunk.name in png_text.TEXTS:
        return _text(data, chunk, orientation)
    if group.swaps_sides(orientation) and chunk.name in (b"IHDR", b"pHYs"):
        return body[4:8] + body[:4] + body[8:]
    return body


def _text(data: bytes, chunk: Chunk, orientation: int) -> bytes:
    start, packet = png.packet(data, chunk)
    splices = sorted(xmp.patch(packet, orientation), key=lambda splice: splice.offset)
    if start is None and splices:
        raise Refused(Reason.NOT_LOSSLESS, "XMP holds width and height in compressed form")
    head = data[chunk.start : chunk.end if start is None else start]
    return head + (b"" if start is None else Patch(tuple(splices)).apply(packet))
