"""Nothing that did not decode whole is a picture: damage, truncation, bombs, and the flaws that are none."""

import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.decodable_photos import ENCODINGS, SIZE, difference, encode, photo, scene, store

from orientd import formats
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.errors import DecodeError
from orientd.records import Format

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


@pytest.fixture
def decoder():
    return CpuDecoder(SIZE)


@pytest.mark.parametrize("name", [*ENCODINGS, "gif"])
def test_a_file_cut_short_is_an_error(decoder, name):
    noisy = np.random.default_rng(1).integers(0, 256, (160, 160, 3), np.uint8)
    data = encode(noisy, "GIF") if name == "gif" else store(name, noisy)
    kind = formats.sniff(data)
    decoder.decode(photo(data))
    for length in [int(len(data) * share) for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)] + [len(data) - 300]:
        with pytest.raises(DecodeError):
            decoder.decode(photo(data[:length], kind))


@pytest.mark.parametrize("name", ["jpeg", "progressive"])
def test_a_jpeg_cut_short_and_closed_again_is_an_error(decoder, name):
    data = store(name)
    for length in (len(data) - 300, len(data) // 2):
        with pytest.raises(DecodeError, match="end of data segment"):
            decoder.decode(photo(data[:length] + b"\xff\xd9"))


@pytest.mark.parametrize("name", ["jpeg", "progressive", "png", "tiff-lzw"])
def test_a_hole_in_the_data_is_an_error(decoder, name):
    noisy = np.random.default_rng(1).integers(0, 256, (160, 160, 3), np.uint8)
    data = store(name, noisy)
    middle = len(data) // 2
    with pytest.raises(DecodeError):
        decoder.decode(photo(data[:middle] + bytes(2000) + data[middle + 2000 :]))


def scan_header(data):
    return data.index(b"\xff\xda")


def with_junk_between_segments(data):
    tables = data.index(b"\xff\xdb")
    return data[:tables] + b"\0\1\2" + data[tables:]


def with_spectral_selection_of_a_progressive_scan(data):
    end = scan_header(data) + 2 + int.from_bytes(data[scan_header(data) + 2 : scan_header(data) + 4], "big")
    return data[: end - 2] + b"\0" + data[end - 1 :]


def with_padding_before_the_end(data):
    return data[:-2] + bytes(6) + data[-2:]


def with_a_jfif_version_of_its_own(data):
    return data.replace(b"JFIF\0\1", b"JFIF\0\3")


HARMLESS = [
    ("jpeg", with_a_jfif_version_of_its_own),
    ("jpeg", with_junk_between_segments),
    ("jpeg", with_spectral_selection_of_a_progressive_scan),
    ("jpeg", with_padding_before_the_end),
    ("progressive", with_padding_before_the_end),
]


@pytest.mark.parametrize(("name", "flaw"), HARMLESS)
def test_flaws_of_real_cameras_that_cost_no_pixel_are_forgiven(decoder, name, flaw):
    data = store(name)
    flawed = decoder.decode(photo(flaw(data)))
    assert difference(flawed.pixels, decoder.decode(photo(data)).pixels) <= 3
    assert (flawed.width, flawed.height) == (192, 128)


def test_samplings_without_a_name_are_decoded(decoder):
    """4:1:0: eight blocks of luminance, one of either chrominance, all of them zero in the usual Huffman codes."""
    data = encode(Image.new("RGB", (32, 16), "red"), "JPEG", subsampling="4:4:4")
    luminance = data.index(b"\xff\xc0") + 11
    scan = scan_header(data) + 14
    blocks = int("001010" * 8 + "0000" * 2, 2).to_bytes(7, "big")
    picture = decoder.decode(photo(data[:luminance] + b"\x42" + data[luminance + 1 : scan] + blocks + b"\xff\xd9"))
    assert (picture.pixels == 128).all()


@pytest.mark.parametrize(("name", "flaw"), HARMLESS)
def test_a_forgiven_flaw_does_not_hide_that_the_file_is_cut_short(decoder, name, flaw):
    with pytest.raises(DecodeError):
        decoder.decode(photo(flaw(store(name))[:-300]))


def test_a_photo_over_the_limit_is_an_error(decoder):
    limited = CpuDecoder(SIZE, max_pixels=192 * 128 - 1)
    for name in ENCODINGS:
        with pytest.raises(DecodeError, match=re.escape("192 × 128 pixels, more than the limit of 24,575")):
            limited.decode(photo(store(name)))


@pytest.mark.parametrize("side", [20_001, 60_000])
def test_a_decompression_bomb_is_told_by_its_header(decoder, side):
    data = store("png")
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + data[24:29]
    with pytest.raises(DecodeError, match=f"{side} × {side} pixels"):
        decoder.decode(photo(data[:12] + header + crc32(header).to_bytes(4, "big") + data[33:]))


def test_pixels_of_32_bits_are_an_error(decoder):
    for dtype in (np.int32, np.float32):
        with pytest.raises(DecodeError, match="32 bits"):
            decoder.decode(photo(encode(Image.fromarray(np.zeros((9, 9), dtype)), "TIFF")))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
@pytest.mark.parametrize("order", "<>")
def test_the_second_reader_reads_pixels_that_none_can_judge(decoder, order, dtype, compression):
    pixels = np.random.default_rng(1).integers(0, 100, (80, 60)).astype(dtype)
    out = BytesIO()
    orientation = [(0x112, 3, 1, 1, True)]
    tifffile.imwrite(out, pixels, byteorder=order, photometric="minisblack", compression=compression, extratags=orientation)
    data = out.getvalue()
    with pytest.raises(DecodeError, match="is not supported"):
        decoder.decode(photo(data))
    turned = formats.plan(Format.TIFF, data, 6).apply(data)
    assert (second_reader(data), second_reader(turned)) == (1, 6)
    with pytest.raises(DecodeError):
        second_reader(turned[:-50])


@pytest.mark.parametrize("kind", [Format.JPEG_XL, Format.UNKNOWN])
def test_formats_that_are_not_judged_are_errors(decoder, kind):
    with pytest.raises(DecodeError, match="cannot be decoded"):
        decoder.decode(photo(store("jpeg"), kind))


def test_a_file_of_another_format_than_told_is_an_error(decoder):
    for kind in (Format.PNG, Format.HEIF, Format.AVIF, Format.TIFF, Format.WEBP, Format.GIF, Format.BMP, Format.JPEG2000):
        with pytest.raises(DecodeError, match=r"damaged|cannot be decoded"):
            decoder.decode(photo(store("jpeg"), kind))


@settings(max_examples=150)
@given(st.sampled_from(["jpeg", "progressive", "png", "webp", "tiff", "bmp"]), st.data())
def test_damaged_bytes_give_a_picture_or_a_decode_error(name, data):
    decoder = CpuDecoder(SIZE, max_pixels=10_000_000)
    original = store(name, scene(40, 30))
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DecodeError):
        picture = decoder.decode(photo(bytes(damaged), formats.sniff(original)))
        assert picture.pixels.shape == (SIZE, SIZE, 3)


@pytest.fixture(scope="module")
def corpus():
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not here")
    return lambda name: photo((CORPUS / name).read_bytes())


@pytest.mark.parametrize("name", ["monkey12.jpg", "ultrahdr.jpg", "beach.jpg"])
def test_files_that_do_not_decode_whole_are_errors(decoder, corpus, name):
    with pytest.raises(DecodeError):
        decoder.decode(corpus(name))


def test_a_phone_photo_in_tiles_that_is_cut_short_is_an_error(decoder, corpus):
    data = corpus("iphone-7.heic").data
    for share in (0.01, 0.5, 0.999):
        with pytest.raises(DecodeError, match="cut short"):
            decoder.decode(photo(data[: int(len(data) * share)]))
