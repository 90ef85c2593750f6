"""The format of a file, known from its first bytes and never from its name."""

from typing import Final

from orientd.errors import Refused
from orientd.formats import jpeg, mpf
from orientd.formats.jpeg_markers import APP2
from orientd.formats.tiff_block import of_file
from orientd.formats.tiff_layout import HEADERS
from orientd.records import Format

_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Format.JPEG2000),
    (b"\xff\x4f\xff\x51", Format.JPEG2000),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format.JPEG_XL),
    (b"\xff\x0a", Format.JPEG_XL),
    (b"IIU\0", Format.RAW),  # RW2, Panasonic and Leica
    (b"IIRO", Format.RAW),  # ORF, Olympus
    (b"IIRS", Format.RAW),
    (b"MMOR", Format.RAW),
    (b"II\x1a\0\0\0HEAPCCDR", Format.RAW),  # CRW, Canon
    (b"FUJIFILMCCD-RAW", Format.RAW),  # RAF
    (b"FOVb", Format.RAW),  # X3F, Sigma
    (b"\0MRM", Format.RAW),  # MRW, Minolta
)
_TIFF_STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIF: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"})

_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC, _MAKE, _SUB_IFDS, _DNG_VERSION = 0xFE, 0x103, 0x106, 0x10F, 0x14A, 0xC612
_RAW_COMPRESSIONS: Final = frozenset({32767, 32769, 32770, 34713, 65000, 65535})  # ARW, SRW, NEF, DCR and KDC, PEF
_RAW_PHOTOMETRICS: Final = frozenset({32803, 34892})  # colour filter array, linear raw


def sniff(head: bytes) -> Format:
    """The format of a file that starts with `head`: 64 bytes suffice, but raw files that are TIFFs need 4096.

    MPO is a JPEG whose multi-picture index lists panorama, stereo or multi-angle frames. It is recognized only if `head` reaches
    that index, so give the whole file to be sure; a JPEG with a preview or a gain map behind the picture is still a JPEG.
    """
    for start, format_ in _STARTS:
        if head.startswith(start):
            return format_
    if head.startswith(b"\xff\xd8\xff"):
        return Format.MPO if _is_mpo(head) else Format.JPEG
    if head.startswith(_TIFF_STARTS):
        return Format.RAW if _is_raw(head) else Format.TIFF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Format.WEBP
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format.BMP
    return _by_brand(head) if head[4:8] == b"ftyp" else Format.UNKNOWN


def _by_brand(head: bytes) -> Format:
    """ISO base media files name what they hold: the major brand first, then the ones they are compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major, compatible = head[8:12], {head[at : at + 4] for at in range(16, end - 3, 4)}
    if major == b"crx ":
        return Format.RAW
    if major in _AVIF or (compatible & _AVIF and major in (b"mif1", b"msf1", b"mif2")):
        return Format.AVIF
    return Format.HEIF if major in _HEIF or compatible & _HEIF else Format.UNKNOWN


def _is_mpo(head: bytes) -> bool:
    try:
        for segment in jpeg.segments(head):
            if segment.marker == APP2 and head.startswith(mpf.SIGNATURE, segment.start):
                return mpf.is_multi_frame(head[segment.start : segment.end])
    except Refused:
        pass
    return False


def _is_raw(head: bytes) -> bool:
    """CR2 and IIQ sign their header. In DNG, NEF, ARW, PEF and their kin IFD0 is sensor data, or a preview with SubIFDs."""
    if head[:4] in HEADERS and (head[8:10] == b"CR" or head[8:12] in (b"IIII", b"MMMM")):
        return True
    try:
        block = of_file(head)
        found = {entry.tag: entry for entry in block.first().entries}
        wanted = (_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC)
        kind, compression, photometric = (sum(block.numbers(found[tag])[:1]) if tag in found else 0 for tag in wanted)
    except Refused:
        return False
    preview = bool(kind & 1) and _MAKE in found and _SUB_IFDS in found
    return _DNG_VERSION in found or preview or compression in _RAW_COMPRESSIONS or photometric in _RAW_PHOTOMETRICS
