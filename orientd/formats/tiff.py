"""TIFF files: the orientation in IFD0 and the patch that changes it (TIFF 6.0, sections 2 and 8, p. 36).

Everything in a TIFF is found by its offset from the start of the file, so nothing may move but a directory to the end. Many other
kinds of file are TIFFs inside (raw photos, maps, microscope stacks), so only what is known to be a single plain picture is
written. Further pages that are marked as reduced copies of it, previews and pyramids, are turned with it.
"""

from contextlib import suppress
from typing import Final

from orientd import orientation as group
from orientd.errors import Refused
from orientd.formats import tiff_block, tiff_patch, xmp
from orientd.formats.tiff_block import TiffBlock
from orientd.formats.tiff_layout import Directory, Field
from orientd.reasons import Reason
from orientd.records import Patch, Splice

_XMP: Final = 0x2BC
_KIND, _OLD_KIND, _COMPRESSION, _PHOTOMETRIC = 0xFE, 0xFF, 0x103, 0x106
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANAR = 0x100, 0x101, 0x102, 0x115, 0x11C
_ROWS, _TILE_WIDTH, _TILE_HEIGHT = 0x116, 0x142, 0x143
_STRUCTURE: Final = frozenset(
    {_KIND, _OLD_KIND, _COMPRESSION, _PHOTOMETRIC, _WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANAR, _ROWS, _TILE_WIDTH, _TILE_HEIGHT}
    | {*tiff_block.STRIPS, *tiff_block.TILES}
)
_REDUCED_OR_MASK: Final = 0xFFFFFFFF ^ 2
_OLD_JPEG: Final = 6
_OLD_JPEG_START: Final = 0x0201
_COMPRESSIONS: Final = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, 50001})  # none, fax, LZW, JPEG, Deflate …
_PHOTOMETRICS: Final = frozenset({0, 1, 2, 3, 5, 6, 8})  # grey, RGB, palette, CMYK, YCbCr, Lab
_RAW: Final = (Reason.RAW_FILE, "a raw file, which is never changed")
_MAP: Final = (Reason.NOT_TO_BE_TURNED, "a map (GeoTIFF), which a turn would misplace")
_OLD_STYLE: Final = (Reason.UNUSUAL, "it holds an old-style JPEG, which programs read in different ways")
_REFUSED: Final = {
    0x014A: (Reason.SEVERAL_PICTURES, "it holds several pictures (SubIFDs)"),
    0x828D: _RAW,  # CFARepeatPatternDim
    0x828E: _RAW,  # CFAPattern
    0x8606: _RAW,  # Leaf
    0x9216: _RAW,  # TIFF/EP
    0xC612: _RAW,  # DNGVersion
    0x830E: _MAP,
    0x8482: _MAP,
    0x85D8: _MAP,
    0x87AF: _MAP,
}


