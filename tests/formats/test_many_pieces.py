"""Files of nothing but structure: what real pictures have passes with room to spare, and millions of pieces keep nobody busy."""

import zlib
from io import BytesIO

import pytest
from PIL import Image
from support import jpeg_files
from support.heif_files import Recipe, box, build, full_box, number, reference
from support.png_webp_tiff_files import Webp, png_chunk, riff, split_webp, webp, webp_chunk

from orientd import formats
from orientd.errors import Refused
from orientd.formats import c2pa, heif, jpeg, png
from orientd.formats.fingerprint import marks
from orientd.formats.origin import origin
from orientd.records import Format

NOISE = jpeg_files.picture(16, 16)


def refused(kind, data, match):
    with pytest.raises(Refused, match=match):
        formats.plan(kind, data, 6)
    for ask in (formats.stored_orientation, c2pa.is_signed, origin, marks):
        ask(kind, data)  # none of them goes on for long, or raises


def of_idats(sizes, *more):
    """A PNG of 1 × 1 whose picture is stored in pieces of those sizes, the last one with the rest."""
    packed, start, pieces = zlib.compress(bytes(4)), 0, []
    for size in sizes:
        pieces.append(png_chunk(b"IDAT", packed[start : start + size]))
        start += size
    header = png_chunk(b"IHDR", number(1, 4) + number(1, 4) + bytes([8, 2, 0, 0, 0]))
    return b"".join([png.SIGNATURE, header, *more, *pieces, png_chunk(b"IDAT", packed[start:]), png_chunk(b"IEND")])


def test_a_png_may_have_as_many_pieces_as_the_largest_pictures_have():
    """A picture of 100 megapixels with 16 bits a color has 75,000 pieces of 8 KiB."""
    data = of_idats([0] * 100_000)
    turned = formats.plan(Format.PNG, data, 6).apply(data)
    assert formats.stored_orientation(Format.PNG, turned) == 6
    assert Image.open(BytesIO(turned)).getexif()[0x112] == 6


def test_a_png_of_millions_of_chunks_is_refused():
    refused(Format.PNG, of_idats([0], png_chunk(b"abCd") * 2**20), "more chunks than any picture needs")


def test_texts_of_a_png_that_are_packed_a_thousandfold_are_few():
    bomb = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**20)))
    assert formats.plan(Format.PNG, of_idats([0], bomb * 8), 6).splices
    refused(Format.PNG, of_idats([0], bomb * 9), "more texts with metadata than any program writes")
    captions = png_chunk(b"tEXt", b"Comment\0a") * 1000
    assert formats.plan(Format.PNG, of_idats([0], captions), 6).splices


def test_a_webp_of_tens_of_thousands_of_chunks_is_refused():
    (first, *_), _ = split_webp(webp(Webp()))
    few, many = (riff(webp_chunk(*first), webp_chunk(b"abcd", b"") * count) for count in (60_000, 70_000))
    assert formats.plan(Format.WEBP, few, 6).splices
    refused(Format.WEBP, many, "more chunks than any picture needs")


def test_markers_behind_the_scan_of_a_jpeg_have_an_end():
    end = NOISE.rindex(b"\xff\xd9")
    few, many = (NOISE[:end] + b"\xff\xe5\0\2" * count + NOISE[end:] for count in (60_000, 70_000))
    scan = list(jpeg.segments(NOISE))[-1].end
    assert jpeg.end_of_image(few, scan) == len(few)
    refused(Format.JPEG, many, "more segments than any camera writes")


@pytest.mark.parametrize("kind", [b"thmb", b"cdsc"])
def test_a_heif_of_tens_of_thousands_of_references_is_refused(kind):
    few, many = (build(Recipe(extra_references=reference(kind, 9, 8) * count)) for count in (60_000, 70_000))
    assert heif.plan(few, 6).splices
    refused(Format.HEIF, many, "more boxes than any photo needs")


