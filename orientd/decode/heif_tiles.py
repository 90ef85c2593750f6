"""A HEIF grid decoded tile by tile, each reduced at once, so that memory holds one tile and never the whole photo.

libheif has no reduced decoding, and a photo of 200 megapixels takes it 1.5 GiB. A grid (ISO/IEC 23008-12, section 6.6.2.3) is
many small coded pictures; each is wrapped here as a HEIF file of its own and given to the same decoder. Only plain grids are
taken: tiles alike in size, coding and colors, no alpha, nothing cropped. All else, and whatever fails, is left to the decoder of
whole photos, and so is every proof that a photo may be written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image

from orientd.decode.resize import Goal, Size
from orientd.formats import footprint, heif_items
from orientd.formats.heif_items import Catalogue
from orientd.formats.isobmff import Reader, inside

_OF_TILES: Final = frozenset({b"hvcC", b"ispe", b"colr", b"pixi", b"pasp"})
_OF_GRIDS: Final = frozenset({b"ispe", b"colr", b"pixi", b"pasp", b"irot", b"imir", b"clli", b"mdcv", b"cclv", b"amve"})
_TURNS: Final = (b"irot", b"imir")
_FULL_BOX: Final = 12
_FACTORS: Final = (32, 16, 8, 4, 2)
_MOST_TILES: Final = 4096


class _Unusual(Exception):
    """The photo is no plain grid."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """`tiles` are the coded pictures in rows from the top left; each is `side` (width, height) and has the `properties`."""

    size: tuple[int, int]
    columns: int
    tiles: tuple[int, ...]
    side: tuple[int, int]
    properties: tuple[bytes, ...]


def reduced(data: bytes, shown: Image.Image, goal: Goal, opener: Callable[[BytesIO], Image.Image]) -> Image.Image | None:
    """The photo as stored, before it is turned, in RGB and squeezed to the size that is the `goal` for the stored one.

    data: the whole file. shown: the same file as the decoder opened it, not loaded; it has checked the file. opener: opens a
    HEIF file of one tile. None if the photo is small, is no plain grid or would not be reduced, or a tile cannot be decoded.
    """
    if shown.mode != "RGB" or shown.width * shown.height < footprint.TILED_FROM:
        return None
    try:
        listed = heif_items.read(data)
        grid = _grid(listed)
        _check(sorted(grid.size) == sorted(shown.size))
        size = goal(*grid.size)
        factor = _factor(grid, size)
        _check(factor > 1)
        exact = (0, 0, grid.size[0] / factor, grid.size[1] / factor)
        return _pasted(listed, grid, factor, opener).resize(size, Image.Resampling.BILINEAR, exact)
    except MemoryError:
        raise
    except Exception:  # parsers of hostile bytes raise anything; the decoder of whole photos reports what is wrong
        return None


def _factor(grid: _Grid, size: Size) -> int:
    """By how much tiles can be reduced so that twice the `size` remains; 0 if not at all."""
    enough = min(stored // (2 * wanted) for stored, wanted in zip(grid.size, size, strict=True))
    return next((by for by in _FACTORS if by <= enough and not grid.side[0] % by and not grid.side[1] % by), 0)


def _pasted(listed: Catalogue, grid: _Grid, factor: int, opener: Callable[[BytesIO], Image.Image]) -> Image.Image:
    width, height = grid.size
    canvas = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for place, item in enumerate(grid.tiles):
        left, top = place % grid.columns * grid.side[0], place // grid.columns * grid.side[1]
        with opener(BytesIO(_file(listed.content(item).data, grid.properties))) as tile:
            tile.load()
            _check((tile.size, tile.mode) == (grid.side, "RGB"))
            box = (0, 0, min(grid.side[0], width - left), min(grid.side[1], height - top))
            if left < width and top < height:
                canvas.paste(tile.reduce(factor, box), (left // factor, top // factor))
    return canvas


def _grid(listed: Catalogue) -> _Grid:
    own, tiles = _properties(listed, listed.primary), _tiles(listed)
    _check(listed.items[listed.primary].kind == b"grid" and {kind for kind, _ in own} <= _OF_GRIDS)
    _check(all(len(box) == _FULL_BOX - 3 for kind, box in own if kind in _TURNS))
    size, rows, columns = _layout(listed.content(listed.primary).data)
    _check(len(tiles) == rows * columns <= _MOST_TILES and all(listed.items[tile].kind == b"hvc1" for tile in tiles))
    _check(len({tuple(one.number for one, _ in listed.properties_of(tile)) for tile in set(tiles)}) == 1)
    alike = _properties(listed, tiles[0])
    kinds = [kind for kind, _ in alike]
    _check(set(kinds) <= _OF_TILES and kinds.count(b"hvcC") == kinds.count(b"ispe") == 1)
    side = next(_sides(box) for kind, box in alike if kind == b"ispe")
    _check(columns * side[0] >= size[0] > 0 and rows * side[1] >= size[1] > 0)
    return _Grid(size, columns, tiles, side, _colored(own, alike))


def _colored(own: list[tuple[bytes, bytes]], alike: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The properties of a tile, with the colors of the photo, which hold for its tiles; those of the tiles must not differ.

    ICC profiles change nothing about how pixels are decoded.
    """
    photo, tile = ([box for kind, box in listed if kind == b"colr" and box[8:12] == b"nclx"] for listed in (own, alike))
    _check(photo == tile or not tile or not photo)
    return (*(box for kind, box in alike if kind != b"colr"), *(photo or tile))