def stored(data: bytes) -> int | None:
    """The orientation of the first image, exactly as found; None if there is none that can be read."""
    try:
        return tiff_block.stored_in(tiff_block.of_file(data))
    except Refused:
        return None


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that makes the file store `orientation` (1–8) in IFD0, and in XMP where that stores one.

    Raises:
        Refused: the file cannot be changed safely; the message says why.
    """
    first, *copies = tiff_block.of_file(data).chain()
    block = tiff_block.of_file(data, lenient=True)
    _check_plain(block, first)
    for copy in copies:
        _check_copy(block, first, copy)
    pages = [first, *(copy for copy in copies if orientation != _shown(block, copy) == _shown(block, first))]
    packets = {page: [block.value(entry) for entry in page.entries if entry.tag == _XMP] for page in pages}
    digits = {page: [digit for start, end in packets[page] for digit in xmp.find_within(data, start, end)] for page in pages}
    for page in pages:
        xmp.check_agreement(_stored(block, page), digits[page])
    extents = _extents(block, [first, *copies], in_place=all(map(block.orientations, pages)))
    in_directories = _turned(block, [first, *copies], pages, orientation)
    in_packets = [splice for page in pages for splice in xmp.patch(digits[page], orientation)]
    _check_unshared(in_directories, extents)
    _check_unshared(in_packets, _without(extents, [packet for page in pages for packet in packets[page]]))
    if any(len(splice.old) != len(splice.new) for splice in in_directories):
        growth = sum(len(splice.new) - len(splice.old) for splice in in_directories)
        _check_growth(block, [first, *copies], extents, len(data) + growth)
    return Patch(tuple(sorted(in_directories + in_packets, key=lambda splice: splice.offset)))


def _stored(block: TiffBlock, page: Directory) -> int | None:
    fields = block.orientations(page)
    if len({group.normalise(field.value) for field in fields}) > 1:
        raise Refused(
            Reason.ORIENTATIONS_DISAGREE, f"EXIF stores several orientations: {', '.join(str(field.value) for field in fields)}"
        )
    return fields[0].value if fields else None


def _shown(block: TiffBlock, page: Directory) -> int:
    return group.normalise(_stored(block, page))


def _turned(block: TiffBlock, chain: list[Directory], pages: list[Directory], orientation: int) -> list[Splice]:
    """The splices that make each of `pages`, all in the `chain`, store `orientation`: in place, or with its directory at the end.

    What leads to a directory that moves must lead to its new place: the header, or the directory before it, which may move too.
    """
    data, splices, tail, moved = block.data, [], b"", 0
    for page in reversed(chain):
        fields = block.orientations(page)
        if page in pages and not fields:
            tail += block.gap(len(tail))
            start = len(data) + len(tail)
            tail += tiff_patch.added(block, page, orientation, moved or page.next)
            moved = start
            continue
        if moved:
            splices.append(_pointed(block, page.end, moved))
        moved = 0
        if page in pages:
            splices += [_overwritten(block, field, orientation) for field in fields]
    if moved:
        splices.append(_pointed(block, block.layout.offset, moved))
    splices.append(Splice(len(data), b"", tail))
    return [splice for splice in splices if splice.old != splice.new]


def _pointed(block: TiffBlock, place: int, to: int) -> Splice:
    """The offset at `place` made to lead elsewhere."""
    width = block.layout.offset
    return Splice(place, block.data[place : place + width], to.to_bytes(width, block.order))


def _overwritten(block: TiffBlock, field: Field, orientation: int) -> Splice:
    end = field.offset + field.size
    return Splice(field.offset, block.data[field.offset : end], orientation.to_bytes(field.size, block.order))


def _check_copy(block: TiffBlock, first: Directory, copy: Directory) -> None:
    """A page that is marked as a reduced copy of the first, and has its proportions."""
    numbers = _structure(block, copy)
    kind = _number(numbers, _KIND, 1 if _OLD_KIND in numbers else 0)
    if kind & _REDUCED_OR_MASK != 1 or _number(numbers, _OLD_KIND, 2) != 2:
        raise Refused(Reason.SEVERAL_PICTURES, "it holds several pictures (pages)")
    _check_picture(block, copy)
    full = _structure(block, first)
    width, height = (_number(full, side, 0) for side in (_WIDTH, _HEIGHT))
    less_width, less_height = (_number(numbers, side, 0) for side in (_WIDTH, _HEIGHT))
    if less_width > width or less_height > height or abs(less_width * height - less_height * width) > width + height:
        raise Refused(
            Reason.SEVERAL_PICTURES, "a further page is marked as a reduced copy and has other proportions than the picture"
        )


def _check_plain(block: TiffBlock, first: Directory) -> None:
    """A single whole picture, of a kind that photo programs write."""
    _check_picture(block, first)
    numbers = _structure(block, first)
    if _number(numbers, _KIND, 0) & _REDUCED_OR_MASK or _number(numbers, _OLD_KIND, 1) == 2:
        raise Refused(Reason.SEVERAL_PICTURES, "its picture is marked as a preview or mask of another one")


def _check_picture(block: TiffBlock, page: Directory) -> None:
    tags = [entry.tag for entry in page.entries if entry.tag != tiff_block.ORIENTATION]
    if len(tags) > len(set(tags)):
        raise Refused(Reason.DAMAGED, "broken TIFF: it has a tag twice")
    numbers = _structure(block, page)
    compression, photometric = _number(numbers, _COMPRESSION, 1), _number(numbers, _PHOTOMETRIC, -1)
    for tag, refused in _REFUSED.items():
        if tag in tags:
            raise Refused(*refused)
    if compression == _OLD_JPEG:
        raise Refused(*_OLD_STYLE)
    if compression not in _COMPRESSIONS or photometric not in _PHOTOMETRICS:
        raise Refused(
            Reason.RAW_FILE, f"perhaps {_RAW[1]}: it has the compression {compression}, the kind of pixels {photometric}"
        )
    if not _says_where(numbers, compression == 1):
        raise Refused(Reason.UNUSUAL, "it does not say where its picture starts and ends")


def _structure(block: TiffBlock, page: Directory) -> dict[int, list[int]]:
    return {entry.tag: block.numbers(entry) for entry in page.entries if entry.tag in _STRUCTURE}


def _says_where(numbers: dict[int, list[int]], uncompressed: bool) -> bool:
    """True if the strips or tiles listed are all that a decoder reads: it ignores lengths that are too small, and reads on."""
    listed = tiff_block.STRIPS if tiff_block.STRIPS[0] in numbers else tiff_block.TILES
    strips = listed is tiff_block.STRIPS and _TILE_WIDTH not in numbers  # libtiff takes tiles in the tags of strips, too
    starts, lengths = (numbers.get(tag, []) for tag in listed)
    full_width, full_height, samples = _number(numbers, _WIDTH, 0), _number(numbers, _HEIGHT, 0), _number(numbers, _SAMPLES, 1)
    width = full_width if strips else _number(numbers, _TILE_WIDTH, 0)
    height = min(_number(numbers, _ROWS, full_height), full_height) if strips else _number(numbers, _TILE_HEIGHT, 0)
    if min(width, height, samples, *starts, *lengths) <= 0 or {tiff_block.STRIPS[0], tiff_block.TILES[0]} <= set(numbers):
        return False
    planes = samples if _number(numbers, _PLANAR, 1) == 2 else 1
    rows = -(-full_height // height)
    needed = planes * rows * -(-full_width // width)
    if len(starts) != len(lengths) or len(starts) < needed or (strips and len(starts) > needed):  # of tiles some list too many
        return False
    stride = -(-width * _number(numbers, _BITS, 1) * (samples // planes) // 8)
    heights = (min(height, full_height - index % rows * height) if strips else height for index in range(len(lengths)))
    return not uncompressed or all(length >= stride * each for length, each in zip(lengths, heights, strict=True))


def _number(numbers: dict[int, list[int]], tag: int, default: int) -> int:
    return max(numbers.get(tag) or [default])


def _extents(block: TiffBlock, chain: list[Directory], *, in_place: bool) -> list[tuple[int, int]]:
    """The (start, end) of all bytes that must not change; `in_place`, where no byte moves, damage outside the pictures is
    ignored."""
    if in_place:
        with suppress(Refused):
            return tiff_block.of_file(block.data).extents()
    try:
        return [*block.parts(), *(piece for page in chain for piece in block.pixels(page))] if in_place else block.extents()
    except Refused as error:
        raise Refused(Reason.DAMAGED, f"cut short, or broken: {error}") from error


def _without(extents: list[tuple[int, int]], packets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    left = list(extents)
    for packet in packets:
        if packet in left:
            left.remove(packet)
    return left


def _check_unshared(splices: list[Splice], extents: list[tuple[int, int]]) -> None:
    """No byte that is to change is part of a picture, or of the value of another tag."""
    for splice in splices:
        if any(start < splice.offset + len(splice.old) and splice.offset < end for start, end in extents):
            raise Refused(Reason.DAMAGED, "broken TIFF: the orientation shares bytes with something else")


def _check_growth(block: TiffBlock, chain: list[Directory], extents: list[tuple[int, int]], size: int) -> None:
    """Check that a directory can be added at the end of the file, so that it has `size` bytes.

    Nothing may follow what the file points at: a trailer would not be found behind an added directory. A directory that the file
    places beyond its end must not become readable by the growth. And no tag of an old-style JPEG may be left, by which some
    programs would look for the picture.
    """
    if any(entry.tag == _OLD_JPEG_START for page in chain for entry in page.entries):
        raise Refused(*_OLD_STYLE)
    end = max(*(directory.end + block.layout.offset for directory in block.every()), *(end for _, end in extents))
    if block.strays and min(block.strays) < size:
        raise Refused(Reason.BROKEN_METADATA, "it names a directory just behind its end, where it would have to grow")
    if block.data[end:].strip(b"\0"):
        raise Refused(Reason.CANNOT_GROW, "bytes at its end belong to nothing that it lists, so it cannot grow")
