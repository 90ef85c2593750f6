"""Content credentials: whether the content of a file is signed (C2PA technical specification 2.2, section 11 and appendix A).

The manifest with the signature is in the file, or elsewhere under the link that XMP holds as `dcterms:provenance`. Its hash
covers the metadata of the photo too, so any change to the file breaks it. Signatures are looked for, never verified.
"""

from collections.abc import Callable, Iterator
from typing import Final

from orientd.errors import Refused
from orientd.formats import heif_items, jpeg, png, webp, xmp
from orientd.formats.heif_items import Catalogue
from orientd.formats.jpeg_markers import APP1, APP11
from orientd.formats.tiff_block import of_file
from orientd.records import Format

REASON: Final = (
    "signed with content credentials (C2PA), which any change would break: have a sidecar written instead (--sidecar write)"
)
_JUMBF_HEAD: Final = 64  # bytes of a segment in which the first box says what it is
_TIFF_XMP, _TIFF_MANIFEST = 0x02BC, 0xCD41
_MANIFEST_BOX: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_BOX: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def is_signed(format: Format, data: bytes) -> bool:  # noqa: A002
    """True if a file, or the first part of one, holds a manifest, or XMP that links to one.

    False for formats that are never written anyway, and for what cannot be read.
    """
    try:
        return format in _FINDERS and any(_FINDERS[format](data))
    except Refused:
        return False


def is_listed(listed: Catalogue) -> bool:
    """True if a HEIF or AVIF lists a manifest, or XMP that links to one."""
    try:
        return any(_listed(listed))
    except Refused:
        return False


def _jpeg(data: bytes) -> Iterator[bool]:
    for segment in jpeg.segments(data, lenient=True):
        payload = data[segment.start : segment.end]
        if segment.marker == APP11:
            yield payload.startswith(b"JP") and b"c2pa" in payload[:_JUMBF_HEAD]
        elif segment.marker == APP1 and payload.startswith(jpeg.XMP):
            yield xmp.links_manifest(payload[len(jpeg.XMP) :])


def _png(data: bytes) -> Iterator[bool]:
    for chunk in png.chunks(data):
        yield chunk.name == b"caBX"
        for text in png.texts(data, [chunk]):
            yield xmp.links_manifest(_packet(data, text))


def _packet(data: bytes, chunk: png.Chunk) -> bytes:
    try:
        return png.packet(data, chunk)[1]
    except Refused:
        return b""


def _webp(data: bytes) -> Iterator[bool]:
    for chunk in webp.chunks(data):
        yield chunk.name == b"C2PA"
        yield chunk.name in webp.XMP_NAMES and xmp.links_manifest(data[chunk.start : chunk.end])


def _tiff(data: bytes) -> Iterator[bool]:
    block = of_file(data)
    for entry in block.first().entries:
        yield entry.tag == _TIFF_MANIFEST
        if entry.tag == _TIFF_XMP:
            start, end = block.value(entry)
            yield xmp.links_manifest(data[start:end])


def _heif(data: bytes) -> Iterator[bool]:
    return _listed(heif_items.read(data))


def _listed(listed: Catalogue) -> Iterator[bool]:
    for box in listed.top:
        kind = listed.data[box.body : box.body + 16] if box.kind == b"uuid" else b""
        yield box.kind == b"jumb" or kind == _MANIFEST_BOX
        yield kind == _XMP_BOX and xmp.links_manifest(listed.data[box.body + 16 : box.end])
    yield any(item.content == b"application/c2pa" for item in listed.items.values())
    packets = (number for number, item in listed.items.items() if item.content == b"application/rdf+xml")
    yield from (xmp.links_manifest(content.data) for content in listed.packets(packets))


_FINDERS: Final[dict[Format, Callable[[bytes], Iterator[bool]]]] = {
    Format.JPEG: _jpeg,
    Format.MPO: _jpeg,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.TIFF: _tiff,
    Format.HEIF: _heif,
    Format.AVIF: _heif,
}
