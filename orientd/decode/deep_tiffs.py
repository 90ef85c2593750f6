"""TIFF pages whose samples have 16 bits, of which Pillow would keep 8 in colors: read, turned and packed in their full depth.

To libtiff a page of three samples a pixel is a gray one that is three times as wide.
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from orientd.decode import page_tags
from orientd.decode.page_changes import Box, Turn
from orientd.decode.page_pictures import cropped, turned
from orientd.decode.page_tags import Pieces, Tags, number, numbers
from orientd.errors import DecodeError
from orientd.formats.tiff_layout import SHORT, Order
from orientd.reasons import Reason

Samples = NDArray[np.uint16]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS = 256, 257, 258, 259, 262, 277, 278
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _FORMAT = 284, 317, 322, 323, 338, 339
_NOT_PACKED, _DEFLATE, _DIFFERENCES = 1, 8, 2
_KNOWN: Final = (_NOT_PACKED, 5, _DEFLATE, 32773, 32946)
_INKS: Final = 5
_STRIP: Final = 2**18  # bytes
_NOT_IN_FULL: Final = "its colors have more than 8 bits, packed so that a copy would lose some: turn it by hand if it needs it"


def samples(image: TiffImagePlugin.TiffImageFile) -> Samples | None:
    """Those of the page at which a TIFF is, as they are stored: (height, width, samples of a pixel); None if Pillow keeps them.

    Raises:
        DecodeError: Pillow would not keep them, and they are packed in another way.
    """
    tags = image.tag_v2
    each, bits = tags.get(_SAMPLES, 1), tags.get(_BITS, (1,))
    if max(bits) <= 8 or (each == 1 and set(bits) != {16}):
        return None
    known = set(bits) == {16} and {*tags.get(_FORMAT, (1,))} == {1} and tags.get(_COMPRESSION, 1) in _KNOWN
    pieces = page_tags.pieces(image)
    if not known or not pieces or (each > 1 and tags.get(_PLANAR, 1) != 1):
        if each == 1:
            return None
        raise DecodeError(Reason.UNSUPPORTED, _NOT_IN_FULL)
    flat = np.asarray(_as_gray(image, pieces, each)).astype(np.uint16)
    found = flat.reshape(tags[_HEIGHT], tags[_WIDTH], each)
    if tags.get(_PREDICTOR) == _DIFFERENCES:
        wide = tags.get(_TILE_WIDTH, tags[_WIDTH]) if pieces.tiled else tags[_WIDTH]
        for left in range(0, tags[_WIDTH], wide):
            part = found[:, left : left + wide]
            np.cumsum(part, axis=1, dtype=np.uint16, out=part)
    return found


def _as_gray(image: TiffImagePlugin.TiffImageFile, pieces: Pieces, each: int) -> Image.Image:
    tags, order = image.tag_v2, page_tags.order_of(image)
    said: dict[int, int] = {_WIDTH: tags[_WIDTH] * each, _HEIGHT: tags[_HEIGHT], _BITS: 16, _PHOTOMETRIC: 1, _SAMPLES: 1}
    said[_COMPRESSION] = tags.get(_COMPRESSION, 1)
    said |= {tag: tags[tag] for tag in (_ROWS, _TILE_HEIGHT) if tag in tags}
    said |= {tag: tags[tag] * each for tag in (_TILE_WIDTH,) if tag in tags}
    page_tags.Writer(held := BytesIO(), order).add({tag: number(order, value) for tag, value in said.items()}, pieces)
    held.seek(0)
    return TiffImagePlugin.TiffImageFile(held)


def changed(found: Samples, turn: Turn, box: Box, *, inks: bool) -> Samples:
    """Samples turned and cropped, each kind by itself; those of `inks` are the higher the darker."""
    levels = ~found if inks else found
    bands = [np.asarray(cropped(turned(Image.fromarray(levels[..., band]), turn), box)) for band in range(found.shape[2])]
    made = np.stack(bands, axis=-1)
    return ~made if inks else made


def is_inks(image: TiffImagePlugin.TiffImageFile) -> bool:
    """True of a page in CMYK, or one on which white is 0."""
    return image.tag_v2.get(_PHOTOMETRIC) in (0, _INKS)


def packed(found: Samples, order: Order, said: Tags) -> tuple[Tags, Pieces]:
    """What a TIFF says of samples, which are what `said` says of others; and these, packed if those were."""
    height, width, each = found.shape
    plain = said.get(_COMPRESSION) in (None, number(order, _NOT_PACKED, SHORT))
    rows = max(1, _STRIP // (2 * width * each))
    made: dict[int, Any] = {tag: said[tag] for tag in (_PHOTOMETRIC, _EXTRA) if tag in said}
    made |= {_WIDTH: number(order, width), _HEIGHT: number(order, height), _ROWS: number(order, rows)}
    made |= {_BITS: numbers(order, [16] * each, SHORT), _SAMPLES: number(order, each, SHORT)}
    made[_COMPRESSION] = number(order, _NOT_PACKED if plain else _DEFLATE, SHORT)
    if not plain:
        made[_PREDICTOR] = number(order, _DIFFERENCES, SHORT)
    return made, Pieces(_strips(found, rows, order, plain=plain))


def _strips(found: Samples, rows: int, order: Order, *, plain: bool) -> Iterator[bytes]:
    kind = "<u2" if order == "little" else ">u2"
    for top in range(0, len(found), rows):
        part = found[top : top + rows]
        if plain:
            yield part.astype(kind).tobytes()
        else:
            yield zlib.compress(np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1])).astype(kind).tobytes())
