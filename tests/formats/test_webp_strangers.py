"""Chunks that WebP does not know, behind a simple picture: the notes of RIFF, as in libwebp's own test files."""

import io

import pytest
from PIL import Image
from support import png_webp_tiff_files
from support.png_webp_tiff_files import webp_chunk
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.errors import Refused
from orientd.formats import plan
from orientd.records import Format

NOTES = [webp_chunk(b"ICMT", b"a comment"), webp_chunk(b"IART", b"somebody"), webp_chunk(b"MINE", b"12345")]
KINDS = ["lossy", "lossless", "lossless alpha"]


def with_notes(kind: str, *notes: bytes) -> bytes:
    return png_webp_tiff_files.riff(*(webp_chunk(*chunk) for chunk in png_webp_tiff_files.bitstream(kind)), *notes)


def turned(data: bytes, value: int) -> bytes:
    patch = plan(Format.WEBP, data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert png_webp_tiff_files.pixels(after) == png_webp_tiff_files.pixels(data)
    with Image.open(io.BytesIO(after)) as image:
        assert image.getexif()[0x112] == value
    return after


@pytest.mark.parametrize("kind", KINDS)
def test_they_stay_where_they_are(kind):
    for count in range(1, len(NOTES) + 1):
        data = with_notes(kind, *NOTES[:count])
        for value in range(1, 9):
            (header, *chunks, exif), rest = png_webp_tiff_files.split_webp(turned(data, value))
            assert (header[0], exif[0], rest) == (b"VP8X", b"EXIF", b"")
            assert chunks == png_webp_tiff_files.split_webp(data)[0]


@pytest.mark.parametrize("name", [b"EXIF", b"XMP ", b"ICCP", b"ALPH", b"ANIM", b"ANMF", b"VP8X"])
def test_what_the_header_would_have_to_announce_is_refused(name):
    with pytest.raises(Refused, match=r"does not announce|twice|animated"):
        plan(Format.WEBP, with_notes("lossy", NOTES[0], webp_chunk(name, b"1234567890")), 6)


@pytest.mark.parametrize("notes", [NOTES[:1], NOTES[::-1]])
def test_in_front_of_the_picture_they_are_refused(notes):
    with pytest.raises(Refused, match="does not announce"):
        plan(
            Format.WEBP,
            png_webp_tiff_files.riff(*notes, *(webp_chunk(*chunk) for chunk in png_webp_tiff_files.bitstream("lossy"))),
            6,
        )


@pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
@pytest.mark.parametrize("kind", KINDS[:2])
def test_exiftool_sees_no_tag_changed_but_orientation(tmp_path, kind):
    data = with_notes(kind, *NOTES)
    files = [data, turned(data, 6), turned(data, 6).replace(b"a comment", b"b comment")]
    for n, each in enumerate(files):
        (tmp_path / f"{n}.webp").write_bytes(each)
    old, new, wrong = read_tags(tmp_path / f"{n}.webp" for n in range(3))
    assert tag_changes(old, new, len(files[1]) - len(data)) == []
    assert tag_changes(old, wrong, len(files[1]) - len(data)) != []
