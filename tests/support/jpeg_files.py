"""Draws small pictures and wraps them as JPEGs that are hard to patch, with structure written by hand and not by the code tested.

The metadata is built from a `Recipe`, so the file that a perfect in-place patch would give is the same recipe with another value.
"""

import io
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SLONG = 1, 2, 3, 4, 5, 7, 9
INTEGER_SIZES = {BYTE: 1, SHORT: 2, LONG: 4, SLONG: 4}
SIZES = {**INTEGER_SIZES, ASCII: 1, RATIONAL: 8, UNDEFINED: 1}

XMP_FORMS = {
    "attribute": '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="x" tiff:Orientation="{}"/>',
    "single quotes": "<rdf:Description rdf:about='' xmlns:t='http://ns.adobe.com/tiff/1.0/'\n t:Orientation = '{}' />",
    "element": '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">'
    "\n <tiff:Make>x</tiff:Make>\n <tiff:Orientation>{}</tiff:Orientation></rdf:Description>",
    "other prefix": '<rdf:Description rdf:about=""><a:Orientation xmlns:a="http://ns.adobe.com/tiff/1.0/"> {} </a:Orientation>'
    "</rdf:Description>",
    "no orientation": '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg"/>',
}


class Tag(NamedTuple):
    """One entry of a TIFF directory, its value already in bytes."""

    tag: int
    type: int
    value: bytes


@dataclass(frozen=True)
class Recipe:
    """What a JPEG holds. `orientations` are (type, value) pairs: none, one, or duplicates; `exif` False leaves the block out."""

    exif: bool = True
    order: str = "big"
    orientations: tuple[tuple[int, int], ...] = ((SHORT, 1),)
    extra: tuple[int, ...] = (0x010E, 0x0131, 0x8298)
    thumbnail: bool = False
    thumbnail_orientation: int | None = None
    maker_note: bool = False
    odd: bool = False
    jfif: bool = True
    xmp: str = ""
    xmp_value: int = 1
    xmp_wrapped: bool = True
    xmp_first: bool = False
    trailer: bytes = b""


@cache
def picture(width: int = 48, height: int = 32, progressive: bool = False) -> bytes:
    """A drawn JPEG without metadata but JFIF."""
    image = Image.new("RGB", (width, height), (40, 90, 160))
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, width // 2, height // 2), fill=(240, 200, 60))
    draw.line((0, height, width, 0), fill=(200, 20, 20), width=3)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80, progressive=progressive)
    return out.getvalue()


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


def app1(block: bytes) -> bytes:
    """An Exif segment around a TIFF block."""
    return segment(0xE1, b"Exif\0\0" + block)


def with_segments(*added: bytes, jfif: bool = True, progressive: bool = False) -> bytes:
    """The drawn picture with the given segments after SOI or, if there is one, after JFIF."""
    plain = picture(progressive=progressive)
    end = 4 + int.from_bytes(plain[4:6], "big")
    return plain[:2] + (plain[2:end] if jfif else b"") + b"".join(added) + plain[end:]


def integer(type_: int, value: int, order: str) -> bytes:
    return value.to_bytes(INTEGER_SIZES[type_], order)


def directory(tags: list[Tag], start: int, order: str, follows: int = 0) -> bytes:
    """A directory that will stand at `start`, larger values right behind it."""
    body, values = b"", b""
    behind = start + 2 + 12 * len(tags) + 4
    for tag, type_, value in tags:
        count = len(value) // SIZES[type_]
        body += tag.to_bytes(2, order) + type_.to_bytes(2, order) + count.to_bytes(4, order)
        if len(value) <= 4:
            body += value.ljust(4, b"\0")
        else:
            body += (behind + len(values)).to_bytes(4, order)
            values += value + b"\0" * (len(value) % 2)
    return len(tags).to_bytes(2, order) + body + follows.to_bytes(4, order) + values


def tiff(recipe: Recipe) -> bytes:
    """The EXIF block: IFD0, the EXIF directory, a Canon maker note with absolute offsets, IFD1, a thumbnail."""
    order = recipe.order
    thumbnail = picture(16, 12) if recipe.thumbnail else b""
    exif_at = note_at = second_at = thumbnail_at = 0
    for _ in range(2):  # the first pass tells where everything will stand, the second points there
        block = {"little": b"II*\0", "big": b"MM\0*"}[order] + (8).to_bytes(4, order)
        first = _first_tags(recipe, exif_at)
        block += directory(first, len(block), order, second_at)
        exif_at, exif = len(block), _exif_tags(recipe, note_at)
        block += directory(exif, exif_at, order)
        if recipe.maker_note:
            note_at = block.rindex(b"NOTE")
            block = block.replace(b"NOTE".ljust(200, b"\0"), directory(_note_tags(), note_at, order).ljust(200, b"\0"))
        if recipe.thumbnail:
            second_at = len(block)
            block += directory(_second_tags(recipe, thumbnail_at, len(thumbnail)), second_at, order)
            thumbnail_at = len(block)
            block += thumbnail
    return block + b"\0" * ((len(block) + recipe.odd) % 2)


