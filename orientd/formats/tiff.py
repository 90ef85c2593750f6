"""TIFF files: the orientation in IFD0 and the patch that changes it (TIFF 6.0, sections 2 and 8, p. 36).

Everything in a TIFF is found by its offset from the start of the file, so nothing may move but a directory to the end. Many other
kinds of file are TIFFs inside (raw photos, maps, microscope stacks), so only what is known to be a single plain picture is
written.
"""

from typing import Final

from orientd.errors import Refused
from orientd.formats import tiff_block, xmp
from orientd.formats.tiff_block import Directory, TiffBlock
from orientd.items import Patch, Splice

_XMP: Final = 0x2BC
_KIND, _OLD_KIND, _COMPRESSION, _PHOTOMETRIC = 0xFE, 0xFF, 0x103, 0x106
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANAR = 0x100, 0x101, 0x102, 0x115, 0x11C
_ROWS, _TILE_WIDTH, _TILE_HEIGHT = 0x116, 0x142, 0x143
_STRUCTURE: Final = frozenset(
    {_KIND, _OLD_KIND, _COMPRESSION, _PHOTOMETRIC, _WIDTH, _HEIGHT, _BITS, _SAMPLES, _PLANAR, _ROWS, _TILE_WIDTH, _TILE_HEIGHT}
    | {*tiff_block.STRIPS, *tiff_block.TILES}
)
_REDUCED_OR_MASK: Final = 0xFFFFFFFF ^ 2
_COMPRESSIONS: Final = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, 50001})  # none, fax, LZW, JPEG, Deflate …
_PHOTOMETRICS: Final = frozenset({0, 1, 2, 3, 5, 6, 8})  # grey, RGB, palette, CMYK, YCbCr, Lab
_RAW: Final = "a raw file, which is never changed"
_MAP: Final = "a map (GeoTIFF), which a turn would misplace"
_REFUSED: Final = {
    0x014A: "it holds several pictures (SubIFDs)",
    0x0201: "it holds an old-style JPEG, which programs read in different ways",
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
        return tiff_block.stored(data)
    except Refused:
        return None


def plan(data: bytes, orientation: int) -> Patch:
    """The patch that makes the file store `orientation` (1–8) in IFD0, and in XMP where that stores one.

    Raises:
        Refused: the file cannot be changed safely; the message says why.
    """
    if data[:4] in (b"II+\0", b"MM\0+"):
        raise Refused("BigTIFF, the kind for files of more than 4 GB, cannot be written")
    block = TiffBlock(data)
    first, *others = block.chain()
    if others:
        raise Refused("it holds several pictures (pages)")
    _check_plain(block, first)
    packets = [block.value(entry) for entry in first.entries if entry.tag == _XMP]
    digits = [digit for start, end in packets for digit in xmp.find_within(data, start, end)]
    xmp.check_agreement(stored(data), digits)
    extents = _extents(block)
    in_directory = tiff_block.patch(data, orientation)
    in_packets = xmp.patch(digits, orientation)
    _check_unshared(in_directory, extents)
    _check_unshared(in_packets, _without(extents, packets))
    if any(len(splice.old) != len(splice.new) for splice in in_directory):
        _check_end(block, extents)
    return Patch(tuple(sorted(in_directory + in_packets, key=lambda splice: splice.offset)))


def _check_plain(block: TiffBlock, first: Directory) -> None:
    """A single whole picture, of a kind that photo programs write."""
    tags = [entry.tag for entry in first.entries if entry.tag != tiff_block.ORIENTATION]
    if len(tags) > len(set(tags)):
        raise Refused("broken TIFF: it has a tag twice")
    for tag, reason in _REFUSED.items():
        if tag in tags:
            raise Refused(reason)
    numbers = {entry.tag: block.numbers(entry) for entry in first.entries if entry.tag in _STRUCTURE}
    if _number(numbers, _KIND, 0) & _REDUCED_OR_MASK or _number(numbers, _OLD_KIND, 1) == 2:
        raise Refused("its picture is marked as a preview or mask of another one")
    compression, photometric = _number(numbers, _COMPRESSION, 1), _number(numbers, _PHOTOMETRIC, -1)
    if compression not in _COMPRESSIONS or photometric not in _PHOTOMETRICS:
        raise Refused(f"perhaps {_RAW}: it has the compression {compression}, the kind of pixels {photometric}")
    if not _says_where(numbers, compression == 1):
        raise Refused("it does not say where its picture starts and ends")


def _says_where(numbers: dict[int, list[int]], uncompressed: bool) -> bool:
    """True if the strips or tiles listed are all that a decoder reads: it ignores lengths that are too small, and reads on."""
    strips = tiff_block.STRIPS[0] in numbers
    starts, lengths = (numbers.get(tag, []) for tag in (tiff_block.STRIPS if strips else tiff_block.TILES))
    full_width, full_height, samples = _number(numbers, _WIDTH, 0), _number(numbers, _HEIGHT, 0), _number(numbers, _SAMPLES, 1)
    width = full_width if strips else _number(numbers, _TILE_WIDTH, 0)
    height = min(_number(numbers, _ROWS, full_height), full_height) if strips else _number(numbers, _TILE_HEIGHT, 0)
    if min(width, height, samples, *starts, *lengths) <= 0 or (strips and tiff_block.TILES[0] in numbers):
        return False
    planes = samples if _number(numbers, _PLANAR, 1) == 2 else 1
    rows = -(-full_height // height)
    if not len(starts) == len(lengths) == planes * rows * -(-full_width // width):
        return False
    stride = -(-width * _number(numbers, _BITS, 1) * (samples // planes) // 8)
    heights = (min(height, full_height - index % rows * height) if strips else height for index in range(len(lengths)))
    return not uncompressed or all(length >= stride * each for length, each in zip(lengths, heights, strict=True))


def _number(numbers: dict[int, list[int]], tag: int, default: int) -> int:
    return max(numbers.get(tag) or [default])


def _extents(block: TiffBlock) -> list[tuple[int, int]]:
    try:
        return block.extents()
    except Refused as error:
        raise Refused(f"cut short, or broken: {error}") from error


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
            raise Refused("broken TIFF: the orientation shares bytes with something else")


def _check_end(block: TiffBlock, extents: list[tuple[int, int]]) -> None:
    """The file ends where what it points at does: a trailer would not be found behind a directory added there."""
    end = max(*(directory.end + 4 for directory in block.every()), *(end for _, end in extents))
    if block.data[end:].strip(b"\0"):
        raise Refused("bytes at its end belong to nothing that it lists, so it cannot grow")