@pytest.mark.parametrize("where", ["extra_top", "extra_meta"])
def test_a_heif_of_tens_of_thousands_of_boxes_is_refused(where):
    assert heif.plan(build(Recipe(**{where: box(b"free") * 60_000})), 6).splices
    refused(Format.HEIF, build(Recipe(**{where: box(b"free") * 70_000})), "more boxes than any photo needs")


def listing(*, entries=b"", count=0, items=b"", places=b"", extents=0, behind=b""):
    """A HEIF of one photo without pixels, and what more it lists."""
    photo = full_box(b"infe", number(1, 2) + number(0, 2) + b"hvc1\0", version=2)
    place = number(1, 2) + number(0, 2) + number(1, 2) + number(8, 4) + number(8, 4)
    meta = full_box(
        b"meta",
        full_box(b"pitm", number(1, 2)),
        full_box(b"iinf", number(1, 2), photo, items),
        full_box(b"iloc", b"\x44\0", number(1 + extents, 2), place, places),
        box(
            b"iprp",
            box(b"ipco", full_box(b"ispe", number(64, 4) + number(64, 4))),
            full_box(b"ipma", number(1 + count, 4), number(1, 2) + b"\1\1", entries),
        ),
    )
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta + behind


def test_the_items_of_a_heif_have_a_bounded_number_of_properties():
    """65,000 items may have three each; the 822 of a photo of 200 megapixels have 2,405 together."""
    few, many = (
        listing(entries=b"".join(number(n, 2) + number(each, 1) + b"\1" * each for n in range(2, 65_002)), count=65_000)
        for each in (3, 4)
    )
    assert heif.plan(few, 6).splices
    refused(Format.HEIF, many, "a list is longer than any photo needs")


def test_the_items_of_a_heif_have_a_bounded_number_of_pieces():
    piece = number(8, 4) + number(8, 4)
    few, many = (
        listing(places=b"".join(number(n, 2) + number(0, 2) + number(each, 2) + piece * each for n in range(2, 12)), extents=10)
        for each in (20_000, 27_000)
    )
    assert heif.plan(few, 6).splices
    refused(Format.HEIF, many, "a list is longer than any photo needs")


def test_xmp_of_a_heif_that_many_items_share_is_read_as_often_as_a_file_is_long():
    """Each of these items names the whole of a large box."""
    packet = b'<a xmlns:b="c"/>'
    xmp = full_box(b"infe", number(2, 2) + number(0, 2) + b"mime\0application/rdf+xml\0", version=2)
    items = b"".join(xmp.replace(number(2, 2) + number(0, 2), number(n, 2) + number(0, 2)) for n in range(2, 1000))
    places = b"".join(
        number(n, 2) + number(0, 2) + number(1, 2) + number(200_000, 4) + number(500_000, 4) for n in range(2, 1000)
    )
    behind = box(b"mdat", packet + b" " * 1_000_000)
    refused(Format.HEIF, listing(items=items, places=places, extents=998, behind=behind), "its EXIF and XMP overlap")


def test_strips_of_a_tiff_have_a_bounded_number():
    count = 2**20 + 1
    data = b"II*\0\x08\0\0\0\1\0\x11\1\4\0" + count.to_bytes(4, "little") + b"\x1a\0\0\0\0\0\0\0" + bytes(4 * count)
    refused(Format.TIFF, data, "a list in it is longer than any picture needs")


def test_metadata_of_a_jpeg_that_is_to_grow_has_a_bounded_number_of_blocks():
    """Each may hold a note of 64 KiB, whose words are all looked at."""
    exif = jpeg_files.app1(jpeg_files.tiff(jpeg_files.Recipe(orientations=(), thumbnail=False, maker_note=False)))
    few, many = (NOISE[:2] + exif * count + NOISE[2:] + b"behind" for count in (8, 9))
    assert formats.plan(Format.JPEG, few, 6).splices
    refused(Format.JPEG, many, "more EXIF segments than any camera writes")
