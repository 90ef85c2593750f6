"""Writes PNGs of every kind and depth, row by row and byte by byte, and reads them by pypng, which keeps every bit."""

import io
import zlib
from itertools import cycle
from typing import NamedTuple

import numpy as np
import png as pypng
from support.png_webp_tiff_files import png_chunk


class Kind(NamedTuple):
    colour: int
    depth: int

    @property
    def channels(self):
        return {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[self.colour]


KINDS = [Kind(0, depth) for depth in (1, 2, 4, 8, 16)] + [Kind(3, depth) for depth in (1, 2, 4, 8)]
KINDS += [Kind(colour, depth) for colour in (2, 4, 6) for depth in (8, 16)]


def drawn(kind, width, height, seed=0):
    """Samples of shape (height, width, channels): half noise, half ramps, so that no filter is best everywhere."""
    random = np.random.default_rng(seed)
    most = 2**kind.depth
    y, x, channel = np.mgrid[0:height, 0:width, 0 : kind.channels]
    ramps = (x * 7 + y * 3 + channel * 11) * max(1, most // 64)
    noise = random.integers(0, most, ramps.shape)
    return np.where(random.random(height)[:, None, None] < 0.5, noise, ramps) % most


def encoded(values, kind, filters=(0, 1, 2, 3, 4), before=(), after=(), interlaced=0, trailer=b""):
    """A PNG of these samples; `filters` take turns from row to row, `before` and `after` are whole chunks about the picture."""
    height, width, _ = values.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([kind.depth, kind.colour, 0, 0, interlaced])
    palette = [png_chunk(b"PLTE", bytes(range(3))[::-1] * 2**kind.depth)] if kind.colour == 3 else []
    packed = zlib.compress(_filtered([_row(row, kind) for row in values], kind, filters))
    half = len(packed) // 2
    pictures = [png_chunk(b"IDAT", packed[:half]), png_chunk(b"IDAT", packed[half:])]
    chunks = [png_chunk(b"IHDR", header), *palette, *before, *pictures, *after, png_chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + trailer


def decoded(data):
    """The samples, of shape (height, width, channels), the transparency of a palette or a colour left aside."""
    width, height, rows, about = pypng.Reader(file=io.BytesIO(data)).read()
    return np.array([list(row) for row in rows]).reshape(height, width, about["planes"])


def _row(values, kind):
    if kind.depth == 16:
        return values.astype(">u2").tobytes()
    if kind.depth == 8:
        return values.astype(np.uint8).tobytes()
    bits = "".join(f"{value:0{kind.depth}b}" for value in values.ravel())
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def _filtered(rows, kind, filters):
    unit = max(1, kind.channels * kind.depth // 8)
    out, above = bytearray(), bytes(len(rows[0]))
    for row, filter_ in zip(rows, cycle(filters), strict=False):
        out.append(filter_)
        for at, value in enumerate(row):
            left, up, corner = (row[at - unit], above[at], above[at - unit]) if at >= unit else (0, above[at], 0)
            out.append((value - _guess(filter_, left, up, corner)) % 256)
        above = row
    return bytes(out)


def _guess(filter_, left, up, corner):
    if filter_ < 4:
        return (0, left, up, (left + up) // 2)[filter_]
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))