def _properties(listed: Catalogue, item: int) -> list[tuple[bytes, bytes]]:
    """Kind and bytes of each property of an item."""
    return [(box.kind, listed.data[box.start : box.end]) for _, box in listed.properties_of(item)]


def _tiles(listed: Catalogue) -> tuple[int, ...]:
    """The items that the photo is made of, in their order."""
    data, found = listed.data, []
    for list_ in inside(data, listed.meta.body + 4, listed.meta.end):
        if list_.kind in (b"iinf", b"iref"):
            reader = Reader(data, list_.body, list_.end)
            width = 4 if reader.full_box()[0] else 2
            start = reader.place + width * (list_.kind == b"iinf")
            for box in inside(data, start, list_.end):
                _check(list_.kind == b"iref" or box.kind == b"infe")  # libheif passes over what has another name
                fields = Reader(data, box.body, box.end)
                if list_.kind == b"iref" and box.kind == b"dimg" and fields.value(width) == listed.primary:
                    found.append(tuple(fields.value(width) for _ in range(fields.value(2))))
    _check(len(found) == 1)
    return found[0]


def _layout(grid: bytes) -> tuple[tuple[int, int], int, int]:
    """Width and height in pixels, rows and columns."""
    reader = Reader(grid, 1, len(grid))
    wide = 4 if reader.value(1) & 1 else 2
    rows, columns = reader.value(1) + 1, reader.value(1) + 1
    return (reader.value(wide), reader.value(wide)), rows, columns


def _sides(ispe: bytes) -> tuple[int, int]:
    reader = Reader(ispe, _FULL_BOX, len(ispe))
    return reader.value(4), reader.value(4)


def _check(plain: bool) -> None:
    if not plain:
        raise _Unusual


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def _file(coded: bytes, properties: tuple[bytes, ...]) -> bytes:
    """A HEIF file of one item, number 1 (ISO/IEC 14496-12, section 8.11)."""
    ftyp = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    handler = _box(b"hdlr", bytes(8), b"pict", bytes(13))
    primary = _box(b"pitm", bytes(4), b"\0\1")
    item = _box(b"iinf", bytes(4), b"\0\1", _box(b"infe", b"\2\0\0\0\0\1\0\0hvc1\0"))
    essential = bytes(0x80 * (box[4:8] == b"hvcC") | place for place, box in enumerate(properties, 1))
    shared = _box(b"ipma", bytes(4), b"\0\0\0\1\0\1", len(properties).to_bytes(1, "big"), essential)
    listed = _box(b"iprp", _box(b"ipco", *properties), shared)

    def meta(start: int) -> bytes:
        place = _box(b"iloc", bytes(4), b"\x44\0\0\1\0\1\0\0\0\1", start.to_bytes(4, "big"), len(coded).to_bytes(4, "big"))
        return _box(b"meta", bytes(4), handler, primary, place, item, listed)

    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + _box(b"mdat", coded)
