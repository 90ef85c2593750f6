"""Whether the picture of a PNG is complete, checked by unpacking it (PNG specification, third edition, 7.2, 8.1 and 10)."""

import zlib
from collections.abc import Iterable
from typing import Final

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples of a pixel
_DEPTHS: Final = (1, 2, 4, 8, 16)
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced picture: the first column and row, and how far apart these are."""

_AT_ONCE: Final = 2**20


def is_whole(header: bytes, pieces: Iterable[bytes]) -> bool:
    """True if the IDAT chunks with these bodies hold exactly the rows that the body of IHDR announces."""
    size = _unpacked_size(header)
    unpacker, found = zlib.decompressobj(), 0
    try:
        for piece in pieces:
            while piece and found <= size:
                found += len(unpacker.decompress(piece, _AT_ONCE))
                piece = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof and not unpacker.unused_data and 0 < size == found


def _unpacked_size(header: bytes) -> int:
    """Bytes of all rows, each with its filter; 0 if the header is broken."""
    if len(header) != 13:
        return 0
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    depth, colour, compression, filters, interlace = header[8:]
    if colour not in _CHANNELS or depth not in _DEPTHS or compression or filters or interlace > 1:
        return 0
    bits, size = _CHANNELS[colour] * depth, 0
    for first_column, first_row, across, down in _PASSES if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - first_column) // across), -(-(height - first_row) // down)
        size += rows * (1 + -(-columns * bits // 8)) if min(columns, rows) > 0 else 0
    return size
