"""What made a file, wherever its container has EXIF; and files that do not say, or say it in bad bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import heif_files, jpeg_files, noted_photos, png_webp_tiff_files
from support.noted_photos import Taken

from orientd.formats import sniff
from orientd.formats.origin import Origin, origin
from orientd.records import Format

TAKEN = Taken(note=noted_photos.apple(0, 1, -1, 1, 0, 1))
BLOCK = noted_photos.block(TAKEN)


def _png():
    whole = png_webp_tiff_files.png(png_webp_tiff_files.Png())
    end = whole.index(b"IDAT") - 4
    return whole[:end] + png_webp_tiff_files.png_chunk(b"eXIf", BLOCK) + whole[end:]


def _heif(brand, monkeypatch):
    monkeypatch.setattr(heif_files, "exif_item", lambda _: (6).to_bytes(4, "big") + b"Exif\0\0" + BLOCK)
    return heif_files.build(heif_files.Recipe(brand=brand, exif=1))


def containers(monkeypatch):
    """The same EXIF in each container."""
    header = png_webp_tiff_files.webp_header(8)
    picture = [png_webp_tiff_files.webp_chunk(*chunk) for chunk in png_webp_tiff_files.bitstream("lossy")]
    return {
        Format.JPEG: noted_photos.jpeg(TAKEN),
        Format.PNG: _png(),
        Format.WEBP: png_webp_tiff_files.riff(header, *picture, png_webp_tiff_files.webp_chunk(b"EXIF", BLOCK)),
        Format.TIFF: BLOCK,
        Format.HEIF: _heif("heif", monkeypatch),
        Format.AVIF: _heif("avif", monkeypatch),
    }


def test_every_container_says_the_same(monkeypatch):
    for kind, data in containers(monkeypatch).items():
        assert sniff(data) is kind
        found = origin(kind, data)
        assert found[:3] == TAKEN[:3], kind
        assert found.held.orientation == 6, kind


def test_a_file_without_exif_says_nothing():
    assert origin(Format.JPEG, jpeg_files.picture()) is None
    assert origin(Format.GIF, b"GIF89a") is None
    assert origin(Format.RAW, BLOCK) is None  # its preview is at hand, and not what the camera wrote of it


def test_what_cannot_be_read_is_empty():
    plain = noted_photos.jpeg(TAKEN._replace(make="", model="\xe9\n", software="x" * 300, note=None))
    assert origin(Format.JPEG, plain) == Origin("", "\xe9", "", None)
    lost = plain.replace(b"\x87\x69\0\4\0\0\0\1\0\0", b"\x87\x69\0\4\0\0\0\1\7\0")  # where the directory below lies
    assert lost != plain
    assert origin(Format.JPEG, lost) == origin(Format.JPEG, plain)
    latin = plain.replace("\xe9".encode(), b"\xe9\xff")
    assert origin(Format.JPEG, latin).model == "\N{REPLACEMENT CHARACTER}" * 2


@given(st.data())
def test_damaged_files_are_no_fault(data):
    with pytest.MonkeyPatch.context() as patch:
        kind, whole = data.draw(st.sampled_from(sorted(containers(patch).items())))
    changed = bytearray(whole)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8)):
        changed[place] = value
    for damaged in (bytes(changed[: data.draw(st.integers(0, len(whole)))]), bytes(changed)):
        if found := origin(kind, damaged):
            assert max(len(text) for text in found[:3]) <= 200
            assert found.held is None or found.held.orientation in (None, 1, 3, 6, 8)
