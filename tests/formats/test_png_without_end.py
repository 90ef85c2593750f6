"""PNGs without IEND, or with it under another name: written where all of the picture is there, refused where it may not be."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files
from support.jpeg_files import SHORT, Recipe
from support.png_webp_recipes import PNG_TEXTS
from support.png_webp_tiff_files import Png, judge_damaged, png, png_chunk
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.decode.cpu import second_reader
from orientd.errors import Refused
from orientd.formats import plan, png_picture, stored_orientation
from orientd.formats.lossless import png as png_pixels
from orientd.records import Format, Patch

BARE = png(Png())
HEADER_END = 8 + 25
IEND = BARE.rindex(b"IEND") - 4
SEAL = zlib.crc32(b"IEND").to_bytes(4, "big")


def ended(tail: bytes, data: bytes = BARE) -> bytes:
    return data[: data.rindex(b"IEND") - 4] + tail


def renamed(name: bytes) -> bytes:
    """IEND whose name is damaged, and its checksum is not."""
    return bytes(4) + name + SEAL


TAILS = {
    "none": b"",
    "damaged": renamed(b"wEND"),
    "IDAT": renamed(b"IDAT"),
    "under another name": png_chunk(b"IdND"),
    "an empty palette": png_chunk(b"sPLT"),
    "one more piece of nothing": png_chunk(b"IDAT"),
    "a text": png_chunk(b"tEXt", b"Author\0somebody"),
}


def check(data: bytes, value: int = 6) -> bytes:
    """The patched file, once all that must hold of it does."""
    patch = plan(Format.PNG, data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert stored_orientation(Format.PNG, after) == second_reader(after) == value
    assert plan(Format.PNG, after, value) == Patch(())
    with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(after)) as new:
        assert np.array_equal(np.asarray(old), np.asarray(new))
    return after


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.PNG, data, 6)
    return str(caught.value)


@pytest.mark.parametrize("tail", TAILS)
def test_a_chunk_is_added_and_every_other_byte_stays(tail):
    data = ended(TAILS[tail])
    after = check(data)
    assert after == BARE[:HEADER_END] + after[HEADER_END : HEADER_END + 38] + data[HEADER_END:]
    stored = ended(TAILS[tail], png(Png(exif=Recipe(), others=PNG_TEXTS)))
    assert len(check(stored)) == len(stored)


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="needs exiftool")
def test_exiftool_sees_no_other_tag_changed(tmp_path):
    paths = []
    for number, tail in enumerate(TAILS.values()):
        for name, file in (("before", ended(tail)), ("after", check(ended(tail)))):
            paths.append(tmp_path / f"{number}-{name}.png")
            paths[-1].write_bytes(file)
    tags = read_tags(paths)
    for old, new in zip(tags[::2], tags[1::2], strict=True):
        changes = tag_changes(old, new, 38)
        assert [each for each in changes if not each.startswith("File:ExifByteOrder")] == []
        assert new["EXIF:IFD0:Orientation"] == {"6": 1}


def test_half_a_picture_is_refused_wherever_it_ends():
    body = BARE[BARE.index(b"IDAT") + 4 : IEND - 4]
    for length in range(0, len(body), 97):
        data = BARE[: BARE.index(b"IDAT") - 4] + png_chunk(b"IDAT", body[:length])
        assert "cut short" in refusal(data)
    for length in range(1, 40):
        assert refusal(BARE[: IEND - length])
    for length in range(1, 12):
        assert "cut short" in refusal(BARE[: IEND + length])


@pytest.mark.parametrize(
    "tail",
    [renamed(b"IEND")[:-1] + b"x", bytes(4) + b"wENDabcd", b"\0\0\0\1xEND!" + SEAL, renamed(b"wEND") + b"more", bytes(3)],
)
def test_another_tail_is_refused(tail):
    assert refusal(ended(tail))


def test_no_other_chunk_may_be_damaged():
    for place in range(12, IEND, 7):
        data = bytearray(BARE[:IEND])
        data[place] ^= 1
        assert refusal(bytes(data))


def test_its_pixels_are_not_turned():
    with pytest.raises(Refused, match="it has no end"):
        png_pixels.plan(ended(png_chunk(b"IDAT")), 6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (17, 5), (8, 8)])
def test_a_whole_picture_of_every_kind_is_known(mode, size):
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    data = out.getvalue()
    assert check(data[: data.rindex(b"IEND") - 4])


def header(width: int, height: int, depth: int, colour: int, interlace: int) -> bytes:
    return width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, interlace])


@pytest.mark.parametrize(("width", "height", "size"), [(1, 1, 4), (8, 8, 15 + 24 * 8), (2, 1, 8), (5, 3, None)])
def test_an_interlaced_picture_has_the_rows_of_its_passes(width, height, size):
    """8 × 8: one pixel, one, 2, 4, 8, 16 and 32, in 1, 1, 1, 2, 2, 4 and 4 rows, three bytes each and one for a row."""
    columns = [(0, 8), (4, 8), (0, 4), (2, 4), (0, 2), (1, 2), (0, 1)]
    rows = [(0, 8), (0, 8), (4, 8), (0, 4), (2, 4), (0, 2), (1, 2)]
    counts = [(len(range(a, width, b)), len(range(c, height, d))) for (a, b), (c, d) in zip(columns, rows, strict=True)]
    wanted = sum(high * (1 + 3 * wide) for wide, high in counts if wide)
    assert size in (None, wanted)
    for length, whole in ((wanted - 1, False), (wanted, True), (wanted + 1, False)):
        assert png_picture.is_whole(header(width, height, 8, 2, 1), [zlib.compress(bytes(length))]) is whole


def test_a_header_that_is_none_tells_of_no_picture():
    packed = zlib.compress(bytes(4))
    assert png_picture.is_whole(header(1, 1, 8, 2, 0), [packed[:3], packed[3:]])
    wrong = [b"", header(1, 1, 3, 2, 0), header(1, 1, 8, 5, 0), header(1, 1, 8, 2, 2), header(0, 1, 8, 2, 0)]
    assert not any(png_picture.is_whole(each, [packed]) for each in wrong)
    good = header(1, 1, 8, 2, 0)
    assert not png_picture.is_whole(good, [packed, b"more"])
    assert not png_picture.is_whole(good, [packed[:-1]])
    assert not png_picture.is_whole(good, [b"nonsense"])
    assert not png_picture.is_whole(good, [zlib.compress(bytes(2**24))])


@given(st.data(), st.integers(1, 8))
def test_noise_is_refused_or_harms_nothing(random, value):
    tail, exif = random.draw(st.sampled_from(list(TAILS.values()))), random.draw(st.sampled_from([None, Recipe()]))
    data = ended(tail, png(Png(exif=exif)))
    for _ in range(random.draw(st.integers(0, 2))):
        place = random.draw(st.integers(0, len(data)))
        data = data[:place] + random.draw(st.binary(max_size=12)) + data[place + random.draw(st.integers(0, 12)) :]
    judge_damaged(data, value)


def plain(value: int | None, start: bytes = b"Exif\0\0") -> bytes:
    """A text chunk with EXIF as it is."""
    orientations = () if value is None else ((SHORT, value),)
    return png_chunk(b"tEXt", b"exif\0" + start + jpeg_files.tiff(Recipe(orientations=orientations)))


@pytest.mark.parametrize("value", [1, 0, None])
@pytest.mark.parametrize("start", [b"Exif\0\0", b""])
def test_exif_as_a_plain_text_is_copied_to_a_chunk_behind_it(value, start):
    text = plain(value, start)
    data = BARE[:HEADER_END] + text + BARE[HEADER_END:]
    after = check(data)
    place = HEADER_END + len(text)
    size = int.from_bytes(after[place : place + 4], "big")
    assert after[place + 4 : place + 8] == b"eXIf"
    assert after == data[:place] + after[place : place + size + 12] + data[place:]
    with Image.open(io.BytesIO(data)) as old, Image.open(io.BytesIO(after)) as new:
        before, now = (dict(image.getexif()) for image in (old, new))
    assert before | {0x0112: 6} == now
    assert len(check(after, 3)) == len(after)


EXIF = png_chunk(b"eXIf", jpeg_files.tiff(Recipe()))


@pytest.mark.parametrize(
    "data",
    [
        BARE[:HEADER_END] + plain(6) + BARE[HEADER_END:],
        BARE[:HEADER_END] + plain(1) + plain(1) + BARE[HEADER_END:],
        BARE[:HEADER_END] + EXIF + plain(1) + BARE[HEADER_END:],
        BARE[:IEND] + plain(1) + BARE[IEND:],
        BARE[:HEADER_END] + plain(1) + BARE[HEADER_END:IEND] + EXIF + BARE[IEND:],
    ],
    ids=["it tells a turn", "two", "behind the chunk", "behind the picture", "the chunk is behind the picture"],
)
def test_exif_as_a_plain_text_is_refused_where_a_program_would_see_another_orientation(data):
    assert "viewers disagree" in refusal(data)


def test_exif_as_a_plain_text_is_no_reason_once_a_chunk_follows_it():
    data = BARE[:HEADER_END] + plain(3) + EXIF + BARE[HEADER_END:]
    assert len(check(data)) == len(data)


def test_the_pixels_beside_exif_as_a_plain_text_are_not_turned():
    with pytest.raises(Refused, match="old text chunk"):
        png_pixels.plan(BARE[:HEADER_END] + plain(1) + BARE[HEADER_END:], 6)
