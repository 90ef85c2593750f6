import io

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files

from orientd.formats import sniff
from orientd.records import Format

JPEG2000_BOX = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 "


def drawn(name: str, **options) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 16), (9, 99, 199)).save(out, name, **options)
    return out.getvalue()


def heif() -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), (9, 99, 199))).save(out)
    return out.getvalue()


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08free"


def tiff(order: str, *tags: jpeg_files.Tag, first: int = 8) -> bytes:
    header = {"little": b"II*\0", "big": b"MM\0*"}[order] + first.to_bytes(4, order)
    return header.ljust(first, b"\0") + jpeg_files.directory(list(tags), first, order)


def short(tag: int, value: int, order: str = "little") -> jpeg_files.Tag:
    return jpeg_files.Tag(tag, jpeg_files.SHORT, value.to_bytes(2, order))


MAKE = jpeg_files.Tag(0x010F, jpeg_files.ASCII, b"NIKON CORPORATION\0")
SUB_IFDS = jpeg_files.Tag(0x014A, jpeg_files.LONG, b"\0\1\0\0")

WRITTEN = {
    Format.JPEG: lambda: jpeg_files.picture(),
    Format.PNG: lambda: drawn("PNG"),
    Format.WEBP: lambda: drawn("WEBP"),
    Format.TIFF: lambda: drawn("TIFF"),
    Format.BMP: lambda: drawn("BMP"),
    Format.GIF: lambda: drawn("GIF"),
    Format.JPEG2000: lambda: drawn("JPEG2000", no_jp2=True),
    Format.AVIF: lambda: drawn("AVIF"),
    Format.HEIF: heif,
}

HEADS = [
    (JPEG2000_BOX, Format.JPEG2000),
    (b"\xff\x0a\x10\x20", Format.JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", Format.JPEG_XL),
    (b"GIF87a\1\0\1\0", Format.GIF),
    (b"II+\0\x08\0\0\0", Format.TIFF),
    (b"RIFF\x10\0\0\0WAVEfmt ", Format.UNKNOWN),
    (b"FORM\x10\0\0\0WEBPVP8 ", Format.UNKNOWN),
    (b"BM is how this text starts", Format.UNKNOWN),
    (bytes(14) + b"\x28\0\0\0", Format.UNKNOWN),
    (ftyp(b"heic"), Format.HEIF),
    (ftyp(b"heic", b"mif1", b"heic"), Format.HEIF),
    (ftyp(b"mif1", b"mif1", b"heic"), Format.HEIF),
    (ftyp(b"mif1", b"mif1", b"avif", b"miaf"), Format.AVIF),
    (ftyp(b"heic", b"mif1", b"avif"), Format.HEIF),
    (ftyp(b"avis", b"msf1"), Format.AVIF),
    (ftyp(b"XYZ ", b"mif1"), Format.HEIF),
    (ftyp(b"crx ", b"isom"), Format.RAW),
    (ftyp(b"isom", b"mp42"), Format.UNKNOWN),
    (ftyp(b"isom") + b"heic" * 5, Format.UNKNOWN),
    (b"IIU\0\x18\0\0\0", Format.RAW),
    (b"IIRO\x08\0\0\0", Format.RAW),
    (b"IIRS\x08\0\0\0", Format.RAW),
    (b"MMOR\0\0\0\x08", Format.RAW),
    (b"FUJIFILMCCD-RAW 0201", Format.RAW),
    (b"FOVb\0\0\2\0", Format.RAW),
    (b"\0MRM\0\1\2\3", Format.RAW),
    (b"II\x1a\0\0\0HEAPCCDR", Format.RAW),
    (b"II*\0\x10\0\0\0CR\2\0\0\0\0\0", Format.RAW),
    (b"II*\0\x08\0\0\0IIII", Format.RAW),
    (tiff("little", jpeg_files.Tag(0xC612, jpeg_files.BYTE, b"\1\4\0\0")), Format.RAW),
    (tiff("big", jpeg_files.Tag(0xC612, jpeg_files.BYTE, b"\1\4\0\0"), first=1000), Format.RAW),
    (tiff("little", short(0xFE, 1), MAKE, SUB_IFDS), Format.RAW),
    (tiff("little", short(0xFE, 0), MAKE, SUB_IFDS), Format.TIFF),
    (tiff("little", short(0xFE, 1), MAKE), Format.TIFF),
    (tiff("little", short(0xFE, 1), SUB_IFDS), Format.TIFF),
    (tiff("little", short(0x103, 65535)), Format.RAW),
    (tiff("big", short(0x103, 1, "big")), Format.TIFF),
    (tiff("little", short(0x106, 32803)), Format.RAW),
    (tiff("little", short(0x106, 2), first=100_000)[:4096], Format.TIFF),
    (b"", Format.UNKNOWN),
    (b"\xff\xd8", Format.UNKNOWN),
    (b"#!/bin/sh\n", Format.UNKNOWN),
]


@pytest.mark.parametrize("expected", WRITTEN)
def test_tells_what_real_encoders_write_from_64_bytes(expected):
    data = WRITTEN[expected]()
    assert sniff(data[:64]) == sniff(data) == expected


@pytest.mark.parametrize(("head", "expected"), HEADS)
def test_tells_the_head(head, expected):
    assert sniff(head) == expected


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("kind", [0x020001, 0x020002, 0x020003])
def test_many_frames_make_an_mpo_when_the_index_is_in_reach(order, kind):
    data = jpeg_files.multi_picture(order=order, kind=kind)
    assert sniff(data) == Format.MPO
    assert sniff(data[:64]) == Format.JPEG


def test_the_index_is_told_from_other_segments():
    profile = jpeg_files.segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(100))
    assert sniff(jpeg_files.multi_picture(profile)) == Format.MPO
    index = jpeg_files.multi_picture()
    assert sniff(index.replace(b"\xff\xe2", b"\xff\xe4", 1)) == Format.JPEG


@pytest.mark.parametrize("kind", [0, 0x010001, 0x030000])
def test_previews_and_gain_maps_leave_a_jpeg(kind):
    assert sniff(jpeg_files.multi_picture(kind=kind)) == Format.JPEG


@given(st.binary(max_size=100), st.sampled_from([head for head, _ in HEADS] + [jpeg_files.multi_picture()[:300]]))
def test_never_fails(noise, head):
    assert sniff(noise) in Format
    assert sniff(head[: len(noise)] + noise) in Format
    assert sniff(head + noise) in Format