def _first_tags(recipe: Recipe, exif_at: int) -> list[Tag]:
    order = recipe.order
    texts = {0x010E: b"a drawn picture\0", 0x0131: b"by hand\0", 0x013B: b"me\0", 0x8298: b"nobody in particular\0"}
    tags = [Tag(0x010F, ASCII, b"Canon\0"), Tag(0x0110, ASCII, b"Canon Test 1\0")]
    tags += [Tag(0x011A, RATIONAL, (72).to_bytes(4, order) + (1).to_bytes(4, order))]
    tags += [Tag(tag, ASCII, texts[tag]) for tag in recipe.extra]
    tags += [Tag(0x0112, type_, integer(type_, value, order)) for type_, value in recipe.orientations]
    tags += [Tag(0x8769, LONG, exif_at.to_bytes(4, order))]
    return sorted(tags, key=lambda tag: tag.tag)


def _exif_tags(recipe: Recipe, note_at: int) -> list[Tag]:
    tags = [Tag(0x9000, UNDEFINED, b"0232"), Tag(0x9003, ASCII, b"2020:01:02 03:04:05\0")]
    return [*tags, Tag(0x927C, UNDEFINED, b"NOTE".ljust(200, b"\0"))] if recipe.maker_note else tags


def _note_tags() -> list[Tag]:
    return [
        Tag(0x0006, ASCII, b"IMG:Canon Test 1 JPEG\0"),
        Tag(0x0007, ASCII, b"Firmware 1.23\0"),
        Tag(0x0009, ASCII, b"An owner\0"),
    ]


def _second_tags(recipe: Recipe, at: int, size: int) -> list[Tag]:
    order = recipe.order
    tags = [Tag(0x0103, SHORT, (6).to_bytes(2, order))]
    if recipe.thumbnail_orientation is not None:
        tags.append(Tag(0x0112, SHORT, recipe.thumbnail_orientation.to_bytes(2, order)))
    return [*tags, Tag(0x0201, LONG, at.to_bytes(4, order)), Tag(0x0202, LONG, size.to_bytes(4, order))]


def packet(form: str, value: int | str, wrapped: bool = True) -> bytes:
    """An XMP packet that says `value` in one of XMP_FORMS, with or without its xpacket wrapper."""
    core = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + XMP_FORMS[form].format(value)
        + "</rdf:RDF></x:xmpmeta>"
    )
    head, tail = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n', "\n" + " " * 60 + '\n<?xpacket end="w"?>'
    return (head + core + tail if wrapped else core).encode()


def xmp_segment(content: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + content)


def build(recipe: Recipe) -> bytes:
    """The JPEG that the recipe describes."""
    added = [app1(tiff(recipe))] if recipe.exif else []
    if recipe.xmp:
        xmp = xmp_segment(packet(recipe.xmp, recipe.xmp_value, recipe.xmp_wrapped))
        added.insert(0 if recipe.xmp_first else len(added), xmp)
    return with_segments(*added, jfif=recipe.jfif) + recipe.trailer


def mpf_segment(order: str, sizes: list[int], offsets: list[int], kind: int = 0) -> bytes:
    """A multi-picture index; `kind` is the image type, 0x020002 for a stereo pair."""
    listed = b"".join(
        number.to_bytes(4, order) for size, offset in zip(sizes, offsets, strict=True) for number in (kind, size, offset, 0)
    )
    tags = [
        Tag(0xB000, UNDEFINED, b"0100"),
        Tag(0xB001, LONG, len(sizes).to_bytes(4, order)),
        Tag(0xB002, UNDEFINED, listed),
    ]
    header = {"little": b"II*\0", "big": b"MM\0*"}[order] + (8).to_bytes(4, order)
    return segment(0xE2, b"MPF\0" + header + directory(tags, 8, order))


def multi_picture(*before: bytes, order: str = "big", kind: int = 0x020002, index_first: bool = False) -> bytes:
    """A first picture that holds the segments `before` and an index, then a second picture that the index points at."""
    size, index, second = 0, b"", picture(24, 24)
    for _ in range(2):  # the size of the index does not depend on what it says
        index = mpf_segment(order, [size, len(second)], [0, 0], kind)
        first = with_segments(*((index, *before) if index_first else (*before, index)), jfif=False)
        size = len(first)
        header = first.index(b"MPF\0") + 4
        index = mpf_segment(order, [size, len(second)], [0, size - header], kind)
        first = with_segments(*((index, *before) if index_first else (*before, index)), jfif=False)
    return first + second
