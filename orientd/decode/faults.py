"""What is said of a photo that did not decode: that it is damaged only where that is certain, else of which kind it is.

A library that gives up seldom says whether the file is at fault or the library. So the words of its error count for what is known
to mean either, and of a TIFF its own tags, which state how its pixels are stored (TIFF 6.0, section 8).
"""

import re
from collections.abc import Sequence
from typing import Final

from orientd.errors import Refused
from orientd.formats.tiff_block import STRIPS, TILES, of_file
from orientd.formats.tiff_layout import BIG_HEADERS, HEADERS
from orientd.reasons import Reason
from orientd.records import Format

_DAMAGED: Final = re.compile(
    r"truncat|cut short|broken PNG|checksum|corrupt|premature|end of data segment|unrecognized data stream|not enough|"
    r"(missing|invalid) dimensions|cannot handle \d+-bit layers",
    re.IGNORECASE,
)
_UNSUPPORTED: Final = re.compile(
    r"unsupported|not supported|unknown (pixel|raw) mode|unable to determine .* mode|no codec available|decoding plugin",
    re.IGNORECASE,
)
_TOO_LARGE: Final = "decompression bomb"
_TIFF_HEADERS: Final = (*HEADERS, *BIG_HEADERS)
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT = 0x102, 0x103, 0x106, 0x115, 0x153
_WANTED: Final = (_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT, *STRIPS, *TILES)
_YCBCR, _JPEG, _OLD_JPEG = 6, 7, 6
_NUMBERS: Final = {2: "signed", 3: "floating point", 5: "complex", 6: "complex"}
_COLORS: Final = {
    0: "gray",
    1: "gray",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "CMYK",
    _YCBCR: "YCbCr",
    8: "Lab",
    9: "Lab",
    10: "Lab",
}
_COLORS_OF_CAMERAS: Final = {32803: "color filter array", 32844: "LogL", 32845: "LogLuv", 34892: "linear raw"}
_COMPRESSIONS: Final = {
    1: "not compressed",
    2: "fax",
    3: "fax",
    4: "fax",
    5: "LZW",
    _OLD_JPEG: "old-style JPEG",
    _JPEG: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32809: "ThunderScan",
    32946: "Deflate",
    34676: "SGILog",
    34677: "SGILog24",
    34712: "JPEG 2000",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
_SURE: Final = frozenset({1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 34925, 50000})  # compressions that libtiff is built with

_Tags = dict[int, list[int]]


Explanation = tuple[Reason, str]


def reason(kind: Format, data: bytes, error: Exception) -> Explanation:
    """Why a photo was not decoded, and what to do about it, as a library failed on `data` with `error`."""
    name = kind.name.replace("_", " ").replace("JPEG2000", "JPEG 2000")
    detail = " ".join(str(error).split()) or type(error).__name__
    tags = _tags(data) if kind is Format.TIFF and data.startswith(_TIFF_HEADERS) else {}
    if tags is None:
        return _damaged(name, "its directory is broken")
    if _TOO_LARGE in detail:
        return Reason.TOO_LARGE, f"it is too large to be decoded ({detail})"
    if kind is Format.PNG and data[12:16] == b"CgBI":
        return _unsupported(name, "CgBI, which Apple's tools make for apps")
    if tags:
        return _tiff(tags, len(data), detail)
    if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(detail):
        return _unsupported(name, detail)
    if kind is Format.WEBP or _DAMAGED.search(detail):  # libwebp reads every WebP that is whole
        return _damaged(name, detail)
    return _unclear(name, detail)


def _unclear(name: str, detail: str) -> Explanation:
    why = f"its {name} data cannot be decoded ({detail}): if other programs do not show it either, compare it with a backup"
    return Reason.UNDECODABLE, why


def _damaged(name: str, detail: str) -> Explanation:
    return Reason.DAMAGED, f"its {name} data is damaged ({detail}): compare it with a backup"


def _unsupported(name: str, what: str) -> Explanation:
    return Reason.UNSUPPORTED, f"this kind of {name} is not supported ({what}): turn it by hand if it needs it"


def _tiff(tags: _Tags, size: int, detail: str) -> Explanation:
    """Nothing of a TIFF is missing if all that it points at is there; what is missing inside, libtiff calls a decoder error."""
    for starts, lengths in (STRIPS, TILES):
        pairs = zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False)
        if any(start + length > size for start, length in pairs):
            return _damaged("TIFF", "it is cut short")
    if re.search("truncat", detail) and _is_plain(tags):
        return _unclear("TIFF", detail)
    of_a_sure_kind = not _UNSUPPORTED.search(detail) and _first(tags, _COMPRESSION, 1) in _SURE and _is_plain(tags)
    if of_a_sure_kind or re.search("dimensions", detail):
        return _damaged("TIFF", detail)
    return _unsupported("TIFF", _stored_how(tags))


def _is_plain(tags: _Tags) -> bool:
    """True if Pillow and libtiff read all TIFFs of this kind that are whole."""
    bits, ycbcr = max(tags.get(_BITS) or [1]), _first(tags, _PHOTOMETRIC, -1) == _YCBCR
    jpeg = _first(tags, _COMPRESSION, 1) == _JPEG
    return (
        bits <= (8 if jpeg else 16)
        and ycbcr <= jpeg
        and _first(tags, _FORMAT, 1) == 1
        and _first(tags, _PHOTOMETRIC, -1) in _COLORS
    )


def _stored_how(tags: _Tags) -> str:
    """How the pixels of a TIFF are stored, in words."""
    photometric, compression = _first(tags, _PHOTOMETRIC, -1), _first(tags, _COMPRESSION, 1)
    colors = (_COLORS | _COLORS_OF_CAMERAS).get(
        photometric, "no color space" if photometric < 0 else f"color space {photometric}"
    )
    bits = "/".join(map(str, sorted(set(tags.get(_BITS) or [1])))) + " bits"
    number = _NUMBERS.get(_first(tags, _FORMAT, 1), "")
    samples = f"{_first(tags, _SAMPLES, 1)} channels"
    return ", ".join(filter(None, [colors, samples, bits, number, _COMPRESSIONS.get(compression, f"compression {compression}")]))


def _first(tags: _Tags, tag: int, default: int) -> int:
    values: Sequence[int] = tags.get(tag) or [default]
    return values[0]


def _tags(data: bytes) -> _Tags | None:
    """The numbers in the first directory of a TIFF that state how its pixels are stored; None if it is broken."""
    try:
        block = of_file(data)
        return {entry.tag: block.numbers(entry) for entry in block.first().entries if entry.tag in _WANTED}
    except Refused:
        return None
